package plan

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// discard removes a logical volume that is no longer needed, and wipes it first like any other: a
// snapshot that was made to copy from, or what a cutover left over. It is never the current one.
// tags are those that identify it.
//
// The status of its object does not depend on it, and no step waits for it.
func (d *differ) discard(id spec.ID, lv observe.LogicalVolume, tags []string, why string) {
	if d.in.Observed.Err() != nil || d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs > 0 {
		return
	}
	if !d.index.ownership.isSigned(lv) {
		if d.isDeclared(id) && d.object(id).Message == "" {
			d.object(id).Message = fmt.Sprintf("%s is no longer needed; it is removed once the agent has tagged it as made by this installation", lv.FullName())
		}
		return
	}
	if reason, while := d.doubt(); reason != "" && !isTemporary(lv) {
		if d.isDeclared(id) && d.object(id).Message == "" {
			d.object(id).Message = fmt.Sprintf("%s is no longer needed, but is not removed while %s", lv.FullName(), while)
		}
		return
	}
	if why := d.whyKept(lv); why != "" {
		if !d.isDeclared(id) {
			d.setStatus(id, status.Orphaned, status.ReasonNotDeclared, "%s is no longer needed, but cannot be removed: %s", lv.FullName(), why)
		} else if d.object(id).Message == "" {
			d.object(id).Message = fmt.Sprintf("%s is no longer needed, but cannot be removed: %s", lv.FullName(), why)
		}
		return
	}
	if lv.Tag(ondisk.TagKind) == ondisk.KindSource && !isTemporary(lv) && !d.isDeclared(id) {
		d.setStatus(id, status.Orphaned, status.ReasonRetained, "orphaned: %s is a snapshot whose origin no longer exists, and may be the only copy. If nobody needs it, remove it: lvremove %s", lv.FullName(), lv.FullName())
		return
	}
	if lv.Open || len(lv.HeldBy) > 0 {
		who := cmp.Or(shortList(lv.HeldBy), "open on this node (see lsof "+lv.Path()+")")
		if d.isDeclared(id) && d.object(id).Message == "" {
			d.object(id).Message = fmt.Sprintf("%s is no longer needed; waiting to remove it until it is no longer %s", lv.FullName(), who)
		}
		return
	}
	if why := d.whyNotWipeable(lv); why != "" {
		d.setBlocked(id, status.ReasonUnsupported, "%s", why)
		return
	}
	needs, ok := d.snapshotDiscardSteps(id, lv)
	if !ok || d.blockedBy(id, checkPlain(lv)) || d.blockedBy(id, checkNoDependents(lv)) {
		return
	}
	if !d.isDeclared(id) && len(d.index.current[id]) == 0 { // its object has no other status
		d.setStatus(id, status.Deleting, status.ReasonRemoving, "removing %s: %s", lv.FullName(), why)
	}
	if d.wipeMethod(lv) == spec.ClearNone {
		d.ledger.volumes[lv.FullName()] = d.discardStep(id, lv, why, change.RemoveLV{LV: nameOf(lv), Tags: tags}, needs...)
		return
	}
	step := d.discardStep(id, lv, why, change.StartClearing{LV: nameOf(lv), Tags: tags}, needs...)
	if lv.Type == observe.ThickSnapshot { // its origin no longer depends on it then
		step = d.discardStep(id, lv, "needed before it can be wiped", change.SplitSnapshot{LV: nameOf(lv)}, step)
	}
	d.ledger.volumes[lv.FullName()] = step
}

// whyKept returns why nothing that is no longer needed is removed from a volume group; empty: it
// can be removed.
func (d *differ) whyKept(lv observe.LogicalVolume) string {
	switch {
	case len(d.refs.pools[lv.VolumeGroup]) == 0:
		return fmt.Sprintf("no Pool declares volume group %s. Declare one, or remove the logical volume by hand", lv.VolumeGroup)
	case isTemporary(lv) || d.wipeMethod(lv) == spec.ClearNone: // removing it overwrites nothing
		return ""
	default:
		return d.whyGroupMayBeOld(lv)
	}
}

// snapshotDiscardSteps returns the steps of this plan that remove the thick snapshots of a logical
// volume that is no longer needed. It reports false if one of them is kept: LVM removes them with
// their origin, without asking.
func (d *differ) snapshotDiscardSteps(id spec.ID, lv observe.LogicalVolume) ([]StepID, bool) {
	var needs []StepID
	for _, name := range d.thickSnapshotsOf(lv) {
		step, removed := d.ledger.volumes[name]
		_, lvName, _ := strings.Cut(name, "/")
		if !removed && d.in.Observed.VolumeGroups[lv.VolumeGroup].LogicalVolumes[lvName].Phase() == ondisk.Clearing {
			return nil, false // it is split off first
		}
		if !removed {
			d.setBlocked(id, status.ReasonSnapshotsExist, "cannot remove %[1]s: waiting for the removal of its snapshot %[2]s, which would be lost with it. Delete that Snapshot or, if it is not declared: lvremove %[2]s", lv.FullName(), name)
			return nil, false
		}
		needs = append(needs, step)
	}
	return needs, true
}

// isTemporary reports whether a logical volume is a snapshot that the agent made to copy from. No
// data is lost with it, unless its origin is gone.
func isTemporary(lv observe.LogicalVolume) bool {
	return lv.Tag(ondisk.TagKind) == ondisk.KindSource && lv.Origin != ""
}

// discardStep adds a step of discard.
func (d *differ) discardStep(id spec.ID, lv observe.LogicalVolume, why string, c change.Change, needs ...StepID) StepID {
	danger := Destructive
	if isTemporary(lv) {
		danger = Harmless
	}
	return d.stepWithoutStatus(id, why, danger, c, needs...)
}
