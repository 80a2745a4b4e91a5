package lvm

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// remove removes a logical volume if LVM, under its lock, finds it removable.
func (a *Actuator) remove(ctx context.Context, c change.RemoveLV) error {
	now, found, err := observe.ReadLV(ctx, a.run, c.VolumeGroup, c.Name)
	switch {
	case err != nil:
		return classify(err)
	case !found:
		return nil
	}
	if err := checkComplete(now); err != nil {
		return err
	}
	out, err := a.lvm(ctx, "lvremove", "-y", "-S", removable(c.LV, c.Tags), c.LV.String())
	switch {
	case observe.LVMissing(err):
		return nil
	case errors.Is(err, change.ErrInUse):
		return a.explainInUse(ctx, c.LV, err)
	case err != nil, outputContains(out, "successfully removed"):
		return err
	}
	// Nothing was removed. Is there nothing left to remove?
	now, found, err = observe.ReadLV(ctx, a.run, c.VolumeGroup, c.Name)
	switch {
	case err != nil:
		return classify(err)
	case !found:
		return nil
	case now.UUID != c.UUID:
		return newStaleError("%s has been replaced by another logical volume (UUID %s)", c.LV, now.UUID)
	default:
		return newStaleError("%s has lost its tags, or other volumes depend on it", c.LV)
	}
}

// explainInUse adds who holds the logical volume to an error.
func (a *Actuator) explainInUse(ctx context.Context, lv change.LV, open error) error {
	now, err := a.readCurrent(ctx, lv)
	if err != nil {
		return open
	}
	if held := observe.ReadHolders(a.machine).Of(now.Major, now.Minor); len(held) > 0 {
		return fmt.Errorf("%w (%s)", open, strings.Join(held, ", "))
	}
	return open
}
