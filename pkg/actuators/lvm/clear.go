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
// be removed, with LVM's lock held. One that is open is left alone: what is
// cleared would be pulled from under whoever uses it.
//
// What else was being done to its data is over with that, so those marks go in
// the same moment.
func (a *Actuator) startClearing(ctx context.Context, c change.StartClearing) error {
	now, err := a.lookWhole(ctx, c.LV)
	switch {
	case err != nil:
		return err
	case clearing(now):
		return nil
	case now.Open:
		return a.inUse(ctx, c.LV, inUse("%s is open", c.LV))
	}
	argv := []string{"lvchange", "-S", removable(c.LV, c.Tags) + " && " + notOpen, "--addtag", ondisk.PhaseTag(ondisk.Clearing)}
	for _, t := range slices.Concat(now.TagsWith(ondisk.TagPhase), now.TagsWith(ondisk.TagCheckpoint)) {
		argv = append(argv, "--deltag", t)
	}
	out, err := a.lvm(ctx, append(argv, c.LV.String())...)
	if err != nil || said(out, "changed") {
		return err
	}
	switch now, err = a.look(ctx, c.LV); {
	case err != nil:
		return err
	case clearing(now):
		return nil
	case now.Open:
		return a.inUse(ctx, c.LV, inUse("%s was opened", c.LV))
	default:
		return stale("%s has lost its tags, or other volumes depend on it", c.LV)
	}
}

// splitSnapshot looks first, because lvconvert takes no condition. Should a
// snapshot be put in its place in the moment between, that one is split off: what
// it kept is unusable then, but still there.
func (a *Actuator) splitSnapshot(ctx context.Context, c change.SplitSnapshot) error {
	now, err := a.look(ctx, c.LV)
	switch {
	case err != nil:
		return err
	case !clearing(now):
		return stale("%s is not being wiped", c.LV)
	case now.Type == observe.Thick:
		return nil
	case now.Type != observe.ThickSnapshot:
		return stale("%s is of type %s", c.LV, now.Type)
	}
	_, err = a.lvm(ctx, "lvconvert", "-y", "--splitsnapshot", c.LV.String())
	if errors.Is(err, change.ErrInUse) {
		return a.inUse(ctx, c.LV, err)
	}
	return err
}

func clearing(lv observe.LogicalVolume) bool {
	return slices.Contains(lv.Tags, ondisk.PhaseTag(ondisk.Clearing))
}
