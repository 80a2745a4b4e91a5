package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"slices"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// Source loads what is declared.
type Source interface {
	// Load returns all that is declared now. What cannot be read is a finding.
	Load(ctx context.Context) spec.Set
}

// Observer reads the machine.
type Observer interface {
	// Observe reads the machine, and checks the image files with these paths. What cannot be read
	// is unknown.
	Observe(ctx context.Context, images ...string) observe.State
}

// Loop is the main loop.
type Loop struct {
	Source   Source
	Observer Observer
	Executor *execute.Executor
	Memory   *Memory
	// Installation tells our logical volumes from those of others; nil: all with our tags are
	// ours.
	Installation *Installation
	Status       *status.Board
	Log          logr.Logger
	// Grace is how long an object must be undeclared, and the files complete without growing,
	// before anything of it is removed.
	Grace time.Duration
	// TrashSettle and MaxDeletions are those of [plan.Input].
	TrashSettle  time.Duration
	MaxDeletions int
	// TGT is that of [plan.Input].
	TGT bool
	// Repositories, if not nil, returns what is known of repositories. It does not wait for any.
	Repositories func(declared map[string]spec.Repository) map[string]observe.Repository
	// Discovery, if not nil, returns that of [plan.Input] in each pass. If it fails, discovery is
	// not changed.
	Discovery func() (*change.Auth, error)
	// Resync is the time between passes if nothing else starts one, where not every change of the
	// machine is announced, or something is waited for. Otherwise it is Audit.
	Resync time.Duration
	// Events, if not nil, tell what changes on the machine. A [RememberingObserver] then reads only that.
	Events Events
	// Audit is the time between passes that read everything although nothing is announced.
	Audit time.Duration
	// AfterPass, if not nil, is called when a pass has made its changes, to release what is needed
	// only for changes.
	AfterPass func()
	// OnPlan, if not nil, is called with every plan before it is applied.
	OnPlan func(plan.Plan)
	// OnStep, if not nil, is called with every step that was tried, from several goroutines at
	// once.
	OnStep func(plan.Step, error)
	// Meter, if not nil, is called with steps and passes.
	Meter Meter
	// Hangup, if not nil, makes the loop read everything again.
	Hangup <-chan os.Signal
	// Processes, if not nil, returns the number of processes started so far, and Commands how many commands
	// of the machine run now.
	Processes, Commands func() int64
	// Supervisor, if not nil, restarts the agent if the loop hangs.
	Supervisor Supervisor

	// Clock is the time; nil: the machine's.
	Clock func() time.Time

	lookout      lookout
	uptime       func() time.Duration // nil: the machine's
	clockWatch   clockWatch
	started      time.Time
	lastDeclared map[spec.ID]time.Time
	steady       steadiness
	last         spec.Set
	attempts     attempts
	repetition   repetition
	contention   contention
	sightings    sightings
	drifts       drifts
	unreadPasses int // passes in a row in which something could not be read
	inUsePasses  int // and in which something was in use
	unreadable   error
}

