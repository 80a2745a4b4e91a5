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

// discard removes a logical volume that is of no use any more, and clears it first as
// any other: what was made to be copied from, and what a move left. It never is the one
// that counts. tags are those that say what it is.
//
// Nobody waits for it: how its object stands does not depend on it.
func (d *differ) discard(id spec.ID, lv observe.LogicalVolume, tags []string, why string) {
	if d.in.Observed.Err() != nil || d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs > 0 {
		return
	}
	if !d.index.ownership.signed(lv) {
		if d.names(id) && d.object(id).Message == "" {
			d.object(id).Message = fmt.Sprintf("%s is no longer needed; it is removed once the agent has tagged it as made by this installation", lv.FullName())
		}
		return
	}
	if reason, while := d.doubt(); reason != "" && !temporary(lv) {
		if d.names(id) && d.object(id).Message == "" {
			d.object(id).Message = fmt.Sprintf("%s is no longer needed, but is not removed while %s", lv.FullName(), while)
		}
		return
	}
	if why := d.outOfReach(lv); why != "" {
		if !d.names(id) {
			d.setStatus(id, status.Orphaned, status.ReasonNotDeclared, "%s is no longer needed, but cannot be removed: %s", lv.FullName(), why)
		} else if d.object(id).Message == "" {
			d.object(id).Message = fmt.Sprintf("%s is no longer needed, but cannot be removed: %s", lv.FullName(), why)
		}
		return
	}
	if lv.Tag(ondisk.TagKind) == ondisk.KindSource && !temporary(lv) && !d.names(id) {
		d.setStatus(id, status.Orphaned, status.ReasonRetained, "orphaned: %s is a snapshot whose origin no longer exists, and may be the only copy. If nobody needs it, remove it: lvremove %s", lv.FullName(), lv.FullName())
		return
	}
	if lv.Open || len(lv.HeldBy) > 0 {
		who := cmp.Or(shortList(lv.HeldBy), "open on this node (see lsof "+lv.Path()+")")
		if d.names(id) && d.object(id).Message == "" {
			d.object(id).Message = fmt.Sprintf("%s is no longer needed; waiting to remove it until it is no longer %s", lv.FullName(), who)
		}
		return
	}
	if why := d.unclearable(lv); why != "" {
		d.setBlocked(id, status.ReasonUnsupported, "%s", why)
		return
	}
	needs, ok := d.snapshotsDiscarded(id, lv)
	if !ok || d.stopped(id, composed(lv)) || d.stopped(id, takesAlong(lv)) {
		return
	}
	if !d.names(id) && len(d.index.current[id]) == 0 { // nothing else is to be said of it
		d.setStatus(id, status.Deleting, status.ReasonRemoving, "removing %s: %s", lv.FullName(), why)
	}
	if d.clearMethod(lv) == spec.ClearNone {
		d.ledger.volumes[lv.FullName()] = d.discardStep(id, lv, why, change.RemoveLV{LV: nameOf(lv), Tags: tags}, needs...)
		return
	}
	step := d.discardStep(id, lv, why, change.StartClearing{LV: nameOf(lv), Tags: tags}, needs...)
	if lv.Type == observe.ThickSnapshot { // its origin is rid of it then
		step = d.discardStep(id, lv, "needed before it can be wiped", change.SplitSnapshot{LV: nameOf(lv)}, step)
	}
	d.ledger.volumes[lv.FullName()] = step
}

// outOfReach says why nothing that is of no use is removed from a volume group; empty: it can be.
func (d *differ) outOfReach(lv observe.LogicalVolume) string {
	switch {
	case len(d.refs.pools[lv.VolumeGroup]) == 0:
		return fmt.Sprintf("no Pool declares volume group %s. Declare one, or remove the logical volume by hand", lv.VolumeGroup)
	case temporary(lv) || d.clearMethod(lv) == spec.ClearNone: // which writes over nothing
		return ""
	default:
		return d.bygone(lv)
	}
}

// snapshotsDiscarded reports whether all thick snapshots of a logical volume that is of
// no use are removed by this plan, and by which steps: LVM removes them with their
// origin, without asking.
func (d *differ) snapshotsDiscarded(id spec.ID, lv observe.LogicalVolume) ([]StepID, bool) {
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

// temporary reports whether a logical volume is a snapshot that the agent made to copy from.
// Nothing is lost with one, unless it is all that is left of its origin.
func temporary(lv observe.LogicalVolume) bool {
	return lv.Tag(ondisk.TagKind) == ondisk.KindSource && lv.Origin != ""
}

// discardStep adds a step of discard.
func (d *differ) discardStep(id spec.ID, lv observe.LogicalVolume, why string, c change.Change, needs ...StepID) StepID {
	danger := Destructive
	if temporary(lv) {
		danger = Harmless
	}
	return d.stepBeside(id, why, danger, c, needs...)
}
