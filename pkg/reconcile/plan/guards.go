package plan

import (
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// guard decides whether the logical volume of an undeclared object must be kept. It changes
// nothing. Its rule is a sentence of docs/architecture.md, word for word.
type guard struct {
	rule  string
	check func(*differ, spec.ID, observe.LogicalVolume) *Obstacle
}

// The guards of deletion, in the order in which they are asked. The first one that finds an
// obstacle sets the status. An object that passes ownGuards is going to be deleted, and is
// included in the limit; the others decide whether it is deleted in this pass.
var (
	ownGuards = []guard{
		{"a file here has declared its object before", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.checkDeclaredBefore(id) }},
		{"the tag on it says `deletion=delete`, and so did its last declaration", (*differ).checkDeletePolicy},
		{"its tags say that this installation made it", (*differ).checkMadeHere},
		{"no other logical volume has the tags of its object", (*differ).checkUnambiguous},
		{"this version knows all that its tags say", (*differ).checkPhaseKnown},
		{"no other object declares it by its `lvName`", (*differ).checkNotDeclaredByOther},
		{"no volume is being reverted to it", (*differ).checkNoRevertTo},
	}
	nowGuards = []guard{
		{"there is no finding anywhere in the specs, and every system could be read", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.checkNotInDoubt(id) }},
		{"the objects to be deleted are at most `--max-deletions`, and not all, or a Pool permits exactly these", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.checkDeletionLimit(id) }},
		{"a Pool declares its volume group", (*differ).checkPoolDeclared},
		{"its object has been undeclared for `--deletion-grace`, as described below", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.checkGraceOver(id) }},
		{"no physical volume of its volume group is missing", (*differ).checkNoMissingPVs},
		{"nothing staged or superseded is left of its object", (*differ).checkNoLeftovers},
	}
	trashGuards = []guard{
		{"its thick snapshots are in the trash too, or are removed by the same plan", (*differ).checkSnapshotsTrashed},
		{"nothing holds it open but a backstore that the same plan removes", (*differ).checkNotInUse},
		{"LVM would remove nothing else together with it", (*differ).checkRemovesNothingElse},
	}
	removalGuards = []guard{
		{"its thick snapshots are removed by the same plan", (*differ).checkSnapshotsRemoved},
		{"nothing holds it open but a backstore that the same plan removes", (*differ).checkNotInUse},
		{"LVM would remove nothing else together with it", (*differ).checkRemovesNothingElse},
		{"it can be wiped, if its Pool requires that", (*differ).checkWipeable},
	}
)

// isGuarded reports whether one of the guards finds an obstacle, and sets the status of the
// object.
func (d *differ) isGuarded(guards []guard, id spec.ID, lv observe.LogicalVolume) bool {
	return slices.ContainsFunc(guards, func(g guard) bool { return d.blockedBy(id, g.check(d, id, lv)) })
}

// checkPoolDeclared: a volume group without a Pool is not ours to change.
func (d *differ) checkPoolDeclared(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	if d.isDeclared(id) || len(d.refs.pools[lv.VolumeGroup]) > 0 {
		return nil
	}
	return obstacle(status.Orphaned, status.ReasonNotDeclared, "orphaned: no Pool declares volume group %s. Declare one to manage it again", lv.VolumeGroup)
}

// checkDeclaredBefore: what these files never declared may belong to another node, or to other
// files.
func (d *differ) checkDeclaredBefore(id spec.ID) *Obstacle {
	if d.isDeclared(id) || d.in.Known[id].Declared {
		return nil
	}
	return obstacle(status.Orphaned, status.ReasonNotDeclared, "orphaned: it is not known to have been declared here, and is kept. To delete it, declare it (a Volume or Snapshot with deletionPolicy: Delete), wait until it is Ready, and remove the declaration")
}

