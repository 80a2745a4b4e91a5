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

// Installation is the one whose files are compared, and what else is to become its own.
type Installation struct {
	// Maker is what its logical volumes say. Without an ID all that carry our tags are its own.
	ondisk.Maker
	// TakesOver are the IDs of other installations whose logical volumes are to become its own,
	// or [Unmarked].
	TakesOver []string
}

// Unmarked stands for the installation of logical volumes that do not say which one made them,
// as those of older agents.
const Unmarked = "unmarked"

// Ownership tells the logical volumes of an installation from those of others.
type Ownership struct {
	Installation
	// Known says which of those that do not say who made them were seen to be ours.
	Known map[spec.ID]Identity
	// tag is what ours carry.
	tag string
}

// owns reports whether a logical volume is not another installation's: it is ours, or none of
// any installation.
func (o Ownership) owns(lv observe.LogicalVolume) bool {
	if o.signed(lv) || !lv.Marked() {
		return true
	}
	makers := lv.Makers()
	for _, maker := range makers {
		if maker.ID != o.ID && !slices.Contains(o.TakesOver, maker.ID) {
			return false
		}
	}
	if len(makers) > 0 || slices.Contains(o.TakesOver, Unmarked) {
		return true
	}
	of, named := lv.BelongsTo()
	return !named || o.Known[of].UUID != ""
}

// signed reports whether a logical volume says that this installation made it, and nobody else.
func (o Ownership) signed(lv observe.LogicalVolume) bool {
	ours, others := false, false
	for _, tag := range lv.Tags {
		if strings.HasPrefix(tag, ondisk.TagBy) {
			ours, others = ours || tag == o.tag, others || tag != o.tag
		}
	}
	return o.ID == "" || ours && !others
}

// signed adds to tags the one that says who made a logical volume.
func (d *differ) signed(tags []string) []string {
	if d.in.Installation.ID == "" {
		return tags
	}
	return append(tags, d.index.ownership.tag)
}

// sign plans that a logical volume says that this installation made it.
func (d *differ) sign(lv observe.LogicalVolume) change.SetTags {
	ours := d.index.ownership.tag
	return change.SetTags{LV: nameOf(lv), Add: []string{ours}, Remove: slices.DeleteFunc(lv.TagsWith(ondisk.TagBy), func(tag string) bool { return tag == ours })}
}

// signing lets what is ours say so: what older agents made, what is taken over, and what somebody
// took the tag from.
func (d *differ) signing() {
	pending := map[string]bool{}
	for _, lv := range d.index.unsigned {
		id, _ := lv.BelongsTo()
		if len(d.refs.pools[lv.VolumeGroup]) == 0 {
			continue // all that is in there is left alone
		}
		for _, maker := range lv.Makers() {
			pending[maker.ID] = true
		}
		pending[Unmarked] = pending[Unmarked] || len(lv.Makers()) == 0
		if d.changeable(id, lv) && !d.another(id, lv) {
			d.stepBeside(id, "managed here, but its tags do not say so", Harmless, d.sign(lv))
		}
	}
	if !d.inDoubt() {
		d.plan.TookOver = slices.DeleteFunc(slices.Clone(d.in.Installation.TakesOver), func(id string) bool { return pending[id] })
	}
}

// another reports whether a logical volume is not the one that its object is known to have: whose
// it is, is for somebody to say.
func (d *differ) another(id spec.ID, lv observe.LogicalVolume) bool {
	owner, owned := lv.LastOwner()
	known, identity := d.in.Known[id].UUID, lv.Identity()
	if lv.Phase() == ondisk.Replaced { // by which nobody must know it
		identity = cmp.Or(lv.Tag(ondisk.TagIdentity), lv.UUID)
	}
	return owned && owner == id && known != "" && known != identity && lv.Phase() != ondisk.Clearing
}

// changeable reports whether the tags on a logical volume may be changed.
func (d *differ) changeable(id spec.ID, lv observe.LogicalVolume) bool {
	return !d.isSuspended(id) && lv.Phase() != ondisk.Unknown && d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs == 0
}

// foreign is that what an object would have is another installation's.
func (d *differ) foreign(id spec.ID, lv observe.LogicalVolume, how string) *Obstacle {
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
	if !d.names(id) {
		reason = status.ReasonNotDeclared
	}
	return obstacle(status.Foreign, reason, "%s was made for %s by %s; this is installation %s, and does not change it. If no other node uses its disks, adopt everything of that installation: volreconciler adopt-node %s%s",
		lv.FullName(), of, by, d.in.Installation, takes, how)
}

// theirs sees to an object for which another installation made something, and this one nothing.
func (d *differ) theirs(id spec.ID, lvs []observe.LogicalVolume) {
	volume, how := d.in.Desired.Volumes[id.Name], "; to adopt only this object, set adopt: true"
	if id.Kind == spec.KindSnapshot {
		of := d.in.Desired.Snapshots[id.Name].Spec.Volume
		volume, how = d.in.Desired.Volumes[of], "; to adopt only this object, set adopt: true in its Volume"
		volume.Spec.Adopt = volume.Spec.Adopt && len(d.index.current[spec.ID{Kind: spec.KindVolume, Name: of}]) == 1 // which goes first
	}
	if !volume.Spec.Adopt || !d.adopt(id, lvs) {
		d.stopped(id, d.foreign(id, lvs[0], how))
	}
}

// adopt plans that all that another installation made for an object becomes ours, and the logical
// volume with the data last: as long as that is not, all else is theirs. It reports false if that
// cannot be.
func (d *differ) adopt(id spec.ID, lvs []observe.LogicalVolume) bool {
	var data []observe.LogicalVolume
	var others []StepID
	for _, lv := range lvs {
		if !d.changeable(id, lv) || len(d.refs.pools[lv.VolumeGroup]) == 0 {
			return false
		}
		owner, owned := lv.Owner()
		if owned && owner == id && lv.Phase() != ondisk.Replaced && lv.Phase() != ondisk.Staged {
			data = append(data, lv)
		}
	}
	if len(data) != 1 {
		return false
	}
	for _, lv := range lvs {
		if lv.UUID != data[0].UUID {
			others = append(others, d.step(id, "adopted with "+data[0].FullName(), d.sign(lv)))
		}
	}
	d.step(id, "adopt: true", d.sign(data[0]), others...)
	return true
}

// ofOthers shows what other installations made.
func (d *differ) ofOthers() {
	for _, id := range sortedIDs(d.index.foreign) {
		lv := d.index.foreign[id][0]
		o := d.object(id)
		switch {
		case !d.names(id) && len(d.index.current[id]) == 0:
			d.show(id, lv)
			d.stopped(id, d.foreign(id, lv, ""))
		case o.Phase == status.Ready && o.Message == "" && len(d.index.current[id]) > 0:
			o.Message = "another installation made " + lv.FullName() + " with the same name; it is not changed"
		}
	}
}

// madeHere: what does not say so yet is made to say so first.
func (d *differ) madeHere(_ spec.ID, lv observe.LogicalVolume) *Obstacle {
	if d.index.ownership.signed(lv) {
		return nil
	}
	return obstacle(status.Deleting, status.ReasonRemoving, "%s is removed once the agent has tagged it as made by this installation", lv.FullName())
}
