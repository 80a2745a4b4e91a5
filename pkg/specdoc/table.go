package specdoc

import (
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// The tables of the reference that are not those of a kind.
const (
	TableMetadata    = "metadata"
	TableAnnotations = "annotations"
	TableAttributes  = "attributes"
)

// Table returns a table of docs/reference.md in Markdown: that of a kind's spec by the kind's
// name, or one of the others by its name. It reports false if there is no such table.
func Table(name string) (string, bool) {
	switch name {
	case TableMetadata:
		return tableOf("field", common(), func(f *Field) string { return f.Path }), true
	case TableAnnotations:
		annotations := Of(spec.KindVolume).field("metadata").field("annotations")
		return tableOf("annotation", annotations.Fields, func(f *Field) string { return f.Name }), true
	case TableAttributes:
		attributes := Of(spec.KindExport).field("spec").field("attributes")
		return tableOf("attribute", attributes.Fields, func(f *Field) string { return f.Name }), true
	}
	for _, kind := range Kinds() {
		if name != string(kind) {
			continue
		}
		fields := Of(kind).field("spec").All()[1:]
		return tableOf("field", withoutKeys(fields), func(f *Field) string { return f.Path }), true
	}
	return "", false
}

// common returns the fields that all kinds have, without the keys of their annotations.
func common() []*Field {
	root := Of(spec.KindVolume)
	var words []string
	for _, kind := range Kinds() {
		words = append(words, string(kind))
	}
	root.field("kind").Values = &Values{Enum: words}
	return append(root.Fields[:2:2], root.field("metadata").Fields...)
}

// withoutKeys leaves out the keys of maps, which have tables of their own.
func withoutKeys(fields []*Field) (kept []*Field) {
	keys := map[*Field]bool{}
	for _, f := range fields {
		if f.Type == Map {
			for _, k := range f.Fields {
				keys[k] = true
			}
		}
		if !keys[f] {
			kept = append(kept, f)
		}
	}
	return kept
}

// tableOf returns a table with a row for each field.
func tableOf(heading string, fields []*Field, name func(*Field) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "| %s | default | allowed | meaning |\n|---|---|---|---|\n", heading)
	for _, f := range fields {
		meaning := f.Meaning
		if f.See != "" && f.See != "Attributes" || f.Type == Map && f.See != "" {
			meaning += fmt.Sprintf(" [%s](#%s)", f.See, anchor(f.See))
		}
		b.WriteString(strings.ReplaceAll(fmt.Sprintf("| `%s` | %s | %s | %s |\n", name(f), f.defaultCell(), f.allowedCell(), meaning), "|  |", "| |"))
	}
	return b.String()
}

func (f *Field) defaultCell() string {
	switch {
	case f.Required:
		return "required"
	case f.Default == "" && f.Among != nil:
		return oneOf(f.Among)
	default:
		return f.Default
	}
}

// allowedCell is short where the reference describes a notation once.
func (f *Field) allowedCell() string {
	switch f.Type {
	case Size:
		return "a [size](#files)"
	case Duration:
		return "a [duration](#files)"
	default:
		return f.Allowed()
	}
}

// anchor returns the name by which a heading is linked to.
func anchor(heading string) string {
	return strings.ReplaceAll(strings.ToLower(heading), " ", "-")
}
