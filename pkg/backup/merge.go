package backup

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// state is what is known of a volume before a backup.
type state struct {
	layout  format.Layout
	mapped  []blockcopy.Extent // nil: everything
	changed []blockcopy.Extent // since the parent's base; only with a parent
	now     int64              // in nanoseconds since 1970
	parent  *format.Index      // nil: none
}

// planned is the outcome of plan.
type planned struct {
	index *format.Index
	// changed are the positions of the slices that have to be read.
	changed []int
	// full is why everything has to be read; empty: it need not.
	full string
}

// plan decides which slices there are and which of them have to be read. It never decides to read too
// little: what the parent does not have with the same length, or what may have changed, is read.
func plan(s state) planned {
	full := reasonForAll(s)
	if full != "" {
		s.parent = nil
	}
	x := &format.Index{Layout: s.layout, Present: present(s), Made: s.now}
	p := planned{index: x, full: full}
	var touched []uint32
	if s.parent != nil {
		touched = s.layout.Covered(s.changed)
		// The clock may have been set back: a file that changed must not look as before.
		x.Made = max(s.now, s.parent.Made+1)
	}
	x.When, x.Digests = make([]uint32, len(x.Present)), make([]uint64, len(x.Present))
	moments := newMoments(s.parent, x.Made)
	for position, slice := range x.Present {
		before, ok := unchanged(s.parent, x, slice, touched)
		if !ok {
			p.changed = append(p.changed, position)
			x.When[position] = moments.now()
			continue
		}
		x.When[position], x.Digests[position] = s.parent.When[before], s.parent.Digests[before]
		moments.used[s.parent.When[before]] = true
	}
	x.Moments = moments.compact(x.When)
	return p
}

// reasonForAll is why everything has to be read.
func reasonForAll(s state) string {
	switch {
	case s.parent == nil:
		return "there is no parent"
	case s.parent.Slice != s.layout.Slice:
		return fmt.Sprintf("the parent has slices of another size (%d bytes)", s.parent.Slice)
	}
	return ""
}

// present returns the slices that have data.
func present(s state) []uint32 {
	if s.mapped == nil {
		return s.layout.All()
	}
	return s.layout.Covered(s.mapped)
}

// unchanged returns the position of a slice in the parent, if it has not changed since.
func unchanged(parent, x *format.Index, slice uint32, touched []uint32) (int, bool) {
	if parent == nil || int(slice) >= parent.Slices() || parent.Length(int(slice)) != x.Length(int(slice)) {
		return 0, false
	}
	if _, is := slices.BinarySearch(touched, slice); is {
		return 0, false
	}
	return parent.Position(int(slice))
}

// moments are those of the parent, and the time of this backup behind them.
type moments struct {
	all  []int64
	used []bool
}

func newMoments(parent *format.Index, now int64) *moments {
	m := &moments{}
	if parent != nil {
		m.all = slices.Clone(parent.Moments)
	}
	m.all = append(m.all, now)
	m.used = make([]bool, len(m.all))
	return m
}

// now is the number of the time of this backup.
func (m *moments) now() uint32 {
	m.used[len(m.used)-1] = true
	return uint32(len(m.used) - 1)
}

// compact removes what is not used, and renumbers.
func (m *moments) compact(when []uint32) []int64 {
	var kept []int64
	number := make([]uint32, len(m.all))
	for i, moment := range m.all {
		number[i] = uint32(len(kept))
		if m.used[i] {
			kept = append(kept, moment)
		}
	}
	for i := range when {
		when[i] = number[when[i]]
	}
	return kept
}
