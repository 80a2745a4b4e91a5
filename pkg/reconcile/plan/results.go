package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// result is what the plan says of one object so far: its status, and what objects that depend on
// it need to know.
type result struct {
	// status is part of the plan if shown is true.
	status status.Object
	shown  bool
	// visited is true of a Volume or Snapshot that was planned.
	visited bool
	// pool is that of a Pool whose volume group was read.
	pool pool
	// backing is what can be exported of a Volume or Snapshot, and store what Exports link to;
	// nil: nothing.
	backing *backing
	store   *wantedStore
	// grown is the step that grows its logical volume.
	grown StepID
	// rollsBack is true of a Volume whose cutover failed: its former logical volume is exported
	// again without waiting for the next attempt.
	rollsBack bool
	// cutOver is true of a Volume whose current logical volume is a new one since the last pass.
	cutOver bool
	// retagged is a Volume's logical volume as it was observed, if this plan gives it another unit
	// serial; nil: it does not.
	retagged *observe.LogicalVolume
	// pausedFor is the Volume whose cutover pauses an Export in this plan.
	pausedFor spec.ID
}

// backing is what Exports need to know of the logical volume behind a Volume or Snapshot.
type backing struct {
	lv observe.LogicalVolume
	// exportable is false if it must not be exported: it does not exist, is not ours, or is
	// incomplete.
	exportable bool
	// reverting is true if it must not remain exported either.
	reverting bool
	// step must have succeeded before it can be exported; 0: none.
	step StepID
	thin bool
}

// results are those of a plan, by object.
type results struct {
	byID map[spec.ID]*result
	// all has them in the order in which they were first needed, and room is memory for more.
	all  []*result
	room []result
	// last is the most recent one, and most likely the next one.
	last *result
}

func newResults(objects int) results {
	return results{byID: make(map[spec.ID]*result, objects), all: make([]*result, 0, objects), room: make([]result, objects), last: &result{}}
}

// of returns the result of an object, which is Ready until something else is set.
func (r *results) of(id spec.ID) *result {
	if r.last.status.Name == id.Name && r.last.status.Kind == id.Kind {
		return r.last
	}
	if known := r.byID[id]; known != nil {
		r.last = known
		return known
	}
	if len(r.room) == 0 {
		r.room = make([]result, 64)
	}
	added := &r.room[0]
	r.room = r.room[1:]
	added.status = status.Object{Kind: id.Kind, Name: id.Name, Phase: status.Ready, Reason: status.ReasonAsDesired}
	r.byID[id] = added
	r.all = append(r.all, added)
	r.last = added
	return added
}

// statuses returns those that are shown, sorted.
func (r *results) statuses() []status.Object {
	// Most are in order already, and pointers are moved with less effort than objects.
	slices.SortFunc(r.all, func(a, b *result) int { return spec.CompareIDs(a.status.ID(), b.status.ID()) })
	shown := make([]status.Object, 0, len(r.all))
	for _, of := range r.all {
		if of.shown {
			shown = append(shown, of.status)
		}
	}
	return shown
}

// object returns the status of an object, which becomes part of the plan.
func (d *differ) object(id spec.ID) *status.Object {
	r := d.results.of(id)
	r.shown = true
	return &r.status
}

// poolOf returns what is known of a Pool by its name.
func (d *differ) poolOf(name string) pool {
	return d.results.of(spec.ID{Kind: spec.KindPool, Name: name}).pool
}

// backingOf returns what can be exported of an object. It is not usable if there is nothing.
func (d *differ) backingOf(id spec.ID) backing {
	if b := d.results.of(id).backing; b != nil {
		return *b
	}
	return backing{}
}
