package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
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
)

// Source says what is declared.
type Source interface {
	// Load returns all that is desired now. What cannot be read is a finding.
	Load(ctx context.Context) spec.Set
}

// Observer says what is there.
type Observer interface {
	// Observe reads the machine, and looks at the images with these paths. What
	// cannot be read is unknown.
	Observe(ctx context.Context, images ...string) observe.State
}

// Loop is the main loop.
type Loop struct {
	Source   Source
	Observer Observer
	Executor *execute.Executor
	Memory   *Memory
	// Installation tells what is ours from what is not; nil: nothing does.
	Installation *Installation
	Status       *status.Board
	Log          logr.Logger
	// Grace is the time an object must have been named by no file, and the files must
	// have been complete without growing, before anything of it is removed.
	Grace time.Duration
	// TrashSettle and MaxDeletions are those of [Input].
	TrashSettle  time.Duration
	MaxDeletions int
	// TGT is that of [Input].
	TGT bool
	// Discovery, if not nil, returns that of [Input], in each pass anew. If it cannot,
	// discovery stays as it is.
	Discovery func() (*change.Auth, error)
	// Resync is the time between passes when nothing calls for one.
	Resync time.Duration
	// AfterPass, if not nil, is called when a pass has made its changes, to let
	// go of what is only needed while there are some.
	AfterPass func()
	// Planned, if not nil, is told of every plan before it is carried out.
	Planned func(plan.Plan)
	// Tried, if not nil, is told of every step that was tried, from several
	// goroutines at once.
	Tried func(plan.Step, error)
	// Processes, if not nil, returns the number of processes started so far.
	Processes func() int64

	clock     func() time.Time     // nil: the machine's
	uptime    func() time.Duration // nil: the machine's
	settings  settings
	started   time.Time
	lastNamed map[spec.ID]time.Time
	steady    steadiness
	last      spec.Set
	attempts  attempts
	again     repetition
	unread    int // passes in a row in which something could not be read
	inUse     int // and in which something was in use
	unknown   error
}

