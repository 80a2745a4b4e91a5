package plan

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// wipeMethod returns how a logical volume is wiped before it is removed. A thin volume needs
// nothing: a thin pool clears a chunk before it is used again.
func (d *differ) wipeMethod(lv observe.LogicalVolume) spec.Clear {
	if lv.Type != observe.Thick && lv.Type != observe.ThickSnapshot {
		return spec.ClearNone
	}
	return d.wipeMethodOfPool(lv)
}

// wipeMethodOfPool returns what the Pool of a volume group declares for thick volumes.
func (d *differ) wipeMethodOfPool(lv observe.LogicalVolume) spec.Clear {
	for _, p := range d.refs.pools[lv.VolumeGroup] {
		if p.Spec.ThinPool == nil && p.Spec.Clear != "" {
			return p.Spec.Clear
		}
	}
	return spec.ClearZero
}

// whyNotWipeable returns why a logical volume cannot be wiped although it must be, and what to do;
// empty: it can. Somebody made it read-only, or of a kind that consists of several, such as a
// cached one. Removed without a wipe, it would leave its data to the next volume; tagged for
// wiping, it would stay that way for ever.
func (d *differ) whyNotWipeable(lv observe.LogicalVolume) string {
	switch {
	case d.wipeMethodOfPool(lv) == spec.ClearNone:
		return ""
	case lv.Type == observe.OtherLV:
		return checkPlain(lv).Message
	case lv.ReadOnly && (lv.Type == observe.Thick || lv.Type == observe.ThickSnapshot):
		return fmt.Sprintf("cannot wipe %s: it is read-only. Make it writable (lvchange --permission rw %s), remove it by hand, or set clear: none in its Pool",
			lv.FullName(), lv.FullName())
	}
	return ""
}

// checkPlain: LVM would remove the logical volumes of which this one consists, which are not ours
// to remove, wiped or not.
func checkPlain(lv observe.LogicalVolume) *Obstacle {
	if lv.Type != observe.OtherLV {
		return nil
	}
	return blocked(status.ReasonUnsupported, "cannot remove %s: it is %s, and LVM would remove other logical volumes with it. %s remove it by hand: lvremove %s",
		lv.FullName(), lv.Kind(), howToMakePlain(lv), lv.FullName())
}

// continueWiping continues to wipe logical volumes. The decision was made before, and part of the
// data may be lost already, so the guards are not asked again.
func (d *differ) continueWiping() {
	for _, lv := range d.index.wiping {
		d.wipe(lv)
	}
}

func (d *differ) wipe(lv observe.LogicalVolume) {
	id, known := lv.LastOwner()
	owner := d.withSignature(ondisk.OwnerTags(id))
	if !known {
		id, known = lv.SourceOf()
		owner = d.withSignature(ondisk.SourceTags(id))
	}
	if !known {
		id, known = lv.MoveOf()
		owner = d.withSignature(ondisk.MoveTags(id.Name))
	}
	if !known {
		return // somebody removed the tags that identify it
	}
	tags := []string{ondisk.PhaseTag(ondisk.Clearing)}
	method := d.wipeMethod(lv)
	switch {
	case !d.index.ownership.isSigned(lv):
		d.setStatusOfUndeclared(id, status.Deleting, status.ReasonClearing, "cannot wipe %s: waiting until the agent has tagged it as made by this installation", lv.FullName())
	case d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs > 0:
		d.setStatusOfUndeclared(id, status.Failed, status.ReasonDeviceMissing, "cannot wipe %s: waiting for the missing physical volumes of volume group %s. Reconnect them", lv.FullName(), lv.VolumeGroup)
	case len(d.refs.pools[lv.VolumeGroup]) == 0: // the decision was made, but for another content of that group
		d.setStatusOfUndeclared(id, status.Blocked, status.ReasonNotDeclared, "cannot wipe %s: no Pool declares volume group %s. Declare one, or remove the logical volume by hand", lv.FullName(), lv.VolumeGroup)
	case d.whyGroupMayBeOld(lv) != "":
		d.setStatusOfUndeclared(id, status.Blocked, status.ReasonVanished, "cannot wipe %s: %s", lv.FullName(), d.whyGroupMayBeOld(lv))
	case lv.Type != observe.OtherLV && len(lv.TakesAlong) > 0: // created since: the wipe would be read there
		d.setStatusOfUndeclared(id, status.Blocked, status.ReasonSnapshotsExist, "cannot wipe %s: other logical volumes would lose their data (%s). Remove them first, or make them independent of it", lv.FullName(), shortList(lv.TakesAlong))
	case d.whyNotWipeable(lv) != "":
		d.setStatusOfUndeclared(id, status.Blocked, status.ReasonUnsupported, "%s", d.whyNotWipeable(lv))
	case lv.Type == observe.ThickSnapshot:
		d.ledger.volumes[lv.FullName()] = d.wipeStep(id, "needed before it can be wiped", change.SplitSnapshot{LV: nameOf(lv)})
	case method == spec.ClearNone:
		d.ledger.volumes[lv.FullName()] = d.wipeStep(id, "its Pool sets clear: none", change.RemoveLV{LV: nameOf(lv), Tags: append(owner, tags...)})
	default:
		d.wipeStep(id, "wiped before it is removed", change.Clear{
			LV: nameOf(lv), Method: method, Size: spec.Size(lv.Size), Done: spec.Size(lv.Checkpoint(ondisk.CheckpointOfClearing)),
		})
	}
}

// whyGroupMayBeOld returns why a volume group may have been restored from old metadata; empty:
// there is no sign of it. Then other logical volumes had the blocks of the one that is to be wiped
// in between, and these are missing now.
func (d *differ) whyGroupMayBeOld(of observe.LogicalVolume) string {
	if d.lostByGroup == nil {
		d.lostByGroup = d.findLostByGroup()
	}
	if gone, some := d.lostByGroup[of.VolumeGroup]; some {
		return fmt.Sprintf("the logical volume of %s is missing in volume group %s, which may have been restored from old metadata, so its data may be in the same blocks. Waiting until it exists again, is recreated, or %s is undeclared",
			gone, of.VolumeGroup, gone)
	}
	return ""
}

// findLostByGroup returns an object whose logical volume is missing, by the volume group in which
// that was.
func (d *differ) findLostByGroup() map[string]spec.ID {
	there := map[string]bool{}
	for _, vg := range d.in.Observed.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			there[lv.UUID], there[lv.Identity()] = true, true
		}
	}
	missing := map[string]spec.ID{}
	for _, id := range sortedIDs(d.in.Known) {
		if known := d.in.Known[id]; known.UUID != "" && d.isDeclared(id) && !there[known.UUID] && !there[known.LV] {
			missing[known.VolumeGroup] = id
		}
	}
	return missing
}

// wipeStep adds a step that wipes or removes a former logical volume of an object. A declared
// object keeps its own status: the new logical volume has nothing to do with the old one.
func (d *differ) wipeStep(id spec.ID, why string, c change.Change) StepID {
	d.setStatusOfUndeclared(id, status.Deleting, status.ReasonClearing, "%s", c)
	if d.isDeclared(id) {
		// Its status is that of the new logical volume.
		return d.stepWithoutStatus(id, why, Destructive, c)
	}
	return d.dangerousStep(id, why, Destructive, nil, c)
}

// setStatusOfUndeclared is setStatus for undeclared objects only.
func (d *differ) setStatusOfUndeclared(id spec.ID, phase status.Phase, reason, format string, args ...any) {
	if !d.isDeclared(id) {
		d.setStatus(id, phase, reason, format, args...)
	}
}
