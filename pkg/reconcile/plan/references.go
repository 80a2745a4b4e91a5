package plan

import (
	"slices"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// references answers what a plan asks of the specs but for the objects themselves: who refers
// to an object, and which object a place on the machine is named by. It is built once, in
// time linear in what is declared, and never changes. Lists of names are sorted.
type references struct {
	// volumeNames and exportNames are those of the Volumes and Exports themselves.
	volumeNames, exportNames []string
	// exports are the Exports of a Volume or Snapshot, and exportsAt those that name a target.
	exports   map[spec.ID][]string
	exportsAt map[observe.TargetID][]string
	// snapshots, copies and images are the Snapshots, Volumes and Images that are made of a
	// Volume.
	snapshots, copies, images map[string][]string
	// volumesAt and snapshotsAt are named by the full name of a logical volume. They are made
	// when somebody asks: only what no file names is looked for in them.
	volumesAt, snapshotsAt func() map[string]string
	// usersOf are the Exports over iSCSI that have a user, by its name; they too are found
	// when somebody asks.
	usersOf func() map[string][]string
	// pools are the Pools in a volume group.
	pools map[string][]spec.Pool
	// known are the remembered Exports that had a target of that name.
	known map[string][]spec.ID
	// interrupted are the Exports that wait for a Volume since a cutover, by its name, and
	// anyInterrupted is true if one waits for whatever it is.
	interrupted    map[string][]spec.ID
	anyInterrupted bool
}

func newReferences(in Input) *references {
	r := &references{
		exports: make(map[spec.ID][]string, len(in.Desired.Exports)), exportsAt: make(map[observe.TargetID][]string, len(in.Desired.Exports)),
		volumeNames: sorted(in.Desired.Volumes), exportNames: sorted(in.Desired.Exports),
		snapshots: map[string][]string{}, copies: map[string][]string{}, images: map[string][]string{},
		pools: map[string][]spec.Pool{}, known: make(map[string][]spec.ID, len(in.Known)),
		interrupted: map[string][]spec.ID{},
	}
	set := in.Desired
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
			if list := r.known[target]; len(list) == 0 || list[len(list)-1] != id {
				r.known[target] = append(list, id)
			}
		}
		for _, i := range known.Interrupted {
			r.anyInterrupted = true
			for _, l := range i.LUNs {
				r.interrupted[l.Volume] = append(r.interrupted[l.Volume], id)
			}
		}
	}
	for _, ids := range r.known {
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

// placesOf returns names by their places. Of several in one place it is the first.
func placesOf(names []string, place func(name string) string) map[string]string {
	places := make(map[string]string, len(names))
	for _, name := range names {
		if at := place(name); places[at] == "" {
			places[at] = name
		}
	}
	return places
}
