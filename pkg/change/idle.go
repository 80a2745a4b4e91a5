package change

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Idle says whose sessions a change would end, so that they must not be logged in unless the plan
// knows that they are. The actuator checks this again right before the change, see [Idle.Check]:
// there may be half a minute between an observation and the last step of its plan.
//
// The zero value expects nothing: the change ends no session.
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

// IsSet reports whether any initiator must not be logged in.
func (i Idle) IsSet() bool { return i.All || i.Unlisted || len(i.Initiators) > 0 }

// ForInitiator returns the part that concerns one initiator.
func (i Idle) ForInitiator(initiator string) Idle {
	if !slices.Contains(i.Initiators, initiator) {
		return Idle{}
	}
	return Idle{Initiators: []string{initiator}, But: i.But}
}

// Check returns an [ErrSessions] that names who is logged in to a target and must not be. A
// session whose initiator is unknown may be anybody's.
func (i Idle) Check(t observe.Target) error {
	who := i.unwantedSessions(t)
	switch {
	case len(who) > 0:
		slices.Sort(who)
		return fmt.Errorf("%w: %s has sessions of %s", ErrSessions, t.Name, strings.Join(slices.Compact(who), ", "))
	case i.All && len(i.But) == 0 && t.Sessions > 0: // whose they are nobody knows
		return fmt.Errorf("%w: %s has %d sessions", ErrSessions, t.Name, t.Sessions)
	}
	return nil
}

func (i Idle) unwantedSessions(t observe.Target) (who []string) {
	if !i.IsSet() {
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

// ExpectedIdle returns who must not be logged in to which target when a change is made; false if
// the change expects nothing.
func ExpectedIdle(c Change) (Target, Idle, bool) {
	if c, is := c.(RemoveTarget); is { // which has a word of its own for it
		return c.Target, Idle{All: !c.Force}, !c.Force
	}
	fields := reflect.ValueOf(c)
	field := fields.FieldByName("Idle")
	if !field.IsValid() {
		return Target{}, Idle{}, false
	}
	idle := field.Interface().(Idle)
	return fields.FieldByName("Target").Interface().(Target), idle, idle.IsSet()
}

// WithIdle returns a change with its Idle set, or the change as it is if it has none.
func WithIdle(c Change, idle Idle) Change {
	expecting := reflect.New(reflect.TypeOf(c)).Elem()
	expecting.Set(reflect.ValueOf(c))
	field := expecting.FieldByName("Idle")
	if !field.IsValid() {
		return c
	}
	field.Set(reflect.ValueOf(idle))
	return expecting.Interface().(Change)
}