// Run converges the machine onto what is declared, over and over, until ctx
// ends. It passes at once when wake fires, and from time to time without: what
// happened is never asked, everything is compared anew. It returns when the
// changes that are being made have ended.
func (l *Loop) Run(ctx context.Context, wake <-chan struct{}) {
	defer l.Executor.Wait()
	for {
		next := l.Pass(ctx)
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-wake:
		case <-l.Executor.Freed():
		case <-timer.C:
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// Pass does one round: load, observe, compare, change, publish. It returns how
// long to wait before the next one if nothing else calls for it; 0 means that
// it changed something and that the result is to be checked.
func (l *Loop) Pass(ctx context.Context) time.Duration {
	cost := l.meter()
	desired := l.Source.Load(ctx)
	busy := l.Executor.Busy()
	observed := l.Observer.Observe(ctx, desired.ImagePaths()...)
	if ctx.Err() != nil {
		return l.Resync // what was read is not worth a word, let alone a change
	}
	observed.Expect(VolumeGroups(desired, l.Memory.Known())...)
	l.Status.WarnOf(slices.Concat(silentWarnings(observed), desired.Warnings))
	ours, unreadableOwners := l.installation()
	index := plan.NewIndex(observed, plan.Ownership{Installation: ours, Known: l.Memory.Known()})
	now, memory := l.begin(desired, observed, index, busy)

	held := l.attempts.heldAt(now)
	discovery, unreadable := l.discovery()
	made := plan.Make(plan.Input{
		Discovery: discovery, Installation: ours,
		Desired: desired, Observed: observed, Index: index, Known: l.Memory.Known(), Exposures: l.Memory.Exposures(),
		LastNamed: l.lastNamed, SteadySince: l.steady.since, Started: l.started, Now: now, Elapsed: now.Sub(l.started), Grace: l.Grace,
		Held: held, Busy: busy, TrashSettle: l.TrashSettle, MaxDeletions: l.MaxDeletions, TGT: l.TGT,
	})
	if unreadable != nil {
		made.Finds(unreadable)
	}
	if memory != nil {
		made.Finds(memory)
	}
	if err := errors.Join(unreadableOwners, l.tookOver(made)); err != nil {
		made.Finds(err)
	}
	if l.Planned != nil {
		l.Planned(made)
	}
	var ready map[spec.ID]bool
	if !made.Empty() {
		// What was Ready before the pass counts for DriftCorrected, not what the
		// announcement makes of it.
		ready = l.Status.Ready()
		l.Status.Announce(outcome(made, l.attempts.failed, l.Executor.Unfinished(made)), status.Findings(made.Findings), now)
	}
	exposures := l.Memory.Exposures()
	if err := l.Memory.Anticipate(made, desired, observed, index, now); err != nil {
		// A cutover that is forgotten would leave a target closed, or give a number away; and a
		// revert, pass for metadata of before.
		maps.Copy(held, plan.ToBeRemembered(exposures, made, index))
		err = fmt.Errorf("nothing is removed from initiators, shown to connected ones, or reverted, because that cannot be stored in the memory: %w", err)
		l.Log.Error(err, "memory")
		made.Finds(err)
	}
	failures := l.Executor.Execute(ctx, made, held, l.report(desired, ready))
	if l.AfterPass != nil {
		l.AfterPass()
	}
	if ctx.Err() != nil {
		return l.Resync
	}
	l.attempts.record(made, failures, desired, time.Now())
	if err := l.Memory.Failed(made, func(n plan.StepID) bool { return isFailure(failures[n]) }, desired); err != nil {
		l.Log.Error(err, "cannot store that a cutover failed; it may be retried after a restart")
	}
	spent := cost()
	l.Status.Publish(outcome(made, l.attempts.failed, failures), status.Findings(made.Findings), spent, time.Now())
	l.Log.V(1).Info("pass", "seconds", spent.Seconds, "processes", spent.Processes, "steps", len(made.Steps), "failed", len(failures))
	l.last = desired
	return l.wait(made, failures, observed, time.Now())
}

// meter begins to measure a pass and returns what ends it.
func (l *Loop) meter() func() status.PassCost {
	processes := l.Processes
	if processes == nil {
		processes = func() int64 { return 0 }
	}
	began, before := time.Now(), processes()
	return func() status.PassCost {
		return status.PassCost{Seconds: time.Since(began).Seconds(), Processes: processes() - before}
	}
}

// begin takes in what the pass starts from. The error is that of the memory,
// without which the pass goes on.
func (l *Loop) begin(desired spec.Set, observed observe.State, index *plan.Index, busy map[string]bool) (time.Time, error) {
	now := time.Now()
	if l.clock != nil {
		now = l.clock()
	}
	if l.started.IsZero() {
		l.started, l.lastNamed = now, map[spec.ID]time.Time{}
		l.Executor.TellProgress(l.Status.Progressed)
	}
	l.steady.see(l.last, desired, l.knows, now, l.Grace)
	// Files were last seen in the pass before, which may be long ago, and may have gone
	// just now.
	for _, id := range slices.Concat(declared(l.last), declared(desired)) {
		l.lastNamed[id] = now
	}
	l.attempts.forgetChanged(desired)
	l.seeClock(now)
	err := l.Memory.Learn(desired, observed, index, busy, now)
	if err != nil {
		err = fmt.Errorf("cannot store which logical volume each object has; one removed by hand may be created again after a restart: %w", err)
		l.Log.Error(err, "memory")
	}
	l.logInput(desired, observed)
	return now, err
}

// seeClock takes in that the node's clock was set ahead, before anything is learnt by it.
func (l *Loop) seeClock(now time.Time) {
	up := uptime
	if l.uptime != nil {
		up = l.uptime
	}
	if by, since := l.settings.see(now, up()); by > 0 {
		l.Log.Info("the clock was set ahead; the times in the trash are corrected by that", "by", by.String())
		l.Memory.SetAhead(by, since, now.Round(0).Add(-by))
	}
}

// knows reports whether an object was named before, or is remembered.
func (l *Loop) knows(id spec.ID) bool {
	_, named := l.lastNamed[id]
	_, remembered := l.Memory.Known()[id]
	return named || remembered
}

// wait returns how long the next pass can wait.
func (l *Loop) wait(p plan.Plan, failures map[plan.StepID]error, observed observe.State, now time.Time) time.Duration {
	l.again.note(p, failures)
	if len(p.Steps) > len(failures) {
		// What has to be done again and again is not done without a pause. But
		// whoever was made to wait in this pass is let in by the next.
		tookOver := slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
			_, is := s.Change.(change.Cutover)
			return is && !errors.Is(failures[s.ID], execute.ErrHeld)
		})
		if n := l.again.passes; n > 2 && !tookOver {
			return min(l.Resync, time.Second<<min(n-3, 10))
		}
		return 0
	}
	wait := l.Resync
	if next, ok := l.attempts.next(now); ok {
		wait = min(wait, next.Sub(now))
	}
	inUse := false
	for _, o := range p.Objects {
		if o.Reason == status.ReasonGracePeriod {
			wait = min(wait, l.Grace)
		}
		inUse = inUse || o.Reason == status.ReasonInUse
	}
	// Whoever uses it may be done in a moment, as udev is, and nothing tells when.
	if inUse {
		wait = min(wait, firstDelay<<min(l.inUse, 10))
		l.inUse++
	} else {
		l.inUse = 0
	}
	for _, err := range failures {
		if isStale(err) {
			wait = min(wait, time.Second)
		}
	}
	// Most of what cannot be read can be read a moment later.
	if observed.Err() != nil {
		wait = min(wait, firstDelay<<min(l.unread, 10))
		l.unread++
	} else {
		l.unread = 0
	}
	return max(wait, 100*time.Millisecond)
}

