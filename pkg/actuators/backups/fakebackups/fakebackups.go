// Package fakebackups backs up and restores the devices of a fake machine, as packages backups and jobs have it done: a
// backup has what describes a volume, and in the place of slices a list of what is in the device. Its
// repositories are those of a [fakerestic.Restic]. Start reading at [Engine.BackUp].
package fakebackups

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/actuators/backups"
	"github.com/volreconciler/volreconciler/pkg/actuators/jobs"
	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/backup/slicefs"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// content is the file in a snapshot that says what is in the device.
const content = "content.json"

// Engine backs up and restores the devices of a machine. It also tells what changed in them.
type Engine struct {
	fakehost.Engine
	// With is all of a repository but its URL, password and environment. Its Runner is a fake.
	With restic.Repository
}

var _ backups.Changes = Engine{}

// BackUp makes a backup of a device, as [backup.Job.Run] does.
func (e Engine) BackUp(ctx context.Context, j backup.Job) (result backup.Result, err error) {
	layout, err := format.NewLayout(j.Size)
	if err != nil {
		return result, err
	}
	spans, err := e.read(ctx, j)
	if err != nil {
		return result, err
	}
	text, err := json.Marshal(spans)
	if err != nil {
		return result, err
	}
	index := &format.Index{Layout: layout, Made: j.Time.UnixNano()}
	digests := make([]byte, index.DigestsSize())
	index.ReadDigests(digests, 0)
	dir, err := os.MkdirTemp("", "fakebackup")
	if err != nil {
		return result, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if err := os.Mkdir(filepath.Join(dir, format.Dir), 0o700); err != nil {
		return result, err
	}
	for name, data := range map[string][]byte{
		content: text, filepath.Join(format.Dir, format.Digests): digests,
		filepath.Join(format.Dir, format.Times): index.EncodeTimes(), filepath.Join(format.Dir, format.VolumeYAML): j.VolumeYAML,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			return result, err
		}
	}
	tags := []string{"volreconciler", "volume=" + j.Volume, fmt.Sprint("format=", format.Version)}
	for _, name := range slices.Sorted(maps.Keys(j.Tags)) {
		tags = append(tags, name+"="+j.Tags[name])
	}
	summary, err := j.Repository.Backup(ctx, restic.Backup{Dir: dir, Parent: j.Parent, Tags: tags, Time: j.Time})
	if err != nil && summary.ID != "" {
		err = errors.Join(err, j.Repository.Forget(context.WithoutCancel(ctx), summary.ID))
	}
	return backup.Result{Snapshot: summary.ID}, err
}

// read returns what is in a device. As [backup.Job.Run] does, it reads only what changed and takes the rest from the
// parent, so that a parent that is not of the volume's past makes a wrong backup here, too.
func (e Engine) read(ctx context.Context, j backup.Job) ([]fakehost.Span, error) {
	now, err := e.Devices.ReadBlocks(j.Device, 0, uint64(j.Size))
	if err != nil || j.Parent == "" || !j.ChangedKnown {
		return now, err
	}
	spans, err := e.contentOf(ctx, j.Repository, j.Parent)
	if err != nil {
		return nil, err
	}
	for _, x := range blockcopy.Merge(j.Changed, j.Size, 1) {
		spans = fakehost.Overlay(spans, now, uint64(x.Offset), uint64(x.Offset+x.Length))
	}
	if j.Reread && !slices.Equal(spans, now) {
		return nil, fmt.Errorf("%s: %w", j.Device, slicefs.ErrDigest)
	}
	return spans, nil
}

func (Engine) contentOf(ctx context.Context, r restic.Repository, id string) ([]fakehost.Span, error) {
	var text bytes.Buffer
	if err := r.Dump(ctx, id, "/"+content, &text); err != nil {
		return nil, err
	}
	return Content(text.Bytes())
}

// File is the file in a snapshot that says what is in the device.
const File = "/" + content

// Content reads that file.
func Content(text []byte) (spans []fakehost.Span, err error) {
	return spans, json.Unmarshal(text, &spans)
}

// Write writes a backup to a device, as [backup.Restore.Run] does.
func (e Engine) Write(ctx context.Context, r restic.Repository, b change.Backup, to jobs.Target) error {
	spans, err := e.contentOf(ctx, r, b.ID)
	if err != nil {
		return err
	}
	err = e.Restore(ctx, spans, to.Path, int64(to.Size), int64(to.From), to.ReadsZero, func(bytes int64) error { return to.Checkpoint(uint64(bytes)) })
	if err != nil {
		return err
	}
	there, err := e.Devices.ReadBlocks(to.Path, 0, to.Size)
	if err == nil && !slices.Equal(there, spans) {
		err = fmt.Errorf("%w: %s has something else than was written", backup.ErrDamaged, to.Path)
	}
	return err
}

// Mapped says that nothing is mapped: BackUp reads the device itself.
func (Engine) Mapped(context.Context, string) ([]blockcopy.Extent, error) {
	return []blockcopy.Extent{}, nil
}
