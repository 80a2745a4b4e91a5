package nodespec

import (
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// maxName is the length of a DNS-1123 label.
const maxName = 63

// nameFor returns a name for an object that no other of its kind has: the first of some proposals
// that is free, brought into the form of metadata.name.
func (d *Draft) nameFor(kind spec.Kind, proposals ...string) string {
	last := ""
	for _, proposal := range proposals {
		last = label(proposal)
		if id := (spec.ID{Kind: kind, Name: last}); !d.names[id] {
			d.names[id] = true
			return last
		}
	}
	for n := 2; ; n++ {
		suffix := fmt.Sprintf("-%d", n)
		name := strings.TrimRight(last[:min(len(last), maxName-len(suffix))], "-") + suffix
		if id := (spec.ID{Kind: kind, Name: name}); !d.names[id] {
			d.names[id] = true
			return name
		}
	}
}

// label returns a DNS-1123 label that resembles a text.
func label(text string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	name = strings.Trim(name, "-")
	name = strings.TrimRight(name[:min(len(name), maxName)], "-")
	if name == "" {
		return "unnamed"
	}
	return name
}
