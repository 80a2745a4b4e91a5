package jobs

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/image"
	"github.com/volreconciler/volreconciler/pkg/image/cache"
	"github.com/volreconciler/volreconciler/pkg/image/fetch"
	"github.com/volreconciler/volreconciler/pkg/image/qemuimg"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// CachedImages is [Images] on this machine: images come from a cache, and qemu-img
// converts them.
type CachedImages struct {
	Cache *cache.Cache
	Tool  qemuimg.Tool
	// Rate is how many bytes per second one conversion by qemu-img may read, and one download; 0: no limit.
	Rate int64
	// Limit is that of everything else.
	Limit *blockcopy.Limiter
}

var _ Images = (*CachedImages)(nil)

// window is how much of an image is written between two checkpoints.
const window = 1 << 30

// Write writes an image, see [Images].
func (i *CachedImages) Write(ctx context.Context, want change.Image, to Target) error {
	return classifyImageError(i.write(ctx, want, to))
}

func (i *CachedImages) write(ctx context.Context, want change.Image, to Target) (err error) {
	var sum image.Checksum
	if want.SHA256 != "" {
		if sum, err = image.ParseChecksum(image.SHA256, want.SHA256); err != nil {
			return fmt.Errorf("%w: %w", change.ErrSource, err)
		}
	}
	got, err := i.Cache.Get(ctx, cache.Request{
		URL: want.URL, Path: want.Path, Checksum: sum, Limit: i.Rate,
		Progress: func(_ cache.Stage, done, total int64) {
			to.Progress(change.Progress{Done: uint64(done), Total: uint64(max(total, 0))})
		},
		Aside: func(wait func() error) error { return change.WaitAside(ctx, wait) },
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, got.Close()) }()
	source, err := i.Tool.Check(ctx, got.File, image.Format(want.Format), int64(to.Size))
	if err != nil {
		return err
	}
	if err := checkBlocks(source.Header().BlockSize, int64(want.BlockSize), to.BlockSize); err != nil {
		return err
	}
	if sum.IsZero() && to.Begun {
		// Nothing says that it is the same file as in the last attempt: half of one file
		// and half of another would be neither.
		to.From, to.ReadsZero = 0, false
	}
	return i.convert(ctx, source, to)
}

// checkBlocks is an error if the disk in an image has another block size than the device to write
// it to. What its format says is believed before what the spec says.
func checkBlocks(inImage, declared, device int64) error {
	counts := cmp.Or(inImage, declared, spec.DefaultBlockSize)
	if device == 0 || counts == device {
		return nil
	}
	advice := fmt.Sprintf("Use a Pool on disks with blocks of %d bytes", counts)
	if inImage == 0 {
		advice += fmt.Sprintf(", or set spec.source.image.blockSize: %d if the image was made for that size", device)
	}
	return fmt.Errorf("%w: the image has logical blocks of %d bytes, the volume of %d; "+
		"its partition tables and file systems would be unreadable. %s", change.ErrSource, counts, device, advice)
}

// convert writes window by window.
func (i *CachedImages) convert(ctx context.Context, source qemuimg.Source, to Target) error {
	size := source.Header().VirtualSize
	from := min(int64(to.From), size)
	if err := to.Checkpoint(uint64(from)); err != nil {
		return err
	}
	if from == 0 && !to.ReadsZero {
		// What is behind the image comes first: where it begins is rounded down.
		behind := blockcopy.Clear{Device: to.Path, UUID: to.UUID, Size: int64(to.Size), From: size, Limit: i.Limit}
		if _, err := behind.Run(ctx); err != nil {
			return err
		}
	}
	for from < size {
		end := min(from+window, size)
		done := from
		err := i.Tool.Convert(ctx, qemuimg.Conversion{
			Source: source, Target: to.Path, TargetUUID: to.UUID, TargetIsZero: to.ReadsZero, From: from, To: end, Limit: i.Rate, Limiter: i.Limit,
			Progress: func(n, _ int64) { to.Progress(change.Progress{Done: uint64(done + n), Total: uint64(size)}) },
		})
		if err != nil {
			return err
		}
		if from = end; from < size {
			if err := to.Checkpoint(uint64(from)); err != nil {
				return err
			}
		}
	}
	return nil
}

// classifyImageError gives an error the class that says whether the image, its source or the node is at fault.
func classifyImageError(err error) error {
	var status *fetch.StatusError
	switch {
	case errors.Is(err, change.ErrSource):
		return err
	case errors.Is(err, image.ErrRefused), errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission),
		errors.As(err, &status) && status.Code < 500 && status.Code != 408 && status.Code != 429:
		return fmt.Errorf("%w: %w", change.ErrSource, err)
	case errors.Is(err, qemuimg.ErrTargetBusy):
		return fmt.Errorf("%w: %w", change.ErrInUse, err)
	}
	return err
}