// checkDeletePolicy: without the tag there is no permission to delete, and a Pool never has one.
func (d *differ) checkDeletePolicy(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	if id.Kind == spec.KindPool || !hasDeletePolicy(lv) || d.in.Known[id].Retain {
		return obstacle(status.Orphaned, status.ReasonRetained, "orphaned: undeclared, and %[1]s is kept. Declare it to manage it again; or, if nobody needs its data: lvremove %[1]s", lv.FullName())
	}
	return nil
}

func (d *differ) checkUnambiguous(id spec.ID, _ observe.LogicalVolume) *Obstacle {
	if len(d.index.current[id]) > 1 {
		return blocked(status.ReasonAmbiguous, "several logical volumes have its tags. Find the right one (lvs -o +lv_uuid,lv_time,lv_tags), and remove the tags from the others (lvchange --deltag)")
	}
	return nil
}

// checkPhaseKnown: a later version may have set a phase that this one does not know.
func (d *differ) checkPhaseKnown(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	if lv.Phase() != ondisk.Unknown {
		return nil
	}
	return blocked(status.ReasonUnsupported, "%s has the tag %s, which this version of volreconciler does not know. Install the version that set it",
		lv.FullName(), strings.Join(lv.TagsWith(ondisk.TagPhase), ", "))
}

func (d *differ) checkNotDeclaredByOther(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	heir, found := d.objectDeclaring(lv)
	if !found {
		return nil
	}
	return blocked(status.ReasonInUse, "%s declares %s, so it is not removed under this name. To hand it over: lvchange --deltag %s%s --addtag %s%s %s",
		heir, lv.FullName(), ondisk.TagName, id.Name, ondisk.TagName, heir.Name, lv.FullName())
}

// checkNoRevertTo: a volume that is kept holds only a part of this snapshot's data, and needs the
// rest.
func (d *differ) checkNoRevertTo(id spec.ID, snapshot observe.LogicalVolume) *Obstacle {
	for _, lv := range d.index.reverting {
		if lv.VolumeGroup != snapshot.VolumeGroup {
			continue
		}
		owner, _ := lv.Owner()
		asked := d.in.Declared.Volumes[owner.Name].Spec.Revert
		from := len(lv.TagsWith(ondisk.TagCheckpoint+snapshot.UUID+":")) > 0 ||
			owner.Kind == spec.KindVolume && id.Kind == spec.KindSnapshot && asked != nil && asked.Snapshot == id.Name
		isKept := d.isDeclared(owner) || !hasDeletePolicy(lv) || d.in.Known[owner].Retain
		if from && isKept {
			return blocked(status.ReasonInUse, "cannot remove %s: waiting until the revert of %s to it is complete", snapshot.FullName(), lv.FullName())
		}
	}
	return nil
}

// checkDeletionLimit: what a file declares is superseded, not deleted, and the spec says what
// replaces it.
func (d *differ) checkDeletionLimit(id spec.ID) *Obstacle {
	if d.refused.objects[id] && !d.isDeclared(id) {
		return blocked(status.ReasonTooManyDeletions, "%s", d.refused.why)
	}
	return nil
}

func (d *differ) checkGraceOver(id spec.ID) *Obstacle {
	if d.isDeclared(id) {
		return nil
	}
	if left := d.graceLeft(id); left > 0 {
		return obstacle(status.Deleting, status.ReasonGracePeriod, "removed in %s unless it is declared again", left.Round(time.Second))
	}
	return nil
}

func (d *differ) checkNoMissingPVs(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	missing := d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs
	if missing == 0 {
		return nil
	}
	return obstacle(status.Failed, status.ReasonDeviceMissing, "nothing is removed while volume group %[2]s lacks %[1]d physical volume(s): LVM would not accept them again afterwards. Reconnect them first", missing, lv.VolumeGroup)
}

func (d *differ) checkNoLeftovers(id spec.ID, _ observe.LogicalVolume) *Obstacle {
	left := d.index.leftoversOf(id)
	arriving := slices.ContainsFunc(d.index.current[id], func(lv observe.LogicalVolume) bool { return lv.Phase() == ondisk.Staged })
	if len(left.staged)+len(left.superseded) == 0 && !arriving {
		return nil
	}
	return obstacle(status.Deleting, status.ReasonRemoving, "waiting until its staged and superseded logical volumes are removed")
}

