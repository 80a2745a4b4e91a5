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

// setWriteProtect plans that a LUN becomes read-only or writable. When it becomes read-only,
// writes of connected initiators that are still under way fail.
func (x *exportDiffer) setWriteProtect(c change.SetWriteProtect, sessions []string, needs ...StepID) {
	switch {
	case !c.ReadOnly || len(sessions) == 0:
		x.step(x.id, "differs", c, needs...)
	case x.mayRemove(fmt.Sprintf("write access to LUN %d", c.LUN), sessions):
		x.dangerousStep(x.id, "spec asks for readOnly", Disruptive, sessions, c, needs...)
	}
}

// removeLUNsToProtect removes all LUNs from a group that admits any initiator, because the group's
// write protection applies only to LUNs that are added later, and to new initiators. It reports
// whether it does; the LUNs are added again in the same plan.
func (x *exportDiffer) removeLUNsToProtect(readOnly bool) bool {
	how := "becomes writable"
	if readOnly {
		how = "becomes read-only"
	}
	for _, l := range x.spec.LUNs {
		if !x.backingOf(l.Backing()).exportable { // it would not be added again
			return false
		}
	}
	for _, n := range sortedInts(x.have.LUNs) {
		if !x.mayRemove(fmt.Sprintf("LUN %d (%s)", n, how), initiatorsOf(x.have, n)) || !x.keepsKeysWhenReadded(n, x.have.LUNs[n]) {
			return false
		}
	}
	for _, n := range sortedInts(x.have.LUNs) {
		x.base = append(x.base, x.removeLUN(n, "readOnly differs"))
	}
	x.allLUNsRemoved = true
	return true
}

// isReadOnlyEverywhere reports whether nobody can write to a Snapshot, so that a copy of it is
// consistent. If somebody can, it sets the status. Declared write access is included: this very
// plan may grant it.
func (d *differ) isReadOnlyEverywhere(id, snapshot spec.ID, lv observe.LogicalVolume) bool {
	way := d.writableThrough(snapshot, lv)
	if way != "" {
		d.setBlocked(id, status.ReasonNotReady, "cannot copy from %s: %s lets initiators write to it, so the copy would be inconsistent. Make that LUN readOnly, or remove it until the copy is done", snapshot, way)
	}
	return way == ""
}

// writableThrough returns through which target initiators can write to a Snapshot, now or when the
// specs are applied; empty: none.
func (d *differ) writableThrough(id spec.ID, lv observe.LogicalVolume) string {
	if lv.ReadOnly {
		return ""
	}
	for _, name := range d.refs.exports[id] {
		if e := d.in.Declared.Exports[name].Spec; slices.ContainsFunc(e.LUNs, func(l spec.LUN) bool { return l.Backing() == id && writable(e, l) }) {
			return spec.ID{Kind: spec.KindExport, Name: name}.String()
		}
	}
	for _, key := range d.writableLUNs(id, lv) {
		if t := d.target(key.target); writableAt(t, key.lun) {
			return "target " + t.Name
		}
	}
	return ""
}

// connectedWriters returns the connected initiators that can write to a Snapshot.
func (d *differ) connectedWriters(id spec.ID, lv observe.LogicalVolume) []string {
	var names []string
	for _, key := range d.writableLUNs(id, lv) {
		t := d.target(key.target)
		for _, name := range initiatorsOf(t, key.lun) {
			can := writableAt(t, key.lun)
			if acl, listed := t.ACLs[name]; listed && traitsOf[t.Fabric].mapsLUNs {
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

// writableLUNs returns the LUNs that serve an object and are not read-only, in any target.
func (d *differ) writableLUNs(id spec.ID, lv observe.LogicalVolume) []lunKey {
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

// writable reports whether an Export lets any initiator write to a LUN.
func writable(e spec.ExportSpec, l spec.LUN) bool {
	return !l.ReadOnly && (e.AllowAnyInitiator || slices.ContainsFunc(e.Initiators, func(i spec.Initiator) bool {
		return !i.ReadOnly && i.Sees(*l.Number)
	}))
}

// writableAt reports whether a target lets any initiator write to a LUN.
func writableAt(t observe.Target, lun int) bool {
	switch traits := traitsOf[t.Fabric]; {
	case traits.targetAccounts:
		return !t.LUNs[lun].ReadOnly
	case !traits.mapsLUNs:
		return true // there is no write protection
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

// nothingCopied is the source in the checkpoint of a copy whose source has changed: all data is
// compared again.
const nothingCopied = "changed"

// restartCopy resets the checkpoints of a copy from a snapshot that somebody may have written to
// since.
func (d *differ) restartCopy(id spec.ID, lv, from observe.LogicalVolume) {
	begun := lv.TagsWith(ondisk.TagCheckpoint + from.UUID + ":")
	if len(begun) == 0 {
		return
	}
	want := []string{ondisk.CheckpointTag(from.UUID, 0), ondisk.CheckpointTag(nothingCopied, 0)}
	added := slices.DeleteFunc(slices.Clone(want), func(t string) bool { return slices.Contains(lv.Tags, t) })
	removed := slices.DeleteFunc(begun, func(t string) bool { return slices.Contains(want, t) })
	if len(added)+len(removed) > 0 {
		d.step(id, "the source may have changed since it was copied", change.SetTags{LV: nameOf(lv), Add: added, Remove: removed})
	}
}
