package change

import (
	"fmt"
	"reflect"
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
	if c, is := c.(RemoveTarget); is { // which has a word of its own for it
		return c.Target, Idle{All: !c.Force}, !c.Force
	}
	fields := reflect.ValueOf(c)
	field := fields.FieldByName("Idle")
	if !field.IsValid() {
		return Target{}, Idle{}, false
	}
	idle := field.Interface().(Idle)
	return fields.FieldByName("Target").Interface().(Target), idle, idle.Expects()
}

// Expecting returns a change with what it expects, or as it is if it can carry nothing of the kind.
func Expecting(c Change, idle Idle) Change {
	expecting := reflect.New(reflect.TypeOf(c)).Elem()
	expecting.Set(reflect.ValueOf(c))
	field := expecting.FieldByName("Idle")
	if !field.IsValid() {
		return c
	}
	field.Set(reflect.ValueOf(idle))
	return expecting.Interface().(Change)
}
