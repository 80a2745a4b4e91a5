package jobs

import (
	"context"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// usage says how many jobs copy from a logical volume, and whether it is active
// only for them.
type usage struct {
	jobs int
	ours bool
}

// AcquireSource makes a logical volume readable that is to be copied, and returns the function
// that undoes that. Several jobs may copy from it, those of other actuators too: the last to end
// deactivates it, if it was inactive before the first.
func (a *Actuator) AcquireSource(ctx context.Context, lv change.LV, bytes uint64) (observe.LogicalVolume, func(), error) {
	a.using.Lock()
	defer a.using.Unlock()
	now, err := a.readCurrent(ctx, lv)
	switch {
	case err != nil:
		return now, nil, err
	case now.SnapshotInvalid:
		return now, nil, newOverflowError(now)
	case now.Type != observe.Thick && now.Type != observe.Thin && now.Type != observe.ThickSnapshot:
		return now, nil, newSourceError("cannot copy %s: volumes of type %s are not supported", lv, now.Type)
	case now.Size < bytes:
		return now, nil, newStaleError("%s has %d bytes, expected %d", lv, now.Size, bytes)
	}
	if err := a.activate(ctx, now, lv); err != nil {
		return now, nil, err
	}
	u := a.users[lv.UUID]
	if u == nil {
		// A copy-on-write snapshot is active with its origin, which is somebody's
		// volume: that is not ours to deactivate.
		u = &usage{ours: !now.Active && now.Type != observe.ThickSnapshot}
		a.users[lv.UUID] = u
	}
	u.jobs++
	return now, func() { a.releaseSource(ctx, lv) }, nil
}

// releaseSource undoes use, also when the job was cancelled.
func (a *Actuator) releaseSource(ctx context.Context, lv change.LV) {
	a.using.Lock()
	defer a.using.Unlock()
	u := a.users[lv.UUID]
	if u.jobs--; u.jobs > 0 {
		return
	}
	delete(a.users, lv.UUID)
	if u.ours {
		// If it fails, somebody else has begun to use it, or it was removed. It may remain
		// active: that is no reason for a copy to fail.
		_ = a.lvm.Apply(context.WithoutCancel(ctx), change.Deactivate{LV: lv})
	}
}

func newOverflowError(lv observe.LogicalVolume) error {
	return newSourceError("snapshot %s overflowed and lost its content; create a new snapshot with a larger spec.size", lv.FullName())
}

// ExplainReadError says what the error of a copy means. A copy-on-write snapshot that
// overflowed meanwhile fails to be read, which is all that the kernel says.
func (a *Actuator) ExplainReadError(ctx context.Context, source change.LV, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	if now, gone := a.readCurrent(ctx, source); gone == nil && now.SnapshotInvalid {
		return newOverflowError(now)
	}
	return classify(err)
}
