package plan

import (
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// stage is where a Volume's logical volume is in its life. Its tags say so, and what the spec
// asks for; nothing else does, so that a pass after a crash knows as much as the one before.
type stage int

const (
	// live: it is as desired, or may grow.
	live stage = iota
	// strange: its tags say of it what this version does not know.
	strange
	// filling: it is being filled from its source, and nobody may use it before.
	filling
	// arriving: it came in the place of another one, whose name it may not have yet.
	arriving
	// restoring: it is being written over with what a snapshot holds.
	restoring
	// reverting: it is to be put back to a snapshot, and nothing of it was changed so far.
	reverting
	// moving: it is in another Pool than the spec asks for.
	moving
)

// stageOf is total: whatever the tags are, there is one stage. What is in the logical volume
// counts before what is asked for, and what would change the content before what would not.
func stageOf(lv observe.LogicalVolume, misplaced, toRevert bool) stage {
	switch lv.Phase() {
	case "":
	case ondisk.Populating:
		return filling
	case ondisk.Staged: // and it counts: what is to come in the place of another one does not
		return arriving
	case ondisk.Reverting:
		return restoring
	default:
		return strange
	}
	switch {
	case toRevert:
		return reverting
	case misplaced:
		return moving
	default:
		return live
	}
}

// whole reports whether what is in a logical volume that counts as an object's is all that the
// object holds.
func whole(lv observe.LogicalVolume) bool {
	phase := lv.Phase()
	return phase == "" || phase == ondisk.Staged
}

// succession is how far it is with another logical volume that is to come in the place of a
// Volume's.
type succession int

const (
	// none: there is none, or it cannot go on now.
	none succession = iota
	// prepared: it is made, filled and synced, while the Volume is used.
	prepared
	// due: it comes in this pass, and nobody may use the Volume.
	due
)
