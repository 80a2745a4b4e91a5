package execute

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Executor applies plans.
type Executor struct {
	// Actuators apply the changes to each system.
	Actuators map[observe.System]change.Actuator
	// Patience is how long a plan is waited for; 0: for ever. A change that takes longer continues
	// on its own: a hang in one volume group must not delay the others.
	Patience time.Duration
	// OneByOne applies the steps in the order of the plan, not lanes side by side, and waits for
	// each, jobs included.
	OneByOne bool
	// Hold, if not nil, says which steps it is too early for, like those of objects in backingOff. It
	// is called from several goroutines at once.
	Hold func(plan.Step) bool
	// Jobs is how many jobs move data at once; 0: [DefaultJobs].
	Jobs int

	running sync.WaitGroup
	mu      sync.Mutex
	busy    map[string]bool // lanes with a change that continues on its own
	freed   chan struct{}
	jobs    jobs
}

// Errors of steps that were not tried, or whose outcome is not known yet.
var (
	// ErrBackingOff means that the step's object failed, and is not retried yet.
	ErrBackingOff = errors.New("waiting for the next attempt")
	// ErrNeeds means that a step it needs did not succeed.
	ErrNeeds = errors.New("needs a step that did not succeed")
	// ErrUnfinished means that a change in the step's lane is still being made. For a job
	// that is normal.
	ErrUnfinished = errors.New("an earlier change is still running")
)

// Execute applies a plan and returns the error of every step that did not succeed. It tries all
// steps except those that need one of these, and those of objects in backingOff. done, if not nil,
// is called with every step that was tried, from several goroutines at once. Steps that are no
// longer waited for use both after Execute has returned, so backingOff must not be changed.
//
// Steps of one lane run one after the other in the order of the plan, or together where the actuator
// is a [change.Batcher]; lanes run side by side. No step waits for a later one, so there is no
// deadlock. When ctx ends, steps that have not begun fail with its error, and so do jobs.
//
// A [change.Job] is begun and not waited for. Its step is unfinished, in this plan and in later
// ones, until a plan finds that it has ended. If it failed, its error is the step's in that plan,
// and the plan after it begins the job again. A job without a step in a plan is cancelled.
func (x *Executor) Execute(ctx context.Context, p plan.Plan, backingOff map[spec.ID]bool, done func(plan.Step, error)) map[plan.StepID]error {
	waitedFor, abandon := context.WithCancel(ctx)
	defer abandon()
	r := &execution{
		actuators: x.Actuators, backingOff: backingOff, hold: x.Hold, done: done, waitedFor: waitedFor, abandon: abandon,
		outcomes: make(map[plan.StepID]*stepOutcome, len(p.Steps)),
	}
	lanes := map[string][]plan.Step{}
	var jobs []plan.Step
	for _, s := range p.Steps {
		r.outcomes[s.ID] = &stepOutcome{known: make(chan struct{})}
		_, isJob := s.Change.(change.Job)
		switch lane := s.Change.Lane(); {
		case x.OneByOne:
			lanes[""] = append(lanes[""], s)
		case isJob:
			jobs = append(jobs, s)
		default:
			lanes[lane] = append(lanes[lane], s)
		}
	}
	x.syncJobs(ctx, r, jobs, p.KeepJobs)
	for lane, steps := range lanes {
		if !x.begin(lane) {
			r.settle(ErrUnfinished, steps...)
			continue
		}
		x.running.Go(func() {
			if late := r.lane(ctx, steps, func() { x.end(lane) }); late {
				x.free()
			}
		})
	}
	r.wait(p.Steps, x.Patience)
	return r.failures()
}

// Wait waits until all changes have ended, jobs included.
func (x *Executor) Wait() { x.running.Wait() }

// Freed returns a channel that receives when a change has ended that was not waited for: a new
// pass is due.
func (x *Executor) Freed() <-chan struct{} { return x.signal() }

// free makes [Executor.Freed] receive.
func (x *Executor) free() {
	select {
	case x.signal() <- struct{}{}:
	default: // the last one was not taken yet: one is as good as two
	}
}

func (x *Executor) signal() chan struct{} {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.freed == nil {
		x.freed = make(chan struct{}, 1)
	}
	return x.freed
}

// begin takes a lane. It reports false if a change in it has not ended.
func (x *Executor) begin(lane string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.busy[lane] {
		return false
	}
	if x.busy == nil {
		x.busy = map[string]bool{}
	}
	x.busy[lane] = true
	return true
}

