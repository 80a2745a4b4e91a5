package plan

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// verdict is what looking for an object's logical volume came to.
type verdict int

const (
	refused verdict = iota // something is in the way; the object's status says what
	absent                 // it is not there and may be created
	found
)

// find looks for the logical volume of a Volume or Snapshot. It is the
// one place that decides whether a logical volume is ours, and whether a new
// one may be created:
//
//   - the object's tags are on it, wherever it is and whatever it is called; or
//   - it has the right name and none of another object's tags, but what is left
//     of this one's, or the UUID that this one's had when it was last seen:
//     somebody removed tags; or
//   - it has the right name, nobody owns it, and the spec says adopt.
//
// An object that had a logical volume which is gone is never given another one,
// unless its annotation names the lost one.
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
		if len(lvs) == 1 && (d.stopped(id, d.astray(id, p, lvs[0])) || d.stopped(id, d.contradiction(id, lvs[0]))) {
			return lvs[0], refused
		}
		return d.marked(id, lvs, p, name, known)
	}
	lv, exists := p.vg.LogicalVolumes[name]
	if lvs := d.theirsOf(id, known); len(lvs) > 0 {
		d.theirs(id, lvs)
		return lvs[0], refused
	}
	if exists && !d.index.ownership.owns(lv) && (known == "" || known == lv.Identity()) {
		d.stopped(id, d.foreign(id, lv, ""))
		return lv, refused
	}
	// One that lost nothing but its tags is not gone.
	untagged := exists && known != "" && lv.Phase() == "" && (!lv.Marked() || lostTags(lv, id)) &&
		(lv.Identity() == known || d.lostIdentity(id, lv))
	if !untagged && d.bereft(id) {
		return observe.LogicalVolume{}, refused
	}
	switch {
	case untagged && d.stopped(id, d.contradiction(id, lv)):
		return lv, refused
	case exists && lv.Phase() == ondisk.Clearing:
		d.setBlocked(id, status.ReasonClearing, "waiting until %s, deleted earlier under the same name, is wiped", lv.FullName())
		return lv, refused
	case exists && (known == "" || lv.Identity() == known) && lv.Marked() && !lostTags(lv, id):
		d.setBlocked(id, status.ReasonNotOwned, "%s belongs to another object (%s). Choose another name, or correct its tags", lv.FullName(), strings.Join(lv.Tags, " "))
		return lv, refused
	case untagged, exists && (known != "" && lv.Identity() == known || known == "" && lostTags(lv, id)):
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

// theirsOf returns what another installation made for an object, unless that had one of ours
// which is none of these.
func (d *differ) theirsOf(id spec.ID, known string) []observe.LogicalVolume {
	lvs := d.index.foreign[id]
	if known != "" && !slices.ContainsFunc(lvs, func(lv observe.LogicalVolume) bool { return lv.Identity() == known }) {
		return nil
	}
	return lvs
}

// lostIdentity reports whether somebody took from an object's logical volume the tag that says in
// whose place it came.
func (d *differ) lostIdentity(id spec.ID, lv observe.LogicalVolume) bool {
	known := d.in.Known[id]
	return known.UUID != "" && known.LV == lv.UUID && lv.UUID != known.UUID && lv.Tag(ondisk.TagIdentity) == ""
}

// astray is that what carries an object's tags is in a volume group that no Pool names, though its
// Pool has the one that it was in when it was seen last. It may be as old as a copy of the disk is.
func (d *differ) astray(id spec.ID, p pool, lv observe.LogicalVolume) *Obstacle {
	was := d.in.Known[id]
	if was.UUID == "" || was.VolumeGroup != p.vg.Name || !strayed(was, lv, d.in.Desired, d.in.Observed) {
		return nil
	}
	return blocked(status.ReasonVanished, "its logical volume (UUID %s) is not in volume group %s; %s has its tags, but may be on a copied disk, and is not used. If it is the right one: vgmerge %s %s, or declare a Pool for volume group %s", was.UUID, was.VolumeGroup, lv.FullName(), was.VolumeGroup, lv.VolumeGroup, lv.VolumeGroup)
}

// contradiction is that the tags on a logical volume say something else of what is in it than was
// seen: somebody took them away, or old metadata was restored.
func (d *differ) contradiction(id spec.ID, lv observe.LogicalVolume) *Obstacle {
	known, phase := d.in.Known[id], lv.Phase()
	switch {
	case known.cameBack(lv):
		return blocked(status.ReasonContradiction, "%s has the data from before the cutover; its successor (UUID %s) is missing. Restore the successor, or accept the old data: lvchange --addtag %s%s %s",
			lv.FullName(), known.LV, ondisk.TagIdentity, lv.UUID, lv.FullName())
	case known.LV != lv.UUID:
		return nil
	case known.Content == Incomplete && phase == "" && !filled(lv):
		return blocked(status.ReasonContradiction, "%s was being filled or reverted, and its tags no longer say so: its data may be incomplete. To continue: lvchange --addtag %s %s. If it is complete: lvchange --addtag %s %s",
			lv.FullName(), ondisk.PhaseTag(ondisk.Populating), lv.FullName(), ondisk.TagFilled, lv.FullName())
	case known.Content == Complete && (phase == ondisk.Populating || phase == ondisk.Reverting):
		tags := strings.Join(slices.Concat(lv.TagsWith(ondisk.TagPhase), lv.TagsWith(ondisk.TagCheckpoint), lv.TagsWith(ondisk.TagRevert)), " --deltag ")
		return blocked(status.ReasonContradiction, "the tags of %s say that it is incomplete, but it was complete: old LVM metadata may have been restored. It is not written to. If it is complete: lvchange --deltag %s %s",
			lv.FullName(), tags, lv.FullName())
	}
	return nil
}

// cameBack reports whether a logical volume is the first one of an object, in whose place another
// one came since: metadata of before was restored. A tag that somebody sets accepts it.
func (i Identity) cameBack(lv observe.LogicalVolume) bool {
	return i.LV != "" && i.LV != lv.UUID && lv.UUID == i.UUID && lv.Tag(ondisk.TagIdentity) == "" && lv.SupersededBy() == ""
}

// marked judges the logical volumes that carry an object's tags.
func (d *differ) marked(id spec.ID, lvs []observe.LogicalVolume, p pool, name, known string) (observe.LogicalVolume, verdict) {
	lv := lvs[0]
	switch {
	case len(lvs) > 1:
		var names []string
		for _, lv := range lvs {
			names = append(names, lv.FullName())
		}
		d.setBlocked(id, status.ReasonAmbiguous, "several logical volumes have its tags: %s. Find the right one (lvs -o +lv_uuid,lv_time,lv_tags), and remove the tags from the others (lvchange --deltag)", shortList(names))
		return lv, refused
	case known != "" && lv.Identity() != known && !d.lostIdentity(id, lv):
		d.setBlocked(id, status.ReasonVanished, "its logical volume (UUID %s) is missing, and %s (UUID %s) has its tags. Restore the first, or accept the second by the annotation %s: %s",
			known, lv.FullName(), lv.UUID, spec.AnnotationRecreate, known)
		return lv, refused
	case misplaced(lv, p) && id.Kind == spec.KindVolume, lv.Phase() == ondisk.Staged:
		// It is on its way, or has just arrived.
	case lv.VolumeGroup != p.vg.Name:
		d.setBlocked(id, status.ReasonImmutableField, "its logical volume %s cannot move with its Volume to volume group %s. Remove the Snapshot, or undo the change of the Volume's spec.pool", lv.FullName(), p.vg.Name)
	case lv.Name != name:
		d.setBlocked(id, status.ReasonImmutableField, "its logical volume is %[1]s, but the spec declares %[2]s. Rename it (lvrename %[1]s %[2]s), or change the spec", lv.FullName(), name)
	}
	return lv, found
}

// withoutCopies leaves out those of several logical volumes that are in volume groups which no
// Pool names, if the other one is where it was: a copy of a disk has the same tags, and even the
// same UUIDs. In the midst of a change of the whole content nothing is left out.
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

// lostTags reports whether a logical volume carries some of an object's tags
// and none of another's.
func lostTags(lv observe.LogicalVolume, id spec.ID) bool {
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
