package nvmet

import (
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// checkIdle is a [change.ErrSessions] if somebody has connected who would be hit by a change. It
// is asked right before the first write: a host that connects between the two is hit.
func (a *Actuator) checkIdle(nqn string, idle change.Idle) error {
	if !idle.IsSet() {
		return nil
	}
	if !idle.All && len(idle.Initiators) == 0 { // where the kernel names nobody, it is not known who is not listed
		if all, known, err := observe.ReadControllers(a.host, nqn); err != nil || !known || len(all) == 0 {
			return err
		}
	}
	t, err := observe.ReadSubsystemSessions(a.host, nqn)
	if err != nil {
		return err
	}
	return idle.Check(t)
}
