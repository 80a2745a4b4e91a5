package nodespec

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// object is the frame of each document.
type object struct {
	APIVersion string   `yaml:"apiVersion"`
	Kind       string   `yaml:"kind"`
	Metadata   metadata `yaml:"metadata,flow"`
	Spec       any      `yaml:"spec"`
}

type metadata struct {
	Name string `yaml:"name"`
}

const header = "# Written by volreconciler import. Nothing here changes more than tags and marks on this node.\n"

// notImported is the file with what no object stands for.
const notImported = "not-imported.yaml"

// Files returns the spec files by their names. An object that is left out is a comment.
func (d *Draft) Files() (map[string][]byte, error) {
	texts := map[string]*bytes.Buffer{}
	written := map[string]bool{}
	for _, doc := range d.documents {
		text := texts[doc.file]
		if text == nil {
			text = bytes.NewBufferString(header)
			texts[doc.file] = text
		}
		body, err := doc.text()
		if err != nil {
			return nil, fmt.Errorf("cannot write %s: %w", doc.id, err)
		}
		if doc.left != "" {
			fmt.Fprintf(text, "\n%s%s%s", comment("Not imported: "+doc.what+": "+doc.left), comment(""), comment(strings.TrimSuffix(body, "\n")))
			continue
		}
		written[doc.file] = true
		fmt.Fprintf(text, "\n---\n%s%s", comment(slices.Concat([]string{oneLine(doc.what)}, doc.notes)...), body)
	}
	files := map[string][]byte{}
	var comments strings.Builder
	for name, text := range texts {
		if written[name] {
			files[name] = text.Bytes()
		} else { // a file without objects would be a finding
			comments.WriteString(strings.TrimPrefix(text.String(), header))
		}
	}
	for _, o := range d.omissions {
		comments.WriteString("\n" + comment("Not imported: "+o.What+": "+o.Why))
	}
	if comments.Len() > 0 {
		files[strings.TrimSuffix(notImported, ".yaml")+".txt"] = []byte(header + comments.String())
	}
	return files, nil
}

// text is the YAML of a document.
func (doc *document) text() (string, error) {
	var out bytes.Buffer
	e := yaml.NewEncoder(&out)
	e.SetIndent(2)
	err := e.Encode(object{spec.APIVersion, string(doc.id.Kind), metadata{doc.id.Name}, doc.body})
	return out.String(), err
}

// comment makes comments of lines.
func comment(lines ...string) string {
	var out strings.Builder
	for _, text := range lines {
		for line := range strings.SplitSeq(text, "\n") {
			out.WriteString(strings.TrimRight("# "+line, " ") + "\n")
		}
	}
	return out.String()
}
