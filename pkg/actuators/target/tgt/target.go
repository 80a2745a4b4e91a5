package tgt

import (
	"context"
	"errors"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// find returns a target as it is now; nil if there is none of that name.
func (a *Actuator) find(ctx context.Context, iqn string) (*tgtadm.Target, error) {
	targets, err := a.tgt.Targets(ctx)
	if err != nil {
		return nil, err
	}
	return targetNamed(targets, iqn), nil
}

func targetNamed(targets []tgtadm.Target, iqn string) *tgtadm.Target {
	i := slices.IndexFunc(targets, func(t tgtadm.Target) bool { return t.Name == iqn })
	if i < 0 {
		return nil
	}
	return &targets[i]
}

// ownership returns a target, nil if there is none, and is an error if it is not
// that of the export.
func (a *Actuator) ownership(ctx context.Context, t change.Target) (*tgtadm.Target, error) {
	have, err := a.find(ctx, t.Name)
	if err != nil || have == nil {
		return nil, err
	}
	if !isMarkedFor(have, t) {
		return nil, newForeignError(t)
	}
	return have, nil
}

// findOwned returns a target, and is an error unless it exists and is that of the export.
func (a *Actuator) findOwned(ctx context.Context, t change.Target) (*tgtadm.Target, error) {
	have, err := a.ownership(ctx, t)
	if err == nil && have == nil {
		err = refuse.Stale("target %s no longer exists", t.Name)
	}
	return have, err
}

func isMarkedFor(have *tgtadm.Target, t change.Target) bool {
	return observe.TGTMark(have.Access) == ondisk.TargetMark(t.Export)
}

func newForeignError(t change.Target) error {
	return refuse.Stale("target %s already exists and does not belong to Export %s", t.Name, t.Export)
}

// createTarget makes a target and marks it. Until it is marked it is an empty
// shell, which lets nobody in and which the next attempt uses.
func (a *Actuator) createTarget(ctx context.Context, c change.CreateTarget) error {
	a.shared.Lock()
	defer a.shared.Unlock()
	targets, err := a.tgt.Targets(ctx)
	if err != nil {
		return err
	}
	id := int32(0)
	switch have := targetNamed(targets, c.Name); {
	case have == nil:
		id = freeID(targets)
		err := a.tgt.NewTarget(ctx, id, c.Name)
		if errors.Is(err, tgtadm.ErrTargetExists) {
			return refuse.Stale("target %s or target ID %d was just created by another program", c.Name, id)
		} else if err != nil {
			return err
		}
	case isMarkedFor(have, c.Target):
		return nil
	case !observe.TGTTarget(*have, nil).Empty():
		return newForeignError(c.Target)
	default:
		id = have.ID
	}
	return a.tgt.AllowAddress(ctx, id, ondisk.TargetMark(c.Export))
}

// freeID returns the lowest ID that no target has. What initiators see does not
// depend on it.
func freeID(targets []tgtadm.Target) int32 {
	id := int32(1)
	for slices.ContainsFunc(targets, func(t tgtadm.Target) bool { return t.ID == id }) {
		id++
	}
	return id
}

func (a *Actuator) enableTarget(ctx context.Context, c change.EnableTarget) error {
	t, err := a.findOwned(ctx, c.Target)
	if err != nil || t.Ready {
		return err
	}
	return a.tgt.SetTargetReady(ctx, t.ID, true)
}

// removeTarget takes down a target of the export, or the empty shell of one. It
// closes it first, so that nobody logs in to what is being removed. The mark is
// removed with the target.
func (a *Actuator) removeTarget(ctx context.Context, c change.RemoveTarget) error {
	t, err := a.find(ctx, c.Name)
	switch {
	case err != nil || t == nil:
		return err
	case !isMarkedFor(t, c.Target) && !observe.TGTTarget(*t, nil).Empty():
		return newForeignError(c.Target)
	}
	idle := change.Idle{All: !c.Force}
	if err := checkIdle(t, idle); err != nil {
		return err
	}
	for _, entry := range observe.TGTInitiators(t.Access) {
		if err := a.forbid(ctx, t.ID, entry); err != nil {
			return err
		}
	}
	if t, err = a.find(ctx, c.Name); err != nil || t == nil {
		return err
	}
	// Somebody may have logged in before it was closed.
	if err := checkIdle(t, idle); err != nil {
		return err
	}
	if err := a.tgt.SetTargetReady(ctx, t.ID, false); err != nil {
		return err
	}
	if err := a.closeSessions(ctx, t.Name, everybody); err != nil {
		return err
	}
	if err := a.dropAccounts(ctx, c.Name); err != nil {
		return err
	}
	return a.tgt.DeleteTarget(ctx, t.ID, false)
}
