package lvm

import (
	"context"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func (a *Actuator) growThinPool(ctx context.Context, c change.GrowThinPool) error {
	return a.grow(ctx, c.LV, c.To, dataSize, observe.ThinPool)
}

func (a *Actuator) growVolume(ctx context.Context, c change.GrowVolume) error {
	return a.grow(ctx, c.LV, c.To, dataSize, observe.Thick, observe.Thin)
}

func (a *Actuator) growSnapshot(ctx context.Context, c change.GrowSnapshot) error {
	return a.grow(ctx, c.LV, c.To, cowSize, observe.ThickSnapshot)
}

func dataSize(lv observe.LogicalVolume) uint64 { return lv.Size }
func cowSize(lv observe.LogicalVolume) uint64  { return lv.COWSize }

// grow extends a logical volume of one of the types.
//
// lvextend takes no condition, so it looks first. A logical volume that is put
// in its place in the moment between is extended, which harms nobody's data.
func (a *Actuator) grow(ctx context.Context, lv change.LV, to spec.Size, size func(observe.LogicalVolume) uint64, types ...observe.LVType) error {
	now, err := a.look(ctx, lv)
	switch {
	case err != nil:
		return err
	case !slices.Contains(types, now.Type):
		return stale("%s is of type %s", lv, now.Type)
	case size(now) >= uint64(to):
		return nil
	}
	_, err = a.lvm(ctx, "lvextend", "-y", "-L", bytes(to), lv.String())
	if largeEnough(err) {
		return nil
	}
	return err
}
