package spec

import (
	"cmp"
	"slices"
)

// CompareIDs orders objects by kind, so that each comes after what it may depend on, and
// by name.
func CompareIDs(a, b ID) int {
	if a.Kind != b.Kind {
		return cmp.Compare(kindOrder(a.Kind), kindOrder(b.Kind))
	}
	return cmp.Compare(a.Name, b.Name)
}

// kindOrder is the place of a kind in [Kinds].
func kindOrder(k Kind) int { return slices.Index(orderedKinds, k) }

// orderedKinds are [Kinds]: IDs are compared often.
var orderedKinds = Kinds()
