package main

import (
	"encoding/json"
	"io"

	"gopkg.in/yaml.v3"
)

// writeJSON writes a value as indented JSON.
func writeJSON(w io.Writer, value any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	encoder.SetEscapeHTML(false)
	return encoder.Encode(value)
}

// writeYAML writes a value as YAML, with the fields that it has as JSON, in the
// same order: JSON is YAML, so that its names need not be given twice.
func writeYAML(w io.Writer, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(data, &document); err != nil {
		return err
	}
	inBlocks(&document)
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	if err := encoder.Encode(&document); err != nil {
		return err
	}
	return encoder.Close()
}

// inBlocks takes away the braces and quotes that JSON has.
func inBlocks(node *yaml.Node) {
	node.Style = 0
	for _, inner := range node.Content {
		inBlocks(inner)
	}
}
