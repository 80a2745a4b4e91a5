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

// guard keeps the logical volume of an object that no file names from being deleted. It only
// looks. Its rule is the sentence of docs/architecture.md that says the same.
type guard struct {
	rule string
	ask  func(*differ, spec.ID, observe.LogicalVolume) *Obstacle
}

// The guards of deletion, in the order in which they are asked; the first one that finds an
// obstacle is the one whose words are shown. An object that ownGuards let pass is about to
// lose something and counts for the limit; the others say that it does so now.
var (
	ownGuards = []guard{
		{"a file here has declared its object before", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.undeclared(id) }},
		{"the tag on it says `deletion=delete`, and so did its last declaration", (*differ).toBeRetained},
		{"its tags say that this installation made it", (*differ).madeHere},
		{"no other logical volume has the tags of its object", (*differ).ambiguous},
		{"this version knows all that its tags say", (*differ).understood},
		{"no other object declares it by its `lvName`", (*differ).namedByOther},
		{"no volume is being reverted to it", (*differ).neededToRevert},
	}
	nowGuards = []guard{
		{"there is no finding anywhere in the specs, and every system could be read", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.certain(id) }},
		{"the objects to be deleted are at most `--max-deletions`, and not all, or a Pool permits exactly these", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.permittedByLimit(id) }},
		{"a Pool declares its volume group", (*differ).inPool},
		{"its object has been undeclared for `--deletion-grace`, as described below", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.graceOver(id) }},
		{"no physical volume of its volume group is missing", (*differ).incomplete},
		{"nothing staged or superseded is left of its object", (*differ).halfMoved},
	}
	trashGuards = []guard{
		{"its thick snapshots are in the trash too, or are removed by the same plan", (*differ).snapshotsTrashed},
		{"nothing holds it open but a backstore that the same plan removes", (*differ).inUse},
		{"LVM would remove nothing else together with it", (*differ).alone},
	}
	removalGuards = []guard{
		{"its thick snapshots are removed by the same plan", (*differ).snapshotsGone},
		{"nothing holds it open but a backstore that the same plan removes", (*differ).inUse},
		{"LVM would remove nothing else together with it", (*differ).alone},
		{"it can be wiped, if its Pool requires that", (*differ).clearable},
	}
)

// guarded reports whether one of the guards finds an obstacle, and lets the object say so.
func (d *differ) guarded(guards []guard, id spec.ID, lv observe.LogicalVolume) bool {
	return slices.ContainsFunc(guards, func(g guard) bool { return d.stopped(id, g.ask(d, id, lv)) })
}

// inPool: the rest of the node is somebody else's.
func (d *differ) inPool(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	if d.names(id) || len(d.refs.pools[lv.VolumeGroup]) > 0 {
		return nil
	}
	return obstacle(status.Orphaned, status.ReasonNotDeclared, "orphaned: no Pool declares volume group %s. Declare one to manage it again", lv.VolumeGroup)
}

// undeclared: what these files never named may be another node's, or of other files.
func (d *differ) undeclared(id spec.ID) *Obstacle {
	if d.names(id) || d.in.Known[id].Declared {
		return nil
	}
	return obstacle(status.Orphaned, status.ReasonNotDeclared, "orphaned: it is not known to have been declared here, and is kept. To delete it, declare it (a Volume or Snapshot with deletionPolicy: Delete), wait until it is Ready, and remove the declaration")
}

// toBeRetained: without the tag there is no permission to delete; a Pool never has one.
func (d *differ) toBeRetained(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	if id.Kind == spec.KindPool || !mayDelete(lv) || d.in.Known[id].Retain {
		return obstacle(status.Orphaned, status.ReasonRetained, "orphaned: undeclared, and %[1]s is kept. Declare it to manage it again; or, if nobody needs its data: lvremove %[1]s", lv.FullName())
	}
	return nil
}

func (d *differ) ambiguous(id spec.ID, _ observe.LogicalVolume) *Obstacle {
	if len(d.index.current[id]) > 1 {
		return blocked(status.ReasonAmbiguous, "several logical volumes have its tags. Find the right one (lvs -o +lv_uuid,lv_time,lv_tags), and remove the tags from the others (lvchange --deltag)")
	}
	return nil
}

// understood: a later version may have set what is not known.
func (d *differ) understood(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	if lv.Phase() != ondisk.Unknown {
		return nil
	}
	return blocked(status.ReasonUnsupported, "%s has the tag %s, which this version of volreconciler does not know. Install the version that set it",
		lv.FullName(), strings.Join(lv.TagsWith(ondisk.TagPhase), ", "))
}

func (d *differ) namedByOther(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	heir, named := d.namedByAnother(lv)
	if !named {
		return nil
	}
	return blocked(status.ReasonInUse, "%s declares %s, so it is not removed under this name. To hand it over: lvchange --deltag %s%s --addtag %s%s %s",
		heir, lv.FullName(), ondisk.TagName, id.Name, ondisk.TagName, heir.Name, lv.FullName())
}

