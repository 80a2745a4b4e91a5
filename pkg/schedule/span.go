package schedule

import "time"

// span is a time in which a zone's clocks do not change. Wall times are what its clocks show, written as
// if they were UTC.
type span struct {
	start, end     time.Time     // in UTC; zero: since ever, for ever
	offset, before time.Duration // of local time from UTC, in it and just before it
}

// spanOf returns the span that an instant is in.
func (s Schedule) spanOf(t time.Time) span {
	local := t.In(s.zone)
	start, end := local.ZoneBounds()
	_, offset := local.Zone()
	found := span{offset: time.Duration(offset) * time.Second}
	found.before = found.offset
	if !start.IsZero() {
		_, before := start.Add(-1).In(s.zone).Zone()
		found.start, found.before = start.UTC(), time.Duration(before)*time.Second
	}
	if !end.IsZero() {
		found.end = end.UTC()
	}
	return found
}

// bounded reports whether another span follows.
func (s span) bounded() bool { return !s.end.IsZero() }

func (s span) wall(instant time.Time) time.Time { return instant.UTC().Add(s.offset) }

func (s span) instant(wall time.Time) time.Time { return wall.Add(-s.offset) }

// skipped returns the wall times that clocks went forward over at the span's start: from the first up to,
// and without, the second. They are the same if there are none.
func (s span) skipped() (from, until time.Time) {
	return s.start.Add(min(s.before, s.offset)), s.start.Add(s.offset)
}

// repeatedUntil returns up to which wall time the span shows what its clocks had shown before, because
// they went back at its start.
func (s span) repeatedUntil() time.Time {
	if s.start.IsZero() {
		return time.Time{}
	}
	return s.start.Add(max(s.before, s.offset))
}
