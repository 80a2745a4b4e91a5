package status

import (
	"encoding/json"
	"time"
)

// Condition is one statement about an object, in the words of Kubernetes' kstatus library.
type Condition struct {
	Type   string `json:"type"`
	Status string `json:"status"` // True, False or Unknown
	// Reason and Message are those of the object.
	Reason  string `json:"reason"`
	Message string `json:"message,omitempty"`
	// LastTransitionTime is when the object's phase or reason last changed.
	LastTransitionTime time.Time `json:"lastTransitionTime,omitzero"`
}

// The types of conditions.
const (
	conditionReady       = "Ready"       // it is as declared
	conditionReconciling = "Reconciling" // it is being changed, or a change is tried again
	conditionStalled     = "Stalled"     // it needs somebody, or waits for something
	// conditionBackupTooOld: the last backup of a Volume is older than the maxAge of its schedule.
	conditionBackupTooOld = ReasonBackupTooOld
)

// ConditionTypes are the types of all conditions.
func ConditionTypes() []string {
	return []string{conditionReady, conditionReconciling, conditionStalled, conditionBackupTooOld}
}

// Conditions returns the object's phase as conditions: Ready always, and each of the others only while
// it holds.
func (o Object) Conditions() []Condition {
	condition := func(kind, value string) Condition {
		return Condition{Type: kind, Status: value, Reason: o.Reason, Message: o.Message, LastTransitionTime: o.Since}
	}
	const yes, no, unknown = "True", "False", "Unknown"
	switch o.Phase {
	case Ready:
		return []Condition{condition(conditionReady, yes)}
	case Progressing, Deleting:
		return []Condition{condition(conditionReady, no), condition(conditionReconciling, yes)}
	case Failed:
		conditions := []Condition{condition(conditionReady, no), condition(conditionReconciling, yes), condition(conditionStalled, yes)}
		if o.Reason == ReasonBackupTooOld {
			conditions = append(conditions, condition(conditionBackupTooOld, yes))
		}
		return conditions
	case Blocked:
		return []Condition{condition(conditionReady, no), condition(conditionStalled, yes)}
	case Orphaned, Foreign, Suspended: // nobody compares them with what is declared
	}
	return []Condition{condition(conditionReady, unknown)}
}

// MarshalJSON adds the conditions.
func (o Object) MarshalJSON() ([]byte, error) {
	type plain Object
	return json.Marshal(struct {
		plain
		Conditions []Condition `json:"conditions"`
	}{plain(o), o.Conditions()})
}
