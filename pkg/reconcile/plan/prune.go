package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// pruneTargets removes our targets that no Export declares. Targets are removed before what they
// export.
func (d *differ) pruneTargets() {
	for _, target := range d.index.targets {
		t := d.target(target)
		id, ours := t.Owner()
		if !ours || d.keepsTarget(id, target) {
			continue
		}
		if !d.isDeclared(id) {
			d.object(id).Export = d.exportStatus(id, t)
			if d.blockedBy(id, d.checkDeclaredBefore(id)) {
				continue
			}
			d.ledger.addLoss(id, t.Name)
		}
		if !d.mayPrune(id) {
			continue
		}
		force, who := d.endsSessions(id, t.Name), Sessions(t)
		if len(who) > 0 && !force {
			d.setBlocked(id, status.ReasonSessionsActive, "cannot remove target %s: waiting for initiators to disconnect: %s", t.Name, shortList(who))
			d.refuseNewLogins(id, t)
			continue
		}
		if keys := d.keysOf(t, ""); len(keys) > 0 && !force {
			d.setBlocked(id, status.ReasonReservationsActive, "cannot remove target %s: initiators hold persistent reservations: %s. Declare the Export again and clear them (sg_persist --out --clear --param-rk=KEY DEVICE), or declare it with disconnect: Force before you remove it",
				t.Name, shortList(keys))
			d.refuseNewLogins(id, t)
			continue
		}
		if t.OtherTPGs > 0 {
			d.setBlocked(id, status.ReasonNotOwned, "cannot remove target %[1]s: it has target portal groups that are not managed by volreconciler. Remove those by hand (targetcli /iscsi/%[1]s ls)", t.Name)
			continue
		}
		d.ledger.targets[target] = d.removalStep(id, "no Export declares it", Disruptive, who,
			change.RemoveTarget{Target: change.Target{Fabric: t.Fabric, Name: t.Name, Export: id.Name}, Force: force})
	}
	d.pruneEmptyTargets()
}

// refuseNewLogins keeps initiators from logging in again to a target that is kept for the
// sessions, or the persistent reservations, of some. Initiators that are still listed may log in:
// by an Export that waits for this target, or by its own, which has another one now, and with the
// password that is in its file.
func (d *differ) refuseNewLogins(id spec.ID, t observe.Target) {
	x := &exportDiffer{
		differ: d, id: id, fabric: fabric{Fabric: t.Fabric, traits: traitsOf[t.Fabric]}, have: t, stepsBefore: len(d.plan.Steps),
		target: change.Target{Fabric: t.Fabric, Name: t.Name, Export: id.Name},
	}
	for _, name := range append(slices.Clone(d.refs.exportsAt[x.target.ID()]), id.Name) {
		e := d.in.Declared.Exports[name].Spec
		if e.AllowAnyInitiator {
			return
		}
		for _, i := range e.Initiators {
			if !slices.ContainsFunc(x.spec.Initiators, func(other spec.Initiator) bool { return other.Name == i.Name }) {
				x.spec.Initiators = append(x.spec.Initiators, i)
			}
		}
	}
	if t.Attrib.GenerateNodeACLs {
		x.setAttributes()
	}
	for _, i := range x.spec.Initiators {
		x.setAuth(i)
	}
	x.removeInitiators()
}

// endsSessions reports whether a target is removed although initiators are connected: disconnect:
// Force, as the Export says or said last.
func (d *differ) endsSessions(id spec.ID, iqn string) bool {
	if e, declared := d.in.Declared.Exports[id.Name]; declared {
		return e.Spec.Disconnect == spec.DisconnectForce
	}
	known := d.in.Known[id]
	return known.Force && slices.Contains(known.Targets, iqn)
}

// pruneEmptyTargets removes what a crash during a removal leaves of our targets: a directory
// without a portal group, and so without its mark. Only the memory knows whose it was.
func (d *differ) pruneEmptyTargets() {
	for _, target := range d.index.targets {
		if t := d.target(target); !t.Empty() || traitsOf[t.Fabric].markInGroup && t.HasTPG {
			continue
		}
		id, known := d.formerOwner(target)
		if known && d.mayPrune(id) {
			// What is empty serves nothing to those who stay connected.
			d.removalStep(id, "empty, left over from an interrupted removal", Harmless, nil, change.RemoveTarget{
				Target: change.Target{Fabric: target.Fabric, Name: target.Name, Export: id.Name}, Force: traitsOf[target.Fabric].alwaysConnected,
			})
		}
	}
}