// Run converges the machine onto what is declared until ctx ends. A pass begins at once when wake
// fires, and from time to time otherwise. Events only start a pass: everything is compared again.
// Run returns when the changes that are being made have ended.
func (l *Loop) Run(ctx context.Context, wake <-chan struct{}) {
	defer l.Executor.Wait()
	var changed <-chan struct{}
	if l.Events != nil {
		changed = l.Events.Changed()
		l.Status.SetMaxAge(l.Resync)
	}
	timed := false
	beat, stop := l.heartbeat()
	defer stop()
	for {
		next := l.pass(ctx, timed)
		wait, heard := next, changed
		if deaf := l.lookout.noise.deafFor(time.Now(), l.Resync); deaf > 0 {
			wait, heard = min(next, deaf), nil
		}
		timer := time.NewTimer(wait)
		timed = false
		for waiting := true; waiting; {
			l.supervisor().Alive()
			waiting = false
			select {
			case <-beat:
				waiting = true
			case <-ctx.Done():
			case <-wake:
			case <-heard:
				// Who changes one thing mostly changes more.
				sleep(ctx, gather)
				select {
				case <-changed: // the pass takes these, too
				default:
				}
			case <-l.Executor.Freed():
			case <-l.Hangup:
				l.lookout.audited = time.Time{}
				l.supervisor().Reloading()
			case <-l.Status.Asked():
				l.lookout.asked = true
			case <-timer.C:
				timed = next > 0 && wait == next
			}
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// gather is how long more events are waited for after the first one.
const gather = 30 * time.Millisecond

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Pass does one round: load, observe, plan, execute, publish. It returns how long to wait before
// the next one if nothing else starts it; 0: it changed something, and the result must be checked.
func (l *Loop) Pass(ctx context.Context) time.Duration { return l.pass(ctx, true) }

// pass is Pass; timed is true if nothing started it but the time.
func (l *Loop) pass(ctx context.Context, timed bool) time.Duration {
	cost := l.measure()
	declared := l.Source.Load(ctx)
	now, changed := l.begin(declared, timed)
	v := l.view(ctx, declared, now)
	if missed := l.lookout.observed(ctx); len(missed) > 0 {
		l.Log.Info("an audit found changes that the kernel had not announced", "changes", missed)
	}
	for ctx.Err() == nil && l.lookout.refreshFor(v.made, now) {
		v = l.view(ctx, declared, now)
	}
	if ctx.Err() != nil {
		return l.Resync // what was read may be incomplete
	}
	observed, index, made, backingOff := v.observed, v.index, v.made, v.backingOff
	files := declared
	declared = v.declared
	l.Status.SetWarnings(slices.Concat(silentWarnings(observed), declared.Warnings))
	l.logInput(declared, observed)
	if err := l.noteAdopted(made); err != nil {
		made.AddFinding(err)
	}
	l.contention.hasten(made)
	if l.OnPlan != nil {
		l.OnPlan(made)
	}
	if made.Empty() && len(l.Executor.Busy()) == 0 {
		l.sightings.forget()
	}
	var settled map[spec.ID]bool
	if !made.Empty() {
		// DriftCorrected is for what was Ready before the pass, so this is read before the
		// announcement. An edit of one object may change others, such as the Exports of a Volume.
		if !isEdited(l.last, files) && !isEdited(files, l.last) {
			settled = l.Status.Ready()
		}
		l.Status.Announce(l.outcome(made, l.Executor.Unfinished(made), now), status.Findings(made.Findings), now)
	}
	exposures := l.Memory.Exposures()
	if err := l.Memory.Anticipate(made, declared, observed, index, now); err != nil {
		// A forgotten cutover would leave a target closed, or give its LUN's number to another. A
		// forgotten revert would look like restored old metadata.
		maps.Copy(backingOff, plan.WaitingForMemory(exposures, made, index))
		err = fmt.Errorf("nothing is removed from initiators, shown to connected ones, or reverted, because that cannot be stored in the memory: %w", err)
		l.Log.Error(err, "memory")
		made.AddFinding(err)
	}
	failures := stage(l, func() map[plan.StepID]error {
		failures := l.Executor.Execute(ctx, made, backingOff, l.stepReporter(declared, observed, settled))
		if l.AfterPass != nil {
			l.AfterPass()
		}
		return failures
	})
	if ctx.Err() != nil {
		return l.Resync
	}
	l.attempts.record(made, failures, declared, l.now())
	if err := l.Memory.NoteFailures(made, func(n plan.StepID) bool { return isFailure(failures[n]) }, declared); err != nil {
		l.Log.Error(err, "cannot store that a cutover failed; it may be retried after a restart")
	}
	spent := cost()
	l.Status.Publish(l.outcome(made, failures, now), status.Findings(made.Findings), spent, time.Now())
	// Afterwards: whoever waits for a revision must not see it with the objects of an earlier one.
	l.Status.SetRevision(declared.Revision)
	l.Status.SetRead(l.lookout.polled, l.lookout.sources(), l.lookout.misses)
	if l.Meter != nil {
		l.Meter.PassEnded(spent, observed.Err() == nil)
	}
	l.supervisor().Passed()
	l.Log.V(1).Info("pass", "seconds", spent.Seconds, "processes", spent.Processes, "steps", len(made.Steps), "failed", len(failures))
	l.last = files
	l.lookout.noise.note(len(changed) > 0, len(failures) == len(made.Steps), time.Duration(spent.Seconds*float64(time.Second)), time.Now())
	return l.wait(made, failures, observed, l.now())
}

// measure begins to measure a pass and returns a function that ends it.
func (l *Loop) measure() func() status.PassCost {
	processes := l.Processes
	if processes == nil {
		processes = func() int64 { return 0 }
	}
	began, before := time.Now(), processes()
	return func() status.PassCost {
		return status.PassCost{Seconds: time.Since(began).Seconds(), Processes: processes() - before}
	}
}

func (l *Loop) now() time.Time {
	if l.Clock != nil {
		return l.Clock()
	}
	return time.Now()
}

// begin begins a pass and returns its time, and what was announced since the last one.
func (l *Loop) begin(declared spec.Set, timed bool) (time.Time, []watch.Event) {
	now := l.now()
	if l.started.IsZero() {
		l.started, l.lastDeclared = now, map[spec.ID]time.Time{}
		l.Executor.OnProgress(l.Status.SetProgress)
		l.Executor.Hold = func(s plan.Step) bool { return l.contention.isHeld(s, l.now()) }
		if l.Events != nil {
			l.lookout.observer, _ = l.Observer.(RememberingObserver)
		}
		l.lookout.events, l.lookout.tgt = l.Events, l.TGT
	}
	l.lookout.audit, l.lookout.resync = l.Audit, l.Resync
	changed := l.lookout.begin(timed, isEdited(l.last, declared), now)
	l.sightings.note(changed, now)
	l.contention.forget(declared, now)
	l.steady.observe(l.last, declared, l.isKnown, now, l.Grace)
	// Objects of the last pass, which may be long ago, may have been declared until just now.
	for _, id := range slices.Concat(declaredIDs(l.last), declaredIDs(declared)) {
		l.lastDeclared[id] = now
	}
	l.checkClock(now)
	return now, changed
}

// view is what a pass decides by, and what it decides.
type view struct {
	// declared has the snapshots of schedules as well.
	declared   spec.Set
	observed   observe.State
	index      *plan.Index
	backingOff map[spec.ID]bool
	made       plan.Plan
}

// view observes the machine, learns from that, and plans.
func (l *Loop) view(ctx context.Context, declared spec.Set, now time.Time) view {
	busy := l.Executor.Busy()
	if o, adopts := l.Observer.(interface{ Adopt(targets ...string) }); adopts {
		o.Adopt(declared.AdoptedTargets()...)
	}
	observed := stage(l, func() observe.State { return l.Observer.Observe(ctx, declared.ImagePaths()...) })
	if ctx.Err() != nil {
		return view{}
	}
	observed.Expect(VolumeGroups(declared, l.Memory.Known())...)
	if l.Repositories != nil && len(declared.Repositories) > 0 {
		observed.Repositories = l.Repositories(declared.Repositories)
	}
	l.lookout.follow(observed)
	ours, unreadableOwners := l.installation()
	index := plan.NewIndex(observed, plan.Ownership{Installation: ours, Known: l.Memory.Known()})
	in := plan.Input{
		Installation: ours, Declared: declared, Observed: observed, Index: index, Known: l.Memory.Known(),
		LastDeclared: l.lastDeclared, SteadySince: l.steady.since, Started: l.started, Now: now, Elapsed: now.Sub(l.started), Grace: l.Grace,
		Busy: busy, TrashSettle: l.TrashSettle, MaxDeletions: l.MaxDeletions, TGT: l.TGT,
	}
	scheduled := plan.Schedule(in)
	declared, in.Scheduled = scheduled.Declared, &scheduled
	unstored := l.Memory.Learn(declared, observed, index, busy, now)
	if unstored != nil {
		unstored = fmt.Errorf("cannot store which logical volume each object has; one removed by hand may be created again after a restart: %w", unstored)
		l.Log.Error(unstored, "memory")
	}
	l.attempts.forgetChanged(declared) // with the snapshots of schedules, whose delays would end with each pass otherwise
	backingOff := l.attempts.backingOff(now)
	discovery, unreadable := l.discovery()
	in.Known, in.Exposures, in.Discovery, in.BackingOff = l.Memory.Known(), l.Memory.Exposures(), discovery, backingOff
	made := plan.Make(in)
	for _, err := range []error{unreadable, unstored, unreadableOwners} {
		if err != nil {
			made.AddFinding(err)
		}
	}
	return view{declared, observed, index, backingOff, made}
}

// checkClock notes that the node's clock was set ahead, before anything is learned by it.
func (l *Loop) checkClock(now time.Time) {
	up := uptime
	if l.uptime != nil {
		up = l.uptime
	}
	if by, since := l.clockWatch.observe(now, up()); by > 0 {
		l.Log.Info("the clock was set ahead; the times in the trash are corrected by that", "by", by.String())
		l.Memory.SetAhead(by, since, now.Round(0).Add(-by))
	}
}

// isKnown reports whether an object was declared before, or is remembered.
func (l *Loop) isKnown(id spec.ID) bool {
	_, seen := l.lastDeclared[id]
	_, remembered := l.Memory.Known()[id]
	return seen || remembered
}

// sameObject reports whether two declarations of an object are equal, secrets included.
func sameObject(a, b any) bool { return reflect.DeepEqual(a, b) }

// discovery returns the credentials for discovery.
func (l *Loop) discovery() (*change.Auth, error) {
	if l.Discovery == nil {
		return nil, nil //nolint:nilnil // nothing is configured, and nothing is wrong
	}
	return l.Discovery()
}

// installation returns whose logical volumes are ours. A new installation is given its identifier. If
// the list of installations to adopt cannot be read, none is adopted.
func (l *Loop) installation() (plan.Installation, error) {
	if l.Installation == nil {
		return plan.Installation{}, nil
	}
	unstored := l.Installation.Establish()
	if unstored != nil {
		unstored = fmt.Errorf("cannot store the identifier of this installation; what it makes now belongs to another one after a restart: %w", unstored)
	}
	ours, err := l.Installation.Current()
	if err != nil {
		err = fmt.Errorf("cannot read which other installations to adopt: %w", err)
	}
	return ours, errors.Join(unstored, err)
}

// noteAdopted notes which installations are adopted completely.
func (l *Loop) noteAdopted(p plan.Plan) error {
	if len(p.Adopted) == 0 {
		return nil
	}
	l.Log.Info("adopted other installations", "installations", p.Adopted)
	if err := l.Installation.Adopted(p.Adopted); err != nil {
		return fmt.Errorf("cannot store that other installations were adopted: %w", err)
	}
	return nil
}
