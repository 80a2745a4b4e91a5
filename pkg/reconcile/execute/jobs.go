package execute

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// DefaultJobs is how many jobs move data at once by default: two, and a
// small one beside them.
const DefaultJobs = 3

// smallJob is how much a job may have to do, in bytes, to be given the slot that big
// ones never get: it takes seconds.
const smallJob = 1 << 30

// jobs are the jobs of an [Executor], guarded by its mutex.
type jobs struct {
	// byLane are those that have not ended, and those of which no plan has taken up how
	// they ended.
	byLane map[string]*job
	// queue are those that wait for a slot.
	queue queue
	// big and all are how many have a slot.
	big, all int

	// tell is that of tellProgress; it is called with the mutex held.
	tell func(lane string, p *status.Progress)
	now  func() time.Time // nil: time.Now
}

// job is a job that was begun.
type job struct {
	step   plan.Step
	change change.Job
	// cancel ends it.
	cancel context.CancelFunc
	// slot is closed when it has got one, and has is true as long as it has it.
	slot chan struct{}
	has  bool
	// queued is true while it waits for one, and number is when it came.
	queued bool
	number int
	// unwanted: there is no step for it any more. How it ends is nobody's business.
	unwanted bool
	ended    bool
	err      error // of one that ended
	told     time.Time
}

func (j *job) lane() string { return j.change.Lane() }

func (j *job) small() bool { return 0 < j.change.Bytes() && j.change.Bytes() <= smallJob }

// JobsUnderWay returns how many jobs have been begun of which no plan has taken up yet how
// they ended.
func (x *Executor) JobsUnderWay() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.jobs.byLane)
}

// takeUp compares the jobs that there are with the steps of a plan: begins what is
// missing, ends what is not wanted any more, unless keep is true, and settles the steps.
func (x *Executor) takeUp(ctx context.Context, r *execution, steps []plan.Step, keep bool) {
	if !keep {
		x.endAllBut(steps)
	}
	seen := map[string]bool{}
	for _, s := range steps {
		lane := s.Change.Lane()
		if seen[lane] {
			r.settle(ErrUnfinished, s) // its turn comes in a later plan
			continue
		}
		seen[lane] = true
		switch known, err := x.outcome(s); {
		case known:
			r.settle(err, s)
		case r.held[s.Object]:
			r.settle(ErrHeld, s)
		default:
			x.beginJob(ctx, r, s)
		}
	}
}

// endAllBut ends the jobs that none of the steps is for.
func (x *Executor) endAllBut(steps []plan.Step) {
	wanted := map[string]bool{}
	for _, s := range steps {
		wanted[s.Change.Lane()] = true
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for lane, j := range x.jobs.byLane {
		if !wanted[lane] {
			x.drop(j)
		}
	}
}

// drop ends a job, or forgets how it ended. The mutex is held.
func (x *Executor) drop(j *job) {
	if j.ended {
		delete(x.jobs.byLane, j.lane())
		return
	}
	j.unwanted = true
	j.cancel()
}

// outcome returns what is known of the job of a step. What has ended is forgotten
// with that.
func (x *Executor) outcome(s plan.Step) (known bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	j := x.jobs.byLane[s.Change.Lane()]
	switch {
	case j == nil:
		return false, nil
	case !change.SameJob(j.change, s.Change.(change.Job)):
		x.drop(j)
		// What is to be done instead must not run beside it.
		return !j.ended, ErrUnfinished
	case !j.ended:
		return true, ErrUnfinished
	}
	delete(x.jobs.byLane, j.lane())
	if j.err == nil {
		// It ended while this plan was made, as a rule. If not, and it does not do what
		// the plan thinks, it must not be done over and over.
		j.err = fmt.Errorf("%w: %s was done", change.ErrStale, j.change)
	}
	return true, j.err
}

// Unfinished returns the steps of a plan that wait for jobs which are under way.
func (x *Executor) Unfinished(p plan.Plan) map[plan.StepID]error {
	x.mu.Lock()
	defer x.mu.Unlock()
	waiting := map[plan.StepID]error{}
	if len(x.jobs.byLane) == 0 {
		return waiting
	}
	for _, s := range p.Steps {
		if j := x.jobs.byLane[s.Change.Lane()]; j != nil && !j.ended {
			waiting[s.ID] = ErrUnfinished
		}
		if slices.ContainsFunc(s.Needs, func(n plan.StepID) bool { return waiting[n] != nil }) {
			waiting[s.ID] = ErrNeeds
		}
	}
	return waiting
}

// beginJob begins the job of a step, whose lane is free. The step is unfinished as soon
// as what it needs was done.
func (x *Executor) beginJob(ctx context.Context, r *execution, s plan.Step) {
	actuator, ok := r.actuators[s.Change.System()]
	if !ok {
		r.settle(fmt.Errorf("no actuator for %s", s.Change.System()), s)
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	j := &job{step: s, change: s.Change.(change.Job), cancel: cancel}
	x.mu.Lock()
	if x.jobs.byLane == nil {
		x.jobs.byLane = map[string]*job{}
	}
	x.jobs.byLane[j.lane()] = j
	x.mu.Unlock()
	x.running.Go(func() {
		defer cancel()
		err := r.needs(s)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			x.forget(j)
			if r.isOver() {
				x.free() // a newer plan may have found it, and counts on it
			}
			r.settle(err, s)
			return
		}
		r.settle(ErrUnfinished, s)
		if err = x.awaitSlot(ctx, j); err == nil {
			working := change.WithProgress(ctx, func(p change.Progress) { x.progress(j, p) })
			err = actuator.Apply(change.WithAside(working, func(wait func() error) error { return x.aside(ctx, j, wait) }), j.change)
			x.leaveSlot(j)
		}
		cancelled := err != nil && ctx.Err() != nil
		if r.done != nil && !cancelled {
			r.done(s, err)
		}
		x.endJob(j, err, cancelled)
	})
}

// forget lets go of a job that never began.
func (x *Executor) forget(j *job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.jobs.byLane, j.lane())
}

