package plan

import (
	"maps"
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// learnSchedules learns since when schedules are declared, and of which moments they took snapshots.
func (l *learning) learnSchedules(known map[spec.ID]Identity, declared spec.Set, index *Index, now time.Time) {
	if len(declared.Schedules) == 0 {
		return
	}
	for name, sched := range declared.Schedules {
		id := spec.ID{Kind: spec.KindSnapshotSchedule, Name: name}
		was := known[id]
		identity, cloned := was, false
		if identity.Since.IsZero() || identity.Since.After(now) { // a clock was ahead: it would hold up all runs until then
			identity.Since, identity.Declared = now.Round(0).UTC(), true
		}
		for _, volume := range declared.Selected(sched) {
			last := lastTaken(index.scheduled[runKey{name, volume}], was.Taken[volume], now)
			if last.IsZero() || last.Equal(was.Taken[volume]) {
				continue
			}
			if !cloned { // it is shared with what was known
				identity.Taken, cloned = maps.Clone(identity.Taken), true
			}
			if identity.Taken == nil {
				identity.Taken = map[string]time.Time{}
			}
			identity.Taken[volume] = last
		}
		if sched.Spec.Backup != nil {
			identity.Drilled = learnDrills(sched, declared.Selected(sched), index, was.Drilled, now)
		}
		if !identity.Since.Equal(was.Since) || !maps.EqualFunc(identity.Drilled, was.Drilled, time.Time.Equal) || !maps.EqualFunc(identity.Taken, was.Taken, time.Time.Equal) {
			l.editable()[id] = identity
		}
	}
}

// learnBackups learns which Backups were declared here. One is forgotten when it is undeclared and no repository
// has anything of it.
func (l *learning) learnBackups(known map[spec.ID]Identity, declared spec.Set, observed observe.State) {
	for name := range declared.Backups {
		id := spec.ID{Kind: spec.KindBackup, Name: name}
		if !known[id].Declared {
			l.editable()[id] = Identity{Declared: true}
		}
	}
	var made map[string]bool // nil: not needed yet
	for id := range known {
		_, invalid := declared.Invalid[id]
		if id.Kind != spec.KindBackup || invalid || declared.Has(id) || !declared.Complete {
			continue
		}
		if made == nil {
			made = objectsWithBackups(declared, observed)
		}
		if !made[id.Name] && !made[unknownObject] {
			delete(l.editable(), id)
		}
	}
}

// unknownObject stands for any Backup: a repository could not be read.
const unknownObject = ""

// objectsWithBackups returns the names of the Backups of which a repository has something.
func objectsWithBackups(declared spec.Set, observed observe.State) map[string]bool {
	made := map[string]bool{}
	for name := range declared.Repositories {
		seen := observed.Repositories[name]
		if !seen.IsKnown() || seen.Err != nil {
			made[unknownObject] = true
		}
		for _, b := range seen.Backups {
			if b.Object != "" {
				made[b.Object] = true
			}
		}
	}
	return made
}
