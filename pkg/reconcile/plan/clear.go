package plan

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// clearMethod says what happens to the blocks of a logical volume when it is
// removed. Those of thin ones need nothing: a thin pool clears a chunk before it
// hands it out again.
func (d *differ) clearMethod(lv observe.LogicalVolume) spec.Clear {
	if lv.Type != observe.Thick && lv.Type != observe.ThickSnapshot {
		return spec.ClearNone
	}
	return d.clearOf(lv)
}

// clearOf is what the Pool says of what is thick in a logical volume's volume group.
func (d *differ) clearOf(lv observe.LogicalVolume) spec.Clear {
	for _, p := range d.refs.pools[lv.VolumeGroup] {
		if p.Spec.ThinPool == nil && p.Spec.Clear != "" {
			return p.Spec.Clear
		}
	}
	return spec.ClearZero
}

// unclearable returns why a logical volume cannot be cleared though it would have to
// be, and what to do; empty: it can be. Somebody made it one of another kind, such as a
// cached one, which consists of several, or read-only. Removed as it is, it would leave its
// blocks to whoever gets them next; marked to be cleared, it would never become anything else.
func (d *differ) unclearable(lv observe.LogicalVolume) string {
	switch {
	case d.clearOf(lv) == spec.ClearNone:
		return ""
	case lv.Type == observe.OtherLV:
		return composed(lv).Message
	case lv.ReadOnly && (lv.Type == observe.Thick || lv.Type == observe.ThickSnapshot):
		return fmt.Sprintf("cannot wipe %s: it is read-only. Make it writable (lvchange --permission rw %s), remove it by hand, or set clear: none in its Pool",
			lv.FullName(), lv.FullName())
	}
	return ""
}

// composed is that a logical volume consists of several that LVM would remove together with it,
// which are nobody's here to remove, cleared or not.
func composed(lv observe.LogicalVolume) *Obstacle {
	if lv.Type != observe.OtherLV {
		return nil
	}
	return blocked(status.ReasonUnsupported, "cannot remove %s: it is %s, and LVM would remove other logical volumes with it. %s remove it by hand: lvremove %s",
		lv.FullName(), lv.Kind(), plainAgain(lv), lv.FullName())
}

// clearing goes on with what is being destroyed. The decision was made before, and
// part of it may be gone already, so that nothing can be asked any more.
func (d *differ) clearing() {
	for _, lv := range d.index.clearing {
		d.clear(lv)
	}
}

func (d *differ) clear(lv observe.LogicalVolume) {
	id, known := lv.LastOwner()
	owner := d.signed(ondisk.OwnerTags(id))
	if !known {
		id, known = lv.SourceOf()
		owner = d.signed(ondisk.SourceTags(id))
	}
	if !known {
		id, known = lv.MoveOf()
		owner = d.signed(ondisk.MoveTags(id.Name))
	}
	if !known {
		return // somebody took the tags away that say what it is
	}
	tags := []string{ondisk.PhaseTag(ondisk.Clearing)}
	method := d.clearMethod(lv)
	switch {
	case !d.index.ownership.signed(lv):
		d.setStatusOfUndeclared(id, status.Deleting, status.ReasonClearing, "cannot wipe %s: waiting until the agent has tagged it as made by this installation", lv.FullName())
	case d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs > 0:
		d.setStatusOfUndeclared(id, status.Failed, status.ReasonDeviceMissing, "cannot wipe %s: waiting for the missing physical volumes of volume group %s. Reconnect them", lv.FullName(), lv.VolumeGroup)
	case len(d.refs.pools[lv.VolumeGroup]) == 0: // the decision was made, but not of what is in there now
		d.setStatusOfUndeclared(id, status.Blocked, status.ReasonNotDeclared, "cannot wipe %s: no Pool declares volume group %s. Declare one, or remove the logical volume by hand", lv.FullName(), lv.VolumeGroup)
	case d.bygone(lv) != "":
		d.setStatusOfUndeclared(id, status.Blocked, status.ReasonVanished, "cannot wipe %s: %s", lv.FullName(), d.bygone(lv))
	case lv.Type != observe.OtherLV && len(lv.TakesAlong) > 0: // made meanwhile; what is written here would be read there
		d.setStatusOfUndeclared(id, status.Blocked, status.ReasonSnapshotsExist, "cannot wipe %s: other logical volumes would lose their data (%s). Remove them first, or make them independent of it", lv.FullName(), shortList(lv.TakesAlong))
	case d.unclearable(lv) != "":
		d.setStatusOfUndeclared(id, status.Blocked, status.ReasonUnsupported, "%s", d.unclearable(lv))
	case lv.Type == observe.ThickSnapshot:
		d.ledger.volumes[lv.FullName()] = d.clearingStep(id, "needed before it can be wiped", change.SplitSnapshot{LV: nameOf(lv)})
	case method == spec.ClearNone:
		d.ledger.volumes[lv.FullName()] = d.clearingStep(id, "its Pool sets clear: none", change.RemoveLV{LV: nameOf(lv), Tags: append(owner, tags...)})
	default:
		d.clearingStep(id, "wiped before it is removed", change.Clear{
			LV: nameOf(lv), Method: method, Size: spec.Size(lv.Size), Done: spec.Size(lv.Checkpoint(ondisk.CheckpointOfClearing)),
		})
	}
}

// bygone says why a volume group may be as it was in the past; empty: nothing tells so. If metadata
// of before was restored, other logical volumes had the blocks meanwhile of what is to be cleared
// by it, and these are what is missing.
func (d *differ) bygone(of observe.LogicalVolume) string {
	if d.missing == nil {
		d.missing = d.missingIn()
	}
	if gone, some := d.missing[of.VolumeGroup]; some {
		return fmt.Sprintf("the logical volume of %s is missing in volume group %s, which may have been restored from old metadata, so its data may be in the same blocks. Waiting until it exists again, is recreated, or %s is undeclared",
			gone, of.VolumeGroup, gone)
	}
	return ""
}

// missingIn returns an object that has lost its logical volume, by the volume group in which that
// was.
func (d *differ) missingIn() map[string]spec.ID {
	there := map[string]bool{}
	for _, vg := range d.in.Observed.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			there[lv.UUID], there[lv.Identity()] = true, true
		}
	}
	missing := map[string]spec.ID{}
	for _, id := range sortedIDs(d.in.Known) {
		if known := d.in.Known[id]; known.UUID != "" && d.names(id) && !there[known.UUID] && !there[known.LV] {
			missing[known.VolumeGroup] = id
		}
	}
	return missing
}

// clearingStep adds a step that destroys what an object had. What is said of it
// is said only if no file names it: one that is new knows nothing of the old.
func (d *differ) clearingStep(id spec.ID, why string, c change.Change) StepID {
	d.setStatusOfUndeclared(id, status.Deleting, status.ReasonClearing, "%s", c)
	if d.names(id) {
		// Its status is that of the new one, which this step is no part of.
		return d.stepBeside(id, why, Destructive, c)
	}
	return d.dangerousStep(id, why, Destructive, nil, c)
}

func (d *differ) setStatusOfUndeclared(id spec.ID, phase status.Phase, reason, format string, args ...any) {
	if !d.names(id) {
		d.setStatus(id, phase, reason, format, args...)
	}
}
