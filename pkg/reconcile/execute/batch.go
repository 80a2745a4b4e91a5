package execute

import (
	"context"
	"errors"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
)

// mostTogether is how many steps are looked at, more than any actuator makes together.
const mostTogether = 64

// ready returns the first of some steps, which can be applied, and those after it that need not wait
// for anything: not for a step of another lane, and not for one among themselves.
func (r *execution) ready(steps []plan.Step) []plan.Step {
	steps = steps[:min(len(steps), mostTogether)]
	for i, s := range steps[1:] {
		if s.Change.System() != steps[0].Change.System() || r.isBackingOff(s) || !r.haveSucceeded(s.Needs) {
			return steps[:i+1]
		}
	}
	return steps
}

// haveSucceeded reports whether steps are known to have succeeded.
func (r *execution) haveSucceeded(ids []plan.StepID) bool {
	for _, id := range ids {
		o := r.outcomes[id]
		select {
		case <-o.known:
			if o.err != nil {
				return false
			}
		default:
			return false
		}
	}
	return true
}

// batch applies steps together. Of a plan that is abandoned meanwhile no more of them is begun: a
// newer plan finds what is left, half-made things included.
func (r *execution) batch(ctx context.Context, a change.Batcher, steps []plan.Step) []error {
	errs := a.ApplyAll(r.waitedFor, changesOf(steps))
	for i, err := range errs {
		if ended := r.waitedFor.Err(); ended != nil && errors.Is(err, ended) {
			if ctx.Err() == nil {
				errs[i] = ErrUnfinished
			}
			continue // it was not tried, or is unfinished
		}
		r.report(steps[i], err)
	}
	return errs
}

func changesOf(steps []plan.Step) []change.Change {
	changes := make([]change.Change, len(steps))
	for i, s := range steps {
		changes[i] = s.Change
	}
	return changes
}
