package plan

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// verdict is the result of the search for an object's logical volume.
type verdict int

const (
	refused verdict = iota // something is in the way; the object's status says what
	absent                 // it is not there and may be created
	found
)

// find looks for the logical volume of a Volume or Snapshot. It alone decides whether a logical
// volume is ours, and whether a new one may be created. A logical volume is the object's if
//
//   - the object's tags are on it, wherever it is and whatever its name; or
//   - it has the declared name and no other object's tags, but some of this object's tags, or
//     the UUID that the object's had when it was last seen: somebody removed tags; or
//   - it has the declared name, nobody owns it, and the spec says adopt.
//
// An object whose logical volume is missing never receives another one, unless its annotation names
// the missing one.
func (d *differ) find(id spec.ID, m spec.Metadata, p pool, name string, adopt bool) (observe.LogicalVolume, verdict) {
	was := d.in.Known[id]
	known := was.UUID
	if m.Annotations[spec.AnnotationRecreate] == known {
		known = ""
	}
	if _, _, err := d.in.Observed.Group(was.VolumeGroup); known != "" && err != nil {
		d.setStatus(id, status.Failed, status.ReasonObservationFailed, "cannot read volume group %s, which has its logical volume: %v", was.VolumeGroup, err)
		return observe.LogicalVolume{}, refused
	}
	if lvs := d.withoutCopies(id, d.index.current[id]); len(lvs) > 0 {
		if len(lvs) == 1 && (d.blockedBy(id, d.checkStray(id, p, lvs[0])) || d.blockedBy(id, d.checkContradiction(id, lvs[0]))) {
			return lvs[0], refused
		}
		return d.judgeTagged(id, lvs, p, name, known)
	}
	lv, exists := p.vg.LogicalVolumes[name]
	if lvs := d.foreignOf(id, known); len(lvs) > 0 {
		d.adoptOrSetForeign(id, lvs)
		return lvs[0], refused
	}
	if exists && !d.index.ownership.owns(lv) && (known == "" || known == lv.Identity()) {
		d.blockedBy(id, d.foreignObstacle(id, lv, ""))
		return lv, refused
	}
	// A logical volume that lost only its tags is not missing.
	untagged := exists && known != "" && lv.Phase() == "" && (!lv.Marked() || hasLostTags(lv, id)) &&
		(lv.Identity() == known || d.hasLostIdentityTag(id, lv))
	if !untagged && d.hasOnlyLeftovers(id) {
		return observe.LogicalVolume{}, refused
	}
	switch {
	case untagged && d.blockedBy(id, d.checkContradiction(id, lv)):
		return lv, refused
	case exists && lv.Phase() == ondisk.Clearing:
		d.setBlocked(id, status.ReasonClearing, "waiting until %s, deleted earlier under the same name, is wiped", lv.FullName())
		return lv, refused
	case exists && (known == "" || lv.Identity() == known) && lv.Marked() && !hasLostTags(lv, id):
		d.setBlocked(id, status.ReasonNotOwned, "%s belongs to another object (%s). Choose another name, or correct its tags", lv.FullName(), strings.Join(lv.Tags, " "))
		return lv, refused
	case untagged, exists && (known != "" && lv.Identity() == known || known == "" && hasLostTags(lv, id)):
		return lv, found
	case known != "":
		d.setBlocked(id, status.ReasonVanished, "its logical volume %s (UUID %s) is missing. Restore it; or, to create a new, empty one, set the annotation %s: %s",
			p.vg.Name+"/"+name, known, spec.AnnotationRecreate, known)
		return lv, refused
	case !exists:
		return lv, absent
	case !adopt:
		d.setBlocked(id, status.ReasonNotOwned, "%s already exists and is not managed by volreconciler. %s", lv.FullName(), adoptHint(id))
		return lv, refused
	default:
		return lv, found
	}
}

// foreignOf returns what another installation made for an object, unless the object had a logical
// volume of ours that is not among these.
func (d *differ) foreignOf(id spec.ID, known string) []observe.LogicalVolume {
	lvs := d.index.foreign[id]
	if known != "" && !slices.ContainsFunc(lvs, func(lv observe.LogicalVolume) bool { return lv.Identity() == known }) {
		return nil
	}
	return lvs
}

// hasLostIdentityTag reports whether somebody removed the tag that says which logical volume an
// object's current one superseded.
func (d *differ) hasLostIdentityTag(id spec.ID, lv observe.LogicalVolume) bool {
	known := d.in.Known[id]
	return known.UUID != "" && known.LV == lv.UUID && lv.UUID != known.UUID && lv.Tag(ondisk.TagIdentity) == ""
}

// checkStray: a logical volume with the object's tags is in a volume group that no Pool declares,
// although its Pool has the volume group in which it was last seen. It may be on a copied disk,
// with data as old as the copy.
func (d *differ) checkStray(id spec.ID, p pool, lv observe.LogicalVolume) *Obstacle {
	was := d.in.Known[id]
	if was.UUID == "" || was.VolumeGroup != p.vg.Name || !isStray(was, lv, d.in.Declared, d.in.Observed) {
		return nil
	}
	return blocked(status.ReasonVanished, "its logical volume (UUID %s) is not in volume group %s; %s has its tags, but may be on a copied disk, and is not used. If it is the right one: vgmerge %s %s, or declare a Pool for volume group %s", was.UUID, was.VolumeGroup, lv.FullName(), was.VolumeGroup, lv.VolumeGroup, lv.VolumeGroup)
}

