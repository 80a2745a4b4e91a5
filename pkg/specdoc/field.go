package specdoc

import (
	"encoding"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Doc is what the Go type of a field does not say. In its texts, names and values are in backticks.
type Doc struct {
	// Meaning is one to three sentences.
	Meaning string
	// Default is what a missing field means; empty: nothing, or it is required.
	Default string
	// Values are the allowed values; nil: all of the field's type.
	Values *Values
	// Keys are the allowed keys of a map; nil: only those that have a Doc.
	Keys *Values
	// OneOf are those of the fields in it of which exactly one is required.
	OneOf []string
	// Example is a value, as YAML.
	Example string
	// See is a heading of docs/reference.md with the details; empty: there are none.
	See string
}

// Type is what a value looks like in a file.
type Type string

// The types of values.
const (
	Object        Type = "object"
	Map           Type = "map of strings"
	ObjectMap     Type = "map of objects"
	String        Type = "string"
	Integer       Type = "integer"
	Boolean       Type = "boolean"
	Size          Type = "size"
	SizeOrPercent Type = "size or percentage"
	Duration      Type = "duration"
	Interval      Type = "duration or never"
)

// AnyKey stands for the keys of a map of objects in a [Field.Path].
const AnyKey = "*"

// Field is a field of an object. That of an object as a whole has no name.
type Field struct {
	Doc
	Kind spec.Kind
	// Path is as in findings, with [] behind the name of a list (spec.luns[].volume), and * for any key of a map
	// of objects.
	Path string
	Name string
	Type Type
	// List is true if it has several of Type.
	List bool
	// Required is true if each file must have it, as far as it has the field around it.
	Required bool
	// Among are the fields of which it is one, if exactly one of them is required.
	Among []string
	// Fields are those in it, in the order in which they are usually written. Of a map they are the known keys, and of
	// a map of objects those of each object.
	Fields []*Field
}

// Kinds returns all kinds, in the order of the reference.
func Kinds() []spec.Kind { return spec.Kinds() }

// docs are the texts of a kind by path; "" is the kind itself.
type docs map[string]Doc

// textsOf returns the texts of a kind and its Go type. Of what is no kind they are empty.
func textsOf(kind spec.Kind) (docs, reflect.Type) {
	switch kind {
	case spec.KindPool:
		return poolDocs(), reflect.TypeFor[spec.Pool]()
	case spec.KindVolume:
		return volumeDocs(), reflect.TypeFor[spec.Volume]()
	case spec.KindSnapshot:
		return snapshotDocs(), reflect.TypeFor[spec.Snapshot]()
	case spec.KindExport:
		return exportDocs(), reflect.TypeFor[spec.Export]()
	case spec.KindImage:
		return imageDocs(), reflect.TypeFor[spec.Image]()
	case spec.KindRepository:
		return repositoryDocs(), reflect.TypeFor[spec.Repository]()
	case spec.KindSnapshotSchedule:
		return scheduleDocs(), reflect.TypeFor[spec.SnapshotSchedule]()
	case spec.KindBackup:
		return backupDocs(), reflect.TypeFor[spec.Backup]()
	default:
		return docs{}, reflect.TypeFor[struct{}]()
	}
}

// Of returns the documentation of a kind.
func Of(kind spec.Kind) *Field {
	texts, t := textsOf(kind)
	maps.Copy(texts, metadataDocs(kind))
	b := builder{kind: kind, texts: texts}
	root := b.build(t, "", "")
	header := []*Field{b.leaf("apiVersion", String), b.leaf("kind", String)}
	root.Fields = append(header, root.Fields...)
	return root
}

// builder makes the fields of a kind.
type builder struct {
	kind  spec.Kind
	texts docs
}

// leaf returns a required field of the document that is in no Go type.
func (b builder) leaf(name string, t Type) *Field {
	return &Field{Doc: b.texts[name], Kind: b.kind, Path: name, Name: name, Type: t, Required: true}
}

// build makes the field of a Go type.
func (b builder) build(t reflect.Type, path, name string) *Field {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	f := &Field{Kind: b.kind, Path: path, Name: name}
	if t.Kind() == reflect.Slice {
		f.List, t, f.Path = true, t.Elem(), path+"[]"
	}
	f.Doc, f.Type = b.texts[f.Path], typeOf(t)
	switch f.Type {
	case Object:
		b.addFields(f, t, f.Path)
	case ObjectMap:
		b.addFields(f, t.Elem(), joined(f.Path, AnyKey))
	case Map:
		for _, key := range b.keysOf(f.Path) {
			at := joined(f.Path, key)
			f.Fields = append(f.Fields, &Field{Doc: b.texts[at], Kind: b.kind, Path: at, Name: key, Type: String})
		}
	default: // nothing is in the others
	}
	return f
}

// addFields makes the fields in a field from those of a Go type.
func (b builder) addFields(f *Field, t reflect.Type, path string) {
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "-" {
			continue
		}
		inner := b.build(t.Field(i).Type, joined(path, name), name)
		inner.Required = options != "omitempty"
		if slices.Contains(f.OneOf, name) {
			inner.Among = f.OneOf
		}
		f.Fields = append(f.Fields, inner)
	}
}

// keysOf returns the keys of a map that have a text, sorted.
func (b builder) keysOf(path string) []string {
	var keys []string
	for at := range b.texts {
		if key, in := strings.CutPrefix(at, path+"."); in {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

func joined(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}

// typeOf returns how a value of a Go type is written.
func typeOf(t reflect.Type) Type {
	switch t {
	case reflect.TypeFor[spec.Size]():
		return Size
	case reflect.TypeFor[spec.SizeOrPercent]():
		return SizeOrPercent
	case reflect.TypeFor[spec.Duration]():
		return Duration
	case reflect.TypeFor[spec.Interval]():
		return Interval
	}
	isText := reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	switch {
	case t.Kind() == reflect.Struct && !isText:
		return Object
	case t.Kind() == reflect.Map && t.Elem().Kind() == reflect.Struct:
		return ObjectMap
	case t.Kind() == reflect.Map:
		return Map
	case t.Kind() == reflect.String:
		return String
	case t.Kind() == reflect.Int:
		return Integer
	case t.Kind() == reflect.Bool:
		return Boolean
	default:
		return "" // a test fails: the type is missing here
	}
}

// TypeName returns the type in words.
func (f *Field) TypeName() string {
	if !f.List {
		return string(f.Type)
	}
	return "list of " + string(f.Type) + "s"
}

// All returns the field and all fields in it, each before those in it.
func (f *Field) All() []*Field {
	all := []*Field{f}
	for _, inner := range f.Fields {
		all = append(all, inner.All()...)
	}
	return all
}

// field returns a field in it by its name; nil if there is none.
func (f *Field) field(name string) *Field {
	for _, inner := range f.Fields {
		if inner.Name == name {
			return inner
		}
	}
	return nil
}
