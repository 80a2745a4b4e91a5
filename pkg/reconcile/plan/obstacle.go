package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Obstacle is what keeps something from being done, as the object's status says it. Nil:
// nothing does.
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

// few is how many of many a message names.
const few = 5

// shortList names a few of many, so that a message is short however many initiators there are.
func shortList(names []string) string {
	if more := len(names) - few; more > 0 {
		names = append(names[:few:few], fmt.Sprintf("and %d more", more))
	}
	if slices.ContainsFunc(names, func(name string) bool { return strings.Contains(name, ", ") }) {
		return strings.Join(names, "; ")
	}
	return strings.Join(names, ", ")
}

// stopped reports whether there is an obstacle, and lets the object's status say so.
func (d *differ) stopped(id spec.ID, o *Obstacle) bool {
	if o != nil {
		d.setStatus(id, o.Phase, o.Reason, "%s", o.Message)
	}
	return o != nil
}

// doubt is why nothing is deleted in this pass, nor taken from anybody: the specs are
// incomplete, or a system could not be read. There is no other way to ask. while says it as a
// clause; an empty reason: there is no doubt.
func (d *differ) doubt() (reason, while string) {
	if !d.in.Desired.Complete {
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

// certain is nil if nothing is in doubt.
func (d *differ) certain(spec.ID) *Obstacle {
	switch reason, while := d.doubt(); reason {
	case "":
		return nil
	case status.ReasonIncompleteInput:
		return blocked(reason, "nothing is removed while %s: a broken file may declare this object. Correct the files first (volreconciler validate)", while)
	default:
		return blocked(reason, "nothing is removed until every system can be read: %s", while)
	}
}
