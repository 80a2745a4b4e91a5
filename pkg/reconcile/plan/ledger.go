package plan

import (
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// ledger is what a plan takes away, and by which step, so that what was held by that can go as
// well. A removal is entered where its step is planned, and asked for nowhere else.
type ledger struct {
	targets map[observe.TargetID]StepID
	luns    map[lunKey]StepID
	// backstores are those of objects.
	backstores map[spec.ID]StepID
	// volumes are the logical volumes that are removed, by full name, and trashed those that are
	// in the trash, with the step that puts them there; 0: they are there.
	volumes, trashed map[string]StepID
	// losses are what objects that no file names lose, now or when nothing stands in the way any
	// more: UUIDs of logical volumes and names of targets.
	losses map[spec.ID][]string
}

type lunKey struct {
	target observe.TargetID
	lun    int
}

func newLedger() ledger {
	return ledger{
		targets: map[observe.TargetID]StepID{}, luns: map[lunKey]StepID{}, backstores: map[spec.ID]StepID{},
		volumes: map[string]StepID{}, trashed: map[string]StepID{}, losses: map[spec.ID][]string{},
	}
}

// loses enters what an object loses.
func (l ledger) loses(id spec.ID, what string) { l.losses[id] = append(l.losses[id], what) }

// unserves returns the steps that take LUNs away, with their target or alone, and whether
// there are such steps for all of them.
func (l ledger) unserves(luns []lunKey) ([]StepID, bool) {
	var steps []StepID
	for _, key := range luns {
		step, removed := l.targets[key.target]
		if !removed {
			step, removed = l.luns[key]
		}
		if !removed {
			return nil, false
		}
		steps = append(steps, step)
	}
	return steps, true
}

// isRemoved and isTrashed report what becomes of a logical volume, by its full name.
func (l ledger) isRemoved(volume string) bool {
	_, removed := l.volumes[volume]
	return removed
}

func (l ledger) isTrashed(volume string) bool {
	_, trashed := l.trashed[volume]
	return trashed
}

// after returns the steps that remove logical volumes, or put them into the trash.
func (l ledger) after(volumes []string) []StepID {
	var steps []StepID
	for _, name := range volumes {
		steps = append(steps, l.trashed[name], l.volumes[name])
	}
	return steps
}

// releases reports whether a backstore that holds an object's logical volume goes.
func (l ledger) releases(id spec.ID) bool {
	_, released := l.backstores[id]
	return released
}
