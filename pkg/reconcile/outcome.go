package reconcile

import (
	"errors"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// outcome returns the objects as they stand after a plan was executed. It is
// pure.
func outcome(plan Plan, failed map[spec.ID]attempt, failures map[StepID]error) []Object {
	waiting := map[spec.ID]spec.ID{} // object to the one it waits for
	owner := map[StepID]spec.ID{}
	for _, s := range plan.Steps {
		owner[s.ID] = s.Object
		for _, n := range s.Needs {
			if failures[n] != nil && owner[n] != s.Object {
				waiting[s.Object] = owner[n]
			}
		}
	}
	objects := slices.Clone(plan.Objects)
	for i := range objects {
		o := &objects[i]
		if o.Phase == Blocked || o.Phase == Suspended || o.Phase == Failed {
			continue // what is known already says more
		}
		if f, ok := failed[o.ID()]; ok && !f.trying {
			o.Phase, o.Reason = classify(f)
			o.Message = f.step.String() + ": " + f.err.Error()
		} else if on, ok := waiting[o.ID()]; ok {
			o.Phase, o.Reason, o.Message = Blocked, ReasonNotReady, "waits for "+on.String()
		}
	}
	return objects
}

// classify says what a failed attempt means to users.
func classify(f attempt) (Phase, string) {
	switch {
	case errors.Is(f.err, change.ErrSource):
		return Failed, ReasonSourceInvalid
	case errors.Is(f.err, change.ErrInUse):
		return Blocked, ReasonInUse
	case errors.Is(f.err, change.ErrNoSpace):
		return Failed, ReasonNoSpace
	case errors.Is(f.err, change.ErrUnsupported):
		return Blocked, ReasonUnsupported
	default:
		return Failed, change.Name(f.step) + "Failed"
	}
}
