package tgt

import (
	"context"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// checkIdle is a [change.ErrSessions] if somebody is logged in to a target, as it was read just
// now, who would be hit by a change. An initiator that logs in before tgtd is told of the change
// is hit.
func checkIdle(t *tgtadm.Target, idle change.Idle) error {
	return idle.Check(observe.TGTTarget(*t, nil))
}

// lookAgain is checkIdle of the target as it is now.
func (a *Actuator) lookAgain(ctx context.Context, t change.Target, idle change.Idle) error {
	if !idle.Expects() {
		return nil
	}
	now, err := a.own(ctx, t)
	if err != nil {
		return err
	}
	return checkIdle(now, idle)
}