// Busy returns the lanes in which a change continues that no plan waits for any more. Call it
// before observing the machine: a change that ends in between must not look unfinished.
func (x *Executor) Busy() map[string]bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return maps.Clone(x.busy)
}

func (x *Executor) end(lane string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.busy, lane)
}

// execution is a plan that is being applied.
type execution struct {
	actuators  map[observe.System]change.Actuator
	backingOff map[spec.ID]bool
	hold       func(plan.Step) bool
	done       func(plan.Step, error)
	// waitedFor ends with the context of the plan, and when the plan is abandoned.
	waitedFor context.Context
	abandon   context.CancelFunc

	mu       sync.Mutex
	outcomes map[plan.StepID]*stepOutcome
	// abandoned is set when the plan is no longer waited for. Steps that have not begun by then
	// are left to a newer plan.
	abandoned bool
}

// stepOutcome is the outcome of a step.
type stepOutcome struct {
	known chan struct{} // closed when err is set for good
	err   error
}

// wait returns when the outcomes of all steps are known. After patience those that are not are
// unfinished.
func (r *execution) wait(steps []plan.Step, patience time.Duration) {
	var late <-chan time.Time
	if patience > 0 {
		timer := time.NewTimer(patience)
		defer timer.Stop()
		late = timer.C
	}
	for _, s := range steps {
		select {
		case <-r.outcomes[s.ID].known:
		case <-late:
			r.mu.Lock()
			r.abandoned = true
			r.mu.Unlock()
			r.abandon()
			r.settle(ErrUnfinished, steps...)
			return
		}
	}
}

// settle sets the outcome of steps, unless it is known already.
func (r *execution) settle(err error, steps ...plan.Step) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range steps {
		o := r.outcomes[s.ID]
		select {
		case <-o.known:
		default:
			o.err = err
			close(o.known)
		}
	}
}

// lane applies the steps of one lane and calls end after the last one, before its outcome is
// known: the next plan must find the lane free. It reports whether the plan was abandoned.
func (r *execution) lane(ctx context.Context, steps []plan.Step, end func()) (late bool) {
	for len(steps) > 0 {
		errs := r.next(ctx, steps)
		if len(errs) == len(steps) {
			end()
		}
		for i, err := range errs {
			r.settle(err, steps[i])
		}
		steps = steps[len(errs):]
	}
	return r.isOver()
}

func (r *execution) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.abandoned
}

// next applies the first of some steps, and with it those after it that can be made together. It
// returns the error of each.
func (r *execution) next(ctx context.Context, steps []plan.Step) []error {
	actuator, err := r.begin(ctx, steps[0])
	if err != nil {
		return []error{err}
	}
	if batcher, ok := actuator.(change.Batcher); ok {
		if n := batcher.Batch(changesOf(r.ready(steps))); n > 1 {
			return r.batch(ctx, batcher, steps[:n])
		}
	}
	err = actuator.Apply(ctx, steps[0].Change)
	r.report(steps[0], err)
	return []error{err}
}

// begin waits until a step can be applied, and returns who does.
func (r *execution) begin(ctx context.Context, s plan.Step) (change.Actuator, error) {
	if err := r.awaitNeeds(s); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if r.isOver() {
		return nil, ErrUnfinished
	}
	if r.isBackingOff(s) {
		return nil, ErrBackingOff
	}
	actuator, ok := r.actuators[s.Change.System()]
	if !ok {
		return nil, fmt.Errorf("no actuator for %s", s.Change.System())
	}
	return actuator, nil
}

func (r *execution) isBackingOff(s plan.Step) bool {
	return !s.AtOnce && r.backingOff[s.Object] || r.hold != nil && r.hold(s)
}

func (r *execution) report(s plan.Step, err error) {
	if r.done != nil {
		r.done(s, err)
	}
}

// awaitNeeds waits for the steps that a step needs.
func (r *execution) awaitNeeds(s plan.Step) error {
	for _, n := range s.Needs {
		need := r.outcomes[n]
		<-need.known
		if need.err != nil {
			return fmt.Errorf("%w: step %d", ErrNeeds, n)
		}
	}
	return nil
}

func (r *execution) failures() map[plan.StepID]error {
	r.mu.Lock()
	defer r.mu.Unlock()
	failed := map[plan.StepID]error{}
	for id, o := range r.outcomes {
		if o.err != nil {
			failed[id] = o.err
		}
	}
	return failed
}
