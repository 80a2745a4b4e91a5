package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// absentTargets takes down our targets that no export asks for: exports go
// before what they export.
func (d *differ) absentTargets() {
	for _, target := range d.index.targets {
		t := d.target(target)
		id, ours := t.Owner()
		if !ours || d.keepsTarget(id, target) {
			continue
		}
		if !d.names(id) {
			d.object(id).Export = d.exportStatus(id, t)
			if d.stopped(id, d.undeclared(id)) {
				continue
			}
			d.ledger.loses(id, t.Name)
		}
		if !d.removable(id) {
			continue
		}
		force, who := d.forced(id, t.Name), Sessions(t)
		if len(who) > 0 && !force {
			d.setBlocked(id, status.ReasonSessionsActive, "cannot remove target %s: waiting for initiators to disconnect: %s", t.Name, shortList(who))
			d.shut(id, t)
			continue
		}
		if keys := d.keysOf(t); len(keys) > 0 && !force {
			d.setBlocked(id, status.ReasonReservationsActive, "cannot remove target %s: initiators hold persistent reservations: %s. Declare the Export again and clear them (sg_persist --out --clear --param-rk=KEY DEVICE), or declare it with disconnect: Force before you remove it",
				t.Name, shortList(keys))
			d.shut(id, t)
			continue
		}
		if t.OtherTPGs > 0 {
			d.setBlocked(id, status.ReasonNotOwned, "cannot remove target %[1]s: it has target portal groups that are not managed by volreconciler. Remove those by hand (targetcli /iscsi/%[1]s ls)", t.Name)
			continue
		}
		d.ledger.targets[target] = d.removal(id, "no Export declares it", Disruptive, who,
			change.RemoveTarget{Target: change.Target{Fabric: t.Fabric, Name: t.Name, Export: id.Name}, Force: force})
	}
	d.emptyShells()
}

// shut lets nobody log in again to a target that remains for the sessions, or the keys, of some: but
// those who are still listed, by the Export that has another target now, or by one that waits for
// this one.
func (d *differ) shut(id spec.ID, t observe.Target) {
	x := &exportDiffer{
		differ: d, id: id, fabric: fabric{Fabric: t.Fabric, traits: traitsOf[t.Fabric]}, have: t, before: len(d.plan.Steps),
		target: change.Target{Fabric: t.Fabric, Name: t.Name, Export: id.Name},
	}
	for _, name := range append([]string{id.Name}, d.refs.exportsAt[x.target.ID()]...) {
		e := d.in.Desired.Exports[name].Spec
		x.spec.Initiators = append(x.spec.Initiators, e.Initiators...)
		if e.AllowAnyInitiator {
			return
		}
	}
	if t.Attrib.GenerateNodeACLs {
		x.attributes()
	}
	x.removeInitiators()
}

// forced reports whether live sessions of an export's target are not waited
// for, as its spec says, or said last.
func (d *differ) forced(id spec.ID, iqn string) bool {
	if e, desired := d.in.Desired.Exports[id.Name]; desired {
		return e.Spec.Disconnect == spec.DisconnectForce
	}
	known := d.in.Known[id]
	return known.Force && slices.Contains(known.Targets, iqn)
}

// emptyShells removes what a crash in the midst of a removal leaves of our
// targets: a directory without a portal group, and so without the mark that was
// on it. Memory alone says whose it was.
func (d *differ) emptyShells() {
	for _, target := range d.index.targets {
		if t := d.target(target); !t.Empty() || traitsOf[t.Fabric].markInGroup && t.HasTPG {
			continue
		}
		id, known := d.formerOwner(target)
		if known && d.removable(id) {
			// What is empty serves nothing to those who stay connected.
			d.removal(id, "empty, left over from an interrupted removal", Harmless, nil, change.RemoveTarget{
				Target: change.Target{Fabric: target.Fabric, Name: target.Name, Export: id.Name}, Force: traitsOf[target.Fabric].alwaysConnected,
			})
		}
	}
}

