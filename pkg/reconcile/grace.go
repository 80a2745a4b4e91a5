package reconcile

import (
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// steadiness measures since when the files have been complete and have not grown. Only then does a
// missing file mean that its object is undeclared. Files may be missing because they are not there
// yet: a file system that is mounted late, a checkout, a playbook or a copy that writes one after
// the other.
type steadiness struct {
	// since is when the input last was incomplete, or grew.
	since time.Time
	// settled is true once the input was complete, and did not grow, for the whole grace period
	// since it was incomplete, or since the start.
	settled bool
}

// observe compares what is declared now with what was before. known reports whether an object is
// not new: a known object that reappears shows that files are still being restored.
//
// Once the input is settled new objects do not restart the grace period: otherwise a node to which
// objects are added all the time would never delete any.
func (s *steadiness) observe(last, declared spec.Set, known func(spec.ID) bool, now time.Time, grace time.Duration) {
	switch {
	case !declared.Complete, !last.Complete:
		*s = steadiness{since: now}
	case grew(last, declared, func(id spec.ID) bool { return !s.settled || known(id) }):
		s.since = now
	case now.Sub(s.since) >= grace:
		s.settled = true
	}
}

// grew reports whether a relevant object is declared that was not before.
func grew(last, declared spec.Set, isRelevant func(spec.ID) bool) bool {
	for _, id := range declaredIDs(declared) {
		if _, invalid := last.Invalid[id]; !invalid && !last.Has(id) && isRelevant(id) {
			return true
		}
	}
	return false
}

// declaredIDs returns the objects that the files declare, valid or not.
func declaredIDs(set spec.Set) []spec.ID {
	ids := set.IDs()
	for id := range set.Invalid {
		ids = append(ids, id)
	}
	return ids
}
