package plan

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// protect plans that a LUN becomes read-only, or writable. What is written by those who are logged
// in, and has not reached it, gets an error when it becomes read-only.
func (x *exportDiffer) protect(c change.SetWriteProtect, sessions []string, needs ...StepID) {
	switch {
	case !c.ReadOnly || len(sessions) == 0:
		x.step(x.id, "differs", c, needs...)
	case x.mayRemove(fmt.Sprintf("write access to LUN %d", c.LUN), sessions):
		x.dangerousStep(x.id, "spec asks for readOnly", Disruptive, sessions, c, needs...)
	}
}

// letGoToProtect takes all LUNs out of a group that lets anybody in, so that whoever could write can
// only read from now on, or the other way round: what the group says holds for LUNs that are added,
// and for initiators that were never there. It reports whether it does; the LUNs are added in the
// same plan.
func (x *exportDiffer) letGoToProtect(readOnly bool) bool {
	how := "becomes writable"
	if readOnly {
		how = "becomes read-only"
	}
	for _, l := range x.spec.LUNs {
		if !x.backing(l.Backing()).usable { // it would not be added
			return false
		}
	}
	for _, n := range sortedInts(x.have.LUNs) {
		if !x.mayRemove(fmt.Sprintf("LUN %d (%s)", n, how), initiatorsOf(x.have, n)) || !x.comesBackWithKeys(n, x.have.LUNs[n]) {
			return false
		}
	}
	for _, n := range sortedInts(x.have.LUNs) {
		x.base = append(x.base, x.removeLUN(n, "readOnly differs"))
	}
	x.letGone = true
	return true
}

// stands reports whether nobody can write to a Snapshot, so that what is read of it
// one piece after the other is of one moment. If somebody can, it says so. By what
// the spec says counts too: a copy is ended by the very plan that lets somebody in.
func (d *differ) stands(id, snapshot spec.ID, lv observe.LogicalVolume) bool {
	way := d.wayToWrite(snapshot, lv)
	if way != "" {
		d.setBlocked(id, status.ReasonNotReady, "cannot copy from %s: %s lets initiators write to it, so the copy would be inconsistent. Make that LUN readOnly, or remove it until the copy is done", snapshot, way)
	}
	return way == ""
}

// wayToWrite returns through what initiators can write to a Snapshot, or will be able
// to when the specs are applied; empty: nobody can.
func (d *differ) wayToWrite(id spec.ID, lv observe.LogicalVolume) string {
	if lv.ReadOnly {
		return ""
	}
	for _, name := range d.refs.exports[id] {
		if e := d.in.Desired.Exports[name].Spec; slices.ContainsFunc(e.LUNs, func(l spec.LUN) bool { return l.Backing() == id && writable(e, l) }) {
			return spec.ID{Kind: spec.KindExport, Name: name}.String()
		}
	}
	for _, key := range d.lunsToWrite(id, lv) {
		if t := d.target(key.target); writableAt(t, key.lun) {
			return "target " + t.Name
		}
	}
	return ""
}

// writers returns the initiators that are logged in and can write to a Snapshot.
func (d *differ) writers(id spec.ID, lv observe.LogicalVolume) []string {
	var names []string
	for _, key := range d.lunsToWrite(id, lv) {
		t := d.target(key.target)
		for _, name := range initiatorsOf(t, key.lun) {
			can := writableAt(t, key.lun)
			if acl, listed := t.ACLs[name]; listed && traitsOf[t.Fabric].maps {
				can = writableBy(acl, key.lun)
			}
			if can {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// lunsToWrite returns the LUNs that serve an object and do not refuse to be written to,
// whosever targets they are in.
func (d *differ) lunsToWrite(id spec.ID, lv observe.LogicalVolume) []lunKey {
	if lv.ReadOnly {
		return nil
	}
	keys := d.index.servedDirectly(lv)
	for _, b := range d.index.backstoresOf(id, lv) {
		if !b.ReadOnly {
			keys = append(keys, d.index.linksTo(b)...)
		}
	}
	return keys
}

// writable reports whether an Export lets anybody write to a LUN.
func writable(e spec.ExportSpec, l spec.LUN) bool {
	return !l.ReadOnly && (e.AllowAnyInitiator || slices.ContainsFunc(e.Initiators, func(i spec.Initiator) bool {
		return !i.ReadOnly && i.Sees(*l.Number)
	}))
}

// writableAt reports whether a target lets anybody write to a LUN.
func writableAt(t observe.Target, lun int) bool {
	switch traits := traitsOf[t.Fabric]; {
	case traits.accounts:
		return !t.LUNs[lun].ReadOnly
	case !traits.maps:
		return true // nobody can be kept from it
	}
	if (t.Attrib.GenerateNodeACLs || len(t.DynamicSessions) > 0) && !t.Attrib.DemoModeWriteProtect {
		return true
	}
	for _, acl := range t.ACLs {
		if writableBy(acl, lun) {
			return true
		}
	}
	return false
}

// writableBy reports whether an initiator can write to a LUN of LIO.
func writableBy(acl observe.ACL, lun int) bool {
	for _, m := range acl.LUNs {
		if m.LUN == lun && !m.WriteProtect {
			return true
		}
	}
	return false
}

// copiedOfNothing is what a checkpoint names when what is on the device is of a
// source that changed meanwhile: all of it is to be compared.
const copiedOfNothing = "changed"

// copyAnew sees to it that nothing counts of what was copied to a logical volume from
// a snapshot that somebody may have written to since.
func (d *differ) copyAnew(id spec.ID, lv, from observe.LogicalVolume) {
	begun := lv.TagsWith(ondisk.TagCheckpoint + from.UUID + ":")
	if len(begun) == 0 {
		return
	}
	want := []string{ondisk.CheckpointTag(from.UUID, 0), ondisk.CheckpointTag(copiedOfNothing, 0)}
	added := slices.DeleteFunc(slices.Clone(want), func(t string) bool { return slices.Contains(lv.Tags, t) })
	removed := slices.DeleteFunc(begun, func(t string) bool { return slices.Contains(want, t) })
	if len(added)+len(removed) > 0 {
		d.step(id, "the source may have changed since it was copied", change.SetTags{LV: nameOf(lv), Add: added, Remove: removed})
	}
}
