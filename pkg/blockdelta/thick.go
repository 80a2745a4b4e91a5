package blockdelta

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// thick reads what changed since a copy-on-write snapshot was taken from its
// copy-on-write space: every chunk of the origin that was written to has been copied
// there before, and the list of these was on the disk by the time that the write was
// done.
func (*Reader) thick(ctx context.Context, since volume) ([]blockcopy.Extent, error) {
	cow, err := openDirect("/dev/mapper/" + device(since.vg, since.name, "-cow"))
	if err != nil {
		return nil, err
	}
	defer cow.close()
	all := collect(since.size)
	if err := exceptions(ctx, cow, cow.size, since.size, all.add); err != nil {
		return nil, fmt.Errorf("%s: %w", cow.path, err)
	}
	return all.all(), nil
}

// What is on the disk (drivers/md/dm-snap-persistent.c), all of it little-endian: a
// chunk with the header, 4 numbers of 32 bits; then, again and again, a chunk with
// exceptions and the chunks that these are of. An exception is 2 numbers of 64 bits, of
// a chunk of the origin and the chunk that it was copied to. One that was copied to the
// header ends the list.
const (
	magic     = 0x70416e53 // SnAp
	version   = 1
	exception = 16

	sector = 512
	// Chunks have these sizes (lvcreate(8), --chunksize).
	smallestChunk = 4 << 10
	largestChunk  = 512 << 10
)

// exceptions calls a function for each chunk of an origin that is in a copy-on-write
// space. Sizes are in bytes. cow must not return what a cache had of it.
func exceptions(ctx context.Context, cow io.ReaderAt, cowSize, originSize int64, add func(offset, length int64)) error {
	chunk, err := readHeader(cow)
	if err != nil {
		return err
	}
	var (
		perArea   = chunk / exception
		chunks    = uint64(cowSize / chunk)
		ofOrigin  = uint64((originSize + chunk - 1) / chunk)
		buf       = aligned(int(chunk))
		isListed  = func(c uint64) bool { return c%uint64(perArea+1) == 1 } // one with exceptions
		malformed = func(area int64, n int, old, copied uint64) error {
			return fmt.Errorf("%w: damaged or unknown snapshot format: exception %d of area %d is chunk %d, copied to %d, of %d and %d", ErrLost, n, area, old, copied, ofOrigin, chunks)
		}
	)
	for area := int64(0); ; area++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		at := 1 + area*(perArea+1)
		if uint64(at) >= chunks {
			return fmt.Errorf("%w: the list of exceptions has no end", ErrLost)
		}
		if n, err := cow.ReadAt(buf, at*chunk); n < len(buf) {
			return fmt.Errorf("cannot read the exceptions at %d: %w", at*chunk, err)
		}
		for i := range int(perArea) {
			old := binary.LittleEndian.Uint64(buf[i*exception:])
			copied := binary.LittleEndian.Uint64(buf[i*exception+8:])
			if copied == 0 {
				return nil
			}
			if old >= ofOrigin || copied >= chunks || isListed(copied) {
				return malformed(area, i, old, copied)
			}
			add(int64(old)*chunk, chunk)
		}
	}
}

// readHeader returns the size of a chunk, in bytes.
func readHeader(cow io.ReaderAt) (int64, error) {
	buf := aligned(smallestChunk)
	if n, err := cow.ReadAt(buf, 0); n < len(buf) {
		return 0, fmt.Errorf("cannot read the header: %w", err)
	}
	number := func(i int) uint32 { return binary.LittleEndian.Uint32(buf[4*i:]) }
	chunk := int64(number(3)) * sector
	switch {
	case number(0) != magic:
		return 0, fmt.Errorf("%w: the header is not that of a copy-on-write snapshot", ErrLost)
	case number(1) == 0:
		return 0, fmt.Errorf("%w: the copy-on-write space overflowed", ErrLost)
	case number(1) != 1, number(2) != version:
		return 0, fmt.Errorf("%w: unknown format (valid %d, version %d)", ErrLost, number(1), number(2))
	case chunk < smallestChunk, chunk > largestChunk, bits.OnesCount64(uint64(chunk)) != 1:
		return 0, fmt.Errorf("%w: unsupported chunk size of %d bytes", ErrLost, chunk)
	}
	return chunk, nil
}
