package fakehost

import (
	"context"
	"crypto/sha256"
	"fmt"
	"path"
	"strings"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// Engine copies and clears on the devices of a machine, as package blockcopy does,
// in a few pieces, after each of which there is a checkpoint.
type Engine struct{ Devices Devices }

// pieces is into how many pieces everything is cut that is larger than a MiB.
const pieces = 4

// Discarded is what reads after a discard where nothing is known of the device.
const Discarded = "discarded"

// Copy copies, see [blockcopy.Copy].
func (e Engine) Copy(ctx context.Context, c blockcopy.Copy) (blockcopy.Result, error) {
	_, err := e.Devices.ReadBlocks(c.Source, 0, uint64(c.Size))
	if err == nil {
		_, err = e.Devices.ReadBlocks(c.Target, 0, uint64(c.Size))
	}
	if err == nil && c.Source == c.Target {
		err = fmt.Errorf("source and target are the same")
	}
	if err == nil && c.SameBlocks {
		err = e.sameBlocks(c.Source, c.Target)
	}
	if err != nil {
		return blockcopy.Result{}, fmt.Errorf("copy %s to %s: %w", c.Source, c.Target, err)
	}
	move := func(from, to uint64) error {
		data, err := e.Devices.ReadBlocks(c.Source, from, to)
		if err != nil {
			return err
		}
		if !c.TargetIsZero || c.OnlyDifferent {
			return e.Devices.WriteBlocks(c.Target, from, to, data)
		}
		for _, s := range data { // zeroes are skipped
			if err := e.Devices.WriteBlocks(c.Target, s.From, s.To, []Span{s}); err != nil {
				return err
			}
		}
		return nil
	}
	if c.Extents == nil {
		return e.each(ctx, c.From, c.Size, c.Progress, c.Checkpoint, move)
	}
	for _, x := range blockcopy.Merge(c.Extents, c.Size, 1) {
		if err := ctx.Err(); err != nil {
			return blockcopy.Result{}, err
		}
		if err := move(uint64(x.Offset), uint64(x.Offset+x.Length)); err != nil {
			return blockcopy.Result{}, err
		}
	}
	return blockcopy.Result{}, nil
}

func (e Engine) sameBlocks(source, target string) error {
	from, err := e.Devices.BlockSize(source)
	if err != nil {
		return err
	}
	to, err := e.Devices.BlockSize(target)
	if err == nil && from != to {
		err = fmt.Errorf("%w: %d and %d bytes: %w", blockcopy.ErrBlockSize, from, to, syscall.EOPNOTSUPP)
	}
	return err
}

// BlockSize returns the size of a device's blocks, see [blockcopy.LogicalBlockSize].
func (e Engine) BlockSize(path string) (int64, error) { return e.Devices.BlockSize(path) }

// Changed returns where two logical volumes, vg/lv, differ, and somewhat more.
func (e Engine) Changed(ctx context.Context, since, now string) ([]blockcopy.Extent, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	spans, err := e.Devices.ChangedBlocks(since, now)
	extents := []blockcopy.Extent{}
	for _, s := range spans {
		extents = append(extents, blockcopy.Extent{Offset: int64(s.From), Length: int64(s.To - s.From)})
	}
	return extents, err
}

// Claim opens a device alone, see [blockcopy.Claim].
func (e Engine) Claim(path, _ string) (release func(), err error) { return e.Devices.ClaimBlocks(path) }

// Clear clears, see [blockcopy.Clear].
func (e Engine) Clear(ctx context.Context, c blockcopy.Clear) (blockcopy.Result, error) {
	if _, err := e.Devices.ReadBlocks(c.Device, 0, uint64(c.Size)); err != nil {
		return blockcopy.Result{}, fmt.Errorf("clear %s: %w", c.Device, err)
	}
	return e.each(ctx, c.From, c.Size, c.Progress, c.Checkpoint, func(from, to uint64) error {
		var left []Span
		if c.Discard {
			left = []Span{{from, to, Discarded}}
		}
		return e.Devices.WriteBlocks(c.Device, from, to, left)
	})
}

// WriteImage writes what is in an image to the start of a device of a size, and
// zeroes behind it. There is a checkpoint before the first piece, too.
func (e Engine) WriteImage(ctx context.Context, image []Span, path string, size, from int64, zero bool, checkpoint func(int64) error) error {
	if err := checkpoint(from); err != nil {
		return err
	}
	_, err := e.each(ctx, from, size, nil, checkpoint, func(from, to uint64) error {
		if !zero {
			return e.Devices.WriteBlocks(path, from, to, cut(image, from, to))
		}
		for _, s := range cut(image, from, to) {
			if err := e.Devices.WriteBlocks(path, s.From, s.To, []Span{s}); err != nil {
				return err
			}
		}
		return nil
	})
	return err
}

// Restore is WriteImage, of a backup.
func (e Engine) Restore(ctx context.Context, content []Span, path string, size, from int64, zero bool, checkpoint func(int64) error) error {
	return e.WriteImage(ctx, content, path, size, from, zero, checkpoint)
}

// each works piece by piece. What a checkpoint says has been written by then.
func (e Engine) each(ctx context.Context, from, size int64, progress func(blockcopy.Progress), checkpoint func(int64) error, do func(from, to uint64) error) (blockcopy.Result, error) {
	const mib = 1 << 20
	piece := max((size/pieces+mib-1)/mib*mib, mib)
	for from = from / mib * mib; from < size; {
		if err := ctx.Err(); err != nil {
			return blockcopy.Result{}, err
		}
		to := min(from+piece, size)
		if err := do(uint64(from), uint64(to)); err != nil {
			return blockcopy.Result{}, err
		}
		if from = to; checkpoint != nil && to < size {
			if err := checkpoint(to); err != nil {
				return blockcopy.Result{}, err
			}
		}
		if progress != nil {
			progress(blockcopy.Progress{Done: to, Total: size})
		}
	}
	return blockcopy.Result{}, nil
}

// ExportImage writes what is in a device of a size to an image file, with its
// checksum in another one beside it. The checksum comes first: where there are both,
// the image is complete. A file that is there is left alone, and an error, unless it is a
// checksum that a crash has left.
func (e Engine) ExportImage(ctx context.Context, device string, size int64, file string) error {
	var image strings.Builder
	_, err := e.each(ctx, 0, size, nil, nil, func(from, to uint64) error {
		data, err := e.Devices.ReadBlocks(device, from, to)
		fmt.Fprint(&image, data)
		return err
	})
	if err != nil {
		return err
	}
	sum := fmt.Sprintf("%x  %s\n", sha256.Sum256([]byte(image.String())), path.Base(file))
	if err := e.Devices.CreateFile(File{Path: file + ".sha256", Text: sum, part: true}, true); err != nil {
		return err
	}
	return e.Devices.CreateFile(File{Path: file, Size: uint64(size)}, false)
}
