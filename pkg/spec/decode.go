package spec

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// content is what a file says.
type content struct {
	// objects are those without a finding, with their defaults filled in.
	objects []*object
	// invalid says, for an object that has findings, what the first one is.
	invalid map[ID]error
	// findings are all that is wrong inside the file. If there are any, the
	// file as a whole is broken.
	findings []Finding
}

// maxFindings is how many findings of one file are reported. A file of another
// kind, like a log with the wrong name, would otherwise drown all others.
const maxFindings = 100

// read turns the bytes of a file into objects that are valid by themselves. It
// is pure, and reports all that is wrong, not just the first thing.
func read(file string, data []byte, targetPrefix string) content {
	c := content{invalid: map[ID]error{}}
	text, finding := checkText(file, data)
	if finding != nil {
		c.findings = []Finding{*finding}
		return c
	}
	documents, finding := parse(file, text)
	for _, document := range documents {
		o, findings := decode(file, document)
		if o != nil {
			o.setDefaults(targetPrefix)
			findings = append(findings, o.validate(findings)...)
		}
		if len(findings) == 0 && o != nil {
			c.objects = append(c.objects, o)
		}
		c.findings = append(c.findings, findings...)
	}
	if finding != nil {
		c.findings = append(c.findings, *finding)
	}
	sortFindings(c.findings)
	for _, f := range c.findings {
		if _, known := c.invalid[f.Object]; !known && f.Object != (ID{}) {
			c.invalid[f.Object] = f
		}
	}
	if more := len(c.findings) - maxFindings; more > 0 {
		c.findings = append(c.findings[:maxFindings:maxFindings], Finding{File: file, Err: fmt.Errorf(
			"%d more findings in this file are not shown", more)})
	}
	return c
}

// kinds returns all kinds, in the order in which messages list them.
func kinds() []string {
	var names []string
	for _, kind := range Kinds() {
		names = append(names, string(kind))
	}
	slices.Sort(names)
	return names
}

// newValue returns an empty object of a kind, nil if there is no such kind.
func newValue(kind Kind) any {
	switch kind {
	case KindPool:
		return new(Pool)
	case KindVolume:
		return new(Volume)
	case KindSnapshot:
		return new(Snapshot)
	case KindExport:
		return new(Export)
	case KindImage:
		return new(Image)
	case KindRepository:
		return new(Repository)
	case KindSnapshotSchedule:
		return new(SnapshotSchedule)
	case KindBackup:
		return new(Backup)
	default:
		return nil
	}
}

// decode turns a document into an object. The object is nil if the document is
// empty, or if its kind is unknown; with findings, it holds as much as could be
// read.
func decode(file string, document *yaml.Node) (*object, []Finding) {
	if len(document.Content) == 0 {
		return nil, nil
	}
	root := document.Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" && root.Value == "" {
		return nil, nil // nothing between two separators, or comments only
	}
	w := walker{object: &object{file: file, places: map[string]place{
		"": {value: position{root.Line, root.Column}},
	}}}
	var form structure
	form.check(root, "", 1)
	w.findings = form.findings
	w.header(root)
	if value := newValue(w.kind); value != nil && w.versionKnown && !form.exceeded {
		w.object.value = value
		w.mapping(root, "", reflect.ValueOf(value).Elem())
	}
	for i := range w.findings {
		w.findings[i].File, w.findings[i].Object = file, w.object.id
	}
	if w.object.value == nil {
		return nil, w.findings
	}
	return w.object, w.findings
}

// walker walks a document and the Go type it should become side by side.
type walker struct {
	object   *object
	findings []Finding
	kind     Kind
	// versionKnown is false for another apiVersion: its fields may differ, so
	// nothing more is reported about them.
	versionKnown bool
}

func (w *walker) add(n *yaml.Node, path string, err error) {
	w.findings = append(w.findings, Finding{Line: n.Line, Column: n.Column, Path: path, Err: err})
}

