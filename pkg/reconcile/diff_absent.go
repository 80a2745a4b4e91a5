package reconcile

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// absentTargets takes down our targets that no export asks for: exports go
// before what they export.
func (d *differ) absentTargets() {
	for _, iqn := range sorted(d.in.Observed.LIO.ISCSI) {
		t := d.in.Observed.LIO.ISCSI[iqn]
		id, ours := t.Owner()
		if !ours || d.keepsTarget(id, iqn) {
			continue
		}
		if !d.names(id) {
			d.object(id).Export = exportStatus(t)
		}
		if !d.removable(id) {
			continue
		}
		if who := sessions(t); len(who) > 0 {
			d.block(id, ReasonSessionsActive, "target %s is removed when these log out: %s", iqn, strings.Join(who, ", "))
			continue
		}
		if t.OtherTPGs > 0 {
			d.block(id, ReasonNotOwned, "target %s has target portal groups that are not ours; remove them first", iqn)
			continue
		}
		d.removedTargets[iqn] = d.removal(id, "no export asks for it", Disruptive, nil, change.RemoveTarget{Target: change.Target{IQN: iqn, Export: id.Name}})
	}
}

// keepsTarget reports whether an export's target stays: it is asked for, or its
// export cannot or must not be acted on.
func (d *differ) keepsTarget(id spec.ID, iqn string) bool {
	e, desired := d.in.Desired.Exports[id.Name]
	if desired {
		return e.Spec.Target == iqn || e.Metadata.Suspended()
	}
	return d.names(id)
}

// absentBackstores removes our backstores to which nothing is linked any more,
// because a backstore holds its logical volume open.
func (d *differ) absentBackstores() {
	for _, id := range sortedIDs(d.backstoreOf) {
		if _, wanted := d.backstores[id]; wanted || d.isSuspended(id) {
			continue
		}
		b := d.backstoreOf[id]
		needs, unlinked := d.unlinks(b)
		if !unlinked || !d.removableBackstore(id) {
			continue
		}
		step := d.step(id, "no export needs it", change.RemoveBackstore{Backstore: change.Backstore{HBA: b.HBA, Name: b.Name}}, needs...)
		d.backstores[id] = wantedBackstore{path: b.Path(), step: step}
	}
}

// removableBackstore asks the same questions as removable, without a word in
// the status of an object that stays: that its backstore is kept a little
// longer is nobody's concern.
func (d *differ) removableBackstore(id spec.ID) bool {
	if d.names(id) {
		return d.in.Desired.Complete && len(d.in.Observed.Unknown) == 0
	}
	return d.removable(id)
}

// unlinks returns the steps that take away all that is linked to a backstore,
// and whether there are such steps for all of it.
func (d *differ) unlinks(b observe.Backstore) ([]StepID, bool) {
	var steps []StepID
	for _, key := range d.linksTo(b) {
		step, removed := d.removedTargets[key.iqn]
		if !removed {
			step, removed = d.removedLUNs[key]
		}
		if !removed {
			return nil, false
		}
		steps = append(steps, step)
	}
	return steps, true
}

// absentVolumes sees to the logical volumes that are ours and that no file
// names: snapshots go before what they are snapshots of.
func (d *differ) absentVolumes() {
	removed := map[string]StepID{} // by full name
	for _, kind := range []spec.Kind{spec.KindSnapshot, spec.KindVolume, spec.KindPool} {
		for _, id := range sortedIDs(d.owned) {
			if id.Kind != kind || d.names(id) {
				continue
			}
			for _, lv := range d.owned[id] {
				d.absentVolume(id, lv, removed)
			}
		}
	}
}

func (d *differ) absentVolume(id spec.ID, lv observe.LogicalVolume, removed map[string]StepID) {
	switch id.Kind {
	case spec.KindVolume:
		d.object(id).Volume = volumeStatus(lv)
	case spec.KindSnapshot:
		d.object(id).Snapshot = volumeStatus(lv)
	default: // a Pool's thin pool
	}
	// Without the tag there is no permission to delete; a Pool never has one.
	if id.Kind == spec.KindPool || !mayDelete(lv) || d.in.Known[id].Retain {
		d.say(id, Orphaned, ReasonRetained, "no file names it; %s stays, and is ours again when one does", lv.FullName())
		return
	}
	if !d.removable(id) {
		return
	}
	if len(d.owned[id]) > 1 {
		d.block(id, ReasonAmbiguous, "several logical volumes carry its tags; remove the tags (lvchange --deltag) from all but one")
		return
	}
	if heir, named := d.namedByAnother(lv); named {
		d.block(id, ReasonInUse, "%s names %s; it is removed by no other name. To hand it over, change its tag: lvchange --deltag %s%s --addtag %s%s %s",
			heir, lv.FullName(), observe.TagName, id.Name, observe.TagName, heir.Name, lv.FullName())
		return
	}
	if missing := d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs; missing > 0 {
		d.say(id, Failed, ReasonDeviceMissing, "nothing is removed while %d physical volumes of %s are missing: LVM would refuse them when they come back", missing, lv.VolumeGroup)
		return
	}
	needs, ok := d.dependentsGone(id, lv, removed)
	if !ok || d.inUse(id, lv) {
		return
	}
	if b, planned := d.backstores[id]; planned {
		needs = append(needs, b.step)
	}
	step := d.removal(id, "no file names it, and its deletion policy is Delete", Destructive, d.outliving(lv),
		change.RemoveLV{LV: nameOf(lv), Tags: append(observe.OwnerTags(id), observe.DeletionTag(spec.Delete))}, needs...)
	removed[lv.FullName()] = step
}

