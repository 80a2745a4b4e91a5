package reconcile

import "github.com/volreconciler/volreconciler/pkg/reconcile/plan"

// repetition counts the passes in which changes were made that had been made before,
// since the last pass that changed nothing: somebody else undoes them, or they do not
// do what the plan thinks. A long row of changes that are all different is none.
type repetition struct {
	made   map[string]bool
	passes int
}

// note takes in a pass, and which of its steps failed.
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
