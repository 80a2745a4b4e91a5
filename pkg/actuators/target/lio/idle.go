package lio

import (
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// checkIdle is a [change.ErrSessions] if somebody has logged in who would be hit by a change. It
// is asked right before the first write: an initiator that logs in between the two is hit.
func (a *Actuator) checkIdle(dir observe.TargetDir, idle change.Idle) error {
	if !idle.IsSet() {
		return nil
	}
	t, err := observe.ReadSessions(a.host, dir, idle.All, idle.Initiators)
	if err != nil {
		return err
	}
	return idle.Check(t)
}
