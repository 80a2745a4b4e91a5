package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Obstacle is what keeps something from being done, as the object's status shows it. Nil: nothing
// does.
type Obstacle struct {
	Phase   status.Phase
	Reason  string
	Message string
}

func obstacle(phase status.Phase, reason, format string, args ...any) *Obstacle {
	return &Obstacle{phase, reason, fmt.Sprintf(format, args...)}
}

func blocked(reason, format string, args ...any) *Obstacle {
	return obstacle(status.Blocked, reason, format, args...)
}

// maxNames is how many of many names a message has.
const maxNames = 5

// shortList shortens a list of names, so that a message is short however many initiators there
// are.
func shortList(names []string) string {
	if more := len(names) - maxNames; more > 0 {
		names = append(names[:maxNames:maxNames], fmt.Sprintf("and %d more", more))
	}
	if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, ", ") }) {
		return strings.Join(names, "; ")
	}
	return strings.Join(names, ", ")
}

// blockedBy reports whether there is an obstacle, and sets the object's status to it.
func (d *differ) blockedBy(id spec.ID, o *Obstacle) bool {
	if o != nil {
		d.setStatus(id, o.Phase, o.Reason, "%s", o.Message)
	}
	return o != nil
}

// doubt returns why nothing is deleted in this pass, nor taken from initiators: the specs are
// incomplete, or a system could not be read. Nothing else decides that. while is the reason as a
// clause; an empty reason: there is no doubt.
func (d *differ) doubt() (reason, while string) {
	if !d.in.Declared.Complete {
		return status.ReasonIncompleteInput, "there are findings in the specs"
	}
	for _, system := range sorted(d.in.Observed.Unknown) {
		return status.ReasonObservationFailed, fmt.Sprintf("%s cannot be read: %v", system, d.in.Observed.Unknown[system])
	}
	return "", ""
}

func (d *differ) inDoubt() bool {
	reason, _ := d.doubt()
	return reason != ""
}

// checkNotInDoubt: in doubt nothing is removed.
func (d *differ) checkNotInDoubt(spec.ID) *Obstacle {
	switch reason, while := d.doubt(); reason {
	case "":
		return nil
	case status.ReasonIncompleteInput:
		return blocked(reason, "nothing is removed while %s: a broken file may declare this object. Correct the files first (volreconciler validate)", while)
	default:
		return blocked(reason, "nothing is removed until every system can be read: %s", while)
	}
}
