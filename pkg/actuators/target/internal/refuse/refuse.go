// Package refuse has the reasons for which actuators of targets leave undone what
// they are told.
package refuse

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Stale returns a [change.ErrStale] that says what is different.
func Stale(format string, args ...any) error {
	return fmt.Errorf("%w: %s", change.ErrStale, fmt.Sprintf(format, args...))
}

// InUse returns a [change.ErrInUse] that names who is logged in to a target, each
// once; nil if nobody is.
func InUse(t observe.Target) error {
	who := slices.Concat(t.DynamicSessions, t.Unattributed)
	for initiator, acl := range t.ACLs {
		if acl.LoggedIn {
			who = append(who, initiator)
		}
	}
	switch {
	case len(who) > 0:
		slices.Sort(who)
		return fmt.Errorf("%w: %s has sessions of %s", change.ErrInUse, t.Name, strings.Join(slices.Compact(who), ", "))
	case t.Sessions > 0:
		return fmt.Errorf("%w: %s has %d sessions", change.ErrInUse, t.Name, t.Sessions)
	}
	return nil
}
