package notify

import (
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// leastInterval is how long after a message the next one is sent at the earliest, also if states
	// need not last: what happens to many objects shall be few messages.
	leastInterval = 30 * time.Second
	// eventLasts is for how long after an event an equal one is not reported again.
	eventLasts = time.Hour
	// maxEvents is how many different events are remembered for that long. The log has all.
	maxEvents = 1000
)

// ledger is what was reported to a target, and what holds. It has no clock and only decides. The
// times that it is given must not go back.
type ledger struct {
	target Target
	// interval is how long after a message the next one is sent at the earliest.
	interval time.Duration
	// again is how often what was reported and holds is reported again; 0: never.
	again time.Duration

	subjects map[subject]*entry
	events   int       // how many of the subjects are events
	last     time.Time // when the last message was sent; zero: none was
}

// subject is the state of an object or, with event, something that happened to it.
type subject struct {
	id    spec.ID
	event string
}

// entry is about one subject.
type entry struct {
	// holds is the state, or the event, to report; nil: none. sent is what was reported last.
	holds, sent *notice
	// since is how long holds is so, and differs how long there is something else to report than sent.
	since, differs time.Time
	// until is when an event is over that was reported; zero: it is a state.
	until time.Time
}

func newLedger(t Target) *ledger {
	return &ledger{target: t, interval: max(t.Settle, leastInterval), subjects: map[subject]*entry{}}
}

// note takes in an event.
func (l *ledger) note(e status.Event, now time.Time) {
	selected := l.target.selects(e)
	if e.Type == status.Changed && selected {
		l.set(subject{id: e.Object()}, noticeOf(e), now)
		return
	}
	if e.Type == status.Changed || e.Type == status.Deleted {
		l.set(subject{id: e.Object()}, nil, now)
	}
	if e.Type != status.Changed && selected {
		l.happened(noticeOf(e), now)
	}
}

// sync takes in the states of all objects, after events were lost.
func (l *ledger) sync(objects []status.Object, now time.Time) {
	exist := make(map[spec.ID]bool, len(objects))
	for _, o := range objects {
		exist[o.ID()] = true
		e := status.Event{
			Time: o.Since, Type: status.Changed, Kind: o.Kind, Name: o.Name, Phase: o.Phase, Reason: o.Reason, Message: o.Message, Labels: o.Labels,
		}
		if x := l.subjects[subject{id: o.ID()}]; x != nil {
			e.PreviousPhase = o.Phase // it is not seen for the first time
		}
		l.note(e, now)
	}
	for s := range l.subjects {
		if s.event == "" && !exist[s.id] {
			l.set(s, nil, now)
		}
	}
}

// set notes which state holds; nil: none of those that the target reports.
func (l *ledger) set(s subject, n *notice, now time.Time) {
	x := l.subjects[s]
	if x == nil {
		x = &entry{}
	}
	if same(x.holds, n) {
		return
	}
	if x.holds == nil || same(x.holds, x.sent) {
		x.differs = now
	}
	x.holds, x.since = n, now
	l.keep(s, x)
}

// keep stores an entry, or removes one that says nothing any more.
func (l *ledger) keep(s subject, x *entry) {
	if s.event != "" && l.subjects[s] != nil {
		l.events--
	}
	delete(l.subjects, s)
	if x.holds == nil && x.sent == nil {
		return
	}
	l.subjects[s] = x
	if s.event != "" {
		l.events++
	}
}

// happened notes an event. It is reported again only after an hour without a repetition.
func (l *ledger) happened(n *notice, now time.Time) {
	s := n.subject()
	switch x := l.subjects[s]; {
	case x != nil:
		x.holds, x.until = n, now.Add(eventLasts)
	case l.events < maxEvents:
		l.keep(s, &entry{holds: n, since: now, differs: now, until: now.Add(eventLasts)})
	}
}

// dueAt returns when the change of an entry is to be reported; false: it was.
//
// A state is reported when it has lasted; an object that is in one such state after the other, when that
// has lasted twice as long.
func (l *ledger) dueAt(x *entry) (time.Time, bool) {
	if same(x.holds, x.sent) {
		return time.Time{}, false
	}
	at := x.since.Add(l.target.Settle)
	if latest := x.differs.Add(2 * l.target.Settle); x.holds != nil && latest.Before(at) {
		at = latest
	}
	return at, true
}

// batch is what a target receives at once.
type batch struct {
	// begun are new, and ended those that were reported and hold no longer. replaced ended because
	// another one begins.
	begun, ended, replaced []notice
	// active are all that hold once this is reported.
	active []notice
}

// due returns the changes that must be reported now; false: nothing.
func (l *ledger) due(now time.Time) (batch, bool) {
	l.expire(now)
	var b batch
	if !l.last.IsZero() && now.Before(l.last.Add(l.interval)) {
		return b, false
	}
	for _, x := range l.subjects {
		at, differs := l.dueAt(x)
		switch {
		case !differs || now.Before(at):
			if x.sent != nil {
				b.active = append(b.active, *x.sent)
			}
			continue
		case x.holds != nil && x.sent != nil:
			b.replaced = append(b.replaced, *x.sent)
		case x.sent != nil:
			b.ended = append(b.ended, *x.sent)
		}
		if x.holds != nil {
			b.begun = append(b.begun, *x.holds)
			b.active = append(b.active, *x.holds)
		}
	}
	for _, list := range [][]notice{b.begun, b.ended, b.replaced, b.active} {
		slices.SortFunc(list, compare)
	}
	changed := len(b.begun)+len(b.ended) > 0
	return b, changed || l.again > 0 && len(b.active) > 0 && !now.Before(l.last.Add(l.again))
}

// expire ends events that were reported long enough ago.
func (l *ledger) expire(now time.Time) {
	for s, x := range l.subjects {
		if s.event != "" && x.sent != nil && x.holds != nil && !now.Before(x.until) {
			x.holds, x.since = nil, x.until
		}
	}
}

// delivered notes that the target received a batch at a time. What was noted since then remains due.
func (l *ledger) delivered(b batch, at time.Time) {
	l.last = at
	for i := range b.ended {
		l.learned(b.ended[i].subject(), nil, at)
	}
	for i := range b.begun {
		l.learned(b.begun[i].subject(), &b.begun[i], at)
	}
}

func (l *ledger) learned(s subject, sent *notice, at time.Time) {
	x := l.subjects[s]
	if x == nil { // it has gone while it was reported
		x = &entry{since: at}
	}
	if x.sent, x.differs = sent, at; s.event != "" && sent != nil {
		x.until = at.Add(eventLasts)
	}
	l.keep(s, x)
}

// next returns when something may be due if nothing happens until then; false: never.
func (l *ledger) next() (first time.Time, some bool) {
	sooner := func(at time.Time) {
		if !some || at.Before(first) {
			first, some = at, true
		}
	}
	reported := false
	for s, x := range l.subjects {
		at, differs := l.dueAt(x)
		switch {
		case differs:
			sooner(at)
		case s.event != "":
			sooner(x.until)
		}
		reported = reported || x.sent != nil
	}
	if reported && l.again > 0 {
		sooner(l.last.Add(l.again))
	}
	if earliest := l.last.Add(l.interval); some && !l.last.IsZero() && first.Before(earliest) {
		first = earliest
	}
	return first, some
}
