package reconcile

import (
	"errors"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// wait returns how long the next pass can wait.
func (l *Loop) wait(p plan.Plan, failures map[plan.StepID]error, observed observe.State, now time.Time) time.Duration {
	l.repetition.note(p, failures)
	if len(p.Steps) > len(failures) {
		// Changes that are made again and again are delayed. But initiators that were
		// paused in this pass are served again by the next one, at once.
		tookOver := slices.ContainsFunc(p.Steps, func(s plan.Step) bool {
			_, is := s.Change.(change.Cutover)
			return is && !errors.Is(failures[s.ID], execute.ErrBackingOff)
		})
		if n := l.repetition.passes; n > 2 && !tookOver {
			return min(l.Resync, time.Second<<min(n-3, 10))
		}
		return 0
	}
	wait := l.lookout.next(p, now)
	if !p.Wake.IsZero() {
		wait = min(wait, max(p.Wake.Sub(now), minWake))
	}
	if next, ok := l.attempts.next(now); ok {
		wait = min(wait, next.Sub(now))
	}
	if next, ok := l.contention.next(now); ok {
		wait = min(wait, next.Sub(now))
	}
	inUse := false
	for _, o := range p.Objects {
		if o.Reason == status.ReasonGracePeriod {
			wait = min(wait, l.Grace)
		}
		inUse = inUse || o.Reason == status.ReasonInUse
	}
	// Its user may release it in a moment, as udev does, and no event says when.
	if inUse {
		wait = min(wait, firstDelay<<min(l.inUsePasses, 10))
		l.inUsePasses++
	} else {
		l.inUsePasses = 0
	}
	for _, err := range failures {
		if isStale(err) {
			wait = min(wait, time.Second)
		}
	}
	// Most of what cannot be read can be read a moment later.
	if observed.Err() != nil {
		wait = min(wait, firstDelay<<min(l.unreadPasses, 10))
		l.unreadPasses++
	} else {
		l.unreadPasses = 0
	}
	return max(wait, 100*time.Millisecond)
}

// minWake is how soon a pass follows another one at which a snapshot was due and could not be taken.
const minWake = time.Second
