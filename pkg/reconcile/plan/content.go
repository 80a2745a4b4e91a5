package plan

import (
	"cmp"
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// comesBack reports whether nobody is served a logical volume by what its object says, or was
// before the node was started: it comes back from the trash, or from being orphaned, or is seen
// for the first time. What was made of something else than the spec says is not shown to anybody
// then. What is served goes on being served, whatever is edited.
func (d *differ) comesBack(id spec.ID, lv observe.LogicalVolume) bool {
	known := d.in.Known[id]
	return len(d.lunsOf(id, lv)) == 0 && (known.UUID == "" || known.Unserved || len(lv.DeletedTags()) > 0)
}

// otherSource says so if a volume was not made of what its spec names, and reports whether it
// must not be exported for that.
func (d *differ) otherSource(id spec.ID, source *spec.VolumeSource, lv observe.LogicalVolume) bool {
	if lv.Phase() != "" || source == nil || source.Tag() == lv.Tag(ondisk.TagSource) {
		return false
	}
	from := cmp.Or(lv.Tag(ondisk.TagSource), "nothing")
	if d.comesBack(id, lv) {
		d.setBlocked(id, status.ReasonImmutableField, "spec.source: %s%s was made from %s, not from %s, so it is not exported. Remove or correct the field to use it, or choose another name for a new volume",
			lv.FullName(), madeAt(id, lv), from, source.Tag())
		return true
	}
	d.setBlocked(id, status.ReasonImmutableField, "spec.source: %s%s was made from %s, not from %s; a source is only read when a volume is created. Remove the field, or choose another name for a new volume",
		lv.FullName(), madeAt(id, lv), from, source.Tag())
	return false
}

// otherOrigin says so if a snapshot was not taken of the Volume that its spec names, or of what
// had its name before. It reports so, and whether it must not be exported for that.
func (d *differ) otherOrigin(id, origin spec.ID, volume spec.Volume, lv observe.LogicalVolume) (other, unusable bool) {
	const hint = "choose another name for a new snapshot"
	switch {
	case lv.Origin != "" && lv.Origin != d.originName(origin, volume) && !d.replacedOrigin(origin, lv):
		d.setBlocked(id, status.ReasonImmutableField, "spec.volume: %s%s is a snapshot of %s, not of %s; %s", lv.FullName(), madeAt(id, lv), lv.Origin, origin, hint)
	case d.takenOfAnother(id, d.backing(origin).lv, lv):
		d.setBlocked(id, status.ReasonImmutableField, "spec.volume: %s%s is no snapshot of the current %s; %s%s", lv.FullName(), madeAt(id, lv), origin, hint, d.originHint(d.backing(origin).lv, lv))
	default:
		return false, false
	}
	return true, d.comesBack(id, lv)
}

// takenOfAnother reports whether a snapshot, whose origin LVM does not name any more, was taken of
// something else than a Volume's logical volume, which may be about to be created.
func (d *differ) takenOfAnother(id spec.ID, volume, snapshot observe.LogicalVolume) bool {
	if snapshot.Origin != "" || volume.Name == "" {
		return false
	}
	if of := d.takenOf(id, snapshot); of != "" {
		return volume.UUID == "" || volume.Identity() != of
	}
	// Nothing else remembers it. Clocks may have been wrong, so nobody loses anything by this.
	taken, created := snapshot.ContentSince(), volume.ContentSince()
	return !taken.IsZero() && taken.Before(created) && d.comesBack(id, snapshot)
}

// takenOf returns the identity of what a snapshot was taken of; empty: it is not known.
func (d *differ) takenOf(id spec.ID, snapshot observe.LogicalVolume) string {
	return cmp.Or(snapshot.Tag(ondisk.TagOrigin), d.in.Known[id].Origin)
}

// originHint says how a snapshot is made one of a volume for somebody who knows better.
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

// madeAt says in brackets since when the content of an object is; empty: it is not known.
func madeAt(id spec.ID, lv observe.LogicalVolume) string {
	since := lv.ContentSince()
	switch {
	case since.IsZero():
		return ""
	case id.Kind == spec.KindSnapshot:
		return " (taken " + stamp(since) + ")"
	default:
		return " (created " + stamp(since) + ")"
	}
}

// whyTags says why tags are corrected: what comes back says since when its content is.
func (d *differ) whyTags(id spec.ID, lv observe.LogicalVolume) string {
	switch {
	case id.Kind != spec.KindVolume && id.Kind != spec.KindSnapshot:
		return "tags differ"
	case len(lv.DeletedTags()) > 0:
		return "restored from the trash with its data" + madeAt(id, lv) + "; choose another name for a new one"
	case !lv.Marked() && d.in.Known[id].UUID == "":
		return "adopted with its data" + madeAt(id, lv)
	default:
		return "tags differ"
	}
}

// warnOfReturn warns that what was orphaned is taken for what a file asks for now. Nobody may
// remember that the name was used before.
func (d *differ) warnOfReturn(id spec.ID, lv observe.LogicalVolume) {
	if d.in.Known[id].Orphaned {
		d.plan.Warnings = append(d.plan.Warnings, Warning{id, fmt.Sprintf("%s was orphaned and is declared again, with its data%s; choose another name for a new one", lv.FullName(), madeAt(id, lv))})
	}
}

// learnServed takes in whether an object is declared and served, and of what a snapshot was taken.
func (l *learning) learnServed(identity, was Identity, id spec.ID, lvs []observe.LogicalVolume, desired spec.Set, observed observe.State, index *Index) Identity {
	if len(lvs) != 1 || id.Kind == spec.KindPool {
		return identity
	}
	lv := lvs[0]
	_, invalid := desired.Invalid[id]
	if named := invalid || desired.Has(id); named || desired.Complete {
		identity.Orphaned = !named && identity.Declared && len(lv.DeletedTags()) == 0 // whose tags say the same
	}
	switch {
	case index.serves(id, lv):
		identity.Unserved = false
	case was.Unserved, len(lv.DeletedTags()) > 0: // which say so
	case was.UUID == "":
		identity.Unserved = true
	case desired.Complete:
		// After a reboot nobody is served, by no will of the spec.
		identity.Unserved = !l.exports(desired, id)
	}
	if origin, there := observed.VolumeGroups[lv.VolumeGroup].LogicalVolumes[lv.Origin]; there && id.Kind == spec.KindSnapshot && lv.Tag(ondisk.TagOrigin) == "" && origin.Phase() == "" {
		identity.Origin = origin.Identity()
	}
	return identity
}

// exports reports whether the files name an object, and an Export of it.
func (l *learning) exports(desired spec.Set, id spec.ID) bool {
	if l.exported == nil {
		l.exported = map[spec.ID]bool{}
		for _, e := range desired.Exports {
			for _, lun := range e.Spec.LUNs {
				l.exported[lun.Backing()] = true
			}
		}
	}
	return desired.Has(id) && l.exported[id]
}

// serves reports whether a target shows an object's logical volume.
func (x *Index) serves(id spec.ID, lv observe.LogicalVolume) bool {
	for _, n := range x.ownBackstores[id] {
		if len(x.links[x.paths[n]]) > 0 {
			return true
		}
	}
	return len(x.servedDirectly(lv)) > 0
}