func (l *Loop) logInput(desired spec.Set, observed observe.State) {
	if !reflect.DeepEqual(findingTexts(desired.Findings), findingTexts(l.last.Findings)) {
		for _, f := range desired.Findings {
			l.Log.Error(f.Err, "finding", "file", f.File, "line", f.Line, "column", f.Column, "field", f.Path)
		}
		if len(desired.Findings) == 0 {
			l.Log.Info("no findings")
		}
	}
	if !slices.Equal(desired.Warnings, l.last.Warnings) {
		for _, w := range desired.Warnings {
			l.Log.Info("warning: " + w)
		}
	}
	switch err := errors.Join(observed.Err(), observed.Doubtful()); {
	case sameText(err, l.unknown):
	case err == nil:
		l.Log.Info("every system can be read again")
	default:
		l.Log.Error(err, "part of the system cannot be read; nothing is changed there until it can be")
	}
	l.unknown = errors.Join(observed.Err(), observed.Doubtful())
}

// report returns what is told of every step that is tried, as soon as it was.
func (l *Loop) report(desired spec.Set, ready map[spec.ID]bool) func(plan.Step, error) {
	last := l.last
	return func(s plan.Step, err error) {
		drift := ready[s.Object] && sameObject(last.Object(s.Object), desired.Object(s.Object))
		l.logStep(s, err, drift)
		if l.Tried != nil {
			l.Tried(s, err)
		}
	}
}

func (l *Loop) logStep(s plan.Step, err error, drift bool) {
	log := l.Log.WithValues("object", s.Object.String(), "change", change.Name(s.Change), "what", s.Change.String())
	switch {
	case isStale(err):
		log.Info("stale", "because", err.Error())
	case err != nil:
		log.Error(err, "failed")
	case drift:
		log.Info("done", "why", s.Why, "event", "DriftCorrected")
	default:
		log.Info("done", "why", s.Why)
	}
}

func findingTexts(findings []spec.Finding) []string {
	texts := make([]string, len(findings))
	for i, f := range findings {
		texts[i] = f.Error()
	}
	return texts
}

// sameText reports whether two errors say the same.
func sameText(a, b error) bool {
	return (a == nil) == (b == nil) && (a == nil || a.Error() == b.Error())
}

// sameObject reports whether an object is desired in the same way, secrets
// included.
func sameObject(a, b any) bool { return reflect.DeepEqual(a, b) }

// discovery returns what discovery is to ask for.
func (l *Loop) discovery() (*change.Auth, error) {
	if l.Discovery == nil {
		return nil, nil //nolint:nilnil // nothing is asked for, and nothing is wrong
	}
	return l.Discovery()
}

// installation returns what tells what is ours from what is not. One that is new gets its identifier.
// If what is to be taken over of others cannot be read, nothing is.
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

// tookOver notes what is taken over.
func (l *Loop) tookOver(p plan.Plan) error {
	if len(p.TookOver) == 0 {
		return nil
	}
	l.Log.Info("adopted other installations", "installations", p.TookOver)
	if err := l.Installation.Adopted(p.TookOver); err != nil {
		return fmt.Errorf("cannot store that other installations were adopted: %w", err)
	}
	return nil
}
