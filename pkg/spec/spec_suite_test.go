package spec_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestSpec(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "pkg/spec")
}

// mark stands in a YAML text of these tests where a finding is expected.
const mark = "▶"

// place removes the mark from a text and returns where it stood.
func place(marked string) (text string, line, column int) {
	before, after, found := strings.Cut(marked, mark)
	if !found {
		return marked, 0, 0
	}
	start := strings.LastIndex(before, "\n") + 1
	return before + after, strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[start:]) + 1
}

// write puts a file in place at once, as careful programs do.
func write(path, text string) {
	GinkgoHelper()
	Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
	temporary := filepath.Join(filepath.Dir(path), ".tmp-"+filepath.Base(path))
	Expect(os.WriteFile(temporary, []byte(text), 0o600)).To(Succeed())
	Expect(os.Rename(temporary, path)).To(Succeed())
}

// loadText loads one file with the given text.
func loadText(text string) spec.Set {
	GinkgoHelper()
	path := filepath.Join(GinkgoT().TempDir(), "x.yaml")
	write(path, text)
	return spec.LoadPaths([]string{path}, "")
}

const header = "apiVersion: volreconciler/v1alpha1\nkind: "

// thickPool, volume, snapshot and export are documents with only the interesting
// lines left to write.
func thickPool(name string) string {
	return header + "Pool\nmetadata: {name: " + name + "}\nspec: {volumeGroup: vg-" + name + "}\n---\n"
}

func volume(name, fields string) string {
	return header + "Volume\nmetadata: {name: " + name + "}\nspec: {" + fields + "}\n---\n"
}

func snapshot(name, fields string) string {
	return header + "Snapshot\nmetadata: {name: " + name + "}\nspec: {" + fields + "}\n---\n"
}

func export(name, fields string) string {
	return header + "Export\nmetadata: {name: " + name + "}\nspec: {protocol: iscsi, " + fields + "}\n---\n"
}

func duration(d time.Duration) *spec.Duration {
	out := spec.Duration(d)
	return &out
}

// errorsOf renders findings with the base names of their files.
func errorsOf(findings []spec.Finding) []string {
	var texts []string
	for _, f := range findings {
		f.File = filepath.Base(f.File)
		texts = append(texts, f.Error())
	}
	return texts
}
