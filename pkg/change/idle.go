package change

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Idle says whose session would be hit by a change, so that they must not be logged in unless the
// plan knows that they are. Whoever makes the change looks again right before, see [Idle.Check]:
// between an observation and the last step of its plan there may be half a minute.
//
// The zero value expects nothing: the change hits nobody.
type Idle struct {
	// All is true if nobody may be logged in to the target.
	All bool
	// Initiators are those who may not be.
	Initiators []string
	// Unlisted is true if nobody may be who has no access list.
	Unlisted bool
	// But are those of them who may be logged in: the plan names them, and means to hit them.
	But []string
}

// Expects reports whether anybody is expected not to be logged in.
func (i Idle) Expects() bool { return i.All || i.Unlisted || len(i.Initiators) > 0 }

// Of returns what of it is about one initiator.
func (i Idle) Of(initiator string) Idle {
	if !slices.Contains(i.Initiators, initiator) {
		return Idle{}
	}
	return Idle{Initiators: []string{initiator}, But: i.But}
}

// Check returns an [ErrSessions] that names who is logged in to a target, and should not be.
// Sessions of which nobody knows whose they are may be anybody's.
func (i Idle) Check(t observe.Target) error {
	who := i.among(t)
	switch {
	case len(who) > 0:
		slices.Sort(who)
		return fmt.Errorf("%w: %s has sessions of %s", ErrSessions, t.Name, strings.Join(slices.Compact(who), ", "))
	case i.All && len(i.But) == 0 && t.Sessions > 0: // whose they are nobody knows
		return fmt.Errorf("%w: %s has %d sessions", ErrSessions, t.Name, t.Sessions)
	}
	return nil
}

func (i Idle) among(t observe.Target) (who []string) {
	if !i.Expects() {
		return nil
	}
	defer func() {
		who = slices.DeleteFunc(who, func(name string) bool { return slices.Contains(i.But, name) })
	}()
	for name, acl := range t.ACLs {
		if acl.LoggedIn && (i.All || slices.Contains(i.Initiators, name)) {
			who = append(who, name)
		}
	}
	for _, name := range t.DynamicSessions {
		if i.All || i.Unlisted || slices.Contains(i.Initiators, name) {
			who = append(who, name)
		}
	}
	if i.All || len(i.Initiators) > 0 || i.Unlisted && t.Fabric == observe.TGTISCSI { // which names all that it can
		who = append(who, t.Unattributed...)
	}
	return who
}

// Expectation returns who must not be logged in to which target when a change is made, and false
// if the change expects nothing of the kind.
func Expectation(c Change) (Target, Idle, bool) {
	var t Target
	var idle Idle
	switch c := c.(type) {
	case AddPortal:
		t, idle = c.Target, c.Idle
	case RemovePortal:
		t, idle = c.Target, c.Idle
	case AddLUN:
		t, idle = c.Target, c.Idle
	case ResizeLUN:
		t, idle = c.Target, c.Idle
	case RemoveLUN:
		t, idle = c.Target, c.Idle
	case RemoveInitiator:
		t, idle = c.Target, c.Idle
	case MapLUN:
		t, idle = c.Target, c.Idle
	case UnmapLUN:
		t, idle = c.Target, c.Idle
	case SetWriteProtect:
		t, idle = c.Target, c.Idle
	case DisableTarget:
		t, idle = c.Target, c.Idle
	case RemoveTarget:
		t, idle = c.Target, Idle{All: !c.Force}
	default:
		return Target{}, Idle{}, false
	}
	return t, idle, idle.Expects()
}

// Expecting returns a change with what it expects. Others than those that [Expectation] lists are
// returned as they are, and so is RemoveTarget, which has a word of its own for it.
func Expecting(c Change, idle Idle) Change {
	switch c := c.(type) {
	case AddPortal:
		c.Idle = idle
		return c
	case RemovePortal:
		c.Idle = idle
		return c
	case AddLUN:
		c.Idle = idle
		return c
	case ResizeLUN:
		c.Idle = idle
		return c
	case RemoveLUN:
		c.Idle = idle
		return c
	case RemoveInitiator:
		c.Idle = idle
		return c
	case MapLUN:
		c.Idle = idle
		return c
	case UnmapLUN:
		c.Idle = idle
		return c
	case SetWriteProtect:
		c.Idle = idle
		return c
	case DisableTarget:
		c.Idle = idle
		return c
	default:
		return c
	}
}
