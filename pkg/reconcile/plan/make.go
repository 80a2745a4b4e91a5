package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Input is all that a plan depends on.
type Input struct {
	Declared spec.Set
	Observed observe.State
	// Index is that of Observed; nil: Make creates it.
	Index *Index
	// Scheduled is what [Schedule] has made of the rest; nil: Make does.
	Scheduled *Scheduled
	// Known is what is remembered of each object. It may be empty: the plan is less careful then,
	// does not remove an empty target directory, and waits for sessions that it should end.
	Known map[spec.ID]Identity
	// Installation is the one whose files are compared; the zero value: installations are not told
	// apart.
	Installation Installation
	// Exposures are what is remembered of what initiators have seen.
	Exposures Exposures
	// LastDeclared is when a file last declared an object that is undeclared now. An object that
	// is not in it was never declared since Started.
	LastDeclared map[spec.ID]time.Time
	// SteadySince is since when the files are complete and did not grow. The grace period of no
	// object begins before it.
	SteadySince time.Time
	Started     time.Time
	Now         time.Time
	// Elapsed is the time since Started by a clock that nobody sets. Started and Now are by the
	// wall clock, which may have been set in between.
	Elapsed time.Duration
	// Grace is how long an object must be undeclared before anything of it is removed.
	Grace time.Duration
	// TrashSettle is how long after Started nothing is removed from the trash, unless its trash
	// period is shorter: time for a wrong clock to be corrected.
	TrashSettle time.Duration
	// MaxDeletions is how many objects may be deleted at once; 0: none, without permission.
	MaxDeletions int
	// BackingOff are the objects whose last change failed and is not retried yet.
	BackingOff map[spec.ID]bool
	// Busy are the lanes in which a change of an earlier plan continues, as they were before
	// Observed was read.
	Busy map[string]bool
	// Discovery are the credentials for discovering LIO's iSCSI targets; nil: they are not
	// configured here.
	Discovery *change.Auth
	// TGT is true if tgtd serves iSCSI, not LIO.
	TGT bool
}

// Make compares what is declared with what was observed and returns what has to change. It is
// pure: no I/O, no clock, no randomness, and the same input gives the same plan.
//
// The rules that keep data safe are all here. In doubt Make plans nothing for an object, and sets
// its status to the reason.
func Make(in Input) Plan {
	in.Observed = withOwners(in.Observed, in.Declared, in.Known)
	if in.Index == nil {
		in.Index = NewIndex(in.Observed, in.Ownership())
	}
	if in.Scheduled == nil {
		scheduled := Schedule(in)
		in.Scheduled = &scheduled
	}
	in.Declared = in.Scheduled.Declared
	index, refs := in.Index, newReferences(in)
	d := diff(in, index, refs, refusal{})
	if refused := d.excessDeletions(); len(refused.objects) > 0 {
		d = diff(in, index, refs, refused)
	}
	return d.finish()
}

// Ownership decides which logical volumes are ours.
func (in Input) Ownership() Ownership {
	return Ownership{Installation: in.Installation, Known: in.Known}
}

// phase is a part of a plan. The order of two phases matters only if one of them names the other
// in after, directly or not.
type phase struct {
	name  string
	after []string
	run   func(*differ)
}

// phases are all of a plan, in the order in which they run. A property test runs them in other
// allowed orders, and expects the same plan.
var phases = []phase{
	{"signatures", nil, (*differ).signOwn},
	{"pools", nil, func(d *differ) { each(d.in.Declared.Pools, d.planPool) }},
	{"cutovers in progress", nil, (*differ).continueCutovers},
	{"volumes", []string{"pools", "cutovers in progress"}, func(d *differ) { eachOf(d.refs.volumeNames, d.volumeOnce) }},
	{"snapshots", []string{"volumes"}, func(d *differ) { eachOf(sorted(d.in.Declared.Snapshots), d.snapshotOnce) }},
	{"images", []string{"snapshots"}, func(d *differ) { each(d.in.Declared.Images, d.planImage) }},
	{"repositories", nil, func(d *differ) { each(d.in.Declared.Repositories, d.planRepository) }},
	{"backups", []string{"images", "repositories"}, func(d *differ) { each(d.in.Declared.Backups, d.planBackupObject) }},
	{"what exports offer of invalid objects", []string{"backups"}, (*differ).serveInvalid},
	{"discovery", nil, (*differ).planDiscovery},
	{"exports", []string{"what exports offer of invalid objects", "discovery"}, func(d *differ) {
		eachOf(d.refs.exportNames, func(name string) { d.planExport(d.in.Declared.Exports[name]) })
	}},
	{"targets that cutovers closed of invalid exports", []string{"exports"}, (*differ).reopenInvalid},
	{"undeclared targets", []string{"targets that cutovers closed of invalid exports"}, (*differ).pruneTargets},
	{"backstores without a LUN", []string{"undeclared targets"}, (*differ).pruneBackstores},
	{"wiping", nil, (*differ).continueWiping},
	{"what moves left of undeclared volumes", []string{"images", "wiping"}, (*differ).pruneLeftovers},
	{"snapshots that nothing is copied from", []string{"what moves left of undeclared volumes"}, (*differ).pruneSources},
	{"undeclared volumes", []string{"backstores without a LUN", "snapshots that nothing is copied from"}, (*differ).pruneVolumes},
	{"snapshots that schedules no longer keep", []string{"backstores without a LUN", "snapshots that nothing is copied from"}, (*differ).expireSnapshots},
	{"undeclared backups", []string{"backups"}, (*differ).pruneBackups},
	{"drills that have succeeded", []string{"backstores without a LUN", "snapshots that nothing is copied from"}, (*differ).endDrills},
	{"schedules", []string{"drills that have succeeded", "snapshots that schedules no longer keep", "repositories"}, func(d *differ) { each(d.in.Declared.Schedules, d.planSchedule) }},
	{"upkeep of repositories", []string{"schedules", "undeclared backups"}, func(d *differ) { each(d.in.Declared.Repositories, d.maintain) }},
	{"what is of other installations", []string{"undeclared volumes"}, (*differ).showForeign},
}

