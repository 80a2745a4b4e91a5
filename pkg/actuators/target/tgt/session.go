package tgt

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

const (
	// closing is how long sessions get to end after they were closed: until
	// their last command has ended, which may wait for a device.
	closing = 10 * time.Second
	// look is how often it is looked whether they have.
	look = 10 * time.Millisecond
)

func everybody(tgtadm.Session) bool { return true }

// closeSessions cuts sessions off, and returns when they are gone. The target must
// not admit these initiators any more, or be offline.
func (a *Actuator) closeSessions(ctx context.Context, iqn string, which func(tgtadm.Session) bool) error {
	limit := time.NewTimer(closing)
	defer limit.Stop()
	again := time.NewTicker(look)
	defer again.Stop()
	for {
		t, err := a.find(ctx, iqn)
		if err != nil || t == nil {
			return err
		}
		left := 0
		for _, s := range t.Sessions {
			if !which(s) {
				continue
			}
			left++
			err := a.tgt.CloseConnection(ctx, t.ID, s.ID, s.Connection)
			if err != nil && !errors.Is(err, tgtadm.ErrNoSession) && !errors.Is(err, tgtadm.ErrNoConnection) {
				return err
			}
		}
		if left == 0 && !t.Unclear {
			return nil
		}
		select {
		case <-again.C:
		case <-limit.C:
			return fmt.Errorf("%w: sessions of %s were closed but did not end within %s: a command waits for its device, or an initiator "+
				"logged in with an unreadable name", change.ErrInUse, iqn, closing)
		}
	}
}

// whilePaused does something to a target while nobody is logged in to it. Initiators
// are refused meanwhile with an error after which they try again, and repeat
// what was not answered: their users see a pause. A target that was offline before
// remains offline.
//
// If the agent dies in between, the target is offline. The next pass sees that.
func (a *Actuator) whilePaused(ctx context.Context, t *tgtadm.Target, do func() error) error {
	err := a.whileOffline(ctx, t, do)
	if err != nil && t.Ready {
		err = errors.Join(err, a.tgt.SetTargetReady(ctx, t.ID, true))
	}
	return err
}

// whileOffline is whilePaused, but if do fails, the target remains offline: it is for
// changes that would leave the target open if they were made in half.
func (a *Actuator) whileOffline(ctx context.Context, t *tgtadm.Target, do func() error) error {
	if t.Ready {
		if err := a.tgt.SetTargetReady(ctx, t.ID, false); err != nil {
			return err
		}
	}
	if err := a.closeSessions(ctx, t.Name, everybody); err != nil {
		return err
	}
	if err := do(); err != nil || !t.Ready {
		return err
	}
	return a.tgt.SetTargetReady(ctx, t.ID, true)
}