// formerOwner returns the export that had a target which none asks for now.
func (d *differ) formerOwner(target observe.TargetID) (owner spec.ID, known bool) {
	if len(d.refs.exportsAt[target]) > 0 {
		return spec.ID{}, false
	}
	for _, id := range d.refs.known[target.Name] {
		if d.keepsTarget(id, target) {
			return spec.ID{}, false
		}
		owner, known = id, true
	}
	return owner, known
}

// keepsTarget reports whether an export's target remains: it is asked for, or its
// export cannot or must not be acted on.
func (d *differ) keepsTarget(id spec.ID, target observe.TargetID) bool {
	e, desired := d.in.Desired.Exports[id.Name]
	if desired {
		return d.in.targetOf(e) == target || e.Metadata.Suspended() || d.unsupported(e) != ""
	}
	return d.names(id)
}

// absentBackstores removes our backstores to which nothing is linked any more,
// because a backstore holds its logical volume open.
func (d *differ) absentBackstores() {
	unwanted := idsWhere(d.index.ownBackstores, func(id spec.ID) bool {
		return d.results.of(id).store == nil && !d.ledger.releases(id) && !d.isSuspended(id)
	})
	for _, id := range unwanted {
		b, _ := d.index.Backstore(id)
		needs, unlinked := d.unlinks(b)
		if !unlinked || !d.removableBackstore(id) {
			continue
		}
		d.ledger.backstores[id] = d.step(id, "no Export uses it", change.RemoveBackstore{Backstore: change.Backstore{HBA: b.HBA, Name: b.Name}}, needs...)
	}
}

// removableBackstore asks the same questions as removable, without a word in
// the status of an object that remains: that its backstore is kept a little
// longer is nobody's concern.
func (d *differ) removableBackstore(id spec.ID) bool {
	if d.names(id) {
		return !d.inDoubt()
	}
	return d.removable(id)
}

// unlinks returns the steps that take away all that is linked to a backstore,
// and whether there are such steps for all of it.
func (d *differ) unlinks(b observe.Backstore) ([]StepID, bool) {
	return d.ledger.unserves(d.index.linksTo(b))
}

// absentVolumes sees to the logical volumes that are ours and that no file
// names: snapshots go before what they are snapshots of.
func (d *differ) absentVolumes() {
	unnamed := idsWhere(d.index.current, func(id spec.ID) bool { return !d.names(id) })
	for _, kind := range []spec.Kind{spec.KindSnapshot, spec.KindVolume, spec.KindPool} {
		for _, id := range unnamed {
			if id.Kind != kind {
				continue
			}
			for _, lv := range d.index.current[id] {
				d.absentVolume(id, lv)
			}
		}
	}
}

func (d *differ) absentVolume(id spec.ID, lv observe.LogicalVolume) {
	status := d.show(id, lv)
	if d.guarded(ownGuards, id, lv) {
		return
	}
	keep, keepKnown := d.trashTime(lv)
	stay, inTrash := d.stayInTrash(id, lv)
	switch {
	case inTrash && (!keepKnown || !d.over(stay, keep)):
		d.keepInTrash(id, lv, status, stay)
		return
	case !inTrash:
		d.ledger.loses(id, lv.UUID)
	}
	if d.guarded(nowGuards, id, lv) {
		return
	}
	switch {
	case inTrash:
		d.removeVolume(id, lv, "its trash period has ended", stay.tags)
	case keepKnown && keep == 0:
		d.removeVolume(id, lv, "undeclared, with deletionPolicy: Delete", nil)
	default:
		d.trashVolume(id, lv, stay)
	}
}

// show lets an object show its logical volume.
func (d *differ) show(id spec.ID, lv observe.LogicalVolume) *status.Volume {
	shown := d.volumeStatus(id, lv)
	switch id.Kind {
	case spec.KindVolume:
		d.object(id).Volume = shown
	case spec.KindSnapshot:
		d.object(id).Snapshot = shown
	default: // a Pool's thin pool
	}
	return shown
}

