package main

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/test/prose/retired"
)

// Finding is one place that does not follow the house style.
type Finding struct {
	File string
	Line int
	// Group is its heading in allowed.txt: a document, or a package and a kind of text.
	Group string
	Found string
	// Instead is what to write.
	Instead string
}

func (f Finding) String() string {
	return fmt.Sprintf("%s:%d: %s: %s", f.File, f.Line, f.Found, f.Instead)
}

// Findings are those of a tree, sorted by place.
type Findings []Finding

// check reads a tree: its documents, its Go files and its history after a base.
func check(root, base string) (Findings, error) {
	text, err := os.ReadFile(filepath.Join(root, "test/prose/retired.txt"))
	if err != nil {
		return nil, err
	}
	words, err := retired.Parse(string(text))
	if err != nil {
		return nil, err
	}
	var found Findings
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil || d.IsDir() {
			if err == nil && passedOver(d.Name()) {
				return fs.SkipDir
			}
			return err
		}
		more, err := checkFile(words, path, filepath.ToSlash(name))
		found = append(found, more...)
		return err
	})
	if err != nil {
		return nil, err
	}
	found = append(found, checkCommits(recentCommits(root, base))...)
	slices.SortStableFunc(found, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	return found, nil
}

// passedOver says which folders have no text of the project's.
func passedOver(folder string) bool {
	hidden := strings.HasPrefix(folder, ".") && folder != "." && folder != ".." && folder != ".github"
	return hidden || folder == "testdata" || folder == "bin"
}

func checkFile(words retired.Words, path, name string) (Findings, error) {
	markdown := strings.HasSuffix(name, ".md")
	if !markdown && (!strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go")) {
		return nil, nil
	}
	text, err := os.ReadFile(path) //nolint:gosec // it is a file of the tree
	if err != nil {
		return nil, err
	}
	if markdown {
		return checkMarkdown(words, name, string(text)), nil
	}
	return checkGo(words, name, text)
}
