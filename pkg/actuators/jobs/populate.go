package jobs

import (
	"context"
	"errors"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// populate fills a volume. Its last change of tags makes the volume a real one:
// there is no moment at which it looks complete and is not.
func (a *Actuator) populate(ctx context.Context, c change.Populate) error {
	now, err := a.readCurrent(ctx, c.LV)
	if err != nil {
		return err
	}
	switch now.Phase() {
	case ondisk.Populating:
	case ondisk.Clearing:
		return newStaleError("%s is being wiped", c.LV)
	default:
		return nil
	}
	key := c.Volume.UUID
	switch {
	case c.Backup != nil:
		key = c.Backup.ID
	case c.Image != nil:
		key = c.Image.Key
	}
	if key == "" {
		return errors.New("the source of " + c.LV.String() + " is unknown")
	}
	if err := checkSize(now, uint64(c.Size)); err != nil {
		return err
	}
	if err := a.activate(ctx, now, c.LV); err != nil {
		return err
	}
	m := a.marks(now, c.LV, key)
	switch {
	case c.Backup != nil:
		err = a.populateFromBackup(ctx, c, now, m)
	case c.Image != nil:
		err = a.populateFromImage(ctx, c, now, m)
	default:
		err = a.populateFromVolume(ctx, c, now, m)
	}
	if err != nil {
		return err
	}
	return a.lvm.Apply(ctx, change.SetTags{LV: c.LV, Add: []string{ondisk.TagFilled}, Remove: append(m.all(), ondisk.PhaseTag(ondisk.Populating))})
}

func (a *Actuator) populateFromVolume(ctx context.Context, c change.Populate, now observe.LogicalVolume, m *checkpoints) error {
	source, leave, err := a.AcquireSource(ctx, c.Volume, uint64(c.Size))
	if err != nil {
		return err
	}
	defer leave()
	if err := m.begin(ctx); err != nil {
		return err
	}
	_, err = a.blocks.Copy(ctx, blockcopy.Copy{
		Source: source.Path(), SourceUUID: source.UUID, Target: now.Path(), TargetUUID: now.UUID, Size: int64(c.Size), From: m.resumeOffset(uint64(c.Size)),
		// Where something else was copied to before, there may be anything. To write
		// only what differs leaves a thin volume thin even then.
		TargetIsZero:  c.ReadsZero && len(m.others) == 0,
		OnlyDifferent: c.ReadsZero && len(m.others) > 0,
		NoDigest:      true,
		SameBlocks:    true,
		Limit:         a.limit,
		Progress:      progressReporter(ctx), Checkpoint: m.checkpointer(ctx),
	})
	return a.ExplainReadError(ctx, c.Volume, err)
}

func (a *Actuator) populateFromImage(ctx context.Context, c change.Populate, now observe.LogicalVolume, m *checkpoints) error {
	if a.images == nil {
		return errors.New("cannot fill volumes from images: this agent has no image backend")
	}
	blockSize, err := a.blocks.BlockSize(now.Path())
	if err != nil {
		return classify(err)
	}
	return classify(a.images.Write(ctx, *c.Image, Target{
		Path: now.Path(), UUID: now.UUID, Size: now.Size, BlockSize: blockSize, From: m.at,
		ReadsZero: c.ReadsZero && len(m.others) == 0, Begun: len(m.own) > 0,
		Progress: func(p change.Progress) { change.ReportProgress(ctx, p) },
		Checkpoint: func(bytes uint64) error {
			return m.checkpoint(ctx, bytes)
		},
	}))
}
