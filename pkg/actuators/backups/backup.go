package backups

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/backup/catalog"
	"github.com/volreconciler/volreconciler/pkg/backup/slicefs"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// backUp makes a backup, unless it is there already: the agent may have died after it was made.
// It reports true if the catalog has it then.
func (a *Actuator) backUp(ctx context.Context, c change.BackUp, r restic.Repository) (known bool, err error) {
	earlier, err := a.earlier(ctx, c, r)
	if err != nil {
		return false, err
	}
	if done, err := a.isMade(ctx, c, r, earlier); done || err != nil {
		return false, err
	}
	lv, leave, err := a.Sources.AcquireSource(ctx, c.LV, uint64(c.Size))
	if err != nil {
		return false, err
	}
	defer leave()
	job, made, err := a.jobFor(ctx, c, r, lv, earlier)
	if err != nil {
		return false, err
	}
	defer func() { _ = os.Remove(job.MountDir) }() // not while something is mounted there
	if err := a.Catalog.NoteBegun(c.Repository.URL, made); err != nil {
		a.Log.Error(err, "cannot record that a backup begins; if the agent dies, it may take an incomplete one for complete", "volume", c.Volume)
	}
	result, err := a.BackUp(ctx, job)
	switch {
	case errors.Is(err, slicefs.ErrDigest):
		return false, a.doubt(c, job.Parent, err)
	case err != nil:
		return false, a.Sources.ExplainReadError(ctx, c.LV, err)
	}
	a.Catalog.NoteEnded(c.Repository.URL, made)
	if result.Full != "" {
		a.Log.Info("a backup read all of the volume", "volume", c.Volume, "repository", c.Repository.Name, "reason", result.Full)
	}
	made.ID = result.Snapshot
	return a.Catalog.Add(c.Repository.Name, made), nil
}

// earlier returns the backups of the Volume: as the catalog knows them, if it is up to date.
func (a *Actuator) earlier(ctx context.Context, c change.BackUp, r restic.Repository) ([]observe.Backup, error) {
	var of []observe.Backup
	all, current := a.Catalog.Current(c.Repository.Name, c.Repository.URL)
	// The catalog leaves out what a crash has left of this very backup, which has to be removed.
	if current && !a.Catalog.IsBegun(c.Repository.URL, observe.Backup{LV: c.UUID, Schedule: c.Schedule, Object: c.Object}) {
		for _, b := range all {
			if b.Volume == c.Volume {
				of = append(of, b)
			}
		}
		return of, nil
	}
	listed, err := backup.List(ctx, r, c.Volume)
	for _, s := range listed {
		of = append(of, catalog.Parse(s))
	}
	return of, err
}

// isMade reports whether there is a complete backup of the very snapshot, made for the same schedule or Backup. An incomplete
// one, which a crash has left, is removed: nobody could restore it, and it would count as one.
func (a *Actuator) isMade(ctx context.Context, c change.BackUp, r restic.Repository, earlier []observe.Backup) (bool, error) {
	for _, s := range slices.Backward(earlier) {
		if s.LV != c.UUID || s.Schedule != c.Schedule || s.Object != c.Object || s.Unreadable {
			continue
		}
		_, err := backup.Inspect(ctx, r, s.ID)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, restic.ErrNoSnapshot):
			continue // somebody removed it since the repository was read
		case !errors.Is(err, backup.ErrFormat):
			return false, err
		}
		a.Log.Info("removing an incomplete backup", "volume", c.Volume, "repository", c.Repository.Name, "id", s.ID)
		if err := r.Forget(ctx, s.ID); err != nil {
			return false, fmt.Errorf("cannot remove an incomplete backup: %w", err)
		}
	}
	return false, nil
}

