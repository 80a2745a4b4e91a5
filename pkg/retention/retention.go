// Package retention decides which snapshots or backups of one volume are kept, and says why.
//
// Keep means what the --keep options of "restic forget" mean, in UTC: a period in which there is no
// snapshot does not count, so seven daily ones are those of the last seven days that have any. More rules
// keep more, never less; each is a Rule of its own.
//
// The package only decides: it has no clock, and removes nothing. Start reading at Apply.
package retention

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Keep is how many snapshots are kept, by period. A snapshot that is the newest of its hour, day,
// ISO week, month or year (in UTC) can count in each of them.
type Keep struct {
	Last    int // the newest ones, whenever they were made
	Hourly  int // the newest one of each of so many hours
	Daily   int // of so many days
	Weekly  int // of so many weeks; a week begins on Monday
	Monthly int // of so many months
	Yearly  int // of so many years
}

// IsEmpty reports whether nothing is asked to be kept. Apply keeps everything then.
func (k Keep) IsEmpty() bool { return k == Keep{} }

// Validate refuses negative numbers: restic 0.14 removes everything for -1, newer ones keep
// everything.
func (k Keep) Validate() error {
	var errs []error
	for _, p := range k.periods() {
		if p.left < 0 {
			errs = append(errs, fmt.Errorf("keep.%s is %d: it must be 0 or more", p.field, p.left))
		}
	}
	return errors.Join(errs...)
}

// Snapshot is one snapshot or backup of a volume.
type Snapshot struct {
	// Time is the moment that it counts for. For a scheduled one that is the moment of the schedule: a delay
	// by jitter then moves no snapshot into another period.
	Time time.Time
	// Incomplete is set if it is not known to hold all of the volume. It counts in no period.
	Incomplete bool
	// Held says why it must stay whatever Keep says, such as "base of the next backup". Empty: nothing holds it.
	Held string
}

// Verdict is what becomes of a snapshot: it is kept if there is a rule for it.
type Verdict struct {
	Rules Rule   // all that apply
	Held  string // for the rule Held: the snapshot's own reason
}

// Keep reports whether the snapshot is kept.
func (v Verdict) Keep() bool { return v.Rules != 0 }

// Reasons returns why the snapshot is kept, restic's reasons first. It is empty if it is not.
func (v Verdict) Reasons() []string {
	var reasons []string
	for i, reason := range reasonOf {
		switch rule := Rule(1) << i; {
		case v.Rules&rule == 0:
		case rule == Held:
			reasons = append(reasons, v.Held)
		default:
			reasons = append(reasons, reason)
		}
	}
	return reasons
}

// Rule is a set of reasons to keep a snapshot.
type Rule uint16

// The first six are restic's, by its words.
const (
	Last Rule = 1 << iota
	Hourly
	Daily
	Weekly
	Monthly
	Yearly
	// Oldest keeps the oldest complete snapshot as long as a line of Keep is not filled, so that three
	// yearly ones reach back to the first day and not only to the end of its year. restic does so from
	// 0.16 on. The rules from here on are added to what restic 0.14 keeps.
	Oldest
	// NoPolicy keeps everything if Keep is empty, or not valid.
	NoPolicy
	// Newest keeps the newest complete snapshot that is not from the future.
	Newest
	// Future keeps what was made later than now: a clock was wrong, or is. It counts in no period, so
	// that it cannot displace a snapshot of today.
	Future
	// Unfinished keeps what is incomplete as long as no later one is complete: it may be under way, or
	// all there is.
	Unfinished
	// Held keeps what something else needs. It counts in its periods nevertheless, as restic counts
	// what --keep-tag keeps.
	Held
)

// reasonOf has the words for each rule, in the order of their bits.
var reasonOf = [...]string{
	"last snapshot", "hourly snapshot", "daily snapshot", "weekly snapshot", "monthly snapshot", "yearly snapshot",
	"oldest snapshot", "keep is empty", "newest complete", "time is in the future", "incomplete, and no later one is complete", "",
}

// Apply returns a verdict for each of a volume's snapshots, in their order. The order of the snapshots
// does not matter; of two of the same time the later in the list counts as newer.
func Apply(keep Keep, snapshots []Snapshot, now time.Time) []Verdict {
	verdicts := make([]Verdict, len(snapshots))
	everything := keep.IsEmpty() || keep.Validate() != nil
	counted := make([]int, 0, len(snapshots)) // indices of what periods are made of
	newest := time.Time{}
	for i, s := range snapshots {
		if everything {
			verdicts[i].Rules |= NoPolicy
		}
		if s.Held != "" {
			verdicts[i].Rules |= Held
			verdicts[i].Held = s.Held
		}
		switch {
		case s.Time.After(now):
			verdicts[i].Rules |= Future
		case !s.Incomplete:
			counted = append(counted, i)
			if newest.IsZero() || s.Time.After(newest) {
				newest = s.Time
			}
		}
	}
	for i, s := range snapshots {
		if s.Incomplete && (len(counted) == 0 || s.Time.After(newest)) {
			verdicts[i].Rules |= Unfinished
		}
	}
	if len(counted) == 0 {
		return verdicts
	}
	slices.SortFunc(counted, func(a, b int) int {
		if c := snapshots[b].Time.Compare(snapshots[a].Time); c != 0 {
			return c
		}
		return b - a
	})
	verdicts[counted[0]].Rules |= Newest
	if !everything {
		byPeriods(keep, snapshots, counted, verdicts)
	}
	return verdicts
}
