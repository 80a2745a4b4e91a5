package lvm

import (
	"context"
	"errors"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// rename looks first: lvrename takes no condition. Whoever has the device open goes on
// using it.
func (a *Actuator) rename(ctx context.Context, c change.Rename) error {
	to := change.LV{VolumeGroup: c.VolumeGroup, Name: c.To, UUID: c.UUID}
	_, err := a.look(ctx, c.LV)
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
	if alreadyExists(err) {
		return stale("%s already exists", to)
	}
	return err
}
