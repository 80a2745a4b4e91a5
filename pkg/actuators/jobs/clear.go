package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// clear destroys what is in a logical volume, and removes it. LVM removes it only
// if, under its lock, it still is the one and marked, and nothing depends on it.
//
// An error leaves it, with its mark, so that what is not cleared is not handed out.
func (a *Actuator) clear(ctx context.Context, c change.Clear) error {
	if c.Method != spec.ClearZero && c.Method != spec.ClearDiscard {
		return fmt.Errorf("cannot wipe %s: unknown method %q", c.LV, c.Method)
	}
	now, found, err := observe.ReadLV(ctx, a.run, c.VolumeGroup, c.Name)
	switch {
	case err != nil:
		return err
	case !found:
		return nil
	case now.UUID != c.UUID:
		return newStaleError("%s has been replaced by another logical volume (UUID %s)", c.LV, now.UUID)
	case !slices.Contains(now.Tags, ondisk.PhaseTag(ondisk.Clearing)):
		return newStaleError("%s is not marked for wiping", c.LV)
	case len(now.TakesAlong) > 0: // what is written here would be read there
		return newStaleError("cannot wipe %s: other volumes depend on it (%s)", c.LV, strings.Join(now.TakesAlong, "; "))
	}
	if err := checkSize(now, 0); err != nil {
		return err
	}
	if err := a.activate(ctx, now, c.LV); err != nil {
		return err
	}
	key := ondisk.CheckpointOfClearing
	if c.Method == spec.ClearDiscard {
		key = ondisk.CheckpointOfDiscarding
	}
	m := a.marks(now, c.LV, key)
	// All of it, whatever size the plan saw.
	_, err = a.blocks.Clear(ctx, blockcopy.Clear{
		Device: now.Path(), UUID: now.UUID, Size: int64(now.Size), From: m.resumeOffset(now.Size),
		Discard: key == ondisk.CheckpointOfDiscarding,
		Limit:   a.limit, Progress: progressReporter(ctx), Checkpoint: m.checkpointer(ctx),
	})
	if err != nil {
		return classify(err)
	}
	return a.lvm.Apply(ctx, change.RemoveLV{LV: c.LV, Tags: []string{ondisk.PhaseTag(ondisk.Clearing)}})
}