// neededToRevert looks for a volume that holds a part of what is in a snapshot, and that stays.
func (d *differ) neededToRevert(id spec.ID, snapshot observe.LogicalVolume) *Obstacle {
	for _, lv := range d.index.reverting {
		if lv.VolumeGroup != snapshot.VolumeGroup {
			continue
		}
		owner, _ := lv.Owner()
		asked := d.in.Desired.Volumes[owner.Name].Spec.Revert
		from := len(lv.TagsWith(ondisk.TagCheckpoint+snapshot.UUID+":")) > 0 ||
			owner.Kind == spec.KindVolume && id.Kind == spec.KindSnapshot && asked != nil && asked.Snapshot == id.Name
		stays := d.names(owner) || !mayDelete(lv) || d.in.Known[owner].Retain
		if from && stays {
			return blocked(status.ReasonInUse, "cannot remove %s: waiting until the revert of %s to it is complete", snapshot.FullName(), lv.FullName())
		}
	}
	return nil
}

// permittedByLimit: what a file names is superseded, not given up, and the spec says what is
// in its place.
func (d *differ) permittedByLimit(id spec.ID) *Obstacle {
	if d.refused.objects[id] && !d.names(id) {
		return blocked(status.ReasonTooManyDeletions, "%s", d.refused.why)
	}
	return nil
}

func (d *differ) graceOver(id spec.ID) *Obstacle {
	if d.names(id) {
		return nil
	}
	if left := d.graceLeft(id); left > 0 {
		return obstacle(status.Deleting, status.ReasonGracePeriod, "removed in %s unless it is declared again", left.Round(time.Second))
	}
	return nil
}

func (d *differ) incomplete(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	missing := d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs
	if missing == 0 {
		return nil
	}
	return obstacle(status.Failed, status.ReasonDeviceMissing, "nothing is removed while volume group %[2]s lacks %[1]d physical volume(s): LVM would not accept them again afterwards. Reconnect them first", missing, lv.VolumeGroup)
}

func (d *differ) halfMoved(id spec.ID, _ observe.LogicalVolume) *Obstacle {
	left := d.index.left(id)
	arriving := slices.ContainsFunc(d.index.current[id], func(lv observe.LogicalVolume) bool { return lv.Phase() == ondisk.Staged })
	if len(left.staged)+len(left.superseded) == 0 && !arriving {
		return nil
	}
	return obstacle(status.Deleting, status.ReasonRemoving, "waiting until its staged and superseded logical volumes are removed")
}

// snapshotsTrashed: without their origin they could not be used.
func (d *differ) snapshotsTrashed(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	for _, name := range d.thickSnapshotsOf(lv) {
		if !d.ledger.isTrashed(name) && !d.ledger.isRemoved(name) {
			return blocked(status.ReasonSnapshotsExist, "cannot delete %[1]s: waiting for the deletion of its snapshot %[2]s, which depends on it. Delete that Snapshot or, if it is not declared: lvremove %[2]s", lv.FullName(), name)
		}
	}
	return nil
}

// snapshotsGone: LVM removes them with their origin, without asking.
func (d *differ) snapshotsGone(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
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

func (d *differ) clearable(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	if why := d.unclearable(lv); why != "" {
		return blocked(status.ReasonUnsupported, "%s", why)
	}
	return nil
}

// alone: what LVM would remove with one that is not plain changes when it is made plain.
func (d *differ) alone(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	if o := composed(lv); o != nil {
		return o
	}
	return takesAlong(lv)
}

// takesAlong is that LVM would remove others together with a logical volume, besides its thick
// snapshots: they are nobody's here to remove.
func takesAlong(lv observe.LogicalVolume) *Obstacle {
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

// inUse is that something other than a backstore that this plan removes holds a logical volume.
func (d *differ) inUse(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	if len(lv.HeldBy) > 0 {
		return blocked(status.ReasonInUse, "cannot remove %s: waiting until it is no longer %s", lv.FullName(), shortList(lv.HeldBy))
	}
	direct := d.index.servedDirectly(lv)
	if _, gone := d.ledger.unserves(direct); !gone {
		// Looked at whether it is open or not: tgtd may have to be told to open it.
		return blocked(status.ReasonInUse, "cannot remove %s: waiting until target %s no longer exports it", lv.FullName(), d.target(direct[0].target).Name)
	}
	if !lv.Open {
		return nil
	}
	if b, ok := d.index.foreignBackstore(lv); ok {
		return blocked(status.ReasonInUse, "cannot remove %s: backstore %s, which is not managed by volreconciler, holds it. Remove that backstore by hand", lv.FullName(), b)
	}
	released := d.ledger.releases(id)
	if b, ok := d.index.Backstore(id); ok && !released {
		return blocked(status.ReasonInUse, "cannot remove %s: waiting until backstore %s is no longer linked to a LUN", lv.FullName(), b.Path())
	}
	if released || len(direct) > 0 {
		return nil
	}
	return blocked(status.ReasonInUse, "cannot remove %s: waiting until it is no longer open on this node (see lsof %s)", lv.FullName(), lv.Path())
}
