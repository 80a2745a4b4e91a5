package lvm

import (
	"context"
	"errors"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// deactivate looks first, as activate does. LVM refuses while the device or one
// of its thick snapshots is open, and compares the UUID under its lock.
func (a *Actuator) deactivate(ctx context.Context, c change.Deactivate) error {
	now, err := a.readCurrent(ctx, c.LV)
	if err != nil || !now.Active {
		return err
	}
	_, err = a.lvm(ctx, "lvchange", "-an", "-S", hasUUID(c.LV), c.LV.String())
	if errors.Is(err, change.ErrInUse) {
		return a.explainInUse(ctx, c.LV, err)
	}
	return err
}
