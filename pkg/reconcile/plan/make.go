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
	Desired  spec.Set
	Observed observe.State
	// Index is that of Observed; nil: it is made.
	Index *Index
	// Known is what is remembered of each object. An empty map will do: the
	// plan is less careful then, leaves an empty directory behind, or waits for
	// Sessions that it was told to end.
	Known map[spec.ID]Identity
	// Installation is whose files those are; the zero value: nothing tells installations apart.
	Installation Installation
	// Exposures are what is remembered of what initiators have seen.
	Exposures Exposures
	// LastNamed is when a file last named an object that none names now. What is
	// not in it was never named since Started.
	LastNamed map[spec.ID]time.Time
	// SteadySince is since when the files are complete and did not grow. The time of no
	// object runs before it.
	SteadySince time.Time
	Started     time.Time
	Now         time.Time
	// Elapsed is the time since Started by a clock that nobody sets. Started and
	// Now are of the wall clock, which may have been set in between.
	Elapsed time.Duration
	// Grace is how long an object must have been named by no file before
	// anything of it is removed.
	Grace time.Duration
	// TrashSettle is how long after Started nothing leaves the trash, unless the
	// trash keeps it for less: time for a wrong clock to be corrected.
	TrashSettle time.Duration
	// MaxDeletions is how many objects may be deleted at once; 0: none, without
	// permission.
	MaxDeletions int
	// Held are the objects that failed and wait for their next attempt.
	Held map[spec.ID]bool
	// Busy are the lanes in which a change of an earlier plan goes on, from before
	// Observed was read.
	Busy map[string]bool
	// Discovery is what initiators need to be told of LIO's iSCSI targets; nil: what
	// they need is not ours to say.
	Discovery *change.Auth
	// TGT is true if iSCSI is served by tgtd and not by LIO.
	TGT bool
}

// Make compares what is declared with what was observed and returns what has to
// change. It is pure: no I/O, no clock, no randomness, and the same input gives
// the same plan.
//
// The rules that keep data safe are all here. In doubt it plans nothing for an
// object and says why in the object's status.
func Make(in Input) Plan {
	in.Observed = withOwners(in.Observed, in.Desired, in.Known)
	index, refs := in.Index, newReferences(in)
	if index == nil {
		index = NewIndex(in.Observed, in.Ownership())
	}
	d := diff(in, index, refs, refusal{})
	if refused := d.excess(); len(refused.objects) > 0 {
		d = diff(in, index, refs, refused)
	}
	return d.finish()
}

// Ownership tells whose the logical volumes are.
func (in Input) Ownership() Ownership {
	return Ownership{Installation: in.Installation, Known: in.Known}
}

// phase is a part of a plan. The order of two phases counts only if one of them names the
// other, directly or not, in after.
type phase struct {
	name  string
	after []string
	run   func(*differ)
}

// phases are all of a plan, in the order in which they are run. A property runs them in other
// orders that are allowed, and expects the same plan.
var phases = []phase{
	{"signatures", nil, (*differ).signing},
	{"pools", nil, func(d *differ) { each(d.in.Desired.Pools, d.pool) }},
	{"cutovers that go on", nil, (*differ).takingOver},
	{"volumes", []string{"pools", "cutovers that go on"}, func(d *differ) { eachOf(d.refs.volumeNames, d.volumeOnce) }},
	{"snapshots", []string{"volumes"}, func(d *differ) { eachOf(sorted(d.in.Desired.Snapshots), d.snapshotOnce) }},
	{"images", []string{"snapshots"}, func(d *differ) { each(d.in.Desired.Images, d.image) }},
	{"what exports offer of invalid objects", []string{"images"}, (*differ).invalidBackings},
	{"discovery", nil, (*differ).discovery},
	{"exports", []string{"what exports offer of invalid objects", "discovery"}, func(d *differ) {
		eachOf(d.refs.exportNames, func(name string) { d.export(d.in.Desired.Exports[name]) })
	}},
	{"targets that cutovers closed of invalid exports", []string{"exports"}, (*differ).reopenInvalid},
	{"undeclared targets", []string{"targets that cutovers closed of invalid exports"}, (*differ).absentTargets},
	{"backstores without a LUN", []string{"undeclared targets"}, (*differ).absentBackstores},
	{"wiping", nil, (*differ).clearing},
	{"what moves left of undeclared volumes", []string{"images", "wiping"}, (*differ).absentMoves},
	{"snapshots that nothing is copied from", []string{"what moves left of undeclared volumes"}, (*differ).absentSources},
	{"undeclared volumes", []string{"backstores without a LUN", "snapshots that nothing is copied from"}, (*differ).absentVolumes},
	{"what is of other installations", []string{"undeclared volumes"}, (*differ).ofOthers},
}

// each does something to all objects, in the order of their names.
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

// differ holds a plan while it is made.
type differ struct {
	in    Input
	index *Index
	refs  *references
	plan  Plan

	// results are what it came to so far, and ledger is what it takes away.
	results results
	ledger  ledger
	// refused are deletions that the plan must not have.
	refused refusal
	hbas    hbas
	// missing is what [differ.missingIn] returns; nil: nobody asked.
	missing map[string]spec.ID
	// places are the Pools by where they put logical volumes.
	places map[place]string
}

