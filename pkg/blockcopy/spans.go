package blockcopy

import (
	"errors"

	"golang.org/x/sys/unix"
)

// span is one piece of work: a block (the last one may be shorter), or several
// whole blocks that are known to be a hole.
type span struct {
	off, len int64
	hole     bool
	// shift is how far behind off it lies in the source.
	shift int64
}

// dataSpans returns a function that walks over a source from a block's start.
// Holes come in spans of at most window bytes, a multiple of a block. A block
// that is a hole only in part is data: reading it gives the zeroes.
func dataSpans(d *device, size, from, window int64) func() (span, bool, error) {
	off := from
	var dataUntil int64 // before this there is data, without another look
	if d.block {
		dataUntil = size
	}
	return func() (span, bool, error) {
		if off >= size {
			return span{}, false, nil
		}
		s := span{off: off, len: min(blockSize, size-off)}
		if off >= dataUntil {
			data, hole, err := d.nextData(off, size)
			if err != nil {
				return span{}, false, err
			}
			dataUntil = hole
			if blocks := (data - off) / blockSize; blocks > 0 {
				s.len = min(blocks*blockSize, window)
				s.hole = true
				dataUntil = 0
			}
		}
		off += s.len
		return s, true, nil
	}
}

// extentSpans returns a function that walks over merged extents, in blocks.
func extentSpans(extents []Extent) func() (span, bool, error) {
	at := int64(0) // in the first extent
	return func() (span, bool, error) {
		for len(extents) > 0 && at >= extents[0].Length {
			extents, at = extents[1:], 0
		}
		if len(extents) == 0 {
			return span{}, false, nil
		}
		s := span{off: extents[0].Offset + at, len: min(blockSize, extents[0].Length-at)}
		at += s.len
		return s, true, nil
	}
}

// nextData returns where the next data after off begins and ends; both are size
// if there is none. A file system that knows no holes has data everywhere.
func (d *device) nextData(off, size int64) (data, hole int64, err error) {
	data, err = unix.Seek(d.fd, off, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO):
		// No data from here on; or the file has become shorter.
		if err := d.checkSize(size); err != nil {
			return 0, 0, err
		}
		return size, size, nil
	case errors.Is(err, unix.EINVAL):
		return off, size, nil
	case err != nil:
		return 0, 0, &Error{Op: "read", Path: d.path, Offset: off, Err: err}
	}
	if data >= size {
		return size, size, nil
	}
	hole, err = unix.Seek(d.fd, data, unix.SEEK_HOLE)
	if err != nil {
		return 0, 0, &Error{Op: "read", Path: d.path, Offset: off, Err: err}
	}
	return data, min(hole, size), nil
}
