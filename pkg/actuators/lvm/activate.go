package lvm

import (
	"context"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// activate also activates what is flagged to be skipped, as thin snapshots are
// (-K). A logical volume without a UUID in the change was created by the same
// plan, and is known by its tags.
//
// It looks first because LVM does not say whether it activated anything. Should
// another one be put in its place in the moment between, nothing is activated,
// and the next pass sees it.
func (a *Actuator) activate(ctx context.Context, c change.Activate) error {
	now, err := a.look(ctx, c.LV)
	if err != nil || now.Active {
		return err
	}
	c.UUID = now.UUID
	_, err = a.lvm(ctx, "lvchange", "-ay", "-K", "-S", is(c.LV), c.LV.String())
	return err
}
