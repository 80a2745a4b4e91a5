package specdoc

import (
	"encoding/json"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// draft is the version of JSON Schema. Only keywords that draft 7 knows too are used, besides
// $defs, because editors are slow to follow.
const draft = "https://json-schema.org/draft/2020-12/schema"

// schema is a JSON Schema, or a part of one.
type schema struct {
	Draft                string             `json:"$schema,omitempty"`
	Ref                  string             `json:"$ref,omitempty"`
	Title                string             `json:"title,omitempty"`
	Description          string             `json:"description,omitempty"`
	Type                 any                `json:"type,omitempty"`
	Const                any                `json:"const,omitempty"`
	Enum                 []any              `json:"enum,omitempty"`
	Pattern              string             `json:"pattern,omitempty"`
	MinLength            int                `json:"minLength,omitempty"`
	MaxLength            int                `json:"maxLength,omitempty"`
	Minimum              *int               `json:"minimum,omitempty"`
	Maximum              *int               `json:"maximum,omitempty"`
	Default              any                `json:"default,omitempty"`
	Examples             []any              `json:"examples,omitempty"`
	Items                *schema            `json:"items,omitempty"`
	MinItems             int                `json:"minItems,omitempty"`
	Required             []string           `json:"required,omitempty"`
	Properties           map[string]*schema `json:"properties,omitempty"`
	PropertyNames        *schema            `json:"propertyNames,omitempty"`
	AdditionalProperties any                `json:"additionalProperties,omitempty"`
	OneOf                []*schema          `json:"oneOf,omitempty"`
	AllOf                []*schema          `json:"allOf,omitempty"`
	If                   *schema            `json:"if,omitempty"`
	Then                 *schema            `json:"then,omitempty"`
	Defs                 map[string]*schema `json:"$defs,omitempty"`
}

// Schema returns the JSON Schema of one document of a spec file. It accepts every document that
// package spec accepts, and refuses unknown fields, wrong types, values that are not among the
// allowed, and missing fields. It does not know the rules between fields and between objects.
//
// The kind chooses the part that applies by if and then rather than by oneOf, so that
// validators report the one mistake, not one for each kind.
func Schema() ([]byte, error) {
	root := &schema{
		Draft: draft, Title: "volreconciler spec", Type: "object",
		Description: "One object of a spec file. A file holds one or several, separated by lines with three hyphens.",
		Required:    []string{"apiVersion", "kind", "metadata", "spec"},
		Properties:  map[string]*schema{}, Defs: map[string]*schema{},
	}
	kinds := &schema{Description: "What the object is.", Type: "string"}
	for _, kind := range Kinds() {
		f := Of(kind)
		part, err := schemaOf(f)
		if err != nil {
			return nil, err
		}
		part.Title, part.Examples = string(kind), nil
		root.Defs[string(kind)] = part
		root.AllOf = append(root.AllOf, &schema{
			If:   &schema{Required: []string{"kind"}, Properties: map[string]*schema{"kind": {Const: string(kind)}}},
			Then: &schema{Ref: "#/$defs/" + string(kind)},
		})
		for _, name := range root.Required {
			root.Properties[name] = &schema{}
		}
		root.Properties["apiVersion"] = part.Properties["apiVersion"]
		kinds.Enum = append(kinds.Enum, string(kind))
	}
	root.Properties["kind"] = kinds
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(root)
	return []byte(b.String()), err
}

// schemaOf returns the schema of a field.
func schemaOf(f *Field) (*schema, error) {
	s, err := schemaOfValue(f)
	if err != nil {
		return nil, err
	}
	if f.List {
		s = &schema{Type: "array", Items: s, MinItems: 1}
	}
	s.Description = description(f)
	if f.Example != "" {
		var example any
		if err := yaml.Unmarshal([]byte(f.Example), &example); err != nil {
			return nil, err
		}
		s.Examples = []any{example}
	}
	return s, nil
}

// schemaOfValue returns the schema of one of the field's values.
func schemaOfValue(f *Field) (*schema, error) {
	switch f.Type {
	case Object:
		return schemaOfObject(f)
	case Map:
		return schemaOfMap(f)
	case ObjectMap:
		return schemaOfObjectMap(f)
	case Boolean:
		s := &schema{Type: "boolean"}
		if f.Default != "" {
			s.Default = plain(f.Default) == "true"
		}
		return s, nil
	case Integer:
		return numbers(f.Values), nil
	case Size, SizeOrPercent:
		s, least := texts(f.Values), 1
		s.Type, s.Minimum, s.MinLength = []string{"string", "integer"}, &least, 0
		return s, nil
	case Interval:
		s := texts(f.Values)
		s.Default = plain(f.Default)
		return s, nil
	default:
		s := texts(f.Values)
		if value := plain(f.Default); f.Type == Duration || f.Values != nil && slices.Contains(f.Values.Enum, value) {
			s.Default = value
		}
		return s, nil
	}
}

func schemaOfObject(f *Field) (*schema, error) {
	s := &schema{Type: "object", Properties: map[string]*schema{}, AdditionalProperties: false}
	for _, inner := range f.Fields {
		part, err := schemaOf(inner)
		if err != nil {
			return nil, err
		}
		s.Properties[inner.Name] = part
		if inner.Required {
			s.Required = append(s.Required, inner.Name)
		}
	}
	for _, name := range f.OneOf {
		s.OneOf = append(s.OneOf, &schema{Required: []string{name}})
	}
	return s, nil
}

// schemaOfMap returns the schema of a map with known keys, and with others if it has Keys. Those that
// begin with volreconciler/ are always known.
func schemaOfMap(f *Field) (*schema, error) {
	s, err := schemaOfObject(f)
	if err != nil || f.Keys == nil {
		return s, err
	}
	s.AdditionalProperties = texts(f.Values)
	s.PropertyNames = texts(f.Keys)
	if len(f.Fields) > 0 {
		known := &schema{}
		for _, inner := range f.Fields {
			known.Enum = append(known.Enum, inner.Name)
		}
		s.PropertyNames.If, s.PropertyNames.Then = &schema{Pattern: "^volreconciler/"}, known
	}
	return s, nil
}

// schemaOfObjectMap returns the schema of a map whose values are objects.
func schemaOfObjectMap(f *Field) (*schema, error) {
	each, err := schemaOfObject(f)
	if err != nil {
		return nil, err
	}
	return &schema{Type: "object", PropertyNames: texts(f.Keys), AdditionalProperties: each}, nil
}

// texts returns the schema of texts.
func texts(v *Values) *schema {
	s := &schema{Type: "string"}
	if v == nil {
		s.MinLength = 1
		return s
	}
	s.Pattern, s.MaxLength = v.Pattern, v.MaxLength
	for _, value := range v.Enum {
		s.Enum = append(s.Enum, value)
	}
	if v.Pattern == "" && v.Enum == nil && !v.Empty {
		s.MinLength = 1
	}
	return s
}

// numbers returns the schema of whole numbers.
func numbers(v *Values) *schema {
	s := &schema{Type: "integer"}
	switch {
	case v == nil:
	case v.Numbers != nil:
		for _, n := range v.Numbers {
			s.Enum = append(s.Enum, n)
		}
	default:
		s.Minimum, s.Maximum = &v.Min, &v.Max
	}
	return s
}

// description is what an editor shows of a field.
func description(f *Field) string {
	text := f.Meaning
	if f.Values != nil && f.Values.Enum == nil {
		text += " Allowed: " + f.Values.String() + "."
	}
	if f.Default != "" {
		text += " Default: " + f.Default + "."
	}
	return plain(text)
}