func newDiffer(in Input, index *Index, refs *references) *differ {
	set := in.Desired
	objects := len(set.Pools) + len(set.Volumes) + len(set.Snapshots) + len(set.Images) + len(set.Exports) + len(set.Invalid)
	d := &differ{in: in, index: index, refs: refs, results: newResults(objects), ledger: newLedger(), places: places(set)}
	d.plan.Findings = in.Desired.Findings
	for id, err := range in.Desired.Invalid {
		d.setBlocked(id, status.ReasonInvalid, "%v", err)
	}
	return d
}

// setStatus gives an object a phase. The first thing that stands in the way is the
// one that is shown.
func (d *differ) setStatus(id spec.ID, phase status.Phase, reason, format string, args ...any) {
	o := d.object(id)
	if o.Phase != status.Ready && o.Phase != status.Progressing {
		return
	}
	o.Phase, o.Reason, o.Message = phase, reason, fmt.Sprintf(format, args...)
}

// remark says something of an object that is as desired.
func (d *differ) remark(id spec.ID, format string, args ...any) {
	if o := d.object(id); o.Phase == status.Ready && o.Message == "" {
		o.Message = fmt.Sprintf(format, args...)
	}
}

func (d *differ) setBlocked(id spec.ID, reason, format string, args ...any) {
	d.setStatus(id, status.Blocked, reason, format, args...)
}

// step adds a step to the plan. Needs that are 0 are none.
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

// servingStep adds a step without which nobody can use an object. If its last attempt failed
// after its users were made to wait, they are served again without waiting for the next one.
// Nothing else of it is done at once.
func (d *differ) servingStep(id spec.ID, why string, c change.Change, needs ...StepID) StepID {
	step := d.step(id, why, c, needs...)
	d.plan.Steps[step-1].AtOnce = d.results.of(id).retreats
	return step
}

// stepBeside adds a step that says nothing of how its object stands.
func (d *differ) stepBeside(id spec.ID, why string, danger Danger, c change.Change, needs ...StepID) StepID {
	before := *d.object(id)
	step := d.dangerousStep(id, why, danger, nil, c, needs...)
	*d.object(id) = before
	return step
}

// unknown says that an object's system could not be read.
func (d *differ) unknown(id spec.ID, system observe.System) bool {
	err := d.in.Observed.Unknown[system]
	if err != nil {
		d.setStatus(id, status.Failed, status.ReasonObservationFailed, "%v", err)
	}
	return err != nil
}

// suspended reports whether an object is to be left alone, and says so.
func (d *differ) suspended(id spec.ID, m spec.Metadata) bool {
	if m.Suspended() {
		d.setStatus(id, status.Suspended, status.ReasonSuspended, "suspended by annotation %s. Remove the annotation to resume", spec.AnnotationReconcile)
	}
	return m.Suspended()
}

// names reports whether the files name an object, valid or not.
func (d *differ) names(id spec.ID) bool {
	if _, ok := d.in.Desired.Invalid[id]; ok {
		return true
	}
	return d.in.Desired.Has(id)
}

// removable reports whether things of an object that no file names may be
// removed in this pass; if not, it says why.
func (d *differ) removable(id spec.ID) bool {
	for _, ask := range []func(spec.ID) *Obstacle{d.undeclared, d.certain, d.permittedByLimit, d.graceOver} {
		if d.stopped(id, ask(id)) {
			return false
		}
	}
	return true
}

// graceLeft returns how long an object that no file names is still spared.
func (d *differ) graceLeft(id spec.ID) time.Duration {
	last, ok := d.in.LastNamed[id]
	if !ok {
		last = d.in.Started
	}
	if d.in.SteadySince.After(last) {
		last = d.in.SteadySince
	}
	return d.in.Grace - d.in.Now.Sub(last)
}

// provision adds to what a Pool's thin pool will have promised.
func (d *differ) provision(pool string, bytes uint64) {
	if o := d.object(spec.ID{Kind: spec.KindPool, Name: pool}); o.Pool != nil && d.in.Desired.Pools[pool].Spec.ThinPool != nil {
		o.Pool.ProvisionedAfter += bytes
	}
}

// finish completes the statuses and sorts them.
func (d *differ) finish() Plan {
	d.attachments()
	d.labels()
	d.expect()
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

// idsWhere is sortedIDs of those of which something is true, as a rule of few.
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

// withOwners names the exports whose NVMe subsystems are there.
func withOwners(observed observe.State, desired spec.Set, known map[spec.ID]Identity) observe.State {
	if len(observed.NVMe) == 0 {
		return observed // and the names need not be collected
	}
	return observed.WithOwners(namesOfExports(desired, known))
}

// namesOfExports returns the names of all exports that are desired or remembered, and those
// of them that name a target, by its name.
func namesOfExports(desired spec.Set, known map[spec.ID]Identity) (names []string, likely map[string][]string) {
	names, likely = sorted(desired.Exports), map[string][]string{}
	for _, name := range names {
		target := desired.Exports[name].Spec.Target
		likely[target] = append(likely[target], name)
	}
	for id := range desired.Invalid {
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
