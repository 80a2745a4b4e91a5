package nvmet

import (
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// checkIdle is a [change.ErrSessions] if somebody has connected who would be hit by a change. It
// is asked right before the first write: a host that connects between the two is hit.
func (a *Actuator) checkIdle(nqn string, idle change.Idle) error {
	if !idle.Expects() {
		return nil
	}
	t, err := observe.ReadSubsystemSessions(a.host, nqn)
	if err != nil {
		return err
	}
	return idle.Check(t)
}
