package reconcile

import (
	"errors"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// outcome returns the statuses of the objects after a plan was applied. It is pure.
func outcome(p plan.Plan, failed map[spec.ID]attempt, failures map[plan.StepID]error) []status.Object {
	waiting := map[spec.ID]spec.ID{} // object to the one it waits for
	owner := map[plan.StepID]spec.ID{}
	hit := map[spec.ID]attempt{} // objects whose step met a session that the plan did not know
	for _, s := range p.Steps {
		owner[s.ID] = s.Object
		if err := failures[s.ID]; errors.Is(err, change.ErrSessions) {
			hit[s.Object] = attempt{step: s.Change, err: err}
		}
		for _, n := range s.Needs {
			if failures[n] != nil && owner[n] != s.Object {
				waiting[s.Object] = owner[n]
			}
		}
	}
	objects := slices.Clone(p.Objects)
	for i := range objects {
		o := &objects[i]
		f, hasFailed := failed[o.ID()]
		if _, activation := f.step.(change.Activate); activation && o.Kind == spec.KindPool && o.Reason == status.ReasonPoolDamaged {
			o.Phase = status.Progressing // the plan only knows that it failed; the error below says why
		}
		if o.Phase == status.Blocked || o.Phase == status.Suspended || o.Phase == status.Failed {
			continue // the plan's own message says more
		}
		if !hasFailed {
			f, hasFailed = hit[o.ID()]
		}
		if hasFailed && !f.trying {
			o.Phase, o.Reason = classify(f, o.Kind)
			o.Message = "cannot " + f.step.String() + ": " + f.err.Error()
		} else if on, ok := waiting[o.ID()]; ok {
			o.Phase, o.Reason, o.Message = status.Blocked, status.ReasonNotReady, "waiting for "+on.String()
		}
	}
	return objects
}

// classify returns the phase and reason of a failed attempt.
func classify(f attempt, kind spec.Kind) (status.Phase, string) {
	_, activation := f.step.(change.Activate)
	switch {
	case errors.Is(f.err, change.ErrSource):
		return status.Failed, status.ReasonSourceInvalid
	case errors.Is(f.err, change.ErrSessions):
		return status.Blocked, status.ReasonSessionsActive
	case errors.Is(f.err, change.ErrInUse):
		return status.Blocked, status.ReasonInUse
	case errors.Is(f.err, change.ErrNotOwned):
		return status.Blocked, status.ReasonNotOwned
	case errors.Is(f.err, change.ErrNoSpace):
		return status.Failed, status.ReasonNoSpace
	case errors.Is(f.err, change.ErrUnsupported):
		return status.Blocked, status.ReasonUnsupported
	case activation && kind == spec.KindPool:
		return status.Failed, status.ReasonPoolDamaged
	default:
		return status.Failed, change.Name(f.step) + "Failed"
	}
}
