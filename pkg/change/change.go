package change

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Change is one change to one thing. The set of implementations is closed: they
// are all in this package.
type Change interface {
	// String is what the plan shows: a verb, the thing, and what of it.
	String() string
	// Lane names what the change must not run beside: changes of one lane run
	// one after the other, in the order of the plan.
	Lane() string
	// System is the part of the machine that the change is made to.
	System() observe.System
	// Part is what is read again before the change is made; [observe.Everything] if it depends on more
	// than one part.
	Part() observe.Part
	sealed()
}

// Name returns the change's type name, its name in machine-readable plans.
func Name(c Change) string { return reflect.TypeOf(c).Name() }

// Actuator applies changes.
type Actuator interface {
	// Apply makes a change. A change that is already made succeeds and does
	// nothing, so that every change can be applied again after a crash. It
	// returns [ErrStale] if the thing is not what the plan saw, and an error
	// that is [ErrInUse], [ErrNotOwned], [ErrNoSpace] or [ErrUnsupported] where that is the
	// cause.
	//
	// ctx stops it between two calls to the machine, never within one.
	Apply(ctx context.Context, c Change) error
}

// Batcher is an [Actuator] that makes several changes together in less time than one after
// the other.
type Batcher interface {
	Actuator
	// Batch returns how many of the changes, from the first on, ApplyAll would make together. They
	// are in the order of the plan, and none needs another.
	Batch(changes []Change) int
	// ApplyAll makes changes as [Actuator.Apply] would one after the other, and returns the error
	// of each. What it has not finished when ctx ends has the error of ctx.
	ApplyAll(ctx context.Context, changes []Change) []error
}

// Errors that say why a change failed.
var (
	// ErrStale means that the machine changed after it was observed. The next pass
	// plans anew.
	ErrStale = errors.New("the machine changed after the plan was made")
	// ErrInUse means that something on this machine holds the device open.
	ErrInUse = errors.New("in use")
	// ErrSessions is an ErrInUse. It means that initiators have logged in since the plan was
	// made, who would be hit, see [Idle]. Nothing was done, and the next plan knows of them.
	ErrSessions = fmt.Errorf("%w since the plan was made", ErrInUse)
	// ErrNotOwned means that an object of somebody else has the place or the name that
	// the change needs.
	ErrNotOwned = errors.New("not managed by volreconciler")
	// ErrNoSpace means that the volume group or thin pool is full.
	ErrNoSpace = errors.New("not enough free space")
	// ErrUnsupported means that this machine, its kernel above all, cannot do what
	// is asked for.
	ErrUnsupported = errors.New("not supported on this machine")
)