// namedByAnother returns the desired object that stands for a logical volume by
// its name, whoever's tags are on it: an object that was renamed still means its
// data.
func (d *differ) namedByAnother(lv observe.LogicalVolume) (spec.ID, bool) {
	for _, name := range sorted(d.in.Desired.Volumes) {
		v := d.in.Desired.Volumes[name]
		if v.Spec.LVName == lv.Name && d.in.Desired.Pools[v.Spec.Pool].Spec.VolumeGroup == lv.VolumeGroup {
			return spec.ID{Kind: spec.KindVolume, Name: name}, true
		}
	}
	for _, name := range sorted(d.in.Desired.Snapshots) {
		v := d.in.Desired.Volumes[d.in.Desired.Snapshots[name].Spec.Volume]
		if name == lv.Name && d.in.Desired.Pools[v.Spec.Pool].Spec.VolumeGroup == lv.VolumeGroup {
			return spec.ID{Kind: spec.KindSnapshot, Name: name}, true
		}
	}
	return spec.ID{}, false
}

// dependentsGone reports whether all thick snapshots of a logical volume are
// removed by this plan, and by which steps: LVM removes them with their origin,
// without asking.
func (d *differ) dependentsGone(id spec.ID, lv observe.LogicalVolume, removed map[string]StepID) ([]StepID, bool) {
	var needs []StepID
	for _, name := range d.thickSnapshotsOf(lv) {
		step, ok := removed[name]
		if !ok {
			d.block(id, ReasonSnapshotsExist, "%s is removed when its snapshot %s is gone, which would be lost with it", lv.FullName(), name)
			return nil, false
		}
		needs = append(needs, step)
	}
	return needs, true
}

// outliving returns the thin snapshots of a logical volume, which lose nothing
// but their origin's name when it is removed.
func (d *differ) outliving(origin observe.LogicalVolume) []string {
	var names []string
	lvs := d.in.Observed.VolumeGroups[origin.VolumeGroup].LogicalVolumes
	for _, name := range sorted(lvs) {
		if lvs[name].Type == observe.Thin && lvs[name].Origin == origin.Name {
			names = append(names, "thin snapshot "+lvs[name].FullName()+", which stays")
		}
	}
	return names
}

// inUse reports whether something other than a backstore that this plan removes
// holds a logical volume, and says so.
func (d *differ) inUse(id spec.ID, lv observe.LogicalVolume) bool {
	if len(lv.HeldBy) > 0 {
		d.block(id, ReasonInUse, "%s is removed when it is no longer %s", lv.FullName(), strings.Join(lv.HeldBy, ", "))
		return true
	}
	if _, released := d.backstores[id]; !lv.Open || released {
		return false
	}
	if b, ok := d.foreignBackstore(lv); ok {
		d.block(id, ReasonInUse, "%s is held by backstore %s, which is not ours", lv.FullName(), b)
	} else if b, ok := d.backstoreOf[id]; ok {
		d.block(id, ReasonInUse, "%s is exported through backstore %s, which is still linked", lv.FullName(), b.Path())
	} else {
		d.block(id, ReasonInUse, "%s is open on this node (see lsof %s)", lv.FullName(), lv.Path())
	}
	return true
}

// removal adds a step that takes away something of an object that no file names.
func (d *differ) removal(id spec.ID, why string, danger Danger, affects []string, c change.Change, needs ...StepID) StepID {
	if !d.names(id) {
		d.say(id, Deleting, ReasonRemoving, "%s", c)
	}
	return d.dangerousStep(id, why, danger, affects, c, needs...)
}

func (d *differ) isSuspended(id spec.ID) bool {
	switch id.Kind {
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
	policies := slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return !strings.HasPrefix(t, observe.TagDeletion) })
	return len(policies) == 1 && policies[0] == observe.DeletionTag(spec.Delete)
}