// jobFor returns what has to be done for a backup.
func (a *Actuator) jobFor(ctx context.Context, c change.BackUp, r restic.Repository, lv observe.LogicalVolume, earlier []observe.Backup) (backup.Job, observe.Backup, error) {
	began := time.Now()
	job := backup.Job{
		Repository: r, Volume: c.Volume, Device: lv.Path(), UUID: lv.UUID, Size: int64(c.Size), Time: c.Time.UTC(), Reread: c.Reread,
		VolumeYAML: []byte(c.Description), MountDir: filepath.Join(a.MountDir, c.Repository.Name), Limiter: a.Limit,
		Progress: func(p backup.Progress) { change.ReportProgress(ctx, jobs.Pace(p.Done, p.Total, time.Since(began))) },
	}
	if lv.Type == observe.Thin && a.Changes != nil {
		var err error
		if job.Mapped, err = a.Changes.Mapped(ctx, lv.FullName()); err != nil {
			return job, observe.Backup{}, fmt.Errorf("cannot find what %s has in its thin pool: %w", lv.FullName(), err)
		}
		if job.Mapped == nil { // which would be everything
			job.Mapped = []blockcopy.Extent{}
		}
		if job.Changed, job.ChangedKnown, err = a.changed(ctx, c, lv, earlier); err != nil {
			return job, observe.Backup{}, err
		}
	}
	if job.ChangedKnown {
		job.Parent = c.Parent
	}
	made := observe.Backup{
		Time: job.Time.Truncate(time.Second), Host: r.Host, Volume: c.Volume, Schedule: c.Schedule, Object: c.Object, LV: lv.UUID, Identity: c.Identity,
		Size: uint64(c.Size), Delete: c.Delete, Reread: c.Reread || !job.ChangedKnown,
	}
	job.Tags = catalog.Tags(made)
	return job, made, nil
}

// changed returns where a snapshot may differ from its parent backup. It reports false if that is not known: then
// everything is read, which is always right.
func (a *Actuator) changed(ctx context.Context, c change.BackUp, lv observe.LogicalVolume, earlier []observe.Backup) ([]blockcopy.Extent, bool, error) {
	if !a.isParent(c, earlier) {
		return nil, false, nil
	}
	is, err := a.isBase(ctx, c.Base, lv)
	if err != nil || !is {
		return nil, false, err
	}
	extents, err := a.Changes.Changed(ctx, c.Base.String(), lv.FullName())
	if err != nil {
		if ctx.Err() == nil {
			a.Log.Error(err, "cannot find what changed since the last backup; all of the volume is read", "volume", c.Volume, "since", c.Base.String())
		}
		return nil, false, ctx.Err()
	}
	// LVM was asked by names: another one may have been given the name in between.
	is, err = a.isBase(ctx, c.Base, lv)
	return extents, is, err
}

// isParent reports whether the parent that the plan names was made of the snapshot that it names, and is not doubted.
func (a *Actuator) isParent(c change.BackUp, earlier []observe.Backup) bool {
	return c.Parent != "" && c.Base.UUID != "" && !a.Catalog.IsDoubted(c.Repository.URL, c.Parent) &&
		slices.ContainsFunc(earlier, func(b observe.Backup) bool {
			return b.ID == c.Parent && b.LV == c.Base.UUID && !b.Unreadable
		})
}

// isBase reports whether the snapshot of the parent is still there, and in the same thin pool as another one.
func (a *Actuator) isBase(ctx context.Context, base change.LV, lv observe.LogicalVolume) (bool, error) {
	if base.VolumeGroup != lv.VolumeGroup {
		return false, nil
	}
	now, found, err := observe.ReadLV(ctx, a.Run, base.VolumeGroup, base.Name)
	return err == nil && found && now.UUID == base.UUID && now.Type == observe.Thin && now.Pool == lv.Pool, err
}

// doubt takes in that data differs from the parent backup where nothing was written. Which of the two is right nobody can
// tell. No backup is made this time, so that it is noticed; the next one reads everything and does not compare: the
// data of now has to be backed up as well, beside the earlier backup.
func (a *Actuator) doubt(c change.BackUp, parent string, err error) error {
	unnoted := a.Catalog.NoteDoubted(c.Repository.URL, parent)
	return errors.Join(fmt.Errorf("data of Volume/%s changed where nothing was written since %s: %w. Check the disks (dmesg, smartctl). "+
		"No backup was made; the next attempt reads everything and keeps both contents", c.Volume, change.Backup{Repository: c.Repository, ID: parent}, err), unnoted)
}
