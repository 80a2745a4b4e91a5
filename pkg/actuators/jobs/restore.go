package jobs

import (
	"context"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// restore writes to a volume what differs from its snapshot. Its last change of
// tags says that the request is done, and lets the volume be used again.
func (a *Actuator) restore(ctx context.Context, c change.Restore) error {
	now, err := a.readCurrent(ctx, c.LV)
	done := ondisk.TagReverted + c.Request
	switch {
	case err != nil:
		return err
	case now.Phase() == ondisk.Clearing:
		return newStaleError("%s is being wiped", c.LV)
	case now.Phase() != ondisk.Reverting && slices.Contains(now.Tags, done):
		return nil
	case now.Phase() != ondisk.Reverting, !slices.Contains(now.Tags, ondisk.TagRevert+c.Request):
		return newStaleError("%s is not being reverted for request %s", c.LV, c.Request)
	case now.Open:
		// Not everybody who has it open claims it, so that the kernel would refuse: a
		// virtual machine of this node does not.
		return newInUseError(now)
	}
	if err := checkSize(now, uint64(c.Size)); err != nil {
		return err
	}
	if err := a.activate(ctx, now, c.LV); err != nil {
		return err
	}
	m := a.marks(now, c.LV, c.Snapshot.UUID)
	if c.Backup != nil {
		m = a.marks(now, c.LV, c.Backup.ID)
		err = a.revertToBackup(ctx, c, now, m)
	} else {
		err = a.copyBack(ctx, c, now, m)
	}
	if err != nil {
		return err
	}
	// Those of earlier requests are kept, so that none is done a second time.
	old := append(m.all(), now.TagsWith(ondisk.TagRevert)...)
	return a.lvm.Apply(ctx, change.SetTags{LV: c.LV, Add: []string{done, ondisk.TagFilled}, Remove: append(old, ondisk.PhaseTag(ondisk.Reverting))})
}

func (a *Actuator) copyBack(ctx context.Context, c change.Restore, now observe.LogicalVolume, m *checkpoints) error {
	snapshot, leave, err := a.AcquireSource(ctx, c.Snapshot, uint64(c.Size))
	if err != nil {
		return err
	}
	defer leave()
	if err := m.begin(ctx); err != nil {
		return err
	}
	// A copy-on-write snapshot cannot overflow by it: it has the old data wherever the
	// two differ, and nothing else is written, see [blockcopy.Copy.OnlyDifferent].
	_, err = a.blocks.Copy(ctx, blockcopy.Copy{
		Source: snapshot.Path(), SourceUUID: snapshot.UUID, Target: now.Path(), TargetUUID: now.UUID, Size: int64(c.Size), From: m.resumeOffset(uint64(c.Size)),
		OnlyDifferent: true, NoDigest: true,
		Limit: a.limit, Progress: progressReporter(ctx), Checkpoint: m.checkpointer(ctx),
	})
	return a.ExplainReadError(ctx, c.Snapshot, err)
}
