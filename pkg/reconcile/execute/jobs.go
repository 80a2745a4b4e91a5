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

// DefaultJobs is how many jobs copy data at once by default: two, and a small one beside them.
const DefaultJobs = 3

// smallJob is the largest size of a job, in bytes, that may use the slot reserved for small jobs:
// it takes seconds.
const smallJob = 1 << 30

// jobs are the jobs of an [Executor], guarded by its mutex.
type jobs struct {
	// byLane are those that have not ended, and those whose end no plan has seen yet.
	byLane map[string]*job
	// queue are those that wait for a slot.
	queue queue
	// big and all are the numbers of jobs with a slot.
	big, all int

	// report is that of OnProgress; it is called with the mutex held.
	report func(lane string, p *status.Progress)
	now    func() time.Time // nil: time.Now
}

// job is a job that was begun.
type job struct {
	step   plan.Step
	change change.Job
	// cancel ends it.
	cancel context.CancelFunc
	// slot is closed when the job receives a slot, and hasSlot is true while it has one.
	slot    chan struct{}
	hasSlot bool
	// queued is true while it waits for a slot, and number is its position in the order of
	// arrival.
	queued bool
	number int
	// unwanted: no step needs it any more. Its outcome is dropped.
	unwanted   bool
	ended      bool
	err        error // of one that ended
	lastReport time.Time
}

func (j *job) lane() string { return j.change.Lane() }

func (j *job) isSmall() bool { return 0 < j.change.Bytes() && j.change.Bytes() <= smallJob }

// JobsUnderWay returns the number of jobs whose end no plan has seen yet.
func (x *Executor) JobsUnderWay() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.jobs.byLane)
}

// syncJobs compares the jobs with the steps of a plan: it begins missing ones, cancels those
// without a step, unless keep is true, and settles the steps.
func (x *Executor) syncJobs(ctx context.Context, r *execution, steps []plan.Step, keep bool) {
	if !keep {
		x.endAllBut(steps)
	}
	seen := map[string]bool{}
	for _, s := range steps {
		lane := s.Change.Lane()
		if seen[lane] {
			r.settle(ErrUnfinished, s) // a later plan begins it
			continue
		}
		seen[lane] = true
		switch known, err := x.outcome(s); {
		case known:
			r.settle(err, s)
		case r.backingOff[s.Object]:
			r.settle(ErrBackingOff, s)
		default:
			x.beginJob(ctx, r, s)
		}
	}
}

// endAllBut cancels the jobs without a step.
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

// drop cancels a job, or forgets its outcome. The mutex is held.
func (x *Executor) drop(j *job) {
	if j.ended {
		delete(x.jobs.byLane, j.lane())
		return
	}
	j.unwanted = true
	j.cancel()
}

// outcome returns what is known of the job of a step. Once it has ended, it is forgotten with
// that.
func (x *Executor) outcome(s plan.Step) (known bool, err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	j := x.jobs.byLane[s.Change.Lane()]
	switch {
	case j == nil:
		return false, nil
	case !change.IsSameJob(j.change, s.Change.(change.Job)):
		x.drop(j)
		// The new job must not run beside it.
		return !j.ended, ErrUnfinished
	case !j.ended:
		return true, ErrUnfinished
	}
	delete(x.jobs.byLane, j.lane())
	if j.err == nil {
		// Usually it ended while this plan was made. If not, and it did not have the effect that
		// the plan expects, it must not be repeated for ever.
		j.err = fmt.Errorf("%w: %s was done", change.ErrStale, j.change)
	}
	return true, j.err
}

// Unfinished returns the steps of a plan that wait for jobs.
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

// beginJob begins the job of a step, whose lane is free. The step is unfinished once the steps
// that it needs have succeeded.
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
		err := r.awaitNeeds(s)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			x.forget(j)
			if r.isOver() {
				x.free() // a newer plan may wait for it
			}
			r.settle(err, s)
			return
		}
		r.settle(ErrUnfinished, s)
		if err = x.awaitSlot(ctx, j); err == nil {
			working := change.WithProgress(ctx, func(p change.Progress) { x.progress(j, p) })
			err = actuator.Apply(change.WithWaiter(working, func(wait func() error) error { return x.aside(ctx, j, wait) }), j.change)
			x.leaveSlot(j)
		}
		cancelled := err != nil && ctx.Err() != nil
		if r.done != nil && !cancelled {
			r.done(s, err)
		}
		x.endJob(j, err, cancelled)
	})
}

