package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/qemuimg"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// ImageFiles makes image files of devices.
type ImageFiles interface {
	// Write writes an image, and its checksum to a file beside it. The two are there
	// only when it returns without an error, and all of them is on disk. A file of either
	// name that is there is never touched: it is an [fs.ErrExist] with its path. What a crash
	// left is cleaned up by the next call.
	Write(ctx context.Context, f ImageFile) error
}

// ImageFile is an image to be written.
type ImageFile struct {
	// Device is what is read, and Size how many bytes it has. Nobody writes to it.
	Device   string
	UUID     string // of the logical volume that it has to be
	Size     uint64
	Path     string
	Format   spec.ImageFormat
	Compress bool
	// Progress is called with how far it has come.
	Progress func(change.Progress)
}

// UseImageFiles makes the actuator write image files. Without it none can be. It must
// be called before the first change is applied.
func (a *Actuator) UseImageFiles(files ImageFiles) { a.files = files }

func (a *Actuator) writeImage(ctx context.Context, c change.WriteImage) error {
	if a.files == nil {
		return errors.New("cannot write images: this agent has no image backend")
	}
	source, leave, err := a.AcquireSource(ctx, c.Source, uint64(c.Size))
	if err != nil {
		return err
	}
	defer leave()
	err = a.files.Write(ctx, ImageFile{
		Device: source.Path(), UUID: source.UUID, Size: uint64(c.Size), Path: c.Path, Format: c.Format, Compress: c.Compress,
		Progress: func(p change.Progress) { change.ReportProgress(ctx, p) },
	})
	if at := new(fs.PathError); errors.As(err, &at) && errors.Is(err, fs.ErrExist) && at.Path == c.Path+spec.ChecksumSuffix {
		return fmt.Errorf("%w: checksum file %s already exists without its image and was not created by volreconciler. Remove it, or choose another path",
			change.ErrNotOwned, at.Path)
	}
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%w: %w", change.ErrStale, err) // which is looked at in the next pass
	}
	return a.ExplainReadError(ctx, c.Source, err)
}

// QEMUImageFiles is [ImageFiles] on this machine: qemu-img writes them.
type QEMUImageFiles struct {
	Tool qemuimg.Tool
	// Rate is how many bytes per second one image may read; 0: no limit.
	Rate int64
}

var _ ImageFiles = (*QEMUImageFiles)(nil)

// Write writes an image, see [ImageFiles].
func (q *QEMUImageFiles) Write(ctx context.Context, f ImageFile) error {
	if _, err := qemuimg.CleanExports(filepath.Dir(f.Path)); err != nil {
		return err
	}
	began := time.Now()
	_, err := q.Tool.Export(ctx, qemuimg.Export{
		Source: f.Device, SourceUUID: f.UUID, Destination: f.Path, Format: image.Format(f.Format), Compress: f.Compress, Limit: q.Rate,
		Progress: func(done, total int64) { f.Progress(Pace(done, total, time.Since(began))) },
	})
	return err
}

// Pace is how far something has come that has taken a time.
func Pace(done, total int64, took time.Duration) change.Progress {
	p := change.Progress{Done: uint64(done), Total: uint64(total)}
	if rate := float64(done) / took.Seconds(); rate >= 1 && took > 0 {
		p.Rate = uint64(rate)
		p.Left = time.Duration(float64(total-done) / rate * float64(time.Second))
	}
	return p
}
