package ondisk

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Maker is an installation of volreconciler: a node and its state directory.
type Maker struct {
	// ID tells it from all others.
	ID string
	// Name is what people call it, which is the name of its node.
	Name string
}

// Tag returns the tag by which a logical volume says who made it.
func (m Maker) Tag() string { return TagBy + m.ID + ":" + m.Name }

// String returns the identifier, and the name if there is one.
func (m Maker) String() string {
	if m.Name == "" {
		return m.ID
	}
	return m.ID + " (" + m.Name + ")"
}

// Makers returns the installations that say that they made a logical volume. There is one at
// most, unless somebody else adds another.
func (t Tags) Makers() []Maker {
	var makers []Maker
	for _, tag := range t.TagsWith(TagBy) {
		id, name, _ := strings.Cut(strings.TrimPrefix(tag, TagBy), ":")
		makers = append(makers, Maker{ID: id, Name: name})
	}
	return makers
}

// BelongsTo returns the object for which a logical volume exists: it holds the object's data, held it
// before, or is a snapshot from which the object is copied. It reports false if the tags do not say.
func (t Tags) BelongsTo() (spec.ID, bool) {
	for _, is := range []func() (spec.ID, bool){t.LastOwner, t.SourceOf, t.MoveOf} {
		if id, ok := is(); ok {
			return id, true
		}
	}
	return spec.ID{}, false
}

// MakerName makes a name that a tag can hold of the name of a node (lvm(8), "Valid names": tags
// take letters, digits and some other characters).
func MakerName(node string) string {
	name := []byte(node)
	for i, c := range name {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && !slices.Contains([]byte("._-"), c) {
			name[i] = '-'
		}
	}
	return string(name[:min(len(name), maxMakerName)])
}

// maxMakerName is that of the name of a host (gethostname(2), HOST_NAME_MAX).
const maxMakerName = 64
