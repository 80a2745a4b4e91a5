// Package schedule says when a schedule in cron's syntax is due, in a time zone whose clocks change.
//
// Expressions are parsed by robfig/cron; when they are due is decided here, because that library runs
// 30 2 * * * twice on the day that clocks go back, and a schedule of a day without midnight not at all.
// The rule:
//
//   - A schedule that names its hours (30 2, 0 9-17) runs once for each local time it names. A time that
//     does not exist, because clocks go forward over it, runs at the first instant after the gap; one
//     that exists twice runs the first time.
//   - A schedule with * or a step (/) in its hours runs at each instant whose local time matches, so that
//     an hourly one runs each hour of real time, too.
//
// The package has no clock. Start reading at Parse and Due.
package schedule

import "time"

// horizon is how far Next and Latest search, in years: from one February 29 to the next it can be eight.
const horizon = 8

// Schedule is a parsed expression in a time zone. Its zero value is never due.
type Schedule struct {
	expr string
	zone *time.Location
	fields
	// everyHour is set if the hours have * or a step: all instants that match count.
	everyHour bool
}

// String returns the expression as it was given.
func (s Schedule) String() string { return s.expr }

// Zone returns the time zone that the expression is meant in.
func (s Schedule) Zone() *time.Location { return s.zone }

// Next returns the first moment after the given one that is due, in UTC. It is zero if there is none
// within 8 years.
func (s Schedule) Next(after time.Time) time.Time {
	if s.zone == nil {
		return time.Time{}
	}
	limit := after.UTC().AddDate(horizon, 0, 1)
	for t := after.Add(1); !t.After(limit); {
		span := s.spanOf(t)
		if !s.everyHour && !t.After(span.start) && s.matchesIn(span.skipped()) {
			return span.start
		}
		from := span.wall(t)
		if repeated := span.repeatedUntil(); !s.everyHour && repeated.After(from) {
			from = repeated
		}
		last := limit
		if span.bounded() && span.end.Before(limit) {
			last = span.end.Add(-1)
		}
		if wall, found := s.atOrAfter(from, span.wall(last)); found {
			return span.instant(wall)
		}
		if !span.bounded() {
			break
		}
		t = span.end
	}
	return time.Time{}
}

// Latest returns the last moment that was due at or before the given one, in UTC. It is zero if there is
// none within 8 years.
func (s Schedule) Latest(atOrBefore time.Time) time.Time {
	if s.zone == nil {
		return time.Time{}
	}
	limit := atOrBefore.UTC().AddDate(-horizon, 0, -1)
	for t := atOrBefore; !t.Before(limit); {
		span := s.spanOf(t)
		first := limit
		if span.start.After(limit) {
			first = span.start
		}
		from := span.wall(first)
		if repeated := span.repeatedUntil(); !s.everyHour && repeated.After(from) {
			from = repeated
		}
		if wall, found := s.atOrBefore(span.wall(t), from); found {
			return span.instant(wall)
		}
		if span.start.IsZero() {
			break
		}
		if !s.everyHour && s.matchesIn(span.skipped()) {
			return span.start
		}
		t = span.start.Add(-1)
	}
	return time.Time{}
}
