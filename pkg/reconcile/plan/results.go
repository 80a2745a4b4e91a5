package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// result is what a plan has come to for one object: how it stands, and what those read that
// depend on it.
type result struct {
	// status is part of the plan if shown is true.
	status status.Object
	shown  bool
	// seen is true of a Volume or Snapshot that was seen to.
	seen bool
	// pool is that of a Pool whose volume group was looked at.
	pool pool
	// backing is what there is to be exported of a Volume or Snapshot, and store what exports
	// were given of it; nil: nothing.
	backing *backing
	store   *wantedStore
	// grown is the step that grows its logical volume.
	grown StepID
	// retreats is true of a Volume that was to get another logical volume and could not: it is
	// exported again as it was without waiting for the next attempt.
	retreats bool
	// arrived is true of one that another logical volume has just come in the place of.
	arrived bool
	// waitsFor is the Volume that gets another logical volume while an Export is down for a
	// moment, by this plan.
	waitsFor spec.ID
}

// backing is what exports need to know of the logical volume behind a Volume
// or Snapshot.
type backing struct {
	lv observe.LogicalVolume
	// usable is false if it must not be exported: it is gone, not ours, or its
	// content is lost.
	usable bool
	// reverting is true if it must not stay exported either.
	reverting bool
	// step must have succeeded before it can be exported; 0: none.
	step StepID
	thin bool
}

// results are those of a plan, by object.
type results struct {
	byID map[spec.ID]*result
	// all has them in the order in which they were asked for first, and room is for more.
	all  []*result
	room []result
	// last is what was asked for last, and most likely is asked for next.
	last *result
}

func newResults(objects int) results {
	return results{byID: make(map[spec.ID]*result, objects), all: make([]*result, 0, objects), room: make([]result, objects), last: &result{}}
}

// of returns what there is of an object, which is Ready until something else is said.
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

// backing returns what there is to be exported of an object, which is not usable if there is
// nothing.
func (d *differ) backing(id spec.ID) backing {
	if b := d.results.of(id).backing; b != nil {
		return *b
	}
	return backing{}
}
