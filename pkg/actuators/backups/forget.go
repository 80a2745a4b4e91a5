package backups

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// forget removes backups of a Volume. If one of them must not be removed, none is.
func (a *Actuator) forget(ctx context.Context, c change.ForgetBackups, r restic.Repository) error {
	ours, err := backup.List(ctx, r, c.Volume)
	if err != nil {
		return err
	}
	there, err := a.removable(ctx, c, r, ours)
	if err != nil || len(there) == 0 {
		return err
	}
	if err := a.checkRemaining(ctx, c, r, ours, there); err != nil {
		return err
	}
	if err := a.Catalog.NoteForgotten(c.Repository.URL, c.Volume, there...); err != nil {
		return fmt.Errorf("no backup is removed, because that cannot be recorded: %w", err)
	}
	if err := r.Forget(ctx, there...); err != nil {
		return err
	}
	left, err := backup.List(ctx, r, c.Volume)
	if err != nil {
		return err
	}
	for _, s := range left {
		if slices.Contains(there, s.ID) {
			return fmt.Errorf("restic reported no error, but %s is still there", change.Backup{Repository: c.Repository, ID: s.ID})
		}
	}
	return nil
}

// removable returns those of the IDs that are still there. It is an error if one is of something else than a
// backup of the Volume.
func (a *Actuator) removable(ctx context.Context, c change.ForgetBackups, r restic.Repository, ours []backup.Snapshot) (there []string, err error) {
	var unknown []string
	for _, id := range c.IDs {
		if slices.ContainsFunc(ours, func(s backup.Snapshot) bool { return s.ID == id }) {
			there = append(there, id)
		} else {
			unknown = append(unknown, id)
		}
	}
	if len(unknown) == 0 {
		return there, nil
	}
	all, err := r.Snapshots(ctx)
	for _, s := range all {
		for _, id := range unknown {
			if restic.SameID(s.ID, id) {
				return nil, fmt.Errorf("%w: %s is not a backup of Volume/%s; none is removed", change.ErrNotOwned, change.Backup{Repository: c.Repository, ID: s.ID}, c.Volume)
			}
		}
	}
	return there, err
}

// checkRemaining checks that a complete backup of the Volume is left. That of another version may be complete, but
// nobody here can tell.
func (a *Actuator) checkRemaining(ctx context.Context, c change.ForgetBackups, r restic.Repository, ours []backup.Snapshot, remove []string) error {
	for _, s := range slices.Backward(ours) {
		if slices.Contains(remove, s.ID) || catalog.Parse(s).Unreadable {
			continue
		}
		_, err := backup.Inspect(ctx, r, s.ID)
		if err == nil || !errors.Is(err, backup.ErrFormat) {
			return err
		}
	}
	// Not stale: another plan may be the same, because only here is looked into the backups.
	return fmt.Errorf("no complete backup of Volume/%s would be left in %s; none is removed", c.Volume, c.Repository)
}