// checkContradiction: the tags on a logical volume contradict what was known of its content.
// Somebody removed them, or old metadata was restored.
func (d *differ) checkContradiction(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	known, phase := d.in.Known[id], lv.Phase()
	switch {
	case known.isRestoredPredecessor(lv):
		return blocked(status.ReasonContradiction, "%s has the data from before the cutover; its successor (UUID %s) is missing. Restore the successor, or accept the old data: lvchange --addtag %s%s %s",
			lv.FullName(), known.LV, ondisk.TagIdentity, lv.UUID, lv.FullName())
	case known.LV != lv.UUID:
		return nil
	case known.Content == Incomplete && phase == "" && !isFilled(lv):
		return blocked(status.ReasonContradiction, "%s was being filled or reverted, and its tags no longer say so: its data may be incomplete. To continue: lvchange --addtag %s %s. If it is complete: lvchange --addtag %s %s",
			lv.FullName(), ondisk.PhaseTag(ondisk.Populating), lv.FullName(), ondisk.TagFilled, lv.FullName())
	case known.Content == Complete && (phase == ondisk.Populating || phase == ondisk.Reverting):
		tags := strings.Join(slices.Concat(lv.TagsWith(ondisk.TagPhase), lv.TagsWith(ondisk.TagCheckpoint), lv.TagsWith(ondisk.TagRevert)), " --deltag ")
		return blocked(status.ReasonContradiction, "the tags of %s say that it is incomplete, but it was complete: old LVM metadata may have been restored. It is not written to. If it is complete: lvchange --deltag %s %s",
			lv.FullName(), tags, lv.FullName())
	}
	return nil
}

// isRestoredPredecessor reports whether a logical volume is the object's first one although a
// cutover superseded it: old metadata was restored. The tag that its status names accepts it.
func (i Identity) isRestoredPredecessor(lv observe.LogicalVolume) bool {
	return i.LV != "" && i.LV != lv.UUID && lv.UUID == i.UUID && lv.Tag(ondisk.TagIdentity) == "" && lv.SupersededBy() == ""
}

// judgeTagged decides on the logical volumes that carry an object's tags.
func (d *differ) judgeTagged(id spec.ID, lvs []observe.LogicalVolume, p pool, name, known string) (observe.LogicalVolume, verdict) {
	lv := lvs[0]
	switch {
	case len(lvs) > 1:
		var names []string
		for _, lv := range lvs {
			names = append(names, lv.FullName())
		}
		d.setBlocked(id, status.ReasonAmbiguous, "several logical volumes have its tags: %s. Find the right one (lvs -o +lv_uuid,lv_time,lv_tags), and remove the tags from the others (lvchange --deltag)", shortList(names))
		return lv, refused
	case known != "" && lv.Identity() != known && !d.hasLostIdentityTag(id, lv):
		d.setBlocked(id, status.ReasonVanished, "its logical volume (UUID %s) is missing, and %s (UUID %s) has its tags. Restore the first, or accept the second by the annotation %s: %s",
			known, lv.FullName(), lv.UUID, spec.AnnotationRecreate, known)
		return lv, refused
	case isMisplaced(lv, p) && id.Kind == spec.KindVolume, lv.Phase() == ondisk.Staged:
		// It is moving, or became current just now.
	case lv.VolumeGroup != p.vg.Name:
		d.setBlocked(id, status.ReasonImmutableField, "its logical volume %s cannot move with its Volume to volume group %s. Remove the Snapshot, or undo the change of the Volume's spec.pool", lv.FullName(), p.vg.Name)
	case lv.Name != name:
		d.setBlocked(id, status.ReasonImmutableField, "its logical volume is %[1]s, but the spec declares %[2]s. Rename it (lvrename %[1]s %[2]s), or change the spec", lv.FullName(), name)
	}
	return lv, found
}

// withoutCopies leaves out logical volumes in volume groups that no Pool declares, if exactly one
// other is where the object was last seen: a copied disk has the same tags, and even the same
// UUIDs. While the whole content is being replaced nothing is left out.
func (d *differ) withoutCopies(id spec.ID, lvs []observe.LogicalVolume) []observe.LogicalVolume {
	if len(lvs) < 2 {
		return lvs
	}
	known := d.in.Known[id]
	var in []observe.LogicalVolume
	for _, lv := range lvs {
		if len(d.refs.pools[lv.VolumeGroup]) > 0 {
			in = append(in, lv)
		}
	}
	if len(in) != 1 || in[0].Phase() != "" || in[0].VolumeGroup != known.VolumeGroup || in[0].Identity() != known.UUID {
		return lvs
	}
	return in
}

// hasLostTags reports whether a logical volume carries some of an object's tags and none of
// another's.
func hasLostTags(lv observe.LogicalVolume, id spec.ID) bool {
	kind, name := lv.Tag(ondisk.TagKind), lv.Tag(ondisk.TagName)
	return lv.Marked() &&
		(kind == "" || kind == strings.ToLower(string(id.Kind))) &&
		(name == "" || name == id.Name)
}

func adoptHint(id spec.ID) string {
	if id.Kind == spec.KindVolume {
		return "Set adopt: true to manage it, or choose another lvName"
	}
	return "Choose another name"
}
