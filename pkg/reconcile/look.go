package reconcile

import (
	"context"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// RememberingObserver is an Observer that reads only what it is told to forget.
type RememberingObserver interface {
	Observer
	// Forget makes the next Observe read parts of the machine again.
	Forget(parts ...observe.Part)
	// Audit makes it read everything again, and compare it with what was remembered. Missed
	// returns what had changed though nobody had said so, a moment after EndAudit said that there is
	// anything, nor has said so since.
	Audit()
	EndAudit() bool
	Missed(said ...observe.Part) []string
}

// Events tell what changes on the machine.
type Events interface {
	// Changed receives when there is something to take.
	Changed() <-chan struct{}
	// Take returns what may have changed since the last call.
	Take() []watch.Event
	// PhysicalVolumes says on which devices LVM has its metadata.
	PhysicalVolumes(nodes []string)
	// Status says which parts of the machine are watched.
	Status() []watch.Status
}

// lookout decides what of the machine a pass reads.
type lookout struct {
	observer RememberingObserver // nil: everything is read each time
	events   Events
	tgt      bool // tgtd serves iSCSI, and announces nothing
	// audit is the time between audits, and audited when the last one was.
	audit   time.Duration
	audited time.Time
	// poll is true if the next pass reads everything again unless an event or a file starts it, and
	// polled is when something last did. If something is pending that no event announces, events that keep
	// coming do not put it off for longer than resync.
	poll    bool
	pending bool
	resync  time.Duration
	polled  time.Time
	// asked is true if somebody wants to know how the machine is now.
	asked bool
	// fresh are the parts that were read again in this pass.
	fresh map[observe.Part]bool
	// late are events that came while an audit was waiting for them.
	late  []watch.Event
	noise noise
	// misses is how often audits found something that no event had announced.
	misses int
}

// auditPause is how long after an audit an event may still announce what the audit found.
const auditPause = time.Second

// isWatching reports whether every change of the machine that can be announced is.
func (l *lookout) isWatching() bool {
	if l.observer == nil || l.events == nil || l.tgt {
		return false
	}
	for _, s := range l.events.Status() {
		if !s.Watching {
			return false
		}
	}
	return true
}

// sources are which changes of the machine are announced.
func (l *lookout) sources() []status.Source {
	if l.events == nil {
		return nil
	}
	var sources []status.Source
	for _, s := range l.events.Status() {
		sources = append(sources, status.Source{Name: string(s.Source), Watching: s.Watching, Why: s.Why})
	}
	if l.tgt {
		sources = append(sources, status.Source{Name: "tgtd", Why: "tgtd announces no changes"})
	}
	return sources
}

// isEdited reports whether an object was declared otherwise before, or is no longer declared. What is
// learned of initiators then, and of what may be taken from them, must not be learned from sessions
// of long ago.
func isEdited(before, declared spec.Set) bool {
	return slices.ContainsFunc(declaredIDs(before), func(id spec.ID) bool { return !sameObject(before.Object(id), declared.Object(id)) })
}

// begin begins a pass, which is timed if nothing started it but the time. It returns what may have
// changed since the last one.
func (l *lookout) begin(timed, edited bool, now time.Time) (changed []watch.Event) {
	l.fresh = map[observe.Part]bool{}
	if l.observer == nil {
		return nil
	}
	changed, l.late = l.late, nil
	if l.events != nil {
		changed = append(changed, l.events.Take()...)
	}
	if slices.Contains(l.forget(changed), observe.AllOfLVM) {
		l.fresh[observe.AllOfLVM] = true // which takes long on a node with many volumes
	}
	switch {
	case l.audited.IsZero() || now.Sub(l.audited) >= l.audit:
		l.observer.Audit()
		l.audited = now
		l.fresh[observe.Everything], l.polled = true, now
	case !l.isWatching() || timed && l.poll || l.pending && now.Sub(l.polled) >= l.resync || l.asked || edited:
		l.refresh(now, observe.Everything)
	}
	l.asked = false
	return changed
}

// forget makes the pass read again what events say, and returns what that is.
func (l *lookout) forget(events []watch.Event) (said []observe.Part) {
	for _, e := range events {
		if e.By == nil || !e.By.Own { // our own changes are forgotten as they are made
			said = append(said, partOf(e))
		}
	}
	l.observer.Forget(said...)
	return said
}

// follow tells the events which devices are LVM's.
func (l *lookout) follow(observed observe.State) {
	if l.events == nil || observed.Unknown[observe.LVM] != nil {
		return
	}
	var nodes []string
	for _, vg := range observed.VolumeGroups {
		nodes = append(nodes, vg.PhysicalVolumes...)
	}
	slices.Sort(nodes)
	l.events.PhysicalVolumes(slices.Compact(nodes))
}

// observed notes that the machine was read for a pass. If that was an audit, it returns what that
// found though nobody had announced it. It is found out before the pass changes anything: what that
// changes is announced, too.
func (l *lookout) observed(ctx context.Context) (missed []string) {
	if l.observer == nil || !l.observer.EndAudit() {
		return nil
	}
	sleep(ctx, auditPause)
	var said []observe.Part
	if l.events != nil {
		events := l.events.Take()
		l.late = append(l.late, events...)
		said = l.forget(events)
	}
	l.fresh = map[observe.Part]bool{} // no more, after the pause
	missed = l.observer.Missed(said...)
	l.misses += len(missed)
	return missed
}

// refresh makes the pass read parts again.
func (l *lookout) refresh(now time.Time, parts ...observe.Part) {
	l.observer.Forget(parts...)
	for _, p := range parts {
		l.fresh[p] = true
		if p == observe.Everything {
			l.polled = now
		}
	}
}

// refreshFor reads again what a plan changes, before it is applied: nobody announces sessions, and
// an event may have been lost. It reports whether the plan must be made again.
func (l *lookout) refreshFor(p plan.Plan, now time.Time) bool {
	if l.observer == nil || p.Empty() || l.fresh[observe.Everything] {
		return false
	}
	var old []observe.Part
	for _, part := range touchedBy(p) {
		if !l.fresh[part] {
			old = append(old, part)
		}
	}
	l.refresh(now, old...)
	return len(old) > 0
}

// touchedBy returns the parts of the machine that a plan's steps depend on. If anybody or any data
// might be hit, that is everything.
func touchedBy(p plan.Plan) []observe.Part {
	var parts []observe.Part
	for _, s := range p.Steps {
		if s.Danger != plan.Harmless || len(s.Affects) > 0 {
			return []observe.Part{observe.Everything}
		}
		parts = append(parts, s.Change.Part())
	}
	return parts
}

// partOf is what an event says may have changed.
func partOf(e watch.Event) observe.Part {
	switch {
	case e.Source != watch.Configfs:
		return observe.AllOfLVM
	case e.Path == "":
		return observe.AllOfConfigFS
	default:
		return observe.Part(e.Path)
	}
}

// next returns how long the next pass can wait if nothing is to be done, and nothing else starts it.
// It takes as long as until the next audit if nothing is pending that no event announces.
func (l *lookout) next(p plan.Plan, now time.Time) time.Duration {
	l.poll, l.pending = true, !(status.Report{Objects: p.Objects}).Converged()
	if !l.isWatching() || l.pending {
		return l.resync
	}
	audit := max(l.audited.Add(l.audit).Sub(now), l.resync)
	if !p.Due.IsZero() && p.Due.Sub(now) < audit {
		l.poll = false // only the time is waited for
		return max(p.Due.Sub(now), l.resync)
	}
	return audit
}