// each calls do for all objects, in the order of their names.
func each[T any](objects map[string]T, do func(T)) {
	eachOf(sorted(objects), func(name string) { do(objects[name]) })
}

func eachOf(names []string, do func(string)) {
	for _, name := range names {
		do(name)
	}
}

func diff(in Input, index *Index, refs *references, refused refusal) *differ {
	return diffInOrder(phases, in, index, refs, refused)
}

func diffInOrder(phases []phase, in Input, index *Index, refs *references, refused refusal) *differ {
	d := newDiffer(in, index, refs)
	d.refused = refused
	for _, p := range phases {
		p.run(d)
	}
	return d
}

// differ makes one plan.
type differ struct {
	in    Input
	index *Index
	refs  *references
	plan  Plan

	// results are the statuses so far, and ledger is what the plan removes.
	results results
	ledger  ledger
	// refused are deletions that the plan must not have.
	refused refusal
	hbas    hbas
	disks   *disks // nil: not needed yet
	// lostByGroup is the result of [differ.findLostByGroup]; nil: not computed yet.
	lostByGroup map[string]spec.ID
	// needed are the backups that Volumes are restored from, by repository and ID, each with the Volume; nil: not
	// computed yet.
	needed map[string]map[string]string
	// places are the Pools by where they put logical volumes.
	places map[place]string
}

func newDiffer(in Input, index *Index, refs *references) *differ {
	if in.Scheduled == nil {
		in.Scheduled = &Scheduled{Declared: in.Declared}
	}
	set := in.Declared
	objects := set.Len() + len(set.Invalid)
	d := &differ{in: in, index: index, refs: refs, results: newResults(objects), ledger: newLedger(), places: places(set)}
	d.plan.Findings = in.Declared.Findings
	for id, err := range in.Declared.Invalid {
		d.setBlocked(id, status.ReasonInvalid, "%v", err)
	}
	return d
}

// setStatus sets the phase of an object, unless an obstacle has set one before: the first obstacle
// is the one that is shown.
func (d *differ) setStatus(id spec.ID, phase status.Phase, reason, format string, args ...any) {
	o := d.object(id)
	if o.Phase != status.Ready && o.Phase != status.Progressing {
		return
	}
	o.Phase, o.Reason, o.Message = phase, reason, fmt.Sprintf(format, args...)
}

// remark sets the message of an object that is as declared.
func (d *differ) remark(id spec.ID, format string, args ...any) {
	if o := d.object(id); o.Phase == status.Ready && o.Message == "" {
		o.Message = fmt.Sprintf(format, args...)
	}
}

func (d *differ) setBlocked(id spec.ID, reason, format string, args ...any) {
	d.setStatus(id, status.Blocked, reason, format, args...)
}

// step adds a step to the plan. A need of 0 is none.
func (d *differ) step(id spec.ID, why string, c change.Change, needs ...StepID) StepID {
	return d.dangerousStep(id, why, Harmless, nil, c, needs...)
}

func (d *differ) dangerousStep(id spec.ID, why string, danger Danger, affects []string, c change.Change, needs ...StepID) StepID {
	s := Step{ID: StepID(len(d.plan.Steps) + 1), Object: id, Change: c, Danger: danger, Why: why, Affects: affects}
	for _, n := range needs {
		if n != 0 && !slices.Contains(s.Needs, n) {
			s.Needs = append(s.Needs, n)
		}
	}
	d.plan.Steps = append(d.plan.Steps, s)
	if o := d.object(id); o.Phase == status.Ready {
		o.Phase, o.Reason, o.Message = status.Progressing, status.ReasonConverging, c.String()
	}
	return s.ID
}

