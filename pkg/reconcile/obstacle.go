package reconcile

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Obstacle is what keeps something from being done, as the object's status says it. Nil:
// nothing does.
type Obstacle struct {
	Phase   Phase
	Reason  string
	Message string
}

func blocked(reason, format string, args ...any) *Obstacle {
	return &Obstacle{Blocked, reason, fmt.Sprintf(format, args...)}
}

// stopped reports whether there is an obstacle, and lets the object's status say so.
func (d *differ) stopped(id spec.ID, o *Obstacle) bool {
	if o != nil {
		d.say(id, o.Phase, o.Reason, "%s", o.Message)
	}
	return o != nil
}

// inDoubt is why nothing is deleted in this pass, nor taken from anybody: the specs are
// incomplete, or a system could not be read. There is no other way to ask.
func (d *differ) inDoubt() *Obstacle {
	if !d.in.Desired.Complete {
		return blocked(ReasonIncompleteInput, "nothing is removed while there are findings in the specs, because what cannot be read might still name it")
	}
	for _, system := range sorted(d.in.Observed.Unknown) {
		return blocked(ReasonObservationFailed, "nothing is removed while %s cannot be read: %v", system, d.in.Observed.Unknown[system])
	}
	return nil
}
