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
	// Patience is how long a plan is waited for; 0: for ever. A change that takes
	// longer goes on by itself: what hangs in one volume group must not keep the
	// others waiting.
	Patience time.Duration
	// OneByOne applies the steps in the order of the plan instead of lane beside
	// lane, and waits for each, jobs included.
	OneByOne bool
	// Jobs is how many jobs move data at once; 0: [DefaultJobs].
	Jobs int

	running sync.WaitGroup
	mu      sync.Mutex
	busy    map[string]bool // lanes with a change that goes on by itself
	freed   chan struct{}
	jobs    jobs
}

// Errors of steps that were not tried, or of which nothing is known yet.
var (
	// ErrHeld means that the step's object waits for its next attempt.
	ErrHeld = errors.New("waiting for the next attempt")
	// ErrNeeds means that a step it needs did not succeed.
	ErrNeeds = errors.New("needs a step that did not succeed")
	// ErrUnfinished means that a change in the step's lane is still being made. Of a
	// job that is how it should be.
	ErrUnfinished = errors.New("an earlier change is still running")
)

// Execute applies a plan and returns the error of every step that did not
// succeed; all steps are tried but those that need one of these, and those of
// held objects. done, if not nil, is called with every step that was tried, from
// several goroutines at once. Steps that are not waited for any more use both after
// Execute has returned, so held is not to be changed.
//
// Steps of one lane run one after the other in the order of the plan; lanes run
// side by side. No step waits for a later one, so there is no deadlock. When ctx
// ends, steps that have not begun fail with its error, and so do jobs.
//
// A [change.Job] is begun and not waited for: its step is unfinished, in this plan and in
// those that follow, until one finds that it has ended. If that was with an error,
// it is the step's in that plan, and the one after begins it again. A job that a
// plan has no step for is ended.
func (x *Executor) Execute(ctx context.Context, p plan.Plan, held map[spec.ID]bool, done func(plan.Step, error)) map[plan.StepID]error {
	r := &execution{
		actuators: x.Actuators, held: held, done: done,
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
	x.takeUp(ctx, r, jobs, p.KeepJobs)
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

// Freed returns a channel that receives when a change has ended that was not
// waited for: a new pass is due.
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

// Busy returns the lanes in which a change continues that no plan waits for any more. Ask
// before looking at the machine: what ends in between must not pass for not done.
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
	actuators map[observe.System]change.Actuator
	held      map[spec.ID]bool
	done      func(plan.Step, error)

	mu       sync.Mutex
	outcomes map[plan.StepID]*stepOutcome
	// over is set when the plan is no longer waited for. What has not begun by
	// then is left to a newer plan.
	over bool
}

// stepOutcome is what became of a step.
type stepOutcome struct {
	known chan struct{} // closed when err is set for good
	err   error
}

// wait returns when the outcomes of all steps are known. Those that are not
// after patience are unfinished.
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
			r.over = true
			r.mu.Unlock()
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

// lane applies the steps of one lane and calls end after the last one, before anybody
// knows of it: the next plan must find the lane free. It reports whether nobody waited
// for them any more.
func (r *execution) lane(ctx context.Context, steps []plan.Step, end func()) (late bool) {
	for i, s := range steps {
		err := r.step(ctx, s)
		if i == len(steps)-1 {
			end()
		}
		r.settle(err, s)
	}
	return r.isOver()
}

func (r *execution) isOver() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

func (r *execution) step(ctx context.Context, s plan.Step) error {
	if err := r.needs(s); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if r.isOver() {
		return ErrUnfinished
	}
	if !s.AtOnce && r.held[s.Object] {
		return ErrHeld
	}
	actuator, ok := r.actuators[s.Change.System()]
	if !ok {
		return fmt.Errorf("no actuator for %s", s.Change.System())
	}
	err := actuator.Apply(ctx, s.Change)
	if r.done != nil {
		r.done(s, err)
	}
	return err
}

// needs waits for the steps that a step needs.
func (r *execution) needs(s plan.Step) error {
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