// forget removes a job that never began.
func (x *Executor) forget(j *job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	delete(x.jobs.byLane, j.lane())
}

// endJob keeps the outcome of a job for the next plan with a step for it. A cancelled job did not
// fail.
func (x *Executor) endJob(j *job, err error, cancelled bool) {
	x.mu.Lock()
	j.ended, j.err = true, err
	if x.jobs.report != nil {
		x.jobs.report(j.lane(), nil)
	}
	if j.unwanted || cancelled {
		delete(x.jobs.byLane, j.lane())
	}
	x.mu.Unlock()
	x.free()
}

// awaitSlot waits until a job may copy data, or ctx ends.
func (x *Executor) awaitSlot(ctx context.Context, j *job) error {
	x.mu.Lock()
	j.slot = make(chan struct{})
	x.jobs.queue.add(j)
	x.giveSlots()
	waits := j.queued
	x.mu.Unlock()
	if waits {
		x.reportWaiting(j)
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

// aside lets a job wait for something without its slot, see [change.WaitAside].
func (x *Executor) aside(ctx context.Context, j *job, wait func() error) error {
	x.leaveSlot(j)
	if err := wait(); err != nil {
		return err
	}
	return x.awaitSlot(ctx, j)
}

// leaveSlot passes a job's slot, if it has one, to the next job.
func (x *Executor) leaveSlot(j *job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !j.hasSlot {
		return
	}
	j.hasSlot = false
	x.jobs.all--
	if !j.isSmall() {
		x.jobs.big--
	}
	x.giveSlots()
}

// giveSlots gives free slots to the jobs that came first. Of several slots, big jobs never receive
// the last one. The mutex is held.
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
		if !j.isSmall() {
			x.jobs.big++
		}
		j.hasSlot = true
		close(j.slot)
	}
}

// queue are jobs in the order in which they came, small ones and big ones apart. There may be as
// many as volumes. Those that no longer wait are skipped.
type queue struct {
	small, big []*job
	came       int
}

func (q *queue) add(j *job) {
	q.came++
	j.queued, j.number = true, q.came
	if j.isSmall() {
		q.small = append(q.small, j)
	} else {
		q.big = append(q.big, j)
	}
}

// next removes and returns the job that came first; nil: there is none.
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

// waiting returns jobs from the first one that still waits.
func waiting(jobs []*job) []*job {
	for len(jobs) > 0 && !jobs[0].queued {
		jobs = jobs[1:]
	}
	return jobs
}

// reportInterval is how often a job's progress is reported at most. Every report wakes all
// readers.
const reportInterval = time.Second

// OnProgress sets the function that is called with the progress of jobs, by lane, from several
// goroutines at once; nil: the job has ended.
func (x *Executor) OnProgress(tell func(lane string, p *status.Progress)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.jobs.report = tell
}

// progress reports the progress of a job, unless it was reported just now.
func (x *Executor) progress(j *job, p change.Progress) {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now
	if x.jobs.now != nil {
		now = x.jobs.now
	}
	t := now()
	if x.jobs.report == nil || j.ended || !j.lastReport.IsZero() && t.Sub(j.lastReport) < reportInterval {
		return
	}
	j.lastReport = t
	x.jobs.report(j.lane(), &status.Progress{
		Type: change.Name(j.change), Summary: j.change.String(), Object: j.step.Object,
		Done: p.Done, Total: p.Total, Rate: p.Rate, LeftSeconds: int64(p.Left.Round(time.Second).Seconds()),
	})
}

// reportWaiting reports that a job waits for others. The progress after it is reported at once.
func (x *Executor) reportWaiting(j *job) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.jobs.report != nil && j.queued {
		x.jobs.report(j.lane(), &status.Progress{
			Type: change.Name(j.change), Summary: j.change.String(), Object: j.step.Object,
			Waiting: true, Total: j.change.Bytes(),
		})
	}
}
