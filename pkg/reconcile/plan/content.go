package plan

import (
	"cmp"
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// isReturning reports whether an object's logical volume begins to be used again and is not
// served: it returns from the trash, was orphaned, or is seen for the first time. If it was made
// from something other than the spec says, it is not exported then. What is served already
// continues to be served, whatever is edited.
func (d *differ) isReturning(id spec.ID, lv observe.LogicalVolume) bool {
	known := d.in.Known[id]
	return len(d.lunsOf(id, lv)) == 0 && (known.UUID == "" || known.Unserved || len(lv.DeletedTags()) > 0)
}

// hasOtherSource sets the status of a Volume that was made from another source than its spec
// names. It reports whether the Volume must not be exported for that reason.
func (d *differ) hasOtherSource(id spec.ID, source *spec.VolumeSource, lv observe.LogicalVolume) bool {
	if lv.Phase() != "" || source == nil || source.Tag() == lv.Tag(ondisk.TagSource) {
		return false
	}
	from := cmp.Or(lv.Tag(ondisk.TagSource), "nothing")
	if d.isReturning(id, lv) {
		d.setBlocked(id, status.ReasonImmutableField, "spec.source: %s%s was made from %s, not from %s, so it is not exported. Remove or correct the field to use it, or choose another name for a new volume",
			lv.FullName(), createdAtHint(id, lv), from, source.Tag())
		return true
	}
	d.setBlocked(id, status.ReasonImmutableField, "spec.source: %s%s was made from %s, not from %s; a source is only read when a volume is created. Remove the field, or choose another name for a new volume",
		lv.FullName(), createdAtHint(id, lv), from, source.Tag())
	return false
}

// hasOtherOrigin sets the status of a Snapshot that was not taken of the Volume that its spec
// names. It reports whether that is so, and whether the Snapshot must not be exported for that
// reason.
func (d *differ) hasOtherOrigin(id, origin spec.ID, volume spec.Volume, lv observe.LogicalVolume) (other, unusable bool) {
	const hint = "choose another name for a new snapshot"
	switch {
	case lv.Origin != "" && lv.Origin != d.originName(origin, volume) && !d.isSnapshotOfSuperseded(origin, lv):
		d.setBlocked(id, status.ReasonImmutableField, "spec.volume: %s%s is a snapshot of %s, not of %s; %s", lv.FullName(), createdAtHint(id, lv), lv.Origin, origin, hint)
	case d.isSnapshotOfAnother(id, d.backingOf(origin).lv, lv):
		d.setBlocked(id, status.ReasonImmutableField, "spec.volume: %s%s is no snapshot of the current %s; %s%s", lv.FullName(), createdAtHint(id, lv), origin, hint, d.originHint(d.backingOf(origin).lv, lv))
	default:
		return false, false
	}
	return true, d.isReturning(id, lv)
}

// isSnapshotOfAnother reports whether a snapshot, whose origin LVM no longer names, was taken of
// something other than a Volume's logical volume, which may be about to be created.
func (d *differ) isSnapshotOfAnother(id spec.ID, volume, snapshot observe.LogicalVolume) bool {
	if snapshot.Origin != "" || volume.Name == "" {
		return false
	}
	if of := d.originIdentity(id, snapshot); of != "" {
		return volume.UUID == "" || volume.Identity() != of
	}
	// Nothing else is known of it. Clocks may have been wrong, so this never removes anything.
	taken, created := snapshot.ContentSince(), volume.ContentSince()
	return !taken.IsZero() && taken.Before(created) && d.isReturning(id, snapshot)
}

// originIdentity returns the identity of a snapshot's origin; empty: unknown.
func (d *differ) originIdentity(id spec.ID, snapshot observe.LogicalVolume) string {
	return cmp.Or(snapshot.Tag(ondisk.TagOrigin), d.in.Known[id].Origin)
}

// originHint returns how to make a snapshot one of a volume by hand, for somebody who knows that
// it is.
func (d *differ) originHint(volume, snapshot observe.LogicalVolume) string {
	if volume.UUID == "" {
		return ""
	}
	remove := ""
	for _, tag := range snapshot.TagsWith(ondisk.TagOrigin) {
		remove += " --deltag " + tag
	}
	return fmt.Sprintf(". If it is one: lvchange%s --addtag %s%s %s", remove, ondisk.TagOrigin, volume.Identity(), snapshot.FullName())
}

// createdAtHint returns, in brackets, when the content of an object was created; empty: unknown.
func createdAtHint(id spec.ID, lv observe.LogicalVolume) string {
	since := lv.ContentSince()
	switch {
	case since.IsZero():
		return ""
	case id.Kind == spec.KindSnapshot:
		return " (taken " + formatTime(since) + ")"
	default:
		return " (created " + formatTime(since) + ")"
	}
}

// whyTags returns why tags are corrected. For what returns from the trash, or is adopted, it says
// how old the data is.
func (d *differ) whyTags(id spec.ID, lv observe.LogicalVolume) string {
	switch {
	case id.Kind != spec.KindVolume && id.Kind != spec.KindSnapshot:
		return "tags differ"
	case len(lv.DeletedTags()) > 0:
		return "restored from the trash with its data" + createdAtHint(id, lv) + "; choose another name for a new one"
	case !lv.Marked() && d.in.Known[id].UUID == "":
		return "adopted with its data" + createdAtHint(id, lv)
	default:
		return "tags differ"
	}
}

// warnOfReturn warns that an orphaned logical volume is used for what a file declares now. The
// author of the file may not know that the name was used before.
func (d *differ) warnOfReturn(id spec.ID, lv observe.LogicalVolume) {
	if d.in.Known[id].Orphaned {
		d.plan.Warnings = append(d.plan.Warnings, Warning{id, fmt.Sprintf("%s was orphaned and is declared again, with its data%s; choose another name for a new one", lv.FullName(), createdAtHint(id, lv))})
	}
}

// learnServed learns whether an object is declared and served, and what a snapshot was taken of.
func (l *learning) learnServed(identity, was Identity, id spec.ID, lvs []observe.LogicalVolume, declared spec.Set, observed observe.State, index *Index) Identity {
	if len(lvs) != 1 || id.Kind == spec.KindPool {
		return identity
	}
	lv := lvs[0]
	_, invalid := declared.Invalid[id]
	if isDeclared := invalid || declared.Has(id); isDeclared || declared.Complete {
		identity.Orphaned = !isDeclared && identity.Declared && len(lv.DeletedTags()) == 0 // the trash has tags of its own
	}
	switch {
	case index.isServed(id, lv):
		identity.Unserved = false
	case was.Unserved, len(lv.DeletedTags()) > 0: // its tags say so
	case was.UUID == "":
		identity.Unserved = true
	case declared.Complete:
		// After a reboot nothing is served, whatever the spec says.
		identity.Unserved = !l.isExported(declared, id)
	}
	if origin, there := observed.VolumeGroups[lv.VolumeGroup].LogicalVolumes[lv.Origin]; there && id.Kind == spec.KindSnapshot && lv.Tag(ondisk.TagOrigin) == "" && origin.Phase() == "" {
		identity.Origin = origin.Identity()
	}
	return identity
}

// isExported reports whether the files declare an object, and an Export of it.
func (l *learning) isExported(declared spec.Set, id spec.ID) bool {
	if l.exported == nil {
		l.exported = map[spec.ID]bool{}
		for _, e := range declared.Exports {
			for _, lun := range e.Spec.LUNs {
				l.exported[lun.Backing()] = true
			}
		}
	}
	return declared.Has(id) && l.exported[id]
}

// isServed reports whether a target serves an object's logical volume.
func (x *Index) isServed(id spec.ID, lv observe.LogicalVolume) bool {
	for _, n := range x.ownBackstores[id] {
		if len(x.links[x.paths[n]]) > 0 {
			return true
		}
	}
	return len(x.servedDirectly(lv)) > 0
}
