package fakehost

import (
	"cmp"
	"slices"
)

// Span is a part of a logical volume, in bytes, and a text that stands for the
// data in it. What no Span covers reads as zeroes.
type Span struct {
	From uint64 `yaml:"from"`
	To   uint64 `yaml:"to"`
	Text string `yaml:"text"`
}

// start is how much of a logical volume [LogicalVolume.Content] stands for. It is
// what lvcreate zeroes of a new one.
const start = 4096

// cut returns what of some spans is between two offsets.
func cut(spans []Span, from, to uint64) []Span {
	var part []Span
	for _, s := range spans {
		s.From, s.To = max(s.From, from), min(s.To, to)
		if s.From < s.To && s.Text != "" {
			part = append(part, s)
		}
	}
	return part
}

// move returns spans that begin elsewhere.
func move(spans []Span, from, to uint64) []Span {
	moved := slices.Clone(spans)
	for i := range moved {
		moved[i].From += to - from
		moved[i].To += to - from
	}
	return moved
}

// put returns spans in which others replace the content between two offsets.
func put(spans []Span, from, to uint64, others []Span) []Span {
	all := slices.Concat(cut(spans, 0, from), cut(others, from, to), cut(spans, to, ^uint64(0)))
	slices.SortFunc(all, func(a, b Span) int { return cmp.Compare(a.From, b.From) })
	var merged []Span
	for _, s := range all {
		if n := len(merged); n > 0 && merged[n-1].To == s.From && merged[n-1].Text == s.Text {
			merged[n-1].To = s.To
			continue
		}
		merged = append(merged, s)
	}
	return merged
}

// Overlay returns spans in which those of others replace the content between two offsets.
func Overlay(spans, others []Span, from, to uint64) []Span { return put(spans, from, to, others) }

// readData returns what is between two offsets.
func (lv *LogicalVolume) readData(from, to uint64) []Span {
	return cut(put(lv.Data, 0, start, []Span{{0, start, lv.Content}}), from, to)
}

// all returns all that is in it.
func (lv *LogicalVolume) all() []Span { return lv.readData(0, lv.Size) }

// write puts data, or zeroes, between two offsets. The start is written as a
// whole.
func (lv *LogicalVolume) write(from, to uint64, data []Span) {
	all := put(lv.all(), from, to, data)
	lv.Content, lv.Data = "", cut(all, start, lv.Size)
	if first := cut(all, 0, start); len(first) > 0 {
		lv.Content = first[0].Text
	}
}

// writeTo writes to a logical volume that is used, which its snapshots remember.
func (g *group) writeTo(lv *LogicalVolume, from, to uint64, data []Span) {
	lv.write(from, to, data)
	for _, s := range g.snapshots(lv) {
		s.Written = put(s.Written, from, to, []Span{{from, to, "written"}})
	}
}

// chunk is how finely it is known what changed since a snapshot was taken.
const chunk = 64 << 10

// differing returns the chunks in which two contents differ, neighbours together.
func differing(a, b []Span) []Span {
	edges := []uint64{0}
	for _, s := range slices.Concat(a, b) {
		edges = append(edges, s.From, s.To)
	}
	slices.Sort(edges)
	var chunks []Span
	for i, to := range edges[1:] {
		from := edges[i]
		if slices.Equal(cut(a, from, to), cut(b, from, to)) {
			continue
		}
		from, to = from/chunk*chunk, (to+chunk-1)/chunk*chunk
		if n := len(chunks); n > 0 && chunks[n-1].To >= from {
			chunks[n-1].To = to
			continue
		}
		chunks = append(chunks, Span{From: from, To: to})
	}
	return chunks
}

// takeExtents takes some bytes of free extents, with what is in them.
func (g *group) takeExtents(size uint64) []Span {
	taken := cut(g.Leftovers, 0, size)
	g.Leftovers = move(cut(g.Leftovers, size, ^uint64(0)), size, 0)
	if len(g.Leftovers) == 0 {
		g.Leftovers = nil
	}
	return taken
}

// freeExtents frees some bytes of extents, with what is in them. They are the first to
// be used again, so that a test notices if they were not wiped.
func (g *group) freeExtents(size uint64, data []Span) {
	g.Leftovers = put(move(g.Leftovers, 0, size), 0, size, data)
}

// exceptions is what is in the copy-on-write space of a snapshot: nobody can
// read it as long as it is one.
func (lv *LogicalVolume) exceptions() []Span {
	return []Span{{0, lv.COWSize, "what was in " + lv.Origin}}
}