// endJob keeps how a job ended for the next plan that has a step for it. One that was
// cancelled did not fail.
func (x *Executor) endJob(j *job, err error, cancelled bool) {
	x.mu.Lock()
	j.ended, j.err = true, err
	if x.jobs.tell != nil {
		x.jobs.tell(j.lane(), nil)
	}
	if j.unwanted || cancelled {
		delete(x.jobs.byLane, j.lane())
	}
	x.mu.Unlock()
	x.free()
}

// awaitSlot waits until a job may move data, or ctx ends.
func (x *Executor) awaitSlot(ctx context.Context, j *job) error {
	x.mu.Lock()
	j.slot = make(chan struct{})
	x.jobs.queue.add(j)
	x.giveSlots()
	waits := j.queued
	x.mu.Unlock()
	if waits {
		x.waitsForSlot(j)
	}
	select {
	case <-j.slot:
		return nil
	case <-ctx.Done():
	}
	x.mu.Lock()
	j.queued = false
	x.mu.Unlock()
	x.leaveSlot(j)
	return ctx.Err()
}

// aside lets a job wait for something without its slot, see [change.Aside].
func (x *Executor) aside(ctx context.Context, j *job, wait func() error) error {
	x.leaveSlot(j)
	if err := wait(); err != nil {
		return err
	}
	return x.awaitSlot(ctx, j)
}

// leaveSlot gives a job's slot, if it has one, to the next one.
func (x *Executor) leaveSlot(j *job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !j.has {
		return
	}
	j.has = false
	x.jobs.all--
	if !j.small() {
		x.jobs.big--
	}
	x.giveSlots()
}

// giveSlots gives what slots are free to those that came first. Big jobs never get
// the last one, if there are several. The mutex is held.
func (x *Executor) giveSlots() {
	slots := x.Jobs
	if slots <= 0 {
		slots = DefaultJobs
	}
	forBig := max(1, slots-1)
	for x.jobs.all < slots {
		j := x.jobs.queue.next(x.jobs.big < forBig)
		if j == nil {
			return
		}
		x.jobs.all++
		if !j.small() {
			x.jobs.big++
		}
		j.has = true
		close(j.slot)
	}
}

// queue are jobs in the order in which they came, small ones and big ones apart. There may
// be as many as there are volumes. Those that do not wait any more are passed over.
type queue struct {
	small, big []*job
	came       int
}

func (q *queue) add(j *job) {
	q.came++
	j.queued, j.number = true, q.came
	if j.small() {
		q.small = append(q.small, j)
	} else {
		q.big = append(q.big, j)
	}
}

// next takes out the job that came first, nil if there is none.
func (q *queue) next(big bool) *job {
	q.small, q.big = waiting(q.small), waiting(q.big)
	from := &q.small
	if big && len(q.big) > 0 && (len(q.small) == 0 || q.big[0].number < q.small[0].number) {
		from = &q.big
	}
	if len(*from) == 0 {
		return nil
	}
	j := (*from)[0]
	*from = (*from)[1:]
	j.queued = false
	return j
}

// waiting returns jobs from the first one on that still waits.
func waiting(jobs []*job) []*job {
	for len(jobs) > 0 && !jobs[0].queued {
		jobs = jobs[1:]
	}
	return jobs
}

// tellEvery is how often a job's progress is shown at most. Every time wakes all that
// watch.
const tellEvery = time.Second

// TellProgress makes tell learn how far jobs have come, by lane, from several goroutines at
// once; nil: the job has ended.
func (x *Executor) TellProgress(tell func(lane string, p *status.Progress)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.jobs.tell = tell
}

// progress tells how far a job has come, unless that was told just now.
func (x *Executor) progress(j *job, p change.Progress) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now
	if x.jobs.now != nil {
		now = x.jobs.now
	}
	t := now()
	if x.jobs.tell == nil || j.ended || !j.told.IsZero() && t.Sub(j.told) < tellEvery {
		return
	}
	j.told = t
	x.jobs.tell(j.lane(), &status.Progress{
		Type: change.Name(j.change), Summary: j.change.String(), Object: j.step.Object,
		Done: p.Done, Total: p.Total, Rate: p.Rate, LeftSeconds: int64(p.Left.Round(time.Second).Seconds()),
	})
}

// waitsForSlot tells that a job waits for others. Progress is told at once after it.
func (x *Executor) waitsForSlot(j *job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.jobs.tell != nil && j.queued {
		x.jobs.tell(j.lane(), &status.Progress{
			Type: change.Name(j.change), Summary: j.change.String(), Object: j.step.Object,
			Waiting: true, Total: j.change.Bytes(),
		})
	}
}
