package tgt

import (
	"context"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// checkIdle is a [change.ErrSessions] if somebody is logged in to a target, as it was read just
// now, whose session a change would end. This does not cover an initiator that logs in between
// this check and the change.
func checkIdle(t *tgtadm.Target, idle change.Idle) error {
	return idle.Check(observe.TGTTarget(*t, nil))
}

// checkIdleNow is checkIdle of the target, read again.
func (a *Actuator) checkIdleNow(ctx context.Context, t change.Target, idle change.Idle) error {
	if !idle.IsSet() {
		return nil
	}
	now, err := a.findOwned(ctx, t)
	if err != nil {
		return err
	}
	return checkIdle(now, idle)
}
