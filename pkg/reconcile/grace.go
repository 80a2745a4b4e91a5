package reconcile

import (
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// steadiness tells since when the files can be taken at their word that an object is
// not declared any more. Files may be missing because they are not there yet: a file
// system that is mounted late, a checkout, a playbook or a copy that writes one after
// the other.
type steadiness struct {
	// since is when the input last was incomplete, or grew.
	since time.Time
	// settled is true once the input was complete, and did not grow, for the whole
	// grace period after it was incomplete, or after the start.
	settled bool
}

// see takes in what is declared now and was before. known reports whether an object
// is not new: one that comes back shows that files are still being put back.
//
// Of a settled input new objects show nothing, or a node to which objects are added
// all the time would never delete any.
func (s *steadiness) see(last, desired spec.Set, known func(spec.ID) bool, now time.Time, grace time.Duration) {
	switch {
	case !desired.Complete, !last.Complete:
		*s = steadiness{since: now}
	case grew(last, desired, func(id spec.ID) bool { return !s.settled || known(id) }):
		s.since = now
	case now.Sub(s.since) >= grace:
		s.settled = true
	}
}

// grew reports whether an object is declared that was not before, and that counts.
func grew(last, desired spec.Set, counts func(spec.ID) bool) bool {
	for _, id := range declared(desired) {
		if _, invalid := last.Invalid[id]; !invalid && !last.Has(id) && counts(id) {
			return true
		}
	}
	return false
}

// declared returns the objects that the files name, valid or not.
func declared(set spec.Set) []spec.ID {
	ids := set.IDs()
	for id := range set.Invalid {
		ids = append(ids, id)
	}
	return ids
}
