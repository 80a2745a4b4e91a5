package lvm

import (
	"context"
	"errors"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// rename looks first: lvrename takes no condition. A device that is open remains
// usable.
func (a *Actuator) rename(ctx context.Context, c change.Rename) error {
	to := change.LV{VolumeGroup: c.VolumeGroup, Name: c.To, UUID: c.UUID}
	_, err := a.readCurrent(ctx, c.LV)
	if errors.Is(err, change.ErrStale) {
		now, found, failed := observe.ReadLV(ctx, a.run, to.VolumeGroup, to.Name)
		switch {
		case failed != nil:
			return classify(failed)
		case found && now.UUID == c.UUID:
			return nil
		}
		return err
	} else if err != nil {
		return err
	}
	_, err = a.lvm(ctx, "lvrename", c.VolumeGroup, c.Name, c.To)
	if isAlreadyExists(err) {
		return newStaleError("%s already exists", to)
	}
	return err
}
