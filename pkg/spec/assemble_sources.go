package spec

import (
	"fmt"
	"slices"
	"strings"
)

// maxCircle is how many names of a cycle one message has.
const maxCircle = 8

// checkCycles refuses objects of which none can be created first, because each takes its
// content from the next. If all of them exist already they are refused as well: none
// could be created again after a loss.
//
// Nothing else is checked of sources. An undeclared source is no mistake, see
// [VolumeSource].
func (a *assembly) checkCycles() {
	seen := map[ID]bool{}
	for o, v := range objectsOf[Volume](a) {
		if v.Spec.Source == nil {
			continue // and no circle is without a Volume that has one
		}
		var way []*object
		for o != nil && !seen[o.id] {
			seen[o.id] = true
			way = append(way, o)
			_, from := contentFrom(o)
			o = a.index[from]
		}
		if begin := slices.Index(way, o); begin >= 0 {
			a.refuseCycle(way[begin:])
		}
	}
}

// contentFrom returns where an object's content comes from when it is created, and
// the field that says so. Each has one such place at most.
func contentFrom(o *object) (path string, from ID) {
	switch v := o.value.(type) {
	case *Snapshot:
		return "spec.volume", ID{KindVolume, v.Spec.Volume}
	case *Volume:
		if v.Spec.Source != nil {
			from, _ = v.Spec.Source.Object()
		}
		if from.Kind == KindSnapshot {
			return "spec.source.snapshot", from
		}
		return "spec.source.volume", from
	default:
		return "", ID{}
	}
}

// refuseCycle refuses the objects of one cycle, in the order in which each takes its
// content from the next.
func (a *assembly) refuseCycle(objects []*object) {
	for i, o := range objects {
		var way strings.Builder
		for n := range min(len(objects), maxCircle) {
			way.WriteString(objects[(i+n)%len(objects)].id.String() + " from ")
		}
		if more := len(objects) - maxCircle; more > 0 {
			fmt.Fprintf(&way, "%d more from ", more)
		}
		path, _ := contentFrom(o)
		a.refuse(o, path, "circular source: %s%s; remove spec.source from a Volume that already exists, or choose another source",
			way.String(), o.id)
	}
}

// checkReverts refuses to revert a Volume to anything but a snapshot of it, or a backup in a declared Repository.
func (a *assembly) checkReverts() {
	const path = "spec.revert.snapshot"
	for o, v := range objectsOf[Volume](a) {
		if v.Spec.Revert == nil {
			continue
		}
		if b := v.Spec.Revert.Backup; b != nil {
			a.resolve(o, "spec.revert.backup.repository", ID{KindRepository, b.Repository})
			continue
		}
		to := ID{KindSnapshot, v.Spec.Revert.Snapshot}
		if a.isScheduled(to) && a.index[to] == nil {
			continue
		}
		if !a.isDeclared(to) {
			a.dangling++
			a.refuse(o, path, "Snapshot %s is not declared (after a finished revert, spec.revert can be removed)%s", quote(to.Name), a.hint(to))
			continue
		}
		if s := a.index[to]; s != nil && s.value.(*Snapshot).Spec.Volume != o.id.Name {
			a.refuse(o, path, "%s (%s) is a snapshot of Volume/%s; a Volume can only revert to its own snapshots. To copy from another Volume, create a new Volume with spec.source",
				to, s.where("spec.volume"), s.value.(*Snapshot).Spec.Volume)
		}
	}
}
