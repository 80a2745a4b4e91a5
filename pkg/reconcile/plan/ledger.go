package plan

import (
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// ledger is what a plan removes, and by which step, so that what depends on it can be removed as
// well. A removal is entered where its step is planned, and looked up nowhere else.
type ledger struct {
	targets map[observe.TargetID]StepID
	luns    map[lunKey]StepID
	// backstores are those of objects.
	backstores map[spec.ID]StepID
	// volumes are the logical volumes that are removed, by full name. trashed are those in the
	// trash, with the step that puts them there; 0: they are there already.
	volumes, trashed map[string]StepID
	// losses are what undeclared objects lose, now or as soon as no guard objects: UUIDs of
	// logical volumes and names of targets.
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

// addLoss enters what an object loses.
func (l ledger) addLoss(id spec.ID, what string) { l.losses[id] = append(l.losses[id], what) }

// unserveSteps returns the steps that remove LUNs, alone or with their target. It reports false if
// one of them is kept.
func (l ledger) unserveSteps(luns []lunKey) ([]StepID, bool) {
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

// isRemoved and isTrashed report what happens to a logical volume, by its full name.
func (l ledger) isRemoved(volume string) bool {
	_, removed := l.volumes[volume]
	return removed
}

func (l ledger) isTrashed(volume string) bool {
	_, trashed := l.trashed[volume]
	return trashed
}

// stepsFor returns the steps that remove logical volumes, or put them into the trash.
func (l ledger) stepsFor(volumes []string) []StepID {
	var steps []StepID
	for _, name := range volumes {
		steps = append(steps, l.trashed[name], l.volumes[name])
	}
	return steps
}

// isReleased reports whether the backstore that holds an object's logical volume is removed.
func (l ledger) isReleased(id spec.ID) bool {
	_, released := l.backstores[id]
	return released
}
