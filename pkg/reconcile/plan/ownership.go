package plan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Installation is the one whose files are compared, and which others it adopts.
type Installation struct {
	// Maker is what the tags of its logical volumes name. Without an ID all logical volumes with
	// our tags are its own.
	ondisk.Maker
	// Adopts are the IDs of other installations whose logical volumes become its own, or
	// [Unmarked].
	Adopts []string
}

// Unmarked stands for the installation of logical volumes whose tags name none, as those of older
// agents.
const Unmarked = "unmarked"

// Ownership tells the logical volumes of an installation from those of others.
type Ownership struct {
	Installation
	// Known decides which of the logical volumes without a maker are ours.
	Known map[spec.ID]Identity
	// tag is the tag of ours.
	tag string
}

// owns reports whether a logical volume does not belong to another installation: it is ours, or
// was made by none.
func (o Ownership) owns(lv observe.LogicalVolume) bool {
	if o.isSigned(lv) || !lv.Marked() {
		return true
	}
	makers := lv.Makers()
	for _, maker := range makers {
		if maker.ID != o.ID && !slices.Contains(o.Adopts, maker.ID) {
			return false
		}
	}
	if len(makers) > 0 || slices.Contains(o.Adopts, Unmarked) {
		return true
	}
	of, named := lv.BelongsTo()
	return !named || o.Known[of].UUID != ""
}

// isSigned reports whether the tags of a logical volume name this installation, and no other.
func (o Ownership) isSigned(lv observe.LogicalVolume) bool {
	ours, others := false, false
	for _, tag := range lv.Tags {
		if strings.HasPrefix(tag, ondisk.TagBy) {
			ours, others = ours || tag == o.tag, others || tag != o.tag
		}
	}
	return o.ID == "" || ours && !others
}

// withSignature adds the tag of this installation.
func (d *differ) withSignature(tags []string) []string {
	if d.in.Installation.ID == "" {
		return tags
	}
	return append(tags, d.index.ownership.tag)
}

// signatureOf returns the change after which the tags of a logical volume name this installation
// only.
func (d *differ) signatureOf(lv observe.LogicalVolume) change.SetTags {
	ours := d.index.ownership.tag
	return change.SetTags{LV: nameOf(lv), Add: []string{ours}, Remove: slices.DeleteFunc(lv.TagsWith(ondisk.TagBy), func(tag string) bool { return tag == ours })}
}

// signOwn plans the tag of this installation for logical volumes of ours without it: older agents
// made them, they are adopted, or somebody removed the tag.
func (d *differ) signOwn() {
	pending := map[string]bool{}
	for _, lv := range d.index.unsigned {
		id, _ := lv.BelongsTo()
		if len(d.refs.pools[lv.VolumeGroup]) == 0 {
			continue // nothing in that volume group is changed
		}
		for _, maker := range lv.Makers() {
			pending[maker.ID] = true
		}
		pending[Unmarked] = pending[Unmarked] || len(lv.Makers()) == 0
		if d.mayChangeTags(id, lv) && !d.contradictsKnown(id, lv) {
			d.stepWithoutStatus(id, "managed here, but its tags do not say so", Harmless, d.signatureOf(lv))
		}
	}
	if !d.inDoubt() {
		d.plan.Adopted = slices.DeleteFunc(slices.Clone(d.in.Installation.Adopts), func(id string) bool { return pending[id] })
	}
}

// contradictsKnown reports whether a logical volume is not the one that its object is known to
// have: an administrator must say whose it is.
func (d *differ) contradictsKnown(id spec.ID, lv observe.LogicalVolume) bool {
	owner, owned := lv.LastOwner()
	known, identity := d.in.Known[id].UUID, lv.Identity()
	if lv.Phase() == ondisk.Superseded { // its own identity, not that of its successor
		identity = cmp.Or(lv.Tag(ondisk.TagIdentity), lv.UUID)
	}
	return owned && owner == id && known != "" && known != identity && lv.Phase() != ondisk.Clearing
}

