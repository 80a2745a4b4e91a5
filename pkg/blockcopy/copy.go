package blockcopy

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// CheckpointEvery is after how many bytes a checkpoint comes unless the caller
	// says otherwise.
	CheckpointEvery = 4 << 30
	// checkpointAfter is after what time one comes at the latest.
	checkpointAfter = 30 * time.Second

	// holeWindow is how much of a hole is zeroed in one request.
	holeWindow = 64 << 20
)

// Copy is a copy of a block device or regular file onto another. Sizes and
// offsets in bytes. The source must not change while it is copied, nor between
// the calls of a copy that continues after an interruption: copy a snapshot.
type Copy struct {
	// Source and Target are paths of block devices or regular files. A target
	// file must exist and have its size; what lies beyond Size is not changed.
	Source, Target string
	// SourceUUID and TargetUUID, unless they are empty, are those of the logical volumes that these
	// have to be. Where a path leads elsewhere by now the error is [lvdevice.ErrOther], and nothing is
	// read or written.
	SourceUUID, TargetUUID string
	// Size is how much is copied. Both must have at least as much.
	Size int64
	// From is where an interrupted copy continues: an offset that Checkpoint was
	// called with. It is rounded down to a whole MiB. 0: from the start.
	From int64
	// Extents, unless it is nil, are what is copied, and all of it; they may overlap,
	// lie in any order, and reach beyond Size. What is copied begins and ends at
	// multiples of 4 KiB, or at Size. Progress is of these bytes alone. There is no
	// Digest then and no Checkpoint, and From must be 0.
	Extents []Extent
	// TargetIsZero says that the target reads as zeroes wherever nothing was
	// written, as a new thin volume (of a pool that zeroes new chunks) and a new
	// file do: zeroes are skipped. Otherwise zeroes are written too, and the
	// target is the same as the source whatever it held before.
	TargetIsZero bool
	// OnlyDifferent reads the target too and writes only what differs, in steps
	// of 4 KiB: to write less than a chunk is the point of it, see fine.
	// TargetIsZero means nothing then.
	OnlyDifferent bool
	// NoDigest does without the digest. Between two files the kernel may then copy
	// or share the extents itself.
	NoDigest bool
	// Shared opens a target device although something else has claimed it.
	// Without it a device that is mounted or held is refused.
	Shared bool
	// SameBlocks refuses, before anything is written, a target device whose logical
	// blocks have another size than the source's, with an error that is [ErrBlockSize] and EOPNOTSUPP:
	// what addresses data in blocks, such as a partition table or an initiator, would
	// find nothing where it was.
	SameBlocks bool
	// Limit is shared by all copies that are to stay below it together. nil: none.
	Limit *Limiter
	// Progress, if set, is called at most four times a second, and at the end.
	// Done never decreases. Calls never overlap.
	Progress func(Progress)
	// Checkpoint, if set, is called when everything before the offset has been
	// written and flushed: every CheckpointEvery bytes, at least every 30 seconds
	// while the copy moves on, and not at the end. The offset is a multiple of a
	// MiB. An error ends the copy. Calls never overlap; the copy continues meanwhile.
	Checkpoint func(offset int64) error
	// CheckpointEvery is 4 GiB if it is 0.
	CheckpointEvery int64
}

// Result is what a run did, in bytes.
type Result struct {
	Read    int64 // read from the source
	Written int64 // written to the target
	Zeroed  int64 // made zero on the target without sending zeroes
	Skipped int64 // not written: zero on a target that is zero, or not different
	// Digest of the whole source, as [Digest] returns it. Empty if the copy did
	// not start at 0, because what came before was not read again, and with
	// NoDigest.
	Digest string
}

func (r *Result) add(o outcome) {
	r.Read += o.read
	r.Written += o.written
	r.Zeroed += o.zeroed
	r.Skipped += o.skipped
}

