package specdoc

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

var (
	index = regexp.MustCompile(`\[\d*\]`)
	key   = regexp.MustCompile(`\[([^\]]+)\]`)
)

// Find returns a field of a kind by its path, in any case, as in findings
// (spec.luns[0].volume) or without brackets. An empty path is the kind itself. The error
// names the field that may have been meant.
func Find(kind spec.Kind, path string) (*Field, error) {
	root := Of(kind)
	f := root
	if path == "" {
		return f, nil
	}
	plain := plainPath(path)
	isKey := false // of an object in a map, which has no field of its own
	for name := range strings.SplitSeq(plain, ".") {
		inner := f.named(name)
		if isKey = inner == nil && !isKey && f.Type == ObjectMap; isKey {
			continue
		}
		if inner == nil {
			return nil, f.unknown(name, root.elsewhere(plain))
		}
		f = inner
	}
	return f, nil
}

// plainPath returns a path without brackets.
func plainPath(path string) string {
	return key.ReplaceAllString(index.ReplaceAllString(strings.ReplaceAll(path, "."+AnyKey+".", "."), ""), ".$1")
}

// PlainPath returns the path without brackets, with the kind before it, in the form that
// [Find] and the command explain take.
func (f *Field) PlainPath() string {
	return strings.TrimSuffix(joined(strings.ToLower(string(f.Kind)), plainPath(f.Path)), ".")
}

// named returns a field in it by its name in any case; nil if there is none.
func (f *Field) named(name string) *Field {
	i := slices.IndexFunc(f.Fields, func(inner *Field) bool { return inner.Name == name })
	if i < 0 {
		i = slices.IndexFunc(f.Fields, func(inner *Field) bool { return strings.EqualFold(inner.Name, name) })
	}
	if i < 0 {
		return nil
	}
	return f.Fields[i]
}

// unknown says that there is no field of a name in it. elsewhere are fields that have it.
func (f *Field) unknown(name string, elsewhere []*Field) error {
	var names []string
	for _, inner := range f.Fields {
		names = append(names, inner.Name)
	}
	in := strings.TrimSpace(string(f.Kind) + " " + f.Path)
	if len(names) == 0 {
		return fmt.Errorf("%s has no fields in it; see volreconciler explain %s", in, f.PlainPath())
	}
	meant := spec.Suggest(name, names)
	if meant == "" && len(elsewhere) > 0 {
		meant = fmt.Sprintf("; did you mean %q?", elsewhere[0].PlainPath())
	}
	return fmt.Errorf("%s has no field %q%s (fields: %s)", in, name, meant, strings.Join(names, ", "))
}

// elsewhere returns the fields in it whose paths end in a path.
func (f *Field) elsewhere(path string) []*Field {
	return slices.DeleteFunc(f.All(), func(inner *Field) bool {
		return !strings.HasSuffix(strings.ToLower(inner.PlainPath()), "."+strings.ToLower(path))
	})
}
