// Package simulation runs a schedule of snapshots and backups without a clock and without data, and says
// what is there at the end. It decides by the functions by which the agent decides: schedule.Due and
// retention.Apply. Start reading at Run.
package simulation

import (
	"time"

	"github.com/volreconciler/volreconciler/pkg/retention"
	"github.com/volreconciler/volreconciler/pkg/schedule"
)

// Plan is what is done for one volume.
type Plan struct {
	Name      string        // of what jitter depends on
	Jitter    time.Duration // the longest delay of a run
	Snapshots Line
	Backups   *Line // nil: none. Each backup is of a snapshot, which is taken if there is none of that moment
}

// Line is when copies are made, and which of them are kept.
type Line struct {
	At   schedule.Schedule
	Keep retention.Keep
}

// Result is what is there at the end.
type Result struct {
	Snapshots Copies
	Backups   *Copies // nil: none are made
}

// Copies are the snapshots, or the backups, of one volume.
type Copies struct {
	Made, Removed int
	Most          int    // the largest number at any time
	Kept          []Copy // the oldest first
}

// Copy is a snapshot or a backup.
type Copy struct {
	Time    time.Time // the moment that it was due, in UTC
	Reasons []string  // why it is kept
}

// baseOf says why the snapshot of the last backup is kept: the next backup reads what changed since.
const baseOf = "base of the next backup"

// Run simulates the time from the first moment up to and with the second.
func Run(plan Plan, from, until time.Time) Result {
	snapshots, backups := line{at: plan.Snapshots.At, keep: plan.Snapshots.Keep}, line{}
	snapshots.state.Since = from
	if plan.Backups != nil {
		backups = line{at: plan.Backups.At, keep: plan.Backups.Keep, state: schedule.State{Since: from}}
	}
	for now := from; !now.IsZero() && !now.After(until); {
		moment, wake := snapshots.due(plan, now)
		saved, backupWake := backups.due(plan, now)
		snapshots.add(moment)
		snapshots.add(saved)
		backups.add(saved)
		if !moment.IsZero() || !saved.IsZero() {
			snapshots.prune(backups.last(), now)
			backups.prune(time.Time{}, now)
		}
		now = earlier(wake, backupWake)
	}
	result := Result{Snapshots: snapshots.result()}
	if plan.Backups != nil {
		copies := backups.result()
		result.Backups = &copies
	}
	return result
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// line is the state of a Line at a moment.
type line struct {
	at                  schedule.Schedule
	keep                retention.Keep
	state               schedule.State
	there               []retention.Snapshot // the oldest first
	verdicts            []retention.Verdict  // of each that is there
	made, removed, most int
}

// due returns the moment that is to be run now, if any, and when to ask again.
func (l *line) due(plan Plan, now time.Time) (moment, wake time.Time) {
	timing := schedule.Due(l.at, plan.Jitter, plan.Name, l.state, now)
	l.state = timing.State
	if !timing.Run.IsZero() {
		l.state.Done = timing.Run
	}
	return timing.Run, timing.Wake
}

// add makes a copy of a moment, unless there is one.
func (l *line) add(moment time.Time) {
	if moment.IsZero() {
		return
	}
	at := len(l.there)
	for at > 0 && l.there[at-1].Time.After(moment) {
		at--
	}
	if at > 0 && l.there[at-1].Time.Equal(moment) {
		return
	}
	l.there = append(l.there, retention.Snapshot{})
	copy(l.there[at+1:], l.there[at:])
	l.there[at] = retention.Snapshot{Time: moment}
	l.made++
	l.most = max(l.most, len(l.there))
}

// prune removes what is not to be kept. base is the snapshot of the last backup, if there is one.
func (l *line) prune(base, now time.Time) {
	for i := range l.there {
		l.there[i].Held = ""
		if l.there[i].Time.Equal(base) {
			l.there[i].Held = baseOf
		}
	}
	kept := l.there[:0]
	l.verdicts = l.verdicts[:0]
	for i, v := range retention.Apply(l.keep, l.there, now) {
		if v.Keep() {
			kept = append(kept, l.there[i])
			l.verdicts = append(l.verdicts, v)
		}
	}
	l.removed += len(l.there) - len(kept)
	l.there = kept
}

// last returns the time of the newest; zero if there is none.
func (l *line) last() time.Time {
	if len(l.there) == 0 {
		return time.Time{}
	}
	return l.there[len(l.there)-1].Time
}

func (l *line) result() Copies {
	copies := Copies{Made: l.made, Removed: l.removed, Most: l.most, Kept: []Copy{}}
	for i, v := range l.verdicts {
		copies.Kept = append(copies.Kept, Copy{Time: l.there[i].Time, Reasons: v.Reasons()})
	}
	return copies
}