// servingStep adds a step without which nobody can use an object. If a cutover failed after the
// initiators were paused, it is not delayed by the back-off, so that they are served again; all
// other steps are.
func (d *differ) servingStep(id spec.ID, why string, c change.Change, needs ...StepID) StepID {
	step := d.step(id, why, c, needs...)
	d.plan.Steps[step-1].AtOnce = d.results.of(id).rollsBack
	return step
}

// stepWithoutStatus adds a step that does not change the status of its object.
func (d *differ) stepWithoutStatus(id spec.ID, why string, danger Danger, c change.Change, needs ...StepID) StepID {
	before := *d.object(id)
	step := d.dangerousStep(id, why, danger, nil, c, needs...)
	*d.object(id) = before
	return step
}

// isUnreadable reports whether an object's system could not be read, and sets its status.
func (d *differ) isUnreadable(id spec.ID, system observe.System) bool {
	err := d.in.Observed.Unknown[system]
	if err != nil {
		d.setStatus(id, status.Failed, status.ReasonObservationFailed, "%v", err)
	}
	return err != nil
}

// blockedBySuspension reports whether an object is suspended, and sets its status.
func (d *differ) blockedBySuspension(id spec.ID, m spec.Metadata) bool {
	if m.Suspended() {
		d.setStatus(id, status.Suspended, status.ReasonSuspended, "suspended by annotation %s. Remove the annotation to resume", spec.AnnotationReconcile)
	}
	return m.Suspended()
}

// isDeclared reports whether a file declares an object, valid or not.
func (d *differ) isDeclared(id spec.ID) bool {
	if _, ok := d.in.Declared.Invalid[id]; ok {
		return true
	}
	return d.in.Declared.Has(id)
}

// mayPrune reports whether parts of an undeclared object may be removed in this pass; if not, it
// sets the status.
func (d *differ) mayPrune(id spec.ID) bool {
	for _, ask := range []func(spec.ID) *Obstacle{d.checkDeclaredBefore, d.checkNotInDoubt, d.checkDeletionLimit, d.checkGraceOver} {
		if d.blockedBy(id, ask(id)) {
			return false
		}
	}
	return true
}

// graceLeft returns how much of an undeclared object's grace period is left.
func (d *differ) graceLeft(id spec.ID) time.Duration {
	last, ok := d.in.LastDeclared[id]
	if !ok {
		last = d.in.Started
	}
	if d.in.SteadySince.After(last) {
		last = d.in.SteadySince
	}
	return d.in.Grace - d.in.Now.Sub(last)
}

// addProvisioned adds to the sum of virtual sizes that a Pool's thin pool will have.
func (d *differ) addProvisioned(pool string, bytes uint64) {
	if o := d.object(spec.ID{Kind: spec.KindPool, Name: pool}); o.Pool != nil && d.in.Declared.Pools[pool].Spec.ThinPool != nil {
		o.Pool.ProvisionedAfter += bytes
	}
}

// finish completes the statuses and sorts them.
func (d *differ) finish() Plan {
	d.plan.Wake = earlier(d.plan.Wake, d.in.Scheduled.wake)
	d.setAttachments()
	d.setLabels()
	d.setExpectations()
	d.plan.Objects = d.results.statuses()
	slices.SortStableFunc(d.plan.Warnings, func(a, b Warning) int { return spec.CompareIDs(a.Object, b.Object) })
	d.plan.KeepJobs = d.plan.KeepJobs || d.in.Observed.Err() != nil || len(d.in.Observed.UnusableGroups) > 0
	return d.plan
}

func sorted[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func sortedIDs[V any](m map[spec.ID]V) []spec.ID {
	ids := slices.AppendSeq(make([]spec.ID, 0, len(m)), maps.Keys(m))
	slices.SortFunc(ids, spec.CompareIDs)
	return ids
}

// idsWhere is sortedIDs of the objects that match, which are expected to be few.
func idsWhere[V any](m map[spec.ID]V, is func(spec.ID) bool) []spec.ID {
	var ids []spec.ID
	for id := range m {
		if is(id) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, spec.CompareIDs)
	return ids
}

// withOwners adds to an observation which Exports own the NVMe subsystems.
func withOwners(observed observe.State, declared spec.Set, known map[spec.ID]Identity) observe.State {
	if len(observed.NVMe) == 0 {
		return observed // the names are not needed
	}
	return observed.WithOwners(namesOfExports(declared, known))
}

// namesOfExports returns the names of all Exports that are declared or remembered, and the names
// of those that have a target, by the target's name.
func namesOfExports(declared spec.Set, known map[spec.ID]Identity) (names []string, likely map[string][]string) {
	names, likely = sorted(declared.Exports), map[string][]string{}
	for _, name := range names {
		target := declared.Exports[name].Spec.Target
		likely[target] = append(likely[target], name)
	}
	for id := range declared.Invalid {
		names = append(names, id.Name)
	}
	for id, identity := range known {
		if id.Kind != spec.KindExport {
			continue
		}
		names = append(names, id.Name)
		for _, target := range identity.Targets {
			likely[target] = append(likely[target], id.Name)
		}
	}
	return names, likely
}
