package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Executor applies plans.
type Executor struct {
	// Actuators apply the changes to each system.
	Actuators map[observe.System]change.Actuator
	// Done, if not nil, is told of every step that was tried, from several
	// goroutines at once.
	Done func(Step, error)
}

// Errors of steps that were not tried.
var (
	// ErrHeld means that the step's object waits for its next attempt.
	ErrHeld = errors.New("waiting for the next attempt")
	// ErrNeeds means that a step it needs did not succeed.
	ErrNeeds = errors.New("needs a step that did not succeed")
)

// Execute applies a plan and returns the error of every step that did not
// succeed; all steps are tried but those that need one of these, and those of
// held objects.
//
// Steps of one lane run one after the other in the order of the plan; lanes run
// side by side. No step waits for a later one, so there is no deadlock. When ctx
// ends, steps that have not begun fail with its error.
func (x *Executor) Execute(ctx context.Context, plan Plan, held func(spec.ID) bool) map[StepID]error {
	type outcome struct {
		done chan struct{}
		err  error
	}
	outcomes := make(map[StepID]*outcome, len(plan.Steps))
	lanes := map[string][]Step{}
	for _, s := range plan.Steps {
		outcomes[s.ID] = &outcome{done: make(chan struct{})}
		lanes[s.Change.Lane()] = append(lanes[s.Change.Lane()], s)
	}

	var wg sync.WaitGroup
	for _, steps := range lanes {
		wg.Go(func() {
			for _, s := range steps {
				o := outcomes[s.ID]
				for _, n := range s.Needs {
					need := outcomes[n]
					<-need.done
					if need.err != nil {
						o.err = fmt.Errorf("%w: step %d", ErrNeeds, n)
					}
				}
				if o.err == nil {
					o.err = x.apply(ctx, s, held)
				}
				close(o.done)
			}
		})
	}
	wg.Wait()

	failed := map[StepID]error{}
	for id, o := range outcomes {
		if o.err != nil {
			failed[id] = o.err
		}
	}
	return failed
}

func (x *Executor) apply(ctx context.Context, s Step, held func(spec.ID) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if held(s.Object) {
		return ErrHeld
	}
	actuator, ok := x.Actuators[s.Change.System()]
	if !ok {
		return fmt.Errorf("no actuator for %s", s.Change.System())
	}
	err := actuator.Apply(ctx, s.Change)
	if x.Done != nil {
		x.Done(s, err)
	}
	return err
}
