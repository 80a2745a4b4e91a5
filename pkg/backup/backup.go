package backup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/backup/slicefs"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// Job is a backup of a device, which must not change meanwhile: of a snapshot.
type Job struct {
	Repository restic.Repository
	// Volume is the name that the backup is listed by.
	Volume string
	// Device is a block device or regular file; UUID, unless it is empty, is that of the logical volume
	// that it has to be.
	Device, UUID string
	// Size is the size of the volume in bytes.
	Size int64
	// Mapped are the extents that may hold something else than zeroes. nil: all (a thick volume).
	Mapped []blockcopy.Extent
	// Changed are the extents that may differ from what the parent backed up; only with ChangedKnown.
	// Without it everything that is mapped is read.
	Changed      []blockcopy.Extent
	ChangedKnown bool
	// Parent is the ID of an earlier snapshot of the same volume. Empty: everything is read. One
	// that is gone, or cannot be read by this version, is as good as none.
	Parent string
	// Reread reads every slice, also those that have not changed, and compares their digests with the
	// parent's.
	Reread bool
	// Time is the time of the backup. The time of day is that of the snapshot that is backed up.
	Time time.Time
	// Tags are tags besides those that name the volume and the format, by name. No commas.
	Tags map[string]string
	// VolumeYAML is the content of volume.yaml, without secrets.
	VolumeYAML []byte
	// MountDir is where the slices are mounted: a directory of the agent's own.
	MountDir string
	Limiter  *blockcopy.Limiter
	// Progress, if set, is called at most four times a second, and at the end.
	Progress func(Progress)

	slice int64 // another size of slices, for tests
}

// Progress is how far a job is, in bytes. Done never decreases, but when verifying begins.
type Progress struct {
	Done, Total int64
	// Verifying: a restore reads back what it has written.
	Verifying bool
}

// Result is what a backup has made. Sizes in bytes.
type Result struct {
	// Snapshot is the ID: compare it with [restic.SameID], it may be short.
	Snapshot string
	// Present is the size of all slices in the backup; Changed that of those that had to be read; Read what was
	// read from the device.
	Present, Changed, Read int64
	// Added is how much was added to the repository, before compression.
	Added int64
	// Full is why everything had to be read; empty: it was not, or because of Reread.
	Full string
}

// Run makes a backup. With an error there is no new snapshot in the repository; if one could not be removed
// again, the error says so, and it cannot be restored. If data differs from the parent's where nothing is to
// have changed the error is [slicefs.ErrDigest]; what the device or restic could not do is
// [blockcopy.Error] or [restic.Error].
func (j Job) Run(ctx context.Context) (Result, error) {
	result, err := j.run(ctx)
	if err != nil {
		return result, fmt.Errorf("cannot back up %s to %s: %w", j.Device, j.Repository, err)
	}
	return result, nil
}

func (j Job) run(ctx context.Context) (Result, error) {
	tags, err := makeTags(j.Volume, j.Tags)
	if err != nil {
		return Result{}, err
	}
	layout, err := format.NewLayout(j.Size)
	if err != nil {
		return Result{}, err
	}
	if j.slice != 0 {
		layout.Slice = j.slice
	}
	if len(j.VolumeYAML) > maxVolumeYAML {
		return Result{}, fmt.Errorf("volume.yaml has %d bytes, of at most %d", len(j.VolumeYAML), maxVolumeYAML)
	}
	device, err := blockcopy.OpenSource(j.Device, j.UUID, j.Size)
	if err != nil {
		return Result{}, err
	}
	defer device.Close()
	parent, why, err := j.parent(ctx)
	if err != nil {
		return Result{}, err
	}
	p := plan(state{layout: layout, mapped: j.Mapped, changed: j.Changed, now: j.Time.UnixNano(), parent: parent})
	if why != "" {
		p.full = why
	}
	return j.mount(ctx, device, p, tags)
}

// parent reads what the parent says. If it cannot be used, why says so.
func (j Job) parent(ctx context.Context) (x *format.Index, why string, err error) {
	switch {
	case j.Parent == "":
		return nil, "", nil
	case !j.ChangedKnown:
		return nil, "what changed since the parent is unknown", nil
	}
	d, err := Inspect(ctx, j.Repository, j.Parent)
	switch {
	case errors.Is(err, restic.ErrNoSnapshot):
		return nil, "the parent is gone", nil
	case errors.Is(err, ErrFormat):
		return nil, "the parent cannot be read: " + err.Error(), nil
	case err != nil:
		return nil, "", err
	}
	return d.Index, "", nil
}

// mount shows the slices to restic.
func (j Job) mount(ctx context.Context, device *blockcopy.Access, p planned, tags []string) (result Result, err error) {
	mounted, err := slicefs.Mount(j.MountDir, slicefs.Volume{
		Device: device, Index: p.index, Changed: p.changed, VolumeYAML: j.VolumeYAML, Limiter: j.Limiter,
	})
	if err != nil {
		return Result{}, err
	}
	defer func() { err = errors.Join(err, mounted.Close()) }()

	result = Result{Present: p.index.Bytes(), Changed: p.changedBytes(), Full: p.full}
	total := result.Changed
	if j.Reread {
		total = result.Present
	}
	backup := restic.Backup{Dir: j.MountDir, Tags: tags, Time: j.Time}
	if p.full == "" && !j.Reread {
		backup.Parent = j.Parent
	}
	stopReports := j.report(mounted, total)
	summary, err := j.runRestic(ctx, mounted, backup)
	stopReports()
	result.Snapshot, result.Added, result.Read = summary.ID, summary.Added, mounted.Read()
	if left := mounted.Left(); err == nil && left > 0 {
		err = fmt.Errorf("restic has not read %d slices that changed", left)
	}
	if err != nil {
		return result, j.undo(ctx, summary.ID, err)
	}
	return result, nil
}

func (p planned) changedBytes() int64 {
	var n int64
	for _, position := range p.changed {
		n += p.index.Length(int(p.index.Present[position]))
	}
	return n
}

// runRestic runs restic, and ends it when the tree fails: every file from then on would fail, too.
func (j Job) runRestic(ctx context.Context, mounted *slicefs.Mounted, b restic.Backup) (restic.Summary, error) {
	running, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-mounted.Failed():
			stop()
		case <-running.Done():
		}
	}()
	summary, err := j.Repository.Backup(running, b)
	if failed := mounted.Err(); failed != nil && ctx.Err() == nil {
		return summary, failed // restic's error is a consequence
	}
	return summary, err
}

// undoTimeout is how long the removal of an incomplete snapshot may take.
const undoTimeout = time.Minute

// undo removes a snapshot that is incomplete, also when ctx has ended.
func (j Job) undo(ctx context.Context, id string, err error) error {
	if id == "" {
		return err
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer stop()
	if failed := j.Repository.Forget(ctx, id); failed != nil {
		return errors.Join(err, fmt.Errorf("the incomplete snapshot %s could not be removed, and cannot be restored: %w", id, failed))
	}
	return err
}

// reportEvery is the time between two calls of Progress.
const reportEvery = 250 * time.Millisecond

// report calls Progress until it is stopped.
func (j Job) report(mounted *slicefs.Mounted, total int64) (stop func()) {
	if j.Progress == nil {
		return func() {}
	}
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-end:
				j.Progress(Progress{Done: mounted.Read(), Total: total})
				return
			}
			j.Progress(Progress{Done: mounted.Read(), Total: total})
		}
	}()
	return func() { close(end); <-ended }
}