// formerOwner returns the Export that had a target which no Export declares now.
func (d *differ) formerOwner(target observe.TargetID) (owner spec.ID, known bool) {
	if len(d.refs.exportsAt[target]) > 0 {
		return spec.ID{}, false
	}
	for _, id := range d.refs.exportsByTarget[target.Name] {
		if d.keepsTarget(id, target) {
			return spec.ID{}, false
		}
		owner, known = id, true
	}
	return owner, known
}

// keepsTarget reports whether an Export's target is kept: it is declared, or its Export cannot or
// must not be changed.
func (d *differ) keepsTarget(id spec.ID, target observe.TargetID) bool {
	e, declared := d.in.Declared.Exports[id.Name]
	if declared {
		return d.in.targetOf(e) == target || e.Metadata.Suspended() || d.whyUnsupported(e) != ""
	}
	return d.isDeclared(id)
}

// pruneBackstores removes our backstores without a LUN, because a backstore holds its logical
// volume open.
func (d *differ) pruneBackstores() {
	unwanted := idsWhere(d.index.ownBackstores, func(id spec.ID) bool {
		return d.results.of(id).store == nil && !d.ledger.isReleased(id) && !d.isSuspended(id)
	})
	for _, id := range unwanted {
		b, _ := d.index.Backstore(id)
		needs, unlinked := d.unlinkSteps(b)
		if !unlinked || !d.mayPruneBackstore(id) {
			continue
		}
		d.ledger.backstores[id] = d.step(id, "no Export uses it", change.RemoveBackstore{Backstore: change.Backstore{HBA: b.HBA, Name: b.Name}}, needs...)
	}
}

// mayPruneBackstore is [differ.mayPrune] without a status for an object that is declared: that its
// backstore is kept a little longer concerns nobody.
func (d *differ) mayPruneBackstore(id spec.ID) bool {
	if d.isDeclared(id) {
		return !d.inDoubt()
	}
	return d.mayPrune(id)
}

// unlinkSteps returns the steps that remove all LUNs of a backstore. It reports false if one of
// these LUNs is kept.
func (d *differ) unlinkSteps(b observe.Backstore) ([]StepID, bool) {
	return d.ledger.unserveSteps(d.index.linksTo(b))
}

// pruneVolumes deletes our undeclared logical volumes: snapshots before their origins.
func (d *differ) pruneVolumes() {
	undeclared := idsWhere(d.index.current, func(id spec.ID) bool { return !d.isDeclared(id) })
	for _, kind := range []spec.Kind{spec.KindSnapshot, spec.KindVolume, spec.KindPool} {
		for _, id := range undeclared {
			if id.Kind != kind {
				continue
			}
			for _, lv := range d.index.current[id] {
				d.pruneVolume(id, lv)
			}
		}
	}
	for _, id := range undeclared {
		for _, lv := range d.index.current[id] {
			if step := d.ledger.volumes[lv.FullName()]; step != 0 {
				d.plan.Steps[step-1].Affects = d.survivingSnapshots(lv)
			}
		}
	}
}