// mayChangeTags reports whether the tags on a logical volume may be changed.
func (d *differ) mayChangeTags(id spec.ID, lv observe.LogicalVolume) bool {
	return !d.isSuspended(id) && lv.Phase() != ondisk.Unknown && d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs == 0
}

// foreignObstacle is the obstacle that an object's logical volume belongs to another installation.
func (d *differ) foreignObstacle(id spec.ID, lv observe.LogicalVolume, how string) *Obstacle {
	by, of := "an unknown installation", "it"
	takes := Unmarked
	if makers := lv.Makers(); len(makers) > 0 {
		maker := makers[slices.IndexFunc(makers, func(m ondisk.Maker) bool { return m.ID != d.in.Installation.ID })]
		by, takes = "installation "+maker.String(), maker.ID
	}
	if whose, named := lv.BelongsTo(); named {
		of = whose.String()
	}
	reason := status.ReasonForeign
	if !d.isDeclared(id) {
		reason = status.ReasonNotDeclared
	}
	return obstacle(status.Foreign, reason, "%s was made for %s by %s; this is installation %s, and does not change it. If no other node uses its disks, adopt everything of that installation: volreconciler adopt-node %s%s",
		lv.FullName(), of, by, d.in.Installation, takes, how)
}

// adoptOrSetForeign handles an object for which another installation made a logical volume, and
// this one none: it adopts that if the spec says so, and sets the status otherwise.
func (d *differ) adoptOrSetForeign(id spec.ID, lvs []observe.LogicalVolume) {
	volume, how := d.in.Declared.Volumes[id.Name], "; to adopt only this object, set adopt: true"
	if id.Kind == spec.KindSnapshot {
		of := d.in.Declared.Snapshots[id.Name].Spec.Volume
		volume, how = d.in.Declared.Volumes[of], "; to adopt only this object, set adopt: true in its Volume"
		volume.Spec.Adopt = volume.Spec.Adopt && len(d.index.current[spec.ID{Kind: spec.KindVolume, Name: of}]) == 1 // adopted before it
	}
	if !volume.Spec.Adopt || !d.adopt(id, lvs) {
		d.blockedBy(id, d.foreignObstacle(id, lvs[0], how))
	}
}

// adopt plans that everything another installation made for an object becomes ours. The logical
// volume with the data is last: until then the object is not ours. It reports false if something
// cannot be adopted.
func (d *differ) adopt(id spec.ID, lvs []observe.LogicalVolume) bool {
	var data []observe.LogicalVolume
	var others []StepID
	for _, lv := range lvs {
		if !d.mayChangeTags(id, lv) || len(d.refs.pools[lv.VolumeGroup]) == 0 {
			return false
		}
		owner, owned := lv.Owner()
		if owned && owner == id && lv.Phase() != ondisk.Superseded && lv.Phase() != ondisk.Staged {
			data = append(data, lv)
		}
	}
	if len(data) != 1 {
		return false
	}
	for _, lv := range lvs {
		if lv.UUID != data[0].UUID {
			others = append(others, d.step(id, "adopted with "+data[0].FullName(), d.signatureOf(lv)))
		}
	}
	d.step(id, "adopt: true", d.signatureOf(data[0]), others...)
	return true
}

// showForeign shows what other installations made.
func (d *differ) showForeign() {
	for _, id := range sortedIDs(d.index.foreign) {
		lv := d.index.foreign[id][0]
		o := d.object(id)
		switch {
		case !d.isDeclared(id) && len(d.index.current[id]) == 0:
			d.setVolumeStatus(id, lv)
			d.blockedBy(id, d.foreignObstacle(id, lv, ""))
		case o.Phase == status.Ready && o.Message == "" && len(d.index.current[id]) > 0:
			o.Message = "another installation made " + lv.FullName() + " with the same name; it is not changed"
		}
	}
}

// checkMadeHere: a logical volume that is not signed yet is signed first.
func (d *differ) checkMadeHere(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	if d.index.ownership.isSigned(lv) {
		return nil
	}
	return obstacle(status.Deleting, status.ReasonRemoving, "%s is removed once the agent has tagged it as made by this installation", lv.FullName())
}
