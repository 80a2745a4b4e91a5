package spec

import (
	"errors"
	"fmt"

	"gopkg.in/yaml.v3"
)

// Limits of one document.
const (
	maxDepth = 20
	maxKeys  = 1_000
)

// structure checks the form of a document, whatever fields it has: no anchors,
// aliases, merge keys and tags, no key twice, nothing nested or crowded beyond
// the limits.
//
// Aliases and merge keys are refused rather than expanded: a few lines of them
// expand to gigabytes, and an aliased value has no position of its own that a
// finding could name.
type structure struct {
	findings []Finding
	// exceeded is true if a limit is: the document is not looked at further.
	exceeded bool
}

func (s *structure) add(n *yaml.Node, path string, format string, args ...any) {
	s.findings = append(s.findings, Finding{Line: n.Line, Column: n.Column, Path: path, Err: fmt.Errorf(format, args...)})
}

// check visits a node and all below it.
func (s *structure) check(n *yaml.Node, path string, depth int) {
	if depth > maxDepth {
		s.exceeded = true
		s.add(n, path, "nested more than %d levels deep; no object has that many levels", maxDepth)
		return
	}
	if err := unsupportedFeature(n); err != nil {
		if mayHoldPassword(path) {
			err = errors.New("YAML tags, anchors and aliases are not supported; put the string in quotes")
		}
		s.findings = append(s.findings, Finding{Line: n.Line, Column: n.Column, Path: path, Err: err})
	}
	switch n.Kind {
	case yaml.MappingNode:
		s.mapping(n, path, depth)
	case yaml.SequenceNode:
		for i, item := range n.Content {
			s.check(item, itemPath(path, i), depth+1)
		}
	default: // nothing is below the others
	}
}

func (s *structure) mapping(n *yaml.Node, path string, depth int) {
	if len(n.Content)/2 > maxKeys {
		s.exceeded = true
		s.add(n, path, "the mapping has %d keys; at most %d are allowed", len(n.Content)/2, maxKeys)
		return
	}
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Kind != yaml.ScalarNode {
			s.add(key, path, "a key must be a plain string, but is %s", describe(key))
			continue
		}
		below := joinPath(path, key.Value)
		if err := unsupportedFeature(key); err != nil {
			s.findings = append(s.findings, Finding{Line: key.Line, Column: key.Column, Path: below, Err: err})
		} else if line, twice := lines[key.Value]; twice {
			remedy := "remove one of them"
			if path == "" { // most often the next object
				remedy += ", or separate the objects with a line ---"
			}
			s.add(key, below, "key %s is duplicate (first in line %d); %s", quote(key.Value), line, remedy)
		} else {
			lines[key.Value] = key.Line
		}
		s.check(value, below, depth+1)
	}
}

// unsupportedFeature says which feature of YAML a node uses that is not supported.
func unsupportedFeature(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return fmt.Errorf("YAML alias *%s is not supported; repeat the value", n.Value)
	case n.Anchor != "":
		return fmt.Errorf("YAML anchor &%s is not supported; remove it", n.Anchor)
	case n.Kind == yaml.ScalarNode && n.Tag == "!!merge":
		return errors.New("YAML merge key << is not supported; repeat the fields")
	case n.Style&yaml.TaggedStyle != 0:
		return fmt.Errorf("YAML tag %s is not supported; remove it", quote(n.Tag))
	default:
		return nil
	}
}

// describe names what kind of value a node is, for messages.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case n.Tag == "!!null":
		return "empty"
	case n.Tag == "!!bool":
		return n.Value + " (true or false)"
	case n.Tag == "!!int" || n.Tag == "!!float":
		return "the number " + n.Value
	case n.Tag == "!!timestamp":
		return "the date " + n.Value
	default:
		return "the string " + quote(n.Value)
	}
}

// describeAt names the kind of the value at a path, and its text unless that
// may be a password.
func describeAt(n *yaml.Node, path string) string {
	if mayHoldPassword(path) {
		return describeForm(n)
	}
	return describe(n)
}

// describeForm is describe without the text itself.
func describeForm(n *yaml.Node) string {
	if n.Kind == yaml.ScalarNode && n.Tag != "!!null" {
		return "a string"
	}
	return describe(n)
}
