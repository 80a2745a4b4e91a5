package jobs

import (
	"context"
	"errors"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Backups writes what is in backups to devices.
type Backups interface {
	// Restore writes a backup to the start of a device, with zeroes behind it, from the offset Target.From on. It
	// returns without an error only when all of that is on the device, and what the device gives back
	// has the digests of the backup. If the backup itself is at fault the error is [change.ErrSource].
	Restore(ctx context.Context, b change.Backup, to Target) error
}

// UseBackups makes the actuator restore backups. Without it none can be. It must be called before the first
// change is applied.
func (a *Actuator) UseBackups(b Backups) { a.backups = b }

func (a *Actuator) populateFromBackup(ctx context.Context, c change.Populate, now observe.LogicalVolume, m *checkpoints) error {
	return a.restoreBackup(ctx, *c.Backup, now, m, c.ReadsZero && len(m.others) == 0)
}

// revertToBackup restores a backup over what a volume holds: it reads as zeroes nowhere.
func (a *Actuator) revertToBackup(ctx context.Context, c change.Restore, now observe.LogicalVolume, m *checkpoints) error {
	return a.restoreBackup(ctx, *c.Backup, now, m, false)
}

// restoreBackup restores a backup to a logical volume. zero says that this reads as zeroes where nothing of the backup
// was written: no other content was.
func (a *Actuator) restoreBackup(ctx context.Context, b change.Backup, now observe.LogicalVolume, m *checkpoints, zero bool) error {
	switch {
	case a.backups == nil:
		return errors.New("cannot restore backups: this agent has no repositories")
	case uint64(b.Size) > now.Size:
		return newStaleError("%s has %d bytes, and the volume of %s %d", now.FullName(), now.Size, b, uint64(b.Size))
	}
	if err := m.begin(ctx); err != nil {
		return err
	}
	err := a.backups.Restore(ctx, b, Target{
		Path: now.Path(), UUID: now.UUID, Size: now.Size, From: uint64(m.resumeOffset(uint64(b.Size))), ReadsZero: zero,
		Progress:   func(p change.Progress) { change.ReportProgress(ctx, p) },
		Checkpoint: func(bytes uint64) error { return m.checkpoint(ctx, bytes) },
	})
	if errors.Is(err, change.ErrSource) {
		// It may have been the device that returned something else than was written: the next attempt writes
		// everything again.
		err = errors.Join(err, m.checkpoint(ctx, 0))
	}
	return classify(err)
}
