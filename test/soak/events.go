package soak

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// knowledge is how an agent learns what has changed.
type knowledge int

const (
	// polled: it reads everything, again and again.
	polled knowledge = iota
	// It reads what events say.
	_
	// halfTold: some events are lost.
	halfTold
)

func (m *Memory) knowledge() knowledge { return knowledge(m.seed / 2 % 3) }

// agentProcess is the agent to the kernel.
var agentProcess = watch.Process{PID: 1000, Command: "volreconciler", UID: 0, LoginUID: -1, Own: true}

// lateEvents are events that arrive a moment after what they are of, as those of a kernel do. Some
// never arrive, alone or with all others of that moment.
type lateEvents struct {
	*fakehost.Events
	isLost  func(what string) bool
	arrived chan struct{}

	mu      sync.Mutex
	waiting []watch.Event
}

// lag is how late they are.
const lag = 20 * time.Millisecond

func newLateEvents(ctx context.Context, events *fakehost.Events, isLost func(what string) bool) *lateEvents {
	e := &lateEvents{Events: events, isLost: isLost, arrived: make(chan struct{}, 1)}
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-events.Changed():
			}
			sleep(lag)
			e.arrive(events.Take())
		}
	}()
	return e
}

func (e *lateEvents) arrive(events []watch.Event) {
	if e.isLost("all events") {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, event := range events {
		if !e.isLost("an event") {
			e.waiting = append(e.waiting, event)
		}
	}
	select {
	case e.arrived <- struct{}{}:
	default:
	}
}

// Changed is that of [reconcile.Events].
func (e *lateEvents) Changed() <-chan struct{} { return e.arrived }

// Take is that of [reconcile.Events].
func (e *lateEvents) Take() []watch.Event {
	e.mu.Lock()
	defer e.mu.Unlock()
	taken := e.waiting
	e.waiting = nil
	return taken
}

// rememberer is an observer that remembers. It knows whether everything was read since a pass began.
type rememberer struct {
	*observe.Observer

	mu sync.Mutex
	// pending is true if everything will be read, and full if it was.
	pending, full bool
}

var _ reconcile.RememberingObserver = (*rememberer)(nil)

// Forget is that of [reconcile.RememberingObserver].
func (r *rememberer) Forget(parts ...observe.Part) {
	r.mu.Lock()
	for _, p := range parts {
		r.pending = r.pending || p == observe.Everything
	}
	r.mu.Unlock()
	r.Observer.Forget(parts...)
}

// Audit is that of [reconcile.RememberingObserver].
func (r *rememberer) Audit() {
	r.mu.Lock()
	r.pending = true
	r.mu.Unlock()
	r.Observer.Audit()
}

// Observe is that of [reconcile.Observer].
func (r *rememberer) Observe(ctx context.Context, images ...string) observe.State {
	r.mu.Lock()
	r.full, r.pending = r.pending || r.full, false
	r.mu.Unlock()
	return r.Observer.Observe(ctx, images...)
}

// planned returns an error if a plan may do harm and follows from what is only remembered. A pass
// ends with it.
func (r *rememberer) planned(p plan.Plan) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	full := r.full
	r.full = false
	for _, s := range p.Steps {
		if !full && (s.Danger != plan.Harmless || len(s.Affects) > 0) {
			return fmt.Errorf("%s is planned by what is only remembered", s.Change)
		}
	}
	return nil
}

// listen has events wake a loop, and returns the machine as its agent changes it. The second
// function ends that.
func (m *Memory) listen(ctx context.Context, loop *reconcile.Loop, tap host.Host) (changing host.Host, end func()) {
	r := &rememberer{Observer: observe.New(tap)}
	r.Remember()
	source := m.Watch()
	events := newLateEvents(ctx, source, func(what string) bool { return m.knowledge() == halfTold && m.delay(what)%3 == 0 })
	loop.Observer, loop.Events, loop.Audit = r, events, audit
	loop.OnPlan = func(p plan.Plan) {
		err := r.planned(p)
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.wrong == nil {
			m.wrong = err
		}
	}
	return &host.Announced{
		Host: tap, Changed: func(path string) { r.Observer.Forget(observe.Part(path)) }, Ran: func() { r.Observer.Forget(observe.AllOfLVM) },
	}, func() { m.Unwatch(source) }
}
