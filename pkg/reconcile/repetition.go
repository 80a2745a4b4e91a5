package reconcile

import "github.com/volreconciler/volreconciler/pkg/reconcile/plan"

// repetition is the number of passes that repeated a change, since the last pass that changed
// nothing: somebody else undoes the change, or it does not have the effect that the plan expects.
// A long series of different changes is no repetition.
type repetition struct {
	made   map[string]bool
	passes int
}

// note adds a pass, and which of its steps failed.
func (r *repetition) note(plan plan.Plan, failures map[plan.StepID]error) {
	if len(plan.Steps) == len(failures) {
		*r = repetition{}
		return
	}
	if r.made == nil {
		r.made = map[string]bool{}
	}
	again := false
	for _, s := range plan.Steps {
		if _, failed := failures[s.ID]; failed {
			continue
		}
		what := s.Object.String() + ": " + s.Change.String()
		again = again || r.made[what]
		r.made[what] = true
	}
	if again {
		r.passes++
	}
}
