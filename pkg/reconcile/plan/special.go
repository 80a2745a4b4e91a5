package plan

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// planSpecial plans a Volume whose logical volume is of a kind that the agent never creates:
// cached, VDO, or another one that LVM builds from several. It is served unchanged. What would
// change it is left to an administrator, because each version of LVM allows something else for
// each kind, and some fail half-way. It returns the step after which it is active.
func (d *differ) planSpecial(id spec.ID, v spec.Volume, p pool, lv observe.LogicalVolume, suspended, missing bool, tags []string) StepID {
	if suspended {
		return 0
	}
	size := roundUp(uint64(v.Spec.Size), p.vg.ExtentSize)
	cannot := func(field, what, how string) {
		d.setBlocked(id, status.ReasonUnsupported, "%s: cannot %s %s: it is %s, which volreconciler only serves. %s", field, what, lv.FullName(), lv.Kind(), how)
	}
	var active StepID
	if missing {
		active = d.activateWhole(id, lv)
	} else {
		d.correctTags(id, lv, tags)
		active = d.activate(id, lv)
	}
	switch phase := lv.Phase(); {
	case phase == ondisk.Populating:
		cannot("spec.source", "fill", howToMakePlain(lv)+" remove it, so that a new one is created")
	case phase == ondisk.Reverting, v.Spec.Revert != nil && !d.isReverted(id, lv, v.Spec.Revert.Request):
		cannot("spec.revert", "revert", howToMakePlain(lv)+" remove spec.revert")
	case phase != "" && phase != ondisk.Staged:
		d.blockedBy(id, d.checkPhaseKnown(id, lv))
	case isMisplaced(lv, p):
		cannot("spec.pool", "move", howToMakePlain(lv)+" undo the change of spec.pool")
	case lv.Size < size:
		cannot("spec.size", "grow", fmt.Sprintf("To grow it, run lvextend -L %db %s, or remove its cache first", size, lv.FullName()))
	case lv.Size > size:
		d.growVolume(id, lv, size) // which refuses it
	}
	return active
}

// howToMakePlain is the beginning of a sentence: how to make a logical volume plain, where there
// is a way. The end of the sentence gives the alternative.
func howToMakePlain(lv observe.LogicalVolume) string {
	switch lv.Kind() {
	case observe.KindCached, observe.KindWriteCached:
		return fmt.Sprintf("Make it a plain logical volume (lvconvert --uncache %s), or", lv.FullName())
	}
	return "Make it a plain logical volume, or"
}

// howToMakeLinear returns how to remove the other copies of a logical volume's data. For raid5,
// raid6 and raid10 no single command does it, and some that begin it may destroy data.
func howToMakeLinear(lv observe.LogicalVolume) string {
	if lv.Kind() == observe.KindRAID1 || lv.Kind() == observe.KindMirror {
		return "lvconvert --type linear " + lv.FullName()
	}
	return "see lvmraid(7) for converting between levels"
}

// cannotSnapshot reports whether the agent makes no snapshot of a logical volume, and sets the
// status. LVM can for some kinds in some versions: 2.03.16 fails half-way with a cached one.
func (d *differ) cannotSnapshot(id spec.ID, origin observe.LogicalVolume) bool {
	if origin.Type != observe.OtherLV {
		return false
	}
	d.setBlocked(id, status.ReasonUnsupported, "cannot make a snapshot of %s: it is %s. %s copy it by hand", origin.FullName(), origin.Kind(), howToMakePlain(origin))
	return true
}

// remarkOn remarks on what is special about a volume that is as declared.
func (d *differ) remarkOn(id spec.ID, lv observe.LogicalVolume) {
	switch {
	case lv.Degraded():
		d.remark(id, "%s is %s with a missing part: it is served from the rest. Reconnect the device, or see lvconvert --repair", lv.FullName(), lv.Kind())
	case lv.Type == observe.Thick && lv.Redundant() && lv.Health != "":
		d.remark(id, "%s is %s, and LVM reports: %s. See lvs -o lv_health_status in lvmraid(7)", lv.FullName(), lv.Kind(), lv.Health)
	case lv.Type == observe.OtherLV:
		d.remark(id, "%s is %s: it is served, and never changed by volreconciler", lv.FullName(), lv.Kind())
	case lv.ReadOnly:
		d.remark(id, "%s is read-only, and initiators cannot write to it. To change that: %s", lv.FullName(), lv.HowToMakeWritable())
	case lv.SkipActivation:
		d.remark(id, "%s has the skip-activation flag, and is active because it is declared. To remove the flag: lvchange -kn %s", lv.FullName(), lv.FullName())
	}
}
