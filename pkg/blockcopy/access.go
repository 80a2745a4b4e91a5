package blockcopy

import (
	"context"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Access is an open block device or regular file, for those who read or write it piece by piece
// in an order of their own. I/O is direct where that is possible. Its methods may be called from several
// goroutines; errors are [*Error].
type Access struct{ d *device }

// OpenSource opens a device of at least size bytes for reading. It has to be the logical
// volume with a UUID, unless that is empty: see [lvdevice.ErrOther].
func OpenSource(path, uuid string, size int64) (*Access, error) {
	d, err := openSized(path, uuid, reading, size)
	if err != nil {
		return nil, err
	}
	return &Access{d}, nil
}

// OpenTarget opens a device of at least size bytes for writing. What is mounted or claimed by anything else
// is refused, and nothing can claim it until it is closed.
func OpenTarget(path, uuid string, size int64) (*Access, error) {
	d, err := openTarget(path, uuid, false, size)
	if err != nil {
		return nil, err
	}
	return &Access{d}, nil
}

// Close closes it. What has to last must have been flushed.
func (a *Access) Close() { a.d.close() }

// Size is the size when it was opened.
func (a *Access) Size() int64 { return a.d.size }

// Read reads n bytes at an offset, a multiple of 4 KiB, into b. For direct I/O b is of [Memory], and
// its length is not less than n rounded up to 4 KiB.
func (a *Access) Read(b []byte, n int, offset int64) error { return a.d.readFull(b, n, offset) }

// Write writes b at an offset.
func (a *Access) Write(b []byte, offset int64) error { return a.d.writeFull(b, offset) }

// WriteZeroes makes a range zero, by the fastest way there is. On a thin volume that allocates it all.
func (a *Access) WriteZeroes(offset, length int64) error { return a.d.writeZeroes(offset, length) }

// Flush returns when everything that was written is on the medium.
func (a *Access) Flush() error { return a.d.flush() }

// Memory returns size bytes, aligned for direct I/O, that are no burden to the garbage collector, and a
// function that gives them back.
func Memory(size int) ([]byte, func(), error) {
	const huge = 2 << 20
	mapping, err := unix.Mmap(-1, 0, size+huge, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_NORESERVE)
	if err != nil {
		return nil, nil, &Error{Op: "map", Path: "a buffer", Offset: -1, Err: err}
	}
	start := int(-uintptr(unsafe.Pointer(unsafe.SliceData(mapping))) % huge)
	memory := mapping[start : start+size : start+size]
	_ = unix.Madvise(memory, unix.MADV_HUGEPAGE) // as in buffers.get
	mapped.Add(int64(size))
	return memory, func() {
		if unix.Munmap(mapping) == nil {
			mapped.Add(-int64(size))
		}
	}, nil
}

// Wait returns when n bytes may be read, or with the context's error. See [Limiter].
func (l *Limiter) Wait(ctx context.Context, n int64) error { return l.wait(ctx, n) }

// IsZero reports whether b is all zeroes.
func IsZero(b []byte) bool { return isZero(b) }

// String names the device, for messages.
func (a *Access) String() string { return a.d.path }
