package reconcile

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// The delays between the attempts at an object that fails.
const (
	firstDelay = time.Second
	maxDelay   = 5 * time.Minute
	// jitter is the share by which a delay is varied, so that objects which failed together are
	// not all retried together.
	jitter = 0.2
)

// attempts remembers which objects failed, and when to retry them. It is not for concurrent use.
type attempts struct {
	failed map[spec.ID]attempt
	// stale is the number of passes in a row in which an object's plan was stale.
	stale map[spec.ID]int
}

// maxStale is how often in a row a plan may be stale before that is a failure.
const maxStale = 3

type attempt struct {
	count int
	next  time.Time
	err   error
	step  change.Change
	// due: the time of its retry came during the last pass, which still skipped it.
	due bool
	// trying: the step is a job that was begun again and has not ended.
	trying bool
	// spec is the declaration with which the object failed: once that changes, it is retried at
	// once.
	spec any
}

// isBackingOff reports whether it is too early to retry an object.
func (a *attempts) isBackingOff(id spec.ID, now time.Time) bool { return now.Before(a.failed[id].next) }

// backingOff returns all objects that it is too early to retry.
func (a *attempts) backingOff(now time.Time) map[spec.ID]bool {
	all := map[spec.ID]bool{}
	for id := range a.failed {
		if a.isBackingOff(id, now) {
			all[id] = true
		}
	}
	return all
}

// forgetChanged drops the delays of objects whose declaration has changed.
func (a *attempts) forgetChanged(set spec.Set) {
	for id, f := range a.failed {
		if !sameObject(f.spec, set.Object(id)) {
			delete(a.failed, id)
		}
	}
}

// isStale reports whether a step was planned for a state that has changed since. The next plan is
// made for the new state.
func isStale(err error) bool {
	return errors.Is(err, change.ErrStale) || errors.Is(err, change.ErrSessions)
}

// isFailure reports whether a step was tried and did not succeed.
func isFailure(err error) bool {
	return err != nil && !errors.Is(err, execute.ErrBackingOff) && !errors.Is(err, execute.ErrNeeds) && !errors.Is(err, execute.ErrUnfinished) && !isStale(err)
}

// record notes the outcome of a plan.
func (a *attempts) record(plan plan.Plan, failures map[plan.StepID]error, set spec.Set, now time.Time) {
	if a.failed == nil {
		a.failed = map[spec.ID]attempt{}
	}
	last := map[spec.ID]attempt{}
	stale := map[spec.ID]int{}
	skipped, waiting := map[spec.ID]bool{}, map[spec.ID]bool{}
	running := map[string]bool{} // lanes of jobs that have not ended
	for _, s := range plan.Steps {
		err := failures[s.ID]
		switch {
		case errors.Is(err, execute.ErrBackingOff):
			skipped[s.Object] = true
		case errors.Is(err, execute.ErrNeeds), errors.Is(err, execute.ErrUnfinished):
			waiting[s.Object] = true
			if _, isJob := s.Change.(change.Job); isJob && errors.Is(err, execute.ErrUnfinished) {
				running[s.Change.Lane()] = true
				// Between two passes in which a job was stale there is one that begins it.
				stale[s.Object] = max(stale[s.Object], a.stale[s.Object])
			}
		case err == nil:
		case isStale(err) && a.stale[s.Object] < maxStale:
			// A stale step is no failure: the next pass plans it again. But a step that is
			// stale again and again has another cause.
			stale[s.Object] = a.stale[s.Object] + 1
		case last[s.Object].err == nil:
			last[s.Object] = attempt{err: err, step: s.Change}
		default:
			f := last[s.Object]
			f.err = errors.Join(f.err, err)
			last[s.Object] = f
		}
	}
	for id, f := range a.failed {
		over := !a.isBackingOff(id, now)
		switch _, again := last[id]; {
		case again:
		case skipped[id]:
			f.due = over
			a.failed[id] = f
		case over && running[f.step.Lane()]:
			// If this attempt fails too, the count continues.
			f.due, f.trying = false, true
			a.failed[id] = f
		case !waiting[id] || over:
			// A step that waited although its retry was due waits for another object.
			delete(a.failed, id)
		}
	}
	for id := range last {
		stale[id] = a.stale[id]
	}
	a.stale = stale
	for id, f := range last {
		f.count = a.failed[id].count + 1
		f.next = now.Add(delay(f.count))
		f.spec = set.Object(id)
		a.failed[id] = f
	}
}

// next returns when the first of the failed objects is retried. Those that were due were tried:
// they wait for something else.
func (a *attempts) next(now time.Time) (time.Time, bool) {
	var first time.Time
	for _, f := range a.failed {
		if f.due {
			return now, true
		}
		if f.next.After(now) && (first.IsZero() || f.next.Before(first)) {
			first = f.next
		}
	}
	return first, !first.IsZero()
}

func delay(count int) time.Duration {
	d := maxDelay
	if count < 10 {
		d = min(maxDelay, firstDelay<<(count-1))
	}
	return time.Duration(float64(d) * (1 - jitter + 2*jitter*rand.Float64()))
}
