package spec

import "cmp"

// kindOrder is the place of a kind in the order in which objects depend on each other.
func kindOrder(k Kind) int {
	switch k {
	case KindPool:
		return 0
	case KindVolume:
		return 1
	case KindSnapshot:
		return 2
	case KindExport:
		return 3
	case KindImage:
		return 4
	default:
		return 0
	}
}

// CompareIDs orders objects by kind, so that each comes after what it may depend on, and
// by name.
func CompareIDs(a, b ID) int {
	if byKind := cmp.Compare(kindOrder(a.Kind), kindOrder(b.Kind)); byKind != 0 {
		return byKind
	}
	return cmp.Compare(a.Name, b.Name)
}
