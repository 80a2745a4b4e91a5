package backup

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// ErrDamaged is the error when data is not what its digest says: in the repository, or on the device
// after it was written.
var ErrDamaged = errors.New("the data does not have the digest that was recorded when it was backed up")

// Restore writes a backup to a device or file. What it holds is lost.
type Restore struct {
	Repository restic.Repository
	Snapshot   string // the ID
	// Device is a block device that nothing else has claimed, or a regular file of its final size; UUID, unless
	// it is empty, is that of the logical volume that it has to be. A smaller one than the
	// backup's volume is refused with [blockcopy.ErrSize].
	Device, UUID string
	// TargetIsZero says that the device reads as zeroes wherever nothing was written: only what is not zero is
	// written. Otherwise zeroes are written, also behind the end of the backup's volume.
	TargetIsZero bool
	// Chunk is the unit in which zeroes are left out: that of the thin pool, or 64 KiB if it is 0.
	Chunk int64
	// From is where an interrupted restore continues: an offset that Checkpoint was called with.
	From int64
	// NoVerify does without reading back what was written.
	NoVerify bool
	Limiter  *blockcopy.Limiter
	// Progress, if set, is called at most four times a second, and at the end.
	Progress func(Progress)
	// Checkpoint, if set, is called when everything before the offset has been written and flushed: every
	// CheckpointEvery bytes, at least every 30 seconds while the restore moves on, and when
	// everything was written and is to be verified. An error ends the restore.
	Checkpoint func(offset int64) error
	// CheckpointEvery is [blockcopy.CheckpointEvery] if it is 0.
	CheckpointEvery int64
}

// Restored is what a restore did, in bytes.
type Restored struct {
	// Size is that of the backup's volume.
	Size int64
	// Read is what came from the repository; Written what was written to the device, Skipped what was not
	// because it is zero.
	Read, Written, Skipped int64
	Description            Description
}

// checkpointAfter is after what time a checkpoint comes at the latest.
const checkpointAfter = 30 * time.Second

// Run restores. When it returns without an error everything was written, flushed, and has the digests
// of the backup. Otherwise the device holds parts of it; everything before the last checkpoint is good. The error is
// [ErrFormat] or [blockcopy.ErrSize] before anything is written, [ErrDamaged], [blockcopy.Error] or
// [restic.Error].
func (r Restore) Run(ctx context.Context) (Restored, error) {
	done, err := r.run(ctx)
	if err != nil && ctx.Err() != nil {
		err = ctx.Err() // restic was ended: that its stream is not complete says nothing of the backup
	}
	if err != nil {
		return done, fmt.Errorf("cannot restore snapshot %s of %s to %s: %w", r.Snapshot, r.Repository, r.Device, err)
	}
	return done, nil
}

func (r Restore) run(ctx context.Context) (Restored, error) {
	d, err := Inspect(ctx, r.Repository, r.Snapshot)
	if err != nil {
		return Restored{}, err
	}
	done := Restored{Size: d.Index.Size, Description: d}
	if r.From < 0 || r.From > d.Index.Size {
		return done, fmt.Errorf("offset %d is out of range (size %d bytes)", r.From, d.Index.Size)
	}
	target, err := blockcopy.OpenTarget(r.Device, r.UUID, d.Index.Size)
	if err != nil {
		return done, err
	}
	defer target.Close()
	w := newRestorer(r, d.Index, target)
	if err := w.write(ctx); err != nil {
		return w.result(done), err
	}
	done = w.result(done)
	if !r.NoVerify {
		if err := w.verify(ctx); err != nil {
			return done, err
		}
	}
	w.progress(d.Index.Size, true)
	return done, nil
}

// sliceStream is the slices of a tar stream, which have to be those of the index, in its order.
type sliceStream struct {
	index *format.Index
	next  int // the position of the slice that has to come next
	dirs  map[string]bool
	// slice is handed the content of one, and reads all of it.
	slice func(position int, content io.Reader) error
}

// read reads a stream to the end of the slices up to position end.
func (s *sliceStream) read(stream io.Reader, end int) error {
	archive := tar.NewReader(stream)
	for {
		header, err := archive.Next()
		switch {
		case errors.Is(err, io.EOF) && s.next >= end:
			return nil
		case errors.Is(err, io.EOF):
			return fmt.Errorf("%w: the stream ends before %s", ErrFormat, s.path(s.next))
		case err != nil:
			return fmt.Errorf("%w: %w", ErrFormat, err)
		}
		name := cleanName(header.Name)
		switch {
		case header.Typeflag == tar.TypeDir:
			err = s.dir(name)
		case header.Typeflag != tar.TypeReg:
			err = fmt.Errorf("%w: %q is neither a file nor a directory", ErrFormat, header.Name)
		case s.next < end && name == s.path(s.next):
			err = s.file(archive, header.Size)
		case s.next >= end && isDescription(name):
			// It was read before.
		default:
			err = fmt.Errorf("%w: %q in the place of %s", ErrFormat, header.Name, s.path(s.next))
		}
		if err != nil {
			return err
		}
	}
}

func (s *sliceStream) path(position int) string {
	if position >= len(s.index.Present) {
		return "the end"
	}
	return s.index.Path(int(s.index.Present[position]))
}

func isDescription(name string) bool {
	for _, f := range []string{format.Digests, format.Times, format.VolumeYAML} {
		if name == format.Dir+"/"+f {
			return true
		}
	}
	return false
}

// dir takes in a directory. Some versions of restic write one before what is in it.
func (s *sliceStream) dir(name string) error {
	_, known := s.index.DirOf(name)
	if s.dirs == nil {
		s.dirs = map[string]bool{}
	}
	if s.dirs[name] || !known && name != format.Dir && name != "" && name != "." {
		return fmt.Errorf("%w: unexpected directory %q", ErrFormat, name)
	}
	s.dirs[name] = true
	return nil
}

func (s *sliceStream) file(content io.Reader, size int64) error {
	slice := int(s.index.Present[s.next])
	if want := s.index.Length(slice); size != want {
		return fmt.Errorf("%w: %s has %d bytes instead of %d", ErrFormat, s.path(s.next), size, want)
	}
	if err := s.slice(s.next, content); err != nil {
		return err
	}
	s.next++
	return nil
}

// errSlice is the error for a slice whose content is not what it was.
func errSlice(x *format.Index, position int, where string) error {
	return fmt.Errorf("slice %s %s: %w", x.Path(int(x.Present[position])), where, ErrDamaged)
}

func newHash() *xxhash.Digest { return xxhash.New() }
