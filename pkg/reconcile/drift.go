package reconcile

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// sightings are who changed what of late. It is for concurrent use: a step that takes longer than a pass
// is explained during a later one.
type sightings struct {
	mu   sync.Mutex
	seen []sighting
}

type sighting struct {
	source watch.Source
	path   string
	by     status.Actor
	at     time.Time
}

// sightingFor is how long a sighting explains what a pass finds changed, and sightingLimit how many
// are kept.
const (
	sightingFor   = 15 * time.Second
	sightingLimit = 4096
)

// note adds events. Changes of our own explain nothing.
func (s *sightings) note(events []watch.Event, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	recent := s.seen[:0]
	for _, old := range s.seen {
		if now.Sub(old.at) <= sightingFor {
			recent = append(recent, old)
		}
	}
	s.seen = recent
	for _, e := range events {
		if e.By != nil && !e.By.Own && len(s.seen) < sightingLimit {
			s.seen = append(s.seen, sighting{e.Source, e.Path, actorOf(*e.By), now})
		}
	}
}

// forget is for when the machine is as declared: what was seen until it was read explains no drift any more.
func (s *sightings) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.seen = nil
}

// of returns who last changed what a change is made to; nil: nobody was seen.
func (s *sightings) of(c change.Change, observed observe.State) *status.Actor {
	part := string(c.Part())
	if c.Part() == observe.Everything {
		return nil
	}
	var disks []string
	if group, is := strings.CutPrefix(c.Lane(), "vg/"); is {
		disks = observed.VolumeGroups[group].PhysicalVolumes
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := len(s.seen) - 1; i >= 0; i-- {
		seen := &s.seen[i]
		switch {
		case seen.source == watch.Configfs && (seen.path == part || strings.HasPrefix(seen.path, part+"/")):
			by := seen.by
			return &by
		case seen.source == watch.Metadata && part == string(observe.AllOfLVM):
			if slices.Contains(disks, seen.path) {
				by := seen.by
				return &by
			}
		}
	}
	return nil
}

func actorOf(p watch.Process) status.Actor {
	return status.Actor{
		PID: p.PID, Command: p.Command, Executable: p.Executable, UID: p.UID, User: p.User,
		LoginUID: p.LoginUID, LoginUser: p.LoginUser, Parents: p.Parents,
	}
}

// drifts are the last correction of each object. It is for concurrent use.
type drifts struct {
	mu   sync.Mutex
	last map[spec.ID]status.Drift
}

// note adds a step that corrected a drift.
func (d *drifts) note(s plan.Step, by *status.Actor, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.last == nil {
		d.last = map[spec.ID]status.Drift{}
	}
	before := d.last[s.Object]
	d.last[s.Object] = status.Drift{Time: now.UTC().Truncate(time.Second), Change: s.Change.String(), By: by, Corrected: before.Corrected + 1}
}

// show adds them to the objects' statuses, and forgets those of objects that are no more.
func (d *drifts) show(objects []status.Object) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.last) == 0 {
		return
	}
	kept := map[spec.ID]status.Drift{}
	for i := range objects {
		if drift, drifted := d.last[objects[i].ID()]; drifted {
			objects[i].Drift = &drift
			kept[objects[i].ID()] = drift
		}
	}
	d.last = kept
}

// noteStep notes a step that was made, and returns who had made it necessary, as far as that is known.
func (l *Loop) noteStep(s plan.Step, declared spec.Set, observed observe.State, drift bool) *status.Actor {
	by := l.sightings.of(s.Change, observed)
	name := ""
	if by != nil {
		name = by.String()
	}
	now := l.now()
	l.contention.note(s, name, declared.Object(s.Object), now)
	if drift {
		l.drifts.note(s, by, now)
	}
	return by
}

// outcome returns the statuses of the objects after a plan was applied.
func (l *Loop) outcome(made plan.Plan, failures map[plan.StepID]error, now time.Time) []status.Object {
	objects := outcome(made, l.attempts.failed, failures)
	l.contention.show(objects, made, now)
	l.drifts.show(objects)
	return objects
}
