package reconcile

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// references answers what a plan asks of the specs but for the objects themselves: who refers
// to an object, and which object a place on the machine is named by. It is built once, in
// time linear in what is declared, and never changes. All lists are sorted.
type references struct {
	// exports are the Exports of a Volume or Snapshot, and exportsAt those that name a target.
	exports   map[spec.ID][]string
	exportsAt map[observe.TargetID][]string
	// snapshots, copies and images are the Snapshots, Volumes and Images that are made of a
	// Volume.
	snapshots, copies, images map[string][]string
	// volumesAt and snapshotsAt are named by the full name of a logical volume.
	volumesAt, snapshotsAt map[string]string
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
		snapshots: map[string][]string{}, copies: map[string][]string{}, images: map[string][]string{},
		volumesAt: make(map[string]string, len(in.Desired.Volumes)), snapshotsAt: map[string]string{}, pools: map[string][]spec.Pool{}, known: make(map[string][]spec.ID, len(in.Known)),
		interrupted: map[string][]spec.ID{},
	}
	set := in.Desired
	for _, name := range sorted(set.Pools) {
		p := set.Pools[name]
		r.pools[p.Spec.VolumeGroup] = append(r.pools[p.Spec.VolumeGroup], p)
	}
	for _, name := range sorted(set.Volumes) {
		v := set.Volumes[name]
		addFirst(r.volumesAt, set.Pools[v.Spec.Pool].Spec.VolumeGroup+"/"+v.Spec.LVName, name)
		if v.Spec.Source != nil && v.Spec.Source.Volume != "" {
			r.copies[v.Spec.Source.Volume] = append(r.copies[v.Spec.Source.Volume], name)
		}
	}
	for _, name := range sorted(set.Snapshots) {
		s := set.Snapshots[name]
		addFirst(r.snapshotsAt, set.Pools[set.Volumes[s.Spec.Volume].Spec.Pool].Spec.VolumeGroup+"/"+name, name)
		r.snapshots[s.Spec.Volume] = append(r.snapshots[s.Spec.Volume], name)
	}
	for _, name := range sorted(set.Images) {
		if of := set.Images[name].Spec.Volume; of != "" {
			r.images[of] = append(r.images[of], name)
		}
	}
	exports := sorted(set.Exports)
	for n, name := range exports {
		e := set.Exports[name]
		at := observe.TargetID{Fabric: in.fabricOf(e.Spec.Protocol).Fabric, Name: e.Spec.Target}
		addPlace(r.exportsAt, at, exports, n)
		for _, l := range e.Spec.LUNs {
			if list := r.exports[l.Backing()]; len(list) == 0 || list[len(list)-1] != name {
				addPlace(r.exports, l.Backing(), exports, n)
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

// addFirst gives a place its first name.
func addFirst(names map[string]string, at, name string) {
	if _, taken := names[at]; !taken {
		names[at] = name
	}
}
