package slicefs

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/hanwen/go-fuse/v2/fuse"
)

// Window is how much of a slice is in memory. A slice of 4 MiB fits; larger ones pass in
// several windows.
const Window = 4 << 20

// Buffers of a window each: those for slices that were opened and are not read yet, and those for slices
// that are being read and had none. Whoever waits for one of the second kind waits for somebody who
// reads, never for somebody who waits.
const (
	aheadBuffers   = 2
	readingBuffers = 2
)

// patience is how long a read of digests waits while nobody reads a slice.
const patience = time.Minute

// handle is an open slice.
type handle struct {
	slice, position int

	mu     sync.Mutex
	buf    []byte        // a buffer, or nil
	pool   chan []byte   // where it came from
	start  int64         // of what is in the buffer; relative to the slice
	length int           // of what is in the buffer
	hashed int64         // so much of the slice was hashed
	sum    xxhash.Digest // of that
	err    error
}

// Open opens a file. Reads bypass the page cache: everything is read once.
func (t *tree) Open(_ <-chan struct{}, in *fuse.OpenIn, out *fuse.OpenOut) fuse.Status {
	out.OpenFlags = fuse.FOPEN_DIRECT_IO | fuse.FOPEN_NOFLUSH
	if in.NodeId < firstSlice {
		return fuse.OK
	}
	slice := int(in.NodeId - firstSlice)
	position, ok := t.index.Position(slice)
	if !ok {
		return fuse.ENOENT
	}
	h := &handle{slice: slice, position: position}
	h.sum.Reset()
	t.mu.Lock()
	t.handles[t.nextHandle], out.Fh = h, t.nextHandle
	t.nextHandle++
	t.activity = time.Now()
	t.mu.Unlock()
	select {
	case h.buf = <-t.ahead:
		h.pool = t.ahead
		h.mu.Lock()
		go func() {
			defer h.mu.Unlock()
			h.err = t.load(h, 0)
		}()
	default:
	}
	return fuse.OK
}

// Release closes a file.
func (t *tree) Release(_ <-chan struct{}, in *fuse.ReleaseIn) {
	if in.NodeId < firstSlice {
		return
	}
	t.mu.Lock()
	h := t.handles[in.Fh]
	delete(t.handles, in.Fh)
	t.activity = time.Now()
	t.mu.Unlock()
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.buf != nil {
		h.pool <- h.buf
		h.buf = nil
	}
}

// Read reads from a file.
func (t *tree) Read(cancel <-chan struct{}, in *fuse.ReadIn, buf []byte) (fuse.ReadResult, fuse.Status) {
	switch in.NodeId {
	case yamlNode:
		return fuse.ReadResultData(part(t.volumeYAML, in.Offset, len(buf))), fuse.OK
	case timesNode:
		return fuse.ReadResultData(part(t.times, in.Offset, len(buf))), fuse.OK
	case digestsNode:
		if status := t.waitForDigests(cancel); status != fuse.OK {
			return nil, status
		}
		return fuse.ReadResultData(buf[:t.index.ReadDigests(buf, int64(in.Offset))]), fuse.OK
	}
	t.mu.Lock()
	h := t.handles[in.Fh]
	t.mu.Unlock()
	if h == nil {
		return nil, fuse.EBADF
	}
	return t.readSlice(cancel, h, int64(in.Offset), len(buf))
}

func part(b []byte, offset uint64, n int) []byte {
	if offset >= uint64(len(b)) {
		return nil
	}
	return b[offset:min(uint64(len(b)), offset+uint64(n))]
}

func (t *tree) readSlice(cancel <-chan struct{}, h *handle, offset int64, n int) (fuse.ReadResult, fuse.Status) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if offset >= t.index.Length(h.slice) {
		return fuse.ReadResultData(nil), fuse.OK
	}
	if h.buf == nil {
		select {
		case h.buf = <-t.reading:
			h.pool = t.reading
		case <-cancel:
			return nil, fuse.EINTR
		case <-t.ctx.Done():
			return nil, fuse.EIO
		}
	}
	if h.err == nil && (offset < h.start || offset >= h.start+int64(h.length)) {
		h.err = t.load(h, offset/Window*Window)
	}
	if h.err != nil {
		return nil, fuse.EIO
	}
	return fuse.ReadResultData(part(h.buf[:h.length], uint64(offset-h.start), n)), fuse.OK
}

// load reads a window of a slice, and hashes it if it is the next one. When a slice has been read to its
// end, its digest is compared or recorded, before anybody can read the last window.
func (t *tree) load(h *handle, start int64) error {
	length := t.index.Length(h.slice)
	n := int(min(Window, length-start))
	offset := t.index.Offset(h.slice) + start
	h.length = 0
	err := t.limiter.Wait(t.ctx, int64(n))
	if err == nil {
		err = t.device.Read(h.buf, n, offset)
	}
	if err != nil {
		if t.ctx.Err() == nil {
			t.fail(err)
		}
		return err
	}
	h.start, h.length = start, n
	t.read.Add(int64(n))
	if start != h.hashed {
		return nil
	}
	_, _ = h.sum.Write(h.buf[:n])
	if h.hashed += int64(n); h.hashed < length {
		return nil
	}
	return t.record(h.position, h.sum.Sum64())
}

// ErrDigest is the error when a slice that has not changed since the parent is not what it was then.
var ErrDigest = errors.New("the data differs from the parent backup, although nothing is known to have changed it; " +
	"check the device for errors, then make a backup without a parent")

// record takes in the digest of a slice that was read.
func (t *tree) record(position int, sum uint64) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.pending[position] {
		t.pending[position] = false
		t.index.Digests[position] = sum
		if t.left--; t.left == 0 {
			close(t.complete)
		}
		return nil
	}
	if t.index.Digests[position] == sum {
		return nil
	}
	err := fmt.Errorf("slice at offset %d: %w", t.index.Offset(int(t.index.Present[position])), ErrDigest)
	t.failLocked(err)
	return err
}

func (t *tree) fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.failLocked(err)
}

// failLocked records the first error. Nothing is readable from then on: there is no use for the rest.
func (t *tree) failLocked(err error) {
	if t.failed == nil {
		t.failed = err
		t.stop()
	}
}

// waitForDigests returns when all digests are known, or never will be.
func (t *tree) waitForDigests(cancel <-chan struct{}) fuse.Status {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-t.ctx.Done():
			return fuse.EIO
		default:
		}
		select {
		case <-t.complete:
			return fuse.OK
		case <-cancel:
			return fuse.EINTR
		case <-t.ctx.Done():
		case <-tick.C:
			t.checkPatience()
		}
	}
}

// checkPatience fails if nobody reads the slices that a reader of digests waits for: restic takes one for
// unchanged that is not.
func (t *tree) checkPatience() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.handles) > 0 || time.Since(t.activity) < t.patience {
		return
	}
	for position, pending := range t.pending {
		if pending {
			t.failLocked(fmt.Errorf("restic did not read the changed slice %s; make a backup without a parent",
				t.index.Path(int(t.index.Present[position]))))
			return
		}
	}
}
