package lvm

import (
	"context"
	"errors"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// startClearing marks a logical volume under the condition under which it could
// be removed, with LVM's lock held. A logical volume that is open is not marked:
// wiping it would destroy data that is in use.
//
// This ends everything else that was being done to its data, so the marks of that
// are removed in the same command.
func (a *Actuator) startClearing(ctx context.Context, c change.StartClearing) error {
	now, err := a.readComplete(ctx, c.LV)
	switch {
	case err != nil:
		return err
	case isClearing(now):
		return nil
	case now.Open:
		return a.explainInUse(ctx, c.LV, newInUseError("%s is open", c.LV))
	}
	argv := []string{"lvchange", "-S", removable(c.LV, c.Tags) + " && " + notOpen, "--addtag", ondisk.PhaseTag(ondisk.Clearing)}
	for _, t := range slices.Concat(now.TagsWith(ondisk.TagPhase), now.TagsWith(ondisk.TagCheckpoint)) {
		argv = append(argv, "--deltag", t)
	}
	out, err := a.lvm(ctx, append(argv, c.LV.String())...)
	if err != nil || outputContains(out, "changed") {
		return err
	}
	switch now, err = a.readCurrent(ctx, c.LV); {
	case err != nil:
		return err
	case isClearing(now):
		return nil
	case now.Open:
		return a.explainInUse(ctx, c.LV, newInUseError("%s was opened", c.LV))
	default:
		return newStaleError("%s has lost its tags, or other volumes depend on it", c.LV)
	}
}

// splitSnapshot looks first, because lvconvert takes no condition. If another snapshot
// of that name is created in the moment between, that snapshot is split off: its
// content is unusable then, but not lost.
func (a *Actuator) splitSnapshot(ctx context.Context, c change.SplitSnapshot) error {
	now, err := a.readCurrent(ctx, c.LV)
	switch {
	case err != nil:
		return err
	case !isClearing(now):
		return newStaleError("%s is not being wiped", c.LV)
	case now.Type == observe.Thick:
		return nil
	case now.Type != observe.ThickSnapshot:
		return newStaleError("%s is of type %s", c.LV, now.Type)
	}
	_, err = a.lvm(ctx, "lvconvert", "-y", "--splitsnapshot", c.LV.String())
	if errors.Is(err, change.ErrInUse) {
		return a.explainInUse(ctx, c.LV, err)
	}
	return err
}

func isClearing(lv observe.LogicalVolume) bool {
	return slices.Contains(lv.Tags, ondisk.PhaseTag(ondisk.Clearing))
}
