package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/test/prose/retired"
)

// checkGo checks what a Go file says: documentation, other comments, and messages. allowed.txt has a number
// for each of the three, per package.
func checkGo(words retired.Words, file string, text []byte) (Findings, error) {
	set := token.NewFileSet()
	parsed, err := parser.ParseFile(set, file, text, parser.ParseComments)
	if err != nil {
		return nil, err
	}
	folder := path.Dir(file)
	documentation := exportedDocs(parsed)
	var found Findings
	for _, comment := range parsed.Comments {
		group := folder + " comments"
		if documentation[comment] {
			group = folder + " documentation"
		}
		for _, p := range paragraphs(set, comment) {
			found = append(found, p.check(words, file, group)...)
		}
	}
	for _, literal := range messages(parsed) {
		said, err := strconv.Unquote(literal.Value)
		if err != nil {
			return nil, err
		}
		var p passage
		p.add(set.Position(literal.Pos()).Line, strings.ReplaceAll(said, "\n", " "))
		found = append(found, p.check(words, file, folder+" messages")...)
	}
	return found, nil
}

// exportedDocs are the package's documentation and that of exported identifiers.
func exportedDocs(file *ast.File) map[*ast.CommentGroup]bool {
	docs := map[*ast.CommentGroup]bool{file.Doc: true}
	for _, d := range file.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			docs[d.Doc] = d.Name.IsExported()
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					docs[d.Doc] = docs[d.Doc] || s.Name.IsExported()
					docs[s.Doc] = s.Name.IsExported()
				case *ast.ValueSpec:
					docs[d.Doc] = docs[d.Doc] || s.Names[0].IsExported()
					docs[s.Doc] = s.Names[0].IsExported()
				}
			}
		}
	}
	return docs
}

// paragraphs are those of a comment, without its indented blocks and directives.
func paragraphs(set *token.FileSet, group *ast.CommentGroup) []passage {
	var all []passage
	var p passage
	end := func() {
		all = append(all, p)
		p = passage{}
	}
	for _, c := range group.List {
		line := set.Position(c.Pos()).Line
		for i, text := range strings.Split(c.Text, "\n") {
			if strings.HasPrefix(text, "//go:") || strings.HasPrefix(text, "//nolint") {
				continue
			}
			text = strings.TrimSuffix(strings.TrimLeft(text, "/*"), "*/")
			switch {
			case strings.TrimSpace(text) == "" || strings.HasPrefix(text, "\t") || strings.HasPrefix(text, "     "):
				end()
			case newItem.MatchString(text):
				end()
				p.add(line+i, text)
			default:
				p.add(line+i, text)
			}
		}
	}
	end()
	return all
}

// messages are the constant texts of at least four words.
func messages(file *ast.File) []*ast.BasicLit {
	var found []*ast.BasicLit
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ImportSpec:
			return false
		case *ast.BasicLit:
			if n.Kind == token.STRING && strings.Count(n.Value, " ") >= 3 && !strings.Contains(n.Value, "(?m") {
				found = append(found, n)
			}
		}
		return true
	})
	return found
}
