package lvm

import (
	"context"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func (a *Actuator) growThinPool(ctx context.Context, c change.GrowThinPool) error {
	return a.grow(ctx, c.LV, c.To, func(now observe.LogicalVolume) bool {
		return now.Size >= uint64(c.To)
	}, observe.ThinPool)
}

func (a *Actuator) growVolume(ctx context.Context, c change.GrowVolume) error {
	return a.grow(ctx, c.LV, c.To, func(now observe.LogicalVolume) bool {
		return now.Size >= uint64(c.To)
	}, observe.Thick, observe.Thin)
}

// growSnapshot makes the space no larger than a complete overwrite needs, since
// LVM does not either.
func (a *Actuator) growSnapshot(ctx context.Context, c change.GrowSnapshot) error {
	return a.grow(ctx, c.LV, c.To, func(now observe.LogicalVolume) bool {
		return now.COWSize >= min(uint64(c.To), observe.MaxCOWSize(now.Size))
	}, observe.ThickSnapshot)
}

// grow extends a logical volume of one of the types, unless it is large enough.
//
// lvextend takes no condition, so it looks first. A logical volume that is put
// in its place in the moment between is extended, which harms nobody's data.
func (a *Actuator) grow(ctx context.Context, lv change.LV, to spec.Size, enough func(observe.LogicalVolume) bool, types ...observe.LVType) error {
	now, err := a.readCurrent(ctx, lv)
	switch {
	case err != nil:
		return err
	case !slices.Contains(types, now.Type):
		return newStaleError("%s is of type %s", lv, now.Type)
	case enough(now):
		return nil
	}
	_, err = a.lvm(ctx, "lvextend", "-y", "-L", bytes(to), lv.String())
	if isLargeEnough(err) {
		return nil
	}
	return err
}
