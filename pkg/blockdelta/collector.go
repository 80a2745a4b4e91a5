package blockdelta

import "github.com/volreconciler/volreconciler/pkg/blockcopy"

// mostExtents is how many extents are kept: 8 MiB of them, and as much while they are
// merged.
const mostExtents = 1 << 19

// collector collects extents, in any order. Where there are too many it keeps them
// less precisely: what is returned never is too little.
type collector struct {
	size    int64 // of the logical volume
	most    int
	grain   int64
	extents []blockcopy.Extent
}

func collect(size int64) *collector { return &collector{size: size, most: mostExtents, grain: 1} }

// add adds an extent that is not negative and whose end is a number.
func (c *collector) add(offset, length int64) {
	if n := len(c.extents); n > 0 {
		if last := &c.extents[n-1]; last.Offset+last.Length == offset {
			last.Length += length
			return
		}
	}
	if c.extents = append(c.extents, blockcopy.Extent{Offset: offset, Length: length}); len(c.extents) < c.most {
		return
	}
	for c.all(); len(c.extents) > c.most/2; c.all() {
		c.grain *= 2
	}
}

// all returns what was collected.
func (c *collector) all() []blockcopy.Extent {
	c.extents = blockcopy.Merge(c.extents, c.size, c.grain)
	return c.extents
}