// header reads apiVersion, kind and metadata.name, which decide how the rest is
// read and which object the findings are about.
func (w *walker) header(root *yaml.Node) {
	if root.Kind != yaml.MappingNode {
		if unsupportedFeature(root) == nil {
			w.add(root, "", fmt.Errorf("must be an object with apiVersion, kind, metadata and spec, but is %s", describeForm(root)))
		}
		return
	}
	version, kind := field(root, "apiVersion"), field(root, "kind")
	switch {
	case version == nil:
		w.versionKnown = true
		w.add(root, "apiVersion", fmt.Errorf("is missing; write apiVersion: %s", APIVersion))
	case version.Value != APIVersion || version.Kind != yaml.ScalarNode:
		w.add(version, "apiVersion", fmt.Errorf("%s is not supported (allowed: %s)", describe(version), APIVersion))
	default:
		w.versionKnown = true
	}
	switch {
	case kind == nil:
		w.add(root, "kind", fmt.Errorf("is missing (allowed: %s)", strings.Join(kinds(), ", ")))
	case kind.Kind != yaml.ScalarNode || newValue(Kind(kind.Value)) == nil:
		w.add(kind, "kind", fmt.Errorf("%s is not a known kind%s (allowed: %s)",
			describe(kind), suggest(kind.Value, kinds()), strings.Join(kinds(), ", ")))
	default:
		w.kind = Kind(kind.Value)
	}
	if metadata := field(root, "metadata"); metadata != nil && w.kind != "" {
		if name := field(metadata, "name"); name != nil && name.Value != "" {
			w.object.id = ID{w.kind, name.Value}
		}
	}
}

// value decodes a node into a Go value. What the structure check has refused
// already is skipped: it is treated as given, and has no second finding.
func (w *walker) value(n *yaml.Node, path string, into reflect.Value) {
	if unsupportedFeature(n) != nil {
		return
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		w.add(n, path, errors.New("has no value; set one, or leave the field out"))
		return
	}
	if text, ok := into.Addr().Interface().(encoding.TextUnmarshaler); ok {
		w.text(n, path, text)
		return
	}
	switch into.Kind() {
	case reflect.Pointer:
		into.Set(reflect.New(into.Type().Elem()))
		w.value(n, path, into.Elem())
	case reflect.Struct:
		w.mapping(n, path, into)
	case reflect.Map:
		w.entries(n, path, into)
	case reflect.Slice:
		w.list(n, path, into)
	case reflect.String:
		if w.isTagged(n, path, "!!str", "a string") {
			into.SetString(n.Value)
		}
	case reflect.Bool:
		if w.isTagged(n, path, "!!bool", "true or false") {
			into.SetBool(strings.EqualFold(n.Value, "true"))
		}
	case reflect.Int:
		w.integer(n, path, into)
	default:
		w.add(n, path, fmt.Errorf("cannot decode the field: unsupported type %s", into.Type()))
	}
}

// isTagged reports whether a node is a scalar that YAML resolves to the wanted
// type, and says so if not. An empty text is never meant.
func (w *walker) isTagged(n *yaml.Node, path, tag, wanted string) bool {
	switch {
	case n.Kind == yaml.ScalarNode && tag == "!!str" && n.Tag != tag:
		if mayHoldPassword(path) {
			w.add(n, path, fmt.Errorf("must be %s, but YAML reads another type; put the value in quotes", wanted))
			break
		}
		w.add(n, path, fmt.Errorf("must be %s, but YAML reads %s; put it in quotes: %s", wanted, describe(n), quote(n.Value)))
	case n.Kind != yaml.ScalarNode || n.Tag != tag:
		w.add(n, path, fmt.Errorf("must be %s, but is %s", wanted, describeAt(n, path)))
	case n.Value == "":
		w.add(n, path, errors.New("is empty; set a value, or leave the field out"))
	default:
		return true
	}
	return false
}

// text decodes a type that reads its own notation, like sizes. It receives the
// scalar as it is written, whatever YAML takes it for.
func (w *walker) text(n *yaml.Node, path string, into encoding.TextUnmarshaler) {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!bool" {
		w.add(n, path, fmt.Errorf("must be a number or a string, but is %s", describeAt(n, path)))
		return
	}
	if err := into.UnmarshalText([]byte(n.Value)); err != nil {
		w.add(n, path, err)
	}
}

// integer accepts plain decimal notation only: 010, 0x8 and 1e1 would surprise.
func (w *walker) integer(n *yaml.Node, path string, into reflect.Value) {
	number, err := strconv.Atoi(n.Value)
	if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil || strconv.Itoa(number) != n.Value {
		w.add(n, path, fmt.Errorf("must be a whole decimal number, but is %s", describeAt(n, path)))
		return
	}
	into.SetInt(int64(number))
}

func (w *walker) list(n *yaml.Node, path string, into reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		w.add(n, path, fmt.Errorf("must be a list, but is %s", describeAt(n, path)))
		return
	}
	into.Set(reflect.MakeSlice(into.Type(), len(n.Content), len(n.Content)))
	for i, item := range n.Content {
		below := itemPath(path, i)
		w.object.places[below] = place{value: position{item.Line, item.Column}}
		w.value(item, below, into.Index(i))
	}
}