// checkSnapshotsTrashed: thick snapshots cannot be used without their origin.
func (d *differ) checkSnapshotsTrashed(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	for _, name := range d.thickSnapshotsOf(lv) {
		if !d.ledger.isTrashed(name) && !d.ledger.isRemoved(name) {
			return blocked(status.ReasonSnapshotsExist, "cannot delete %[1]s: waiting for the deletion of its snapshot %[2]s, which depends on it. Delete that Snapshot or, if it is not declared: lvremove %[2]s", lv.FullName(), name)
		}
	}
	return nil
}

// checkSnapshotsRemoved: LVM removes thick snapshots with their origin, without asking.
func (d *differ) checkSnapshotsRemoved(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	for _, name := range d.thickSnapshotsOf(lv) {
		switch {
		case d.ledger.isRemoved(name):
		case d.ledger.isTrashed(name):
			return obstacle(status.Deleting, status.ReasonInTrash, "in the trash; %s waits for the removal of its snapshot %s, which is there too", lv.FullName(), name)
		default:
			return blocked(status.ReasonSnapshotsExist, "cannot remove %[1]s: waiting for the removal of its snapshot %[2]s, which would be lost with it. Delete that Snapshot or, if it is not declared: lvremove %[2]s", lv.FullName(), name)
		}
	}
	return nil
}

func (d *differ) checkWipeable(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	if why := d.whyNotWipeable(lv); why != "" {
		return blocked(status.ReasonUnsupported, "%s", why)
	}
	return nil
}

// checkRemovesNothingElse: what LVM removes together with a logical volume that is not plain
// changes when it is made plain, so that is asked first.
func (d *differ) checkRemovesNothingElse(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	if o := checkPlain(lv); o != nil {
		return o
	}
	return checkNoDependents(lv)
}

// checkNoDependents: LVM would remove other logical volumes together with this one, besides its
// thick snapshots. They are not ours to remove.
func checkNoDependents(lv observe.LogicalVolume) *Obstacle {
	others := lv.TakesAlong
	if lv.Type == observe.ThinPool {
		others = append(others[:len(others):len(others)], "the thin volumes in it")
	}
	if len(others) == 0 {
		return nil
	}
	return blocked(status.ReasonSnapshotsExist, "cannot remove %s: LVM would remove others with it (%s). Remove them first, or make them independent of it",
		lv.FullName(), shortList(others))
}

// checkNotInUse: something other than a backstore that this plan removes holds the logical volume
// open.
func (d *differ) checkNotInUse(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	if len(lv.HeldBy) > 0 {
		return blocked(status.ReasonInUse, "cannot remove %s: waiting until it is no longer %s", lv.FullName(), shortList(lv.HeldBy))
	}
	direct := d.index.servedDirectly(lv)
	if _, gone := d.ledger.unserveSteps(direct); !gone {
		// Asked even if it is not open: tgtd may open it later.
		return blocked(status.ReasonInUse, "cannot remove %s: waiting until target %s no longer exports it", lv.FullName(), d.target(direct[0].target).Name)
	}
	if !lv.Open {
		return nil
	}
	if b, ok := d.index.foreignBackstore(lv); ok {
		return blocked(status.ReasonInUse, "cannot remove %s: backstore %s, which is not managed by volreconciler, holds it. Remove that backstore by hand", lv.FullName(), b)
	}
	released := d.ledger.isReleased(id)
	if b, ok := d.index.Backstore(id); ok && !released {
		return blocked(status.ReasonInUse, "cannot remove %s: waiting until backstore %s is no longer linked to a LUN", lv.FullName(), b.Path())
	}
	if released || len(direct) > 0 {
		return nil
	}
	return blocked(status.ReasonInUse, "cannot remove %s: waiting until it is no longer open on this node (see lsof %s)", lv.FullName(), lv.Path())
}
