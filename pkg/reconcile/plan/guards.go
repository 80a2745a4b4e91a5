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
		{"a file here has named its object before", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.undeclared(id) }},
		{"the tag on it says `deletion=delete`, and so did the files last", (*differ).toBeRetained},
		{"its tags say that this installation made it", (*differ).madeHere},
		{"no other logical volume carries the tags of its object", (*differ).ambiguous},
		{"its tags say nothing of it that this version does not know", (*differ).understood},
		{"no other object names it by its `lvName`", (*differ).namedByOther},
		{"no volume is being reverted to it", (*differ).neededToRevert},
	}
	nowGuards = []guard{
		{"there is no finding anywhere in the specs, and every system could be read", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.certain(id) }},
		{"the objects that are to go are no more than `--max-deletions`, and not all, or a Pool permits exactly these", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.permittedByLimit(id) }},
		{"a Pool names its volume group", (*differ).inPool},
		{"no file has named its object for `--deletion-grace`, as described below", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.graceOver(id) }},
		{"no physical volume of its volume group is missing", (*differ).incomplete},
		{"nothing is left of a move of its object", (*differ).halfMoved},
	}
	trashGuards = []guard{
		{"its thick snapshots are in the trash too, or go in the same plan", (*differ).snapshotsTrashed},
		{"nothing holds it open but a backstore that goes in the same plan", (*differ).inUse},
		{"LVM would remove nothing else together with it", (*differ).alone},
	}
	removalGuards = []guard{
		{"its thick snapshots go in the same plan", (*differ).snapshotsGone},
		{"nothing holds it open but a backstore that goes in the same plan", (*differ).inUse},
		{"LVM would remove nothing else together with it", (*differ).alone},
		{"what is in it can be cleared, if its Pool says so", (*differ).clearable},
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
	return obstacle(status.Orphaned, status.ReasonNotDeclared, "no Pool names volume group %s; all that is in it is left alone", lv.VolumeGroup)
}

// undeclared: what these files never named may be another node's, or of other files.
func (d *differ) undeclared(id spec.ID) *Obstacle {
	if d.names(id) || d.in.Known[id].Declared {
		return nil
	}
	return obstacle(status.Orphaned, status.ReasonNotDeclared, "that a file here named it is not remembered; it is left alone. To have it deleted, name it in a file, and take the file away when it is Ready")
}

// toBeRetained: without the tag there is no permission to delete; a Pool never has one.
func (d *differ) toBeRetained(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	if id.Kind == spec.KindPool || !mayDelete(lv) || d.in.Known[id].Retain {
		return obstacle(status.Orphaned, status.ReasonRetained, "no file names it; %s stays, and is ours again when one does", lv.FullName())
	}
	return nil
}

func (d *differ) ambiguous(id spec.ID, _ observe.LogicalVolume) *Obstacle {
	if len(d.index.current[id]) > 1 {
		return blocked(status.ReasonAmbiguous, "several logical volumes carry its tags; remove the tags (lvchange --deltag) from all but one")
	}
	return nil
}

// understood: a later version may have set what is not known.
func (d *differ) understood(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	if lv.Phase() != ondisk.Unknown {
		return nil
	}
	return blocked(status.ReasonUnsupported, "%s is left alone: this version of volreconciler does not know what its tag %s says; install the version that set it",
		lv.FullName(), strings.Join(lv.TagsWith(ondisk.TagPhase), ", "))
}

func (d *differ) namedByOther(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	heir, named := d.namedByAnother(lv)
	if !named {
		return nil
	}
	return blocked(status.ReasonInUse, "%s names %s; it is removed by no other name. To hand it over, change its tag: lvchange --deltag %s%s --addtag %s%s %s",
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
			return blocked(status.ReasonInUse, "%s is removed when %s, which is being put back to it, is complete again", snapshot.FullName(), lv.FullName())
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
		return obstacle(status.Deleting, status.ReasonGracePeriod, "removed in %s unless a file names it again", left.Round(time.Second))
	}
	return nil
}

func (d *differ) incomplete(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	missing := d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs
	if missing == 0 {
		return nil
	}
	return obstacle(status.Failed, status.ReasonDeviceMissing, "nothing is removed while %d physical volumes of %s are missing: LVM would refuse them when they come back", missing, lv.VolumeGroup)
}

func (d *differ) halfMoved(id spec.ID, _ observe.LogicalVolume) *Obstacle {
	left := d.index.left(id)
	arriving := slices.ContainsFunc(d.index.current[id], func(lv observe.LogicalVolume) bool { return lv.Phase() == ondisk.Staged })
	if len(left.staged)+len(left.superseded) == 0 && !arriving {
		return nil
	}
	return obstacle(status.Deleting, status.ReasonRemoving, "removed when what is left of the logical volume that it had before, or was to have, is gone")
}

// snapshotsTrashed: without their origin they could not be used.
func (d *differ) snapshotsTrashed(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	for _, name := range d.thickSnapshotsOf(lv) {
		if !d.ledger.isTrashed(name) && !d.ledger.isRemoved(name) {
			return blocked(status.ReasonSnapshotsExist, "%s is deleted when its snapshot %s is, which could not be used without it", lv.FullName(), name)
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
			return obstacle(status.Deleting, status.ReasonInTrash, "in the trash; %s is removed when its snapshot %s, which is there too, is gone", lv.FullName(), name)
		default:
			return blocked(status.ReasonSnapshotsExist, "%s is removed when its snapshot %s is gone, which would be lost with it", lv.FullName(), name)
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
	return blocked(status.ReasonSnapshotsExist, "cannot remove %s: LVM would remove others together with it (%s). Remove them first, or make them independent of it",
		lv.FullName(), shortList(others))
}

// inUse is that something other than a backstore that this plan removes holds a logical volume.
func (d *differ) inUse(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	if len(lv.HeldBy) > 0 {
		return blocked(status.ReasonInUse, "%s is removed when it is no longer %s", lv.FullName(), strings.Join(lv.HeldBy, ", "))
	}
	direct := d.index.servedDirectly(lv)
	if _, gone := d.ledger.unserves(direct); !gone {
		// Looked at whether it is open or not: tgtd may have to be told to open it.
		return blocked(status.ReasonInUse, "%s is exported by target %s", lv.FullName(), d.target(direct[0].target).Name)
	}
	if !lv.Open {
		return nil
	}
	if b, ok := d.index.foreignBackstore(lv); ok {
		return blocked(status.ReasonInUse, "%s is held by backstore %s, which is not ours", lv.FullName(), b)
	}
	released := d.ledger.releases(id)
	if b, ok := d.index.Backstore(id); ok && !released {
		return blocked(status.ReasonInUse, "%s is exported through backstore %s, which is still linked", lv.FullName(), b.Path())
	}
	if released || len(direct) > 0 {
		return nil
	}
	return blocked(status.ReasonInUse, "%s is open on this node (see lsof %s)", lv.FullName(), lv.Path())
}