// entries decodes a map of free keys with text values (labels, annotations),
// the one place where an empty text means something, or with objects as values.
func (w *walker) entries(n *yaml.Node, path string, into reflect.Value) {
	if n.Kind != yaml.MappingNode {
		w.add(n, path, fmt.Errorf("must be a mapping, but is %s", describeAt(n, path)))
		return
	}
	into.Set(reflect.MakeMap(into.Type()))
	for key, value := range pairs(n) {
		below := entryPath(path, key.Value)
		w.object.places[below] = place{key: position{key.Line, key.Column}, value: position{value.Line, value.Column}}
		if unsupportedFeature(key) != nil || unsupportedFeature(value) != nil {
			continue
		}
		if element := into.Type().Elem(); element.Kind() == reflect.Struct {
			one := reflect.New(element).Elem()
			w.value(value, below, one)
			into.SetMapIndex(reflect.ValueOf(key.Value), one)
			continue
		}
		if value.Value == "" && value.Tag == "!!str" || w.isTagged(value, below, "!!str", "a string") {
			into.SetMapIndex(reflect.ValueOf(key.Value), reflect.ValueOf(value.Value))
		}
	}
}

// mapping decodes a struct by its yaml tags: no other field may stand there,
// and one without omitempty must.
func (w *walker) mapping(n *yaml.Node, path string, into reflect.Value) {
	fields := fieldsOf(into.Type())
	if n.Kind != yaml.MappingNode {
		w.add(n, path, fmt.Errorf("must be a mapping, but is %s (allowed fields: %s)", describeAt(n, path), strings.Join(namesOf(fields, path), ", ")))
		return
	}
	for key, value := range pairs(n) {
		below := joinPath(path, key.Value)
		w.object.places[below] = place{key: position{key.Line, key.Column}, value: position{value.Line, value.Column}}
		i := slices.IndexFunc(fields, func(f structField) bool { return f.name == key.Value })
		switch {
		case i >= 0:
			w.value(value, below, into.Field(fields[i].index))
		case unsupportedFeature(key) == nil && (path != "" || !slices.Contains(headerFields, key.Value)):
			names := namesOf(fields, path)
			w.add(key, below, fmt.Errorf("unknown field %s of %s%s (allowed: %s)",
				quote(key.Value), strings.TrimSpace(string(w.kind)+" "+path), suggest(key.Value, names), strings.Join(names, ", ")))
		}
	}
	for _, f := range fields {
		if f.required && field(n, f.name) == nil {
			w.missing(n, path, joinPath(path, f.name))
		}
	}
}

// headerFields are read by [walker.header].
var headerFields = []string{"apiVersion", "kind"}

// namesOf returns the names of the fields that may stand at a path, sorted.
func namesOf(fields []structField, path string) []string {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
	}
	if path == "" {
		names = append(names, headerFields...)
	}
	slices.Sort(names)
	return names
}

// missing points at the name of the mapping that lacks a field.
func (w *walker) missing(n *yaml.Node, parent, path string) {
	at := position{n.Line, n.Column}
	if key := w.object.places[parent].key; key.line > 0 {
		at = key
	}
	w.findings = append(w.findings, Finding{Line: at.line, Column: at.column, Path: path,
		Err: errors.New("is missing; it has no default")})
}

// structField is a field of a struct as the file knows it.
type structField struct {
	name     string
	index    int
	required bool
}

// fieldsOf returns the fields of a struct, which must not be changed.
func fieldsOf(t reflect.Type) []structField {
	if fields, known := knownFields.Load(t); known {
		return fields.([]structField)
	}
	fields := readFields(t)
	knownFields.Store(t, fields)
	return fields
}

// knownFields are those of the structs that were met so far, by [reflect.Type].
var knownFields sync.Map

// readFields reads the yaml tags of a struct. A field without omitempty is one
// that the file must have; "-" is no field of the file.
func readFields(t reflect.Type) []structField {
	var fields []structField
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name != "-" {
			fields = append(fields, structField{name: name, index: i, required: options != "omitempty"})
		}
	}
	return fields
}

// pairs yields the keys and values of a mapping, each key once, and no key that
// is not plain text: the structure check reports those.
func pairs(n *yaml.Node) func(yield func(key, value *yaml.Node) bool) {
	return func(yield func(key, value *yaml.Node) bool) {
		seen := make(map[string]bool, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || seen[key.Value] {
				continue
			}
			seen[key.Value] = true
			if !yield(key, n.Content[i+1]) {
				return
			}
		}
	}
}

// field returns the value of a key of a mapping, nil if it has no such key.
func field(n *yaml.Node, name string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for key, value := range pairs(n) {
		if key.Value == name {
			return value
		}
	}
	return nil
}
