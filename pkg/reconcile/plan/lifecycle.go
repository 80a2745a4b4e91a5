package plan

import (
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// stage is where a Volume's logical volume is in its life. It follows from its tags and from the
// spec, and from nothing else, so that a pass after a crash knows as much as the one before.
type stage int

const (
	// live: it is as declared, or grows.
	live stage = iota
	// phaseUnknown: it has a phase tag that this version does not know.
	phaseUnknown
	// filling: it is being filled from its source, and must not be used before that is done.
	filling
	// afterCutover: it has become current, and may not have its declared name yet.
	afterCutover
	// reverting: it is being overwritten with the data of a snapshot.
	reverting
	// revertDue: a revert is requested, and nothing is overwritten yet.
	revertDue
	// moving: it is in another Pool than the spec declares.
	moving
)

// stageOf is total: every combination of tags has one stage. The content of the logical volume
// decides before the spec, and a change of the content before any other.
func stageOf(lv observe.LogicalVolume, misplaced, toRevert bool) stage {
	switch lv.Phase() {
	case "":
	case ondisk.Populating:
		return filling
	case ondisk.Staged: // and current: one that is only staged is not passed in
		return afterCutover
	case ondisk.Reverting:
		return reverting
	default:
		return phaseUnknown
	}
	switch {
	case toRevert:
		return revertDue
	case misplaced:
		return moving
	default:
		return live
	}
}

// isComplete reports whether an object's current logical volume holds all of its data.
func isComplete(lv observe.LogicalVolume) bool {
	phase := lv.Phase()
	return phase == "" || phase == ondisk.Staged
}

// cutoverProgress is how far a Volume's next logical volume is.
type cutoverProgress int

const (
	// none: there is none, or it cannot continue now.
	none cutoverProgress = iota
	// prepared: it is created, filled and synced while the Volume is used.
	prepared
	// due: the cutover is in this plan, and nobody may use the Volume.
	due
)
