package blockcopy

import (
	"cmp"
	"slices"
)

// Extent is a range of a device or file, in bytes.
type Extent struct{ Offset, Length int64 }

// Merge returns what extents cover of the first size bytes, in order and without
// overlaps, neighbours as one. Each is widened to whole multiples of grain, which is
// a power of two.
func Merge(extents []Extent, size, grain int64) []Extent {
	var whole []Extent
	for _, x := range extents {
		from, to := max(x.Offset, 0)&^(grain-1), size
		if x.Length <= size-max(x.Offset, 0) { // and so the sum is no overflow
			to = min((x.Offset+x.Length+grain-1)&^(grain-1), size)
		}
		if x.Length > 0 && from < to {
			whole = append(whole, Extent{from, to - from})
		}
	}
	slices.SortFunc(whole, func(a, b Extent) int { return cmp.Compare(a.Offset, b.Offset) })
	merged := whole[:0]
	for _, x := range whole {
		if n := len(merged); n > 0 {
			if last := &merged[n-1]; x.Offset <= last.Offset+last.Length {
				last.Length = max(last.Length, x.Offset+x.Length-last.Offset)
				continue
			}
		}
		merged = append(merged, x)
	}
	return merged
}

// Total returns how many bytes extents have together.
func Total(extents []Extent) int64 {
	var n int64
	for _, x := range extents {
		n += x.Length
	}
	return n
}
