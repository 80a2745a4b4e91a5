package schedule

import (
	"math/bits"
	"time"
)

// star is the bit by which robfig/cron marks a field that is *.
const star = 1 << 63

// fields are the values that match, as bits.
type fields struct{ minutes, hours, days, months, weekdays uint64 }

// matchesDay follows cron: if both the day of the month and the weekday are restricted, one is enough.
func (f fields) matchesDay(day time.Time) bool {
	inMonth, inWeek := f.days>>day.Day()&1 == 1, f.weekdays>>day.Weekday()&1 == 1
	if f.days&star != 0 || f.weekdays&star != 0 {
		return inMonth && inWeek
	}
	return inMonth || inWeek
}

// atOrAfter returns the first wall time that matches, from the given one until and with last.
func (f fields) atOrAfter(from, last time.Time) (time.Time, bool) {
	if up := from.Truncate(time.Minute); up.Before(from) {
		from = up.Add(time.Minute)
	}
	day := from.Truncate(24 * time.Hour)
	earliest := int(from.Sub(day) / time.Minute)
	for !day.After(last) {
		if f.months>>day.Month()&1 == 0 {
			day, earliest = time.Date(day.Year(), day.Month()+1, 1, 0, 0, 0, 0, time.UTC), 0
			continue
		}
		if f.matchesDay(day) {
			if minute, found := f.minuteFrom(earliest); found {
				wall := day.Add(time.Duration(minute) * time.Minute)
				return wall, !wall.After(last)
			}
		}
		day, earliest = day.Add(24*time.Hour), 0
	}
	return time.Time{}, false
}

// atOrBefore returns the last wall time that matches, up to the one given, and not before first.
func (f fields) atOrBefore(until, first time.Time) (time.Time, bool) {
	day := until.Truncate(24 * time.Hour)
	latest := int(until.Sub(day) / time.Minute)
	for day.Add(24 * time.Hour).After(first) {
		if f.months>>day.Month()&1 == 0 {
			day, latest = time.Date(day.Year(), day.Month(), 0, 0, 0, 0, 0, time.UTC), minutesOfDay-1
			continue
		}
		if f.matchesDay(day) {
			if minute, found := f.minuteUntil(latest); found {
				wall := day.Add(time.Duration(minute) * time.Minute)
				return wall, !wall.Before(first)
			}
		}
		day, latest = day.Add(-24*time.Hour), minutesOfDay-1
	}
	return time.Time{}, false
}

// matchesIn reports whether a wall time from the first up to, and without, the second matches.
func (f fields) matchesIn(from, until time.Time) bool {
	_, found := f.atOrAfter(from, until.Add(-1))
	return found
}

const minutesOfDay = 24 * 60

// minuteFrom returns the first minute of a day that matches, from the one given.
func (f fields) minuteFrom(earliest int) (int, bool) {
	hour, minute := earliest/60, earliest%60
	if left := f.minutes &^ star >> minute << minute; f.hours>>hour&1 == 1 && left != 0 {
		return hour*60 + bits.TrailingZeros64(left), true
	}
	left := f.hours &^ star >> (hour + 1) << (hour + 1)
	if left == 0 {
		return 0, false
	}
	return bits.TrailingZeros64(left)*60 + bits.TrailingZeros64(f.minutes&^star), true
}

// minuteUntil returns the last minute of a day that matches, up to the one given.
func (f fields) minuteUntil(latest int) (int, bool) {
	hour, minute := latest/60, latest%60
	if left := f.minutes & (1<<(minute+1) - 1); f.hours>>hour&1 == 1 && left != 0 {
		return hour*60 + bits.Len64(left) - 1, true
	}
	left := f.hours & (1<<hour - 1)
	if left == 0 {
		return 0, false
	}
	return (bits.Len64(left)-1)*60 + bits.Len64(f.minutes&^star) - 1, true
}
