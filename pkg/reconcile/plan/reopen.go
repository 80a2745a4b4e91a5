package plan

import (
	"fmt"
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// An Export that is invalid or suspended is not planned. But initiators wait for what a cutover
// removed from its target for a moment: that alone is restored, as they saw it before.

// reopenInvalid restores what cutovers removed from the targets of invalid Exports.
func (d *differ) reopenInvalid() {
	for _, id := range sortedIDs(d.in.Declared.Invalid) {
		if id.Kind == spec.KindExport {
			d.reopenTarget(id)
		}
	}
}

// reopenTarget restores what cutovers removed from an Export's targets. In doubt a target is kept
// closed, and the status of the Export says why.
func (d *differ) reopenTarget(id spec.ID) {
	if d.results.of(id).pausedFor != (spec.ID{}) { // the cutover is still in progress
		return
	}
	for _, i := range d.in.Known[id].Interrupted {
		have, there := d.in.Observed.Target(i.id())
		if there {
			i = i.stillMissing(have)
		}
		if i.isOver() {
			continue
		}
		if why := d.restoreTarget(id, i, have); why != "" {
			state := "is still closed"
			if !i.Disabled && len(i.Portals) == 0 {
				state = "is still incomplete"
			}
			o := d.object(id)
			o.Message += fmt.Sprintf("; a cutover interrupted target %s, which %s: %s", i.Target, state, why)
		}
	}
}

// restoreTarget plans what is missing, LUNs before logins. It returns why not all of it can be
// planned.
func (d *differ) restoreTarget(id spec.ID, i Interruption, have observe.Target) (why string) {
	if err := d.in.Observed.Unknown[i.Fabric.System()]; err != nil {
		return fmt.Sprintf("it cannot be read: %v", err)
	}
	if owner, owned := have.Owner(); owned && owner != id || !owned && !have.HasTPG || !owned && !have.Empty() {
		return "it no longer has the mark of this Export"
	}
	e, said := d.in.Declared.Exports[id.Name]
	if !said {
		e, said = d.in.Declared.Withheld[id.Name]
	}
	if said {
		if d.in.targetOf(e) != i.id() {
			return fmt.Sprintf("the file declares target %s instead. Correct the file", e.Spec.Target)
		}
		i = i.limitedTo(e.Spec, have)
		if at := undeclaredPortal(have, e.Spec); i.Disabled && at != "" {
			return fmt.Sprintf("it listens at %s, which the file no longer declares. Correct the file", at)
		}
	}
	for _, other := range d.refs.exportsAt[i.id()] {
		if other != id.Name {
			return fmt.Sprintf("it belongs to %s now", spec.ID{Kind: spec.KindExport, Name: other})
		}
	}
	x := &exportDiffer{
		differ: d, id: id, fabric: fabric{Fabric: i.Fabric, traits: traitsOf[i.Fabric]}, have: have, stepsBefore: len(d.plan.Steps),
		target: change.Target{Fabric: i.Fabric, Name: i.Target, Export: id.Name},
	}
	if why := x.whyNotReopened(i); i.isOver() || why != "" {
		return why
	}
	var needs []StepID
	for _, n := range sortedInts(i.LUNs) {
		steps, obstacle := x.restoreLUN(n, i.LUNs[n])
		needs = append(needs, steps...)
		if why == "" {
			why = obstacle
		}
	}
	if why != "" {
		return why
	}
	const because = "initiators have waited for it since a cutover"
	for _, portal := range sorted(i.Portals) {
		x.step(id, because, change.AddPortal{Target: x.target, Portal: portal, Transport: i.Portals[portal]}, needs...)
	}
	if i.Disabled {
		x.step(id, because, change.EnableTarget{Target: x.target}, needs...)
	}
	return ""
}

// whyNotReopened returns what initiators must not find in the target as it is; empty: nothing.
func (x *exportDiffer) whyNotReopened(i Interruption) string {
	if x.have.Attrib.GenerateNodeACLs && !i.Anyone {
		return "it admits any initiator, but the Export no longer does. Correct the Export"
	}
	who := slices.Concat(sorted(x.have.ACLs), x.have.DynamicSessions, x.have.Unattributed)
	for _, name := range who {
		if _, admitted := i.Initiators[name]; !admitted && !i.Anyone {
			return fmt.Sprintf("it admits %s, but the Export no longer does, or with another password. Correct the Export, or remove that initiator from the target", name)
		}
	}
	for _, n := range sortedInts(x.have.LUNs) {
		of, offered := i.Offered[n]
		switch l := x.have.LUNs[n]; {
		case l.Backstore+l.Device == "":
		case !offered:
			return fmt.Sprintf("its LUN %d is not in the Export. Correct the Export, or remove that LUN from the target", n)
		case !x.showsWhole(of, l):
			return fmt.Sprintf("its LUN %d may not show all of %s. Correct the Export", n, of)
		}
	}
	return x.whoWouldSeeOther(i)
}

// whoWouldSeeOther returns which initiator would see something that the Export does not show it;
// empty: none.
func (x *exportDiffer) whoWouldSeeOther(i Interruption) string {
	for _, name := range sorted(x.have.ACLs) {
		for _, n := range sortedInts(x.have.ACLs[name].LUNs) {
			m := x.have.ACLs[name].LUNs[n]
			if m.LUN < 0 {
				continue
			}
			readOnly, shown := i.Initiators[name][n]
			if m.LUN != n || !shown && !i.Anyone || readOnly && !m.WriteProtect {
				return fmt.Sprintf("%s sees its LUN %d, which the Export does not show that way. Correct the Export, or remove that mapping", name, n)
			}
		}
	}
	return ""
}

// undeclaredPortal returns a portal of a target that an Export does not declare; empty: none.
func undeclaredPortal(have observe.Target, e spec.ExportSpec) string {
	for _, portal := range sorted(have.Portals) {
		if traitsOf[have.Fabric].ownPortals && !slices.Contains(e.Portals, portal) {
			return portal
		}
	}
	return ""
}

// showsWhole reports whether a LUN shows all data of an object's current logical volume.
func (x *exportDiffer) showsWhole(of string, l observe.TargetLUN) bool {
	id := spec.ParseID(of)
	b := x.backingOf(id)
	if !b.exportable || b.lv.UUID == "" {
		return false
	}
	if !x.fabric.backstores {
		return l.Device != "" && l.Identity == x.fabric.identity(b.lv.Identity())
	}
	have, exists := x.index.Backstore(id)
	return exists && have.Enabled && have.Path() == l.Backstore &&
		have.Serial == b.lv.Serial() && BoundTo(have, b.lv)
}

// restoreLUN plans a LUN as it was, and for the same initiators.
func (x *exportDiffer) restoreLUN(n int, l InterruptedLUN) (steps []StepID, why string) {
	backing := spec.ID{Kind: spec.KindVolume, Name: l.Volume}
	b := x.backingOf(backing)
	if !b.exportable || b.lv.Identity() != l.UUID {
		return nil, fmt.Sprintf("LUN %d: %s has no complete logical volume: %s", n, backing, x.messageOf(backing))
	}
	have, exists := x.have.LUNs[n]
	if !x.fabric.backstores && !exists && x.blockedByUsers(backing, b.lv) {
		return nil, fmt.Sprintf("LUN %d: %s: %s", n, backing, x.messageOf(backing))
	}
	store := x.storeOf(backing)
	if by := x.alsoServedBy(backing); by != "" {
		return nil, fmt.Sprintf("LUN %d: %s is also served by %s. Remove it there", n, backing, by)
	}
	if !store.linkable {
		return nil, fmt.Sprintf("LUN %d: %s cannot be served: %s", n, backing, x.messageOf(backing))
	}
	for _, other := range sortedInts(x.have.LUNs) {
		if at := x.have.LUNs[other]; at.Backstore+at.Device != "" && (other == n) != store.servedBy(at) {
			return nil, fmt.Sprintf("LUN %d: LUN %d shows another volume than before the cutover. Remove it from the target", n, other)
		}
	}
	var added StepID
	if have.Backstore+have.Device == "" {
		added = x.step(x.id, "initiators had it before a cutover", change.AddLUN{
			Target: x.target, LUN: n, Backstore: store.path, Device: store.device, LVUUID: store.lvUUID, Identity: store.lvIdentity,
			ReadOnly: l.ReadOnly || store.readOnly, Unmap: store.unmap,
		}, store.step)
		steps = append(steps, added)
	}
	for _, name := range slices.Sorted(maps.Keys(l.Mapped)) {
		acl, listed := x.have.ACLs[name]
		mapped, taken := acl.LUNs[n]
		switch {
		case !listed || !x.fabric.mapsLUNs:
		case taken && mapped.LUN >= 0 && mapped.LUN != n:
			return steps, fmt.Sprintf("LUN %d: %s sees another LUN under this number. Remove that mapping", n, name)
		case !taken || mapped.LUN < 0 || added != 0:
			steps = append(steps, x.step(x.id, "initiators had it before a cutover",
				change.MapLUN{Target: x.target, Initiator: name, LUN: n, ReadOnly: l.Mapped[name] || b.lv.ReadOnly}, added))
		}
	}
	return steps, ""
}

// messageOf returns the message of an object's status.
func (d *differ) messageOf(id spec.ID) string {
	if o := d.results.of(id); o.shown && o.status.Message != "" {
		return o.status.Message
	}
	return "it is not declared. Declare it again"
}
