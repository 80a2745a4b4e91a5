package fakehost

import "gopkg.in/yaml.v3"

// MarshalYAML quotes an attribute's content: a lone newline, as the kernel
// shows an empty credential, is lost in the form that yaml.v3 would choose.
func (e Entry) MarshalYAML() (any, error) {
	out := struct {
		Path string     `yaml:"path"`
		Text *yaml.Node `yaml:"text,omitempty"`
		Link string     `yaml:"link,omitempty"`
	}{Path: e.Path, Link: e.Link}
	if e.Text != nil {
		out.Text = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Style: yaml.DoubleQuotedStyle, Value: *e.Text}
	}
	return out, nil
}