// removeVolume removes a logical volume that has the given tags besides those
// that every such logical volume has.
func (d *differ) removeVolume(id spec.ID, lv observe.LogicalVolume, why string, tags []string) {
	if d.guarded(removalGuards, id, lv) {
		return
	}
	tags = append(append(d.signed(ondisk.OwnerTags(id)), ondisk.DeletionTag(spec.Delete)), tags...)
	var remove change.Change = change.RemoveLV{LV: nameOf(lv), Tags: tags}
	cleared := d.clearMethod(lv) != spec.ClearNone
	if cleared {
		remove = change.StartClearing{LV: nameOf(lv), Tags: tags}
	}
	step := d.removal(id, why, Destructive, d.outliving(lv), remove, d.released(id, lv)...)
	if !cleared || lv.Type != observe.ThickSnapshot {
		d.ledger.volumes[lv.FullName()] = step
		return
	}
	// Its origin is rid of it when it is split off.
	d.ledger.volumes[lv.FullName()] = d.removal(id, "needed before it can be wiped", Destructive, nil, change.SplitSnapshot{LV: nameOf(lv)}, step)
}

// released returns the steps that take away what hangs on an object's logical volume, or
// holds it.
func (d *differ) released(id spec.ID, lv observe.LogicalVolume) []StepID {
	steps, _ := d.ledger.unserves(d.index.servedDirectly(lv))
	return slices.Concat(d.ledger.after(d.thickSnapshotsOf(lv)), []StepID{d.ledger.backstores[id]}, steps)
}

// namedByAnother returns the desired object that stands for a logical volume by
// its name, whoever's tags are on it: an object that was renamed still means its
// data.
func (d *differ) namedByAnother(lv observe.LogicalVolume) (spec.ID, bool) {
	if name, named := d.refs.volumesAt()[lv.FullName()]; named {
		return spec.ID{Kind: spec.KindVolume, Name: name}, true
	}
	name, named := d.refs.snapshotsAt()[lv.FullName()]
	return spec.ID{Kind: spec.KindSnapshot, Name: name}, named
}

// outliving returns the thin snapshots of a logical volume, which lose nothing
// but their origin's name when it is removed.
func (d *differ) outliving(origin observe.LogicalVolume) []string {
	var names []string
	for _, clone := range d.index.clonesOf(origin) {
		if clone.Pool == origin.Pool {
			names = append(names, "thin snapshot "+clone.FullName()+", which is kept")
		}
	}
	return names
}

// removal adds a step that takes away something of an object that no file declares.
func (d *differ) removal(id spec.ID, why string, danger Danger, affects []string, c change.Change, needs ...StepID) StepID {
	if !d.names(id) {
		d.setStatus(id, status.Deleting, status.ReasonRemoving, "%s", c)
	}
	return d.dangerousStep(id, why, danger, affects, c, needs...)
}

func (d *differ) isSuspended(id spec.ID) bool {
	switch id.Kind {
	case spec.KindPool:
		return d.in.Desired.Pools[id.Name].Metadata.Suspended()
	case spec.KindImage:
		return d.in.Desired.Images[id.Name].Metadata.Suspended()
	case spec.KindVolume:
		return d.in.Desired.Volumes[id.Name].Metadata.Suspended()
	case spec.KindSnapshot:
		return d.in.Desired.Snapshots[id.Name].Metadata.Suspended()
	default:
		return false
	}
}

// mayDelete reports whether the one deletion policy on a logical volume is
// Delete. Somebody who adds another tag by hand means to keep it.
func mayDelete(lv observe.LogicalVolume) bool {
	policies := lv.TagsWith(ondisk.TagDeletion)
	return len(policies) == 1 && policies[0] == ondisk.DeletionTag(spec.Delete)
}