// Run copies. When it returns without an error the target is written and
// flushed. Otherwise it holds parts of both contents; everything before the last
// checkpoint is good. It returns the context's error (wrapped) when ctx ends,
// after the requests under way; an [*Error] when a request fails, and an error
// that wraps [ErrSize] before anything is written when a side is too small.
func (c Copy) Run(ctx context.Context) (Result, error) {
	result, err := c.run(ctx)
	if err != nil {
		return result, fmt.Errorf("cannot copy %s to %s: %w", c.Source, c.Target, err)
	}
	return result, nil
}

func (c Copy) run(ctx context.Context) (Result, error) {
	if err := checkRange(c.Size, c.From); err != nil {
		return Result{}, err
	}
	if c.Extents != nil && c.From != 0 {
		return Result{}, fmt.Errorf("cannot start at offset %d: a copy of extents starts with the first", c.From)
	}
	source, err := openSized(c.Source, c.SourceUUID, reading, c.Size)
	if err != nil {
		return Result{}, err
	}
	defer source.close()
	target, err := openTarget(c.Target, c.TargetUUID, c.Shared, c.Size)
	if err != nil {
		return Result{}, err
	}
	defer target.close()
	if source.isSame(target) {
		return Result{}, errors.New("source and target are the same")
	}
	if c.SameBlocks {
		if err := checkBlockSizes(source, target); err != nil {
			return Result{}, err
		}
	}
	return c.copyOpen(ctx, source, target)
}

// checkBlockSizes is an error if the logical blocks of two block devices differ in size.
func checkBlockSizes(source, target *device) error {
	if !source.block || !target.block {
		return nil
	}
	from, fromErr := unix.IoctlGetInt(source.fd, unix.BLKSSZGET)
	to, toErr := unix.IoctlGetInt(target.fd, unix.BLKSSZGET)
	if err := errors.Join(fromErr, toErr); err != nil {
		return err
	}
	if from != to {
		return fmt.Errorf("%w: %d and %d bytes: %w", ErrBlockSize, from, to, unix.EOPNOTSUPP)
	}
	return nil
}

// LogicalBlockSize returns the size of a block device's logical blocks, in bytes; 0 of a
// file that is none.
func LogicalBlockSize(path string) (int64, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	if info, err := f.Stat(); err != nil || info.Mode()&os.ModeDevice == 0 {
		return 0, err
	}
	size, err := unix.IoctlGetInt(int(f.Fd()), unix.BLKSSZGET)
	if err != nil {
		return 0, fmt.Errorf("cannot read the block size of %s: %w", path, err)
	}
	return int64(size), nil
}

// copyOpen copies between open devices.
func (c Copy) copyOpen(ctx context.Context, source, target *device) (Result, error) {
	from := c.From &^ (blockSize - 1)
	window := int64(holeWindow)
	if c.OnlyDifferent {
		window = blockSize // each block of the target is read
	}
	size, take := c.Size, dataSpans(source, c.Size, from, window)
	if c.Extents != nil {
		extents := Merge(c.Extents, c.Size, align)
		size, take = Total(extents), extentSpans(extents)
		c.NoDigest, c.Checkpoint = true, nil
	}
	e := &engine{
		size: size, from: from, limit: c.Limit,
		take:     take,
		flush:    target.flush,
		progress: c.Progress, checkpoint: c.Checkpoint, checkpointEvery: c.CheckpointEvery,
	}
	p := &copier{Copy: c, reader: reader{source: source, noSum: c.NoDigest}, engine: e, target: target}
	e.work = p.work
	result, err := e.run(ctx)
	if err == nil {
		err = source.checkSize(c.Size)
	}
	if c.NoDigest || err != nil {
		result.Digest = ""
	}
	return result, err
}

func checkRange(size, from int64) error {
	if size < 0 || from < 0 || from > size {
		return fmt.Errorf("offset %d is out of range (size %d bytes)", from, size)
	}
	return nil
}
