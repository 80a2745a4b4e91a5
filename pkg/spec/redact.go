package spec

import (
	"bytes"
	"encoding"
	"errors"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/publicurl"
)

// RedactedFile is a spec file as a stranger may see it.
type RedactedFile struct {
	Name string // relative to the directory
	Data []byte
	Err  error // why there is nothing of it
}

// RedactDir returns the spec files of a directory as strangers may see them, see [RedactFile]. Errors do not
// repeat what a file says.
func RedactDir(dir string) []RedactedFile {
	dir = filepath.Clean(dir)
	found := list(dir)
	var files []RedactedFile
	for _, p := range found.problems {
		files = append(files, RedactedFile{Name: p.File, Err: p.Err})
	}
	for _, e := range found.entries {
		file := RedactedFile{Name: e.path}
		if relative, err := filepath.Rel(dir, e.path); err == nil {
			file.Name = relative
		}
		data, _, err := readFile(e.real)
		if err == nil {
			data, err = RedactFile(data)
		}
		file.Data, file.Err = data, err
		files = append(files, file)
	}
	return files
}

// errNotRedactable does not say where the mistake is: the text of such a finding repeats the file.
var errNotRedactable = errors.New("not valid YAML, so nobody can tell what in it is a password; validate says what is wrong")

// RedactFile returns a spec file without comments, in which [Redacted] replaces all that the format does not
// know: a password that was written there by mistake has no field of its own. URLs are in their public form.
func RedactFile(data []byte) ([]byte, error) {
	text, finding := checkText("", data)
	if finding != nil {
		return nil, errNotRedactable
	}
	documents, finding := parse("", text)
	if finding != nil {
		return nil, errNotRedactable
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	for _, document := range documents {
		if len(document.Content) == 0 {
			continue
		}
		var form structure
		if form.check(document.Content[0], "", 1); form.exceeded {
			return nil, errNotRedactable
		}
		if err := encoder.Encode(redactedDocument(document.Content[0])); err != nil {
			return nil, errNotRedactable
		}
	}
	if err := encoder.Close(); err != nil {
		return nil, errNotRedactable
	}
	return out.Bytes(), nil
}

// redactedDocument returns a copy of an object's document.
func redactedDocument(root *yaml.Node) *yaml.Node {
	if root.Kind != yaml.MappingNode {
		return redactedNode()
	}
	var value any
	if kind := field(root, "kind"); kind != nil {
		value = newValue(Kind(kind.Value))
	}
	if value == nil {
		value = new(struct{}) // of an unknown kind nothing is known
	}
	return redactedMapping(root, reflect.TypeOf(value).Elem(), func(key string, value *yaml.Node) *yaml.Node {
		known := key == "apiVersion" && value.Value == APIVersion || key == "kind" && slices.Contains(kinds(), value.Value)
		if known && value.Kind == yaml.ScalarNode {
			return scalarNode(value.Value)
		}
		return nil
	})
}

// redactedMapping returns a copy of the mapping of a struct. More are fields that the struct does not have; it
// returns nil for those that are unknown.
func redactedMapping(n *yaml.Node, t reflect.Type, more func(key string, value *yaml.Node) *yaml.Node) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	fields := fieldsOf(t)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at := slices.IndexFunc(fields, func(f structField) bool { return key.Kind == yaml.ScalarNode && f.name == key.Value })
		switch extra := more(key.Value, value); {
		case extra != nil:
			out.Content = append(out.Content, scalarNode(key.Value), extra)
		case at >= 0:
			out.Content = append(out.Content, scalarNode(key.Value), redactedValue(value, t.Field(fields[at].index).Type, key.Value))
		default: // the password itself may be what is taken for a name
			out.Content = append(out.Content, redactedNode(), redactedNode())
		}
	}
	return out
}

// redactedValue returns a copy of the value of a field.
func redactedValue(n *yaml.Node, t reflect.Type, name string) *yaml.Node {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	isText := reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	switch {
	case n.Kind == yaml.ScalarNode:
		if isScalar(n, t, isText) && isPublic(n.Value, name) {
			public := scalarNode(publicurl.InValue(n.Value))
			if public.Value == n.Value {
				public.Tag = n.Tag
			}
			return public
		}
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Struct && !isText:
		return redactedMapping(n, t, func(string, *yaml.Node) *yaml.Node { return nil })
	case n.Kind == yaml.MappingNode && t.Kind() == reflect.Map:
		return redactedEntries(n, t.Elem(), name)
	case n.Kind == yaml.SequenceNode && t.Kind() == reflect.Slice:
		out := &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range n.Content {
			out.Content = append(out.Content, redactedValue(item, t.Elem(), name))
		}
		return out
	}
	return redactedNode()
}

// isScalar reports whether a value has the form of its type.
func isScalar(n *yaml.Node, t reflect.Type, isText bool) bool {
	if isText {
		return reflect.New(t).Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(n.Value)) == nil
	}
	switch t.Kind() {
	case reflect.String:
		return n.Tag == "!!str"
	case reflect.Bool:
		return n.Tag == "!!bool"
	case reflect.Int:
		return n.Tag == "!!int"
	default:
		return false
	}
}

// pathForm is an absolute path of at least two names: a password in the place of the name of its file may begin
// with a slash.
var pathForm = regexp.MustCompile(`^(/[A-Za-z0-9._-]+){2,}$`)

// isPublic reports whether the value of a field may be seen if it is what the field is for.
func isPublic(value, name string) bool {
	switch name {
	case "file", "path":
		return pathForm.MatchString(value)
	case "url":
		return strings.Contains(value, "://") || pathForm.MatchString(value)
	}
	return true
}

// redactedEntries returns a copy of labels, annotations, attributes or variables. Of annotations only ours are
// known, of attributes those of the kernel's target, and of variables those that look like one of restic's backends.
func redactedEntries(n *yaml.Node, t reflect.Type, name string) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for key, value := range pairs(n) {
		if t.Kind() == reflect.Struct {
			public := redactedNode()
			if backendVariable.MatchString(key.Value) {
				public = scalarNode(key.Value)
			}
			out.Content = append(out.Content, public, redactedValue(value, t, key.Value))
			continue
		}
		known := value.Kind == yaml.ScalarNode
		switch name {
		case "annotations":
			known = known && slices.Contains([]string{AnnotationReconcile, AnnotationRecreate, AnnotationAllowDeletions}, key.Value)
		case "attributes":
			_, is := Attributes[key.Value]
			known = known && is
		}
		if !known {
			out.Content = append(out.Content, redactedNode(), redactedNode())
			continue
		}
		out.Content = append(out.Content, scalarNode(key.Value), scalarNode(publicurl.InValue(value.Value)))
	}
	return out
}

// backendVariable is how the names of the variables of restic's backends begin, in capitals and in words.
var backendVariable = regexp.MustCompile(`^(AWS|AZURE|B2|GOOGLE|OS|RCLONE|RESTIC|ST)(_[A-Z]+){1,5}$`)

func scalarNode(value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: value}
}

func redactedNode() *yaml.Node { return scalarNode(Redacted) }
