package format

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// Index is what a snapshot has of a volume. The slices that are present are numbered by their
// position; the three lists have an element for each. It takes 16 bytes for each slice.
type Index struct {
	Layout
	Present []uint32 // the numbers of the slices, ascending
	When    []uint32 // when each changed last: an index into Moments
	Digests []uint64 // XXH64 of each
	Moments []int64  // ascending, in nanoseconds since 1970
	Made    int64    // when the backup was made; not before the last moment, and after that of the parent
}

// Position is the position of a slice, or false if it is absent.
func (x *Index) Position(slice int) (int, bool) { return slices.BinarySearch(x.Present, uint32(slice)) }

// Moment is when the slice at a position changed last.
func (x *Index) Moment(position int) int64 { return x.Moments[x.When[position]] }

// Range is the positions of the slices of a directory: from the first, to the one before end.
func (x *Index) Range(dir int) (first, end int) {
	first, _ = x.Position(dir * PerDir)
	end, _ = x.Position((dir + 1) * PerDir)
	return first, end
}

// Dirs are the numbers of the directories that have slices, ascending.
func (x *Index) Dirs() []int {
	var dirs []int
	for at := 0; at < len(x.Present); {
		dir := int(x.Present[at]) / PerDir
		dirs = append(dirs, dir)
		_, at = x.Range(dir)
	}
	return dirs
}

// Bytes is the size of all slices that are present.
func (x *Index) Bytes() int64 {
	n := int64(len(x.Present)) * x.Slice
	if last := x.Slices() - 1; len(x.Present) > 0 && int(x.Present[len(x.Present)-1]) == last {
		n += x.Length(last) - x.Slice
	}
	return n
}

// Covered returns the numbers of the slices that extents touch, ascending.
func (l Layout) Covered(extents []blockcopy.Extent) []uint32 {
	var covered []uint32
	next := int64(0)
	for _, x := range blockcopy.Merge(extents, l.Size, 1) {
		for s := max(x.Offset/l.Slice, next); s*l.Slice < x.Offset+x.Length; s++ {
			covered = append(covered, uint32(s))
			next = s + 1
		}
	}
	return covered
}

// All returns the numbers of all slices.
func (l Layout) All() []uint32 {
	all := make([]uint32, l.Slices())
	for i := range all {
		all[i] = uint32(i)
	}
	return all
}
