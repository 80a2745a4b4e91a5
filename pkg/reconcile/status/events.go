package status

import (
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// EventType says what became of an object.
type EventType string

// The types of events.
const (
	Changed        EventType = "Changed"        // its phase or reason is another one, or it is new
	DriftCorrected EventType = "DriftCorrected" // somebody else had changed it, and it is as declared again
	Deleted        EventType = "Deleted"        // nothing is left of it
)

// EventTypes are all types of events.
func EventTypes() []EventType { return []EventType{Changed, DriftCorrected, Deleted} }

// Event is something that became of an object.
type Event struct {
	// ID grows from one event to the next, also if the agent is started again: it is a number of
	// microseconds since 1970 or a little more.
	ID   int64     `json:"id"`
	Time time.Time `json:"time"`
	Type EventType `json:"type"`
	Kind spec.Kind `json:"kind"`
	Name string    `json:"name"`
	// Phase, Reason and Message are those of the object now; of a deleted one, the last ones.
	Phase   Phase  `json:"phase"`
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	// PreviousPhase and PreviousReason are those before; empty: the object is new.
	PreviousPhase  Phase  `json:"previousPhase,omitempty"`
	PreviousReason string `json:"previousReason,omitempty"`
	// Change is how a drift was corrected, and By who had caused it; nil: the kernel did not say.
	Change string `json:"change,omitempty"`
	By     *Actor `json:"by,omitempty"`
	// Labels are those of the object.
	Labels map[string]string `json:"labels,omitempty"`
}

// Object names the object.
func (e Event) Object() spec.ID { return spec.ID{Kind: e.Kind, Name: e.Name} }

// edges returns what became of objects between two reports, which are sorted, without IDs. What is
// as it should be when the agent is started has not become so.
func edges(before, after []Object, first bool, now time.Time) []Event {
	var events []Event
	add := func(o, old *Object, kind EventType) {
		e := Event{
			Time: now, Type: kind, Kind: o.Kind, Name: o.Name, Phase: o.Phase, Reason: o.Reason, Message: o.Message, Labels: o.Labels,
		}
		if old != nil {
			e.PreviousPhase, e.PreviousReason = old.Phase, old.Reason
		}
		if kind == DriftCorrected {
			e.Time, e.Change, e.By = o.Drift.Time, o.Drift.Change, o.Drift.By
		}
		events = append(events, e)
	}
	place := placesIn(before)
	kept := 0
	for i := range after {
		o := &after[i]
		var old *Object
		if n, existed := place(i, o.ID()); existed {
			old = &before[n]
			kept++
		}
		if o.Drift != nil && (old == nil || old.Drift == nil || old.Drift.Corrected != o.Drift.Corrected) {
			add(o, old, DriftCorrected)
		}
		switch {
		case old != nil && old.Phase == o.Phase && old.Reason == o.Reason:
		case first && o.Phase == Ready:
		default:
			add(o, old, Changed)
		}
	}
	if kept == len(before) {
		return events
	}
	place = placesIn(after)
	for i := range before {
		if _, exists := place(i, before[i].ID()); !exists {
			add(&before[i], &before[i], Deleted)
		}
	}
	return events
}

// MaxEvents is how many events are kept. Whoever is given as many may have missed some.
const MaxEvents = 1000

// history are the last events. It belongs to a [Board], whose lock the callers hold.
type history struct {
	events []Event
	last   int64 // the ID of the last event
	added  chan struct{}
}

// add numbers events and adds them.
func (h *history) add(events []Event, now time.Time) {
	if len(events) == 0 {
		return
	}
	for i := range events {
		h.last = max(h.last+1, now.UnixMicro())
		events[i].ID = h.last
	}
	h.events = append(h.events, events...)
	if excess := len(h.events) - MaxEvents; excess > 0 {
		h.events = slices.Delete(h.events, 0, excess)
	}
	if h.added != nil {
		close(h.added)
		h.added = nil
	}
}

// Events returns those of the last 1,000 events whose ID is greater than since, the oldest first, and
// a channel that is closed when there are more.
func (s *Board) Events(since int64) ([]Event, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := &s.history
	if h.added == nil {
		h.added = make(chan struct{})
	}
	first, _ := slices.BinarySearchFunc(h.events, since+1, func(e Event, id int64) int { return int(e.ID - id) })
	return slices.Clone(h.events[first:]), h.added
}
