package backups

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// Restorer is [jobs.Backups] on this machine.
type Restorer struct {
	// With is all of a repository but its URL, password and environment.
	With restic.Repository
	// Limit is shared by all that moves data; nil: no limit.
	Limit *blockcopy.Limiter
	// Write writes what is in a backup to a device; nil: [backup.Restore.Run].
	Write func(ctx context.Context, r restic.Repository, b change.Backup, to jobs.Target) error
}

var _ jobs.Backups = (*Restorer)(nil)

// Restore restores a backup, see [jobs.Backups].
func (x *Restorer) Restore(ctx context.Context, b change.Backup, to jobs.Target) error {
	write := x.Write
	if write == nil {
		write = x.write
	}
	from := open(x.With, b.Repository)
	restore := func(ctx context.Context, r restic.Repository) error { return write(ctx, r, b, to) }
	err := unlocking(ctx, from, restore)
	if errors.Is(err, restic.ErrReadOnly) && ctx.Err() == nil {
		from.NoLock = true // restic cannot lock it, and nobody can remove anything from it
		err = restore(ctx, from)
	}
	switch {
	case errors.Is(err, backup.ErrDamaged):
		return fmt.Errorf("%w: %w. It is restored once more from the start; if that fails as well, use another backup, and check "+
			"the repository (restic check --read-data) and the disks (dmesg)", change.ErrSource, err)
	case errors.Is(err, backup.ErrFormat):
		return fmt.Errorf("%w: %w. Use another backup, or the version of volreconciler that made it", change.ErrSource, err)
	case errors.Is(err, restic.ErrNoSnapshot):
		return fmt.Errorf("%w: %w. Use another backup", change.ErrSource, err)
	}
	return explain(b.Repository, err)
}

func (x *Restorer) write(ctx context.Context, r restic.Repository, b change.Backup, to jobs.Target) error {
	began := time.Now()
	_, err := backup.Restore{
		Repository: r, Snapshot: b.ID, Device: to.Path, UUID: to.UUID, TargetIsZero: to.ReadsZero, From: int64(to.From), Limiter: x.Limit,
		Progress:   func(p backup.Progress) { to.Progress(half(p, time.Since(began))) },
		Checkpoint: func(offset int64) error { return to.Checkpoint(uint64(offset)) },
	}.Run(ctx)
	return err
}

// half is the progress of a restore, of which the second half is to read everything back.
func half(p backup.Progress, took time.Duration) change.Progress {
	done := p.Done
	if p.Verifying {
		done += p.Total
	}
	return jobs.Pace(done, 2*p.Total, took)
}