// pruneVolume asks the guards of deletion, and puts one undeclared logical volume into the trash,
// or removes it when its trash period has ended.
func (d *differ) pruneVolume(id spec.ID, lv observe.LogicalVolume) {
	status := d.setVolumeStatus(id, lv)
	if d.isGuarded(ownGuards, id, lv) {
		return
	}
	keep, keepKnown := d.trashPeriod(lv)
	stay, inTrash := d.stayInTrash(id, lv)
	switch {
	case inTrash && (!keepKnown || !d.hasStayEnded(stay, keep)):
		d.keepInTrash(id, lv, status, stay)
		return
	case !inTrash:
		d.ledger.addLoss(id, lv.UUID)
	}
	if d.isGuarded(nowGuards, id, lv) {
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

// setVolumeStatus shows a logical volume in the status of its object.
func (d *differ) setVolumeStatus(id spec.ID, lv observe.LogicalVolume) *status.Volume {
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

// removeVolume removes a logical volume. tags are expected on it besides those that every logical
// volume of the object has.
func (d *differ) removeVolume(id spec.ID, lv observe.LogicalVolume, why string, tags []string) {
	if d.isGuarded(removalGuards, id, lv) {
		return
	}
	d.removeTagged(id, lv, why, append([]string{ondisk.DeletionTag(spec.Delete)}, tags...))
}

// removeTagged removes a logical volume of an object, and wipes it if its Pool requires that. tags are expected on it
// besides those of the object.
func (d *differ) removeTagged(id spec.ID, lv observe.LogicalVolume, why string, tags []string) {
	tags = append(d.withSignature(ondisk.OwnerTags(id)), tags...)
	var remove change.Change = change.RemoveLV{LV: nameOf(lv), Tags: tags}
	cleared := d.wipeMethod(lv) != spec.ClearNone
	if cleared {
		remove = change.StartClearing{LV: nameOf(lv), Tags: tags}
	}
	step := d.removalStep(id, why, Destructive, nil, remove, d.releaseSteps(id, lv)...)
	if !cleared || lv.Type != observe.ThickSnapshot {
		d.ledger.volumes[lv.FullName()] = step
		return
	}
	// Once it is split off, its origin no longer depends on it.
	d.ledger.volumes[lv.FullName()] = d.removalStep(id, "needed before it can be wiped", Destructive, nil, change.SplitSnapshot{LV: nameOf(lv)}, step)
}

// releaseSteps returns the steps that must have succeeded before an object's logical volume is
// removed: those that remove its thick snapshots, its LUNs and its backstore.
func (d *differ) releaseSteps(id spec.ID, lv observe.LogicalVolume) []StepID {
	steps, _ := d.ledger.unserveSteps(d.index.servedDirectly(lv))
	return slices.Concat(d.ledger.stepsFor(d.thickSnapshotsOf(lv)), []StepID{d.ledger.backstores[id]}, steps)
}

// objectDeclaring returns the object that declares a logical volume by its name, whoever's tags
// are on it: somebody who renames an object means the same data.
func (d *differ) objectDeclaring(lv observe.LogicalVolume) (spec.ID, bool) {
	if name, found := d.refs.volumesAt()[lv.FullName()]; found {
		return spec.ID{Kind: spec.KindVolume, Name: name}, true
	}
	name, found := d.refs.snapshotsAt()[lv.FullName()]
	return spec.ID{Kind: spec.KindSnapshot, Name: name}, found
}

// survivingSnapshots returns the thin snapshots of a logical volume that this plan does not remove
// as well. When it is removed they lose only the name of their origin.
func (d *differ) survivingSnapshots(origin observe.LogicalVolume) []string {
	var names []string
	for _, clone := range d.index.clonesOf(origin) {
		if clone.Pool == origin.Pool && d.ledger.volumes[clone.FullName()] == 0 {
			names = append(names, "thin snapshot "+clone.FullName()+", which is kept")
		}
	}
	return names
}

// removalStep adds a step that removes something of an undeclared object.
func (d *differ) removalStep(id spec.ID, why string, danger Danger, affects []string, c change.Change, needs ...StepID) StepID {
	if !d.isDeclared(id) {
		d.setStatus(id, status.Deleting, status.ReasonRemoving, "%s", c)
	}
	return d.dangerousStep(id, why, danger, affects, c, needs...)
}

// isSuspended reports whether an object is suspended, without setting its status.
func (d *differ) isSuspended(id spec.ID) bool {
	switch id.Kind {
	case spec.KindPool:
		return d.in.Declared.Pools[id.Name].Metadata.Suspended()
	case spec.KindImage:
		return d.in.Declared.Images[id.Name].Metadata.Suspended()
	case spec.KindVolume:
		return d.in.Declared.Volumes[id.Name].Metadata.Suspended()
	case spec.KindSnapshot:
		return d.in.Declared.Snapshots[id.Name].Metadata.Suspended()
	default:
		return false
	}
}

// hasDeletePolicy reports whether Delete is the only deletion policy in the tags of a logical
// volume. Somebody who adds another tag by hand means to keep it.
func hasDeletePolicy(lv observe.LogicalVolume) bool {
	policies := lv.TagsWith(ondisk.TagDeletion)
	return len(policies) == 1 && policies[0] == ondisk.DeletionTag(spec.Delete)
}
