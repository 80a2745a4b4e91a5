package tgt

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// addInitiator admits an initiator. What it has to prove is set before, for the
// target as a whole.
func (a *Actuator) addInitiator(ctx context.Context, c change.AddInitiator) error {
	t, err := a.findOwned(ctx, c.Target)
	if err != nil {
		return err
	}
	if c.Auth.Needed() && len(t.Incoming) == 0 {
		return refuse.Stale("target %s does not require a password", c.Name)
	}
	err = a.tgt.AllowInitiator(ctx, t.ID, c.Initiator)
	if errors.Is(err, tgtadm.ErrACLExists) {
		return nil
	}
	return err
}

// removeInitiator forbids an initiator, or whoever comes from an address, to log
// in, and ends its sessions unless they are to continue.
func (a *Actuator) removeInitiator(ctx context.Context, c change.RemoveInitiator) error {
	t, err := a.ownership(ctx, c.Target)
	if err != nil || t == nil {
		return err
	}
	if len(c.KeepSessions) > 0 {
		return a.forbid(ctx, t.ID, c.Initiator)
	}
	if slices.Contains(observe.TGTInitiators(t.Access), c.Initiator) {
		if err := checkIdle(t, c.Idle); err != nil {
			return err
		}
		if err := a.forbid(ctx, t.ID, c.Initiator); err != nil {
			return err
		}
	}
	// A session from before it was forbidden continues, and cannot be opened again.
	if err := a.checkIdleNow(ctx, c.Target, c.Idle); err != nil {
		return err
	}
	return a.closeSessions(ctx, c.Name, func(s tgtadm.Session) bool { return s.Initiator == c.Initiator })
}

// forbid takes an entry out of both access lists: tgtd does not say in which it
// is.
func (a *Actuator) forbid(ctx context.Context, tid int32, entry string) error {
	for _, undo := range []func(context.Context, int32, string) error{a.tgt.ForbidAddress, a.tgt.ForbidInitiator} {
		if err := undo(ctx, tid, entry); err != nil && !errors.Is(err, tgtadm.ErrNoACL) {
			return err
		}
	}
	return nil
}

// setAttributes lets any initiator in, or listed ones only.
func (a *Actuator) setAttributes(ctx context.Context, c change.SetAttributes) error {
	t, err := a.findOwned(ctx, c.Target)
	if err != nil {
		return err
	}
	if c.Attrib != (observe.TPGAttrib{GenerateNodeACLs: c.Attrib.GenerateNodeACLs}) {
		return fmt.Errorf("target %s: tgtd does not support these attributes: %+v", c.Name, c.Attrib)
	}
	if !c.Attrib.GenerateNodeACLs {
		return a.forbid(ctx, t.ID, tgtadm.AllInitiators)
	}
	err = a.tgt.AllowAddress(ctx, t.ID, tgtadm.AllInitiators)
	if errors.Is(err, tgtadm.ErrACLExists) {
		return nil
	}
	return err
}
