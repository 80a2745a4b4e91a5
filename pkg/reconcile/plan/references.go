package plan

import (
	"slices"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// references are the relations between declared objects: which refer to an object, and which
// declares a place on the machine. They are computed once, in time linear in the declaration, and
// never change. Lists of names are sorted.
type references struct {
	// volumeNames and exportNames are those of the Volumes and Exports themselves.
	volumeNames, exportNames []string
	// exports are the Exports of a Volume or Snapshot, and exportsAt those that declare a target.
	exports   map[spec.ID][]string
	exportsAt map[observe.TargetID][]string
	// snapshots, copies and images are the Snapshots, Volumes and Images that are made from a
	// Volume.
	snapshots, copies, images map[string][]string
	// volumesAt and snapshotsAt are by the full name of a logical volume. They are computed when
	// first needed: only for undeclared objects.
	volumesAt, snapshotsAt func() map[string]string
	// usersOf returns the Exports with a user, by its name.
	usersOf func() map[string][]string
	// pools are the Pools in a volume group.
	pools map[string][]spec.Pool
	// exportsByTarget are the remembered Exports that had a target of that name.
	exportsByTarget map[string][]spec.ID
	// interrupted are the Exports that are interrupted since a cutover of a Volume, by its name.
	// anyInterrupted is true if there is any.
	interrupted    map[string][]spec.ID
	anyInterrupted bool
}

func newReferences(in Input) *references {
	r := &references{
		exports: make(map[spec.ID][]string, len(in.Declared.Exports)), exportsAt: make(map[observe.TargetID][]string, len(in.Declared.Exports)),
		volumeNames: sorted(in.Declared.Volumes), exportNames: sorted(in.Declared.Exports),
		snapshots: map[string][]string{}, copies: map[string][]string{}, images: map[string][]string{},
		pools: map[string][]spec.Pool{}, exportsByTarget: make(map[string][]spec.ID, len(in.Known)),
		interrupted: map[string][]spec.ID{},
	}
	set := in.Declared
	for _, name := range sorted(set.Pools) {
		p := set.Pools[name]
		r.pools[p.Spec.VolumeGroup] = append(r.pools[p.Spec.VolumeGroup], p)
	}
	for _, name := range r.volumeNames {
		if source := set.Volumes[name].Spec.Source; source != nil && source.Volume != "" {
			r.copies[source.Volume] = append(r.copies[source.Volume], name)
		}
	}
	snapshots := sorted(set.Snapshots)
	r.volumesAt = sync.OnceValue(func() map[string]string {
		return placesOf(r.volumeNames, func(name string) string {
			v := set.Volumes[name].Spec
			return set.Pools[v.Pool].Spec.VolumeGroup + "/" + v.LVName
		})
	})
	r.snapshotsAt = sync.OnceValue(func() map[string]string {
		return placesOf(snapshots, func(name string) string {
			of := set.Volumes[set.Snapshots[name].Spec.Volume].Spec
			return set.Pools[of.Pool].Spec.VolumeGroup + "/" + name
		})
	})
	r.usersOf = sync.OnceValue(func() map[string][]string { return usersOf(r.exportNames, set) })
	for _, name := range snapshots {
		s := set.Snapshots[name]
		r.snapshots[s.Spec.Volume] = append(r.snapshots[s.Spec.Volume], name)
	}
	for _, name := range sorted(set.Images) {
		if of := set.Images[name].Spec.Volume; of != "" {
			r.images[of] = append(r.images[of], name)
		}
	}
	for n, name := range r.exportNames {
		e := set.Exports[name]
		addPlace(r.exportsAt, in.targetOf(e), r.exportNames, n)
		for _, l := range e.Spec.LUNs {
			if list := r.exports[l.Backing()]; len(list) == 0 || list[len(list)-1] != name {
				addPlace(r.exports, l.Backing(), r.exportNames, n)
			}
		}
	}
	for id, known := range in.Known {
		for _, target := range known.Targets {
			if list := r.exportsByTarget[target]; len(list) == 0 || list[len(list)-1] != id {
				r.exportsByTarget[target] = append(list, id)
			}
		}
		for _, i := range known.Interrupted {
			r.anyInterrupted = true
			for _, l := range i.LUNs {
				r.interrupted[l.Volume] = append(r.interrupted[l.Volume], id)
			}
		}
	}
	for _, ids := range r.exportsByTarget {
		slices.SortFunc(ids, spec.CompareIDs)
	}
	return r
}

// usersOf returns the Exports that have a user, by its name.
func usersOf(exports []string, set spec.Set) map[string][]string {
	users := map[string][]string{}
	for _, name := range exports {
		e := set.Exports[name].Spec
		for _, account := range accountsOf(e) {
			if with := users[account.Username]; e.Protocol == spec.ProtocolISCSI && !slices.Contains(with, name) {
				users[account.Username] = append(with, name)
			}
		}
	}
	return users
}

// placesOf returns names by their places. If several have the same place, it is the first.
func placesOf(names []string, place func(name string) string) map[string]string {
	places := make(map[string]string, len(names))
	for _, name := range names {
		if at := place(name); places[at] == "" {
			places[at] = name
		}
	}
	return places
}
