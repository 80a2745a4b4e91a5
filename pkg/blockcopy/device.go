package blockcopy

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/lvdevice"
)

// device is an open block device or regular file. Its methods may be called from
// several goroutines.
type device struct {
	path     string
	fd       int // direct, unless direct is false
	block    bool
	rdev     uint64 // of a block device
	dev, ino uint64 // of a regular file
	size     int64
	zeroes   bool // a block device that zeroes by itself

	direct atomic.Bool // fd is open with O_DIRECT, and the kernel took requests so far
	noZero atomic.Bool // the kernel cannot zero here: zeroes are written

	buffered     sync.Once // opens the next two
	bufferedFD   int
	bufferedErr  error
	bufferedMode int
}

// How a device is opened.
const (
	reading = unix.O_RDONLY
	writing = unix.O_RDWR
	// claiming refuses a block device that is mounted or that something else has
	// claimed, and keeps others from claiming it until it is closed.
	claiming = unix.O_RDWR | unix.O_EXCL
	// holding is claiming without writing. Whoever closes what was open for writing
	// makes udev look at it.
	holding = unix.O_RDONLY | unix.O_EXCL
)

// openDevice opens a device, which has to be the logical volume with a UUID, unless that is empty.
func openDevice(path, uuid string, mode int) (*device, error) {
	// Opening a FIFO would wait, and opening a tape would move it.
	if st, err := os.Stat(path); err != nil {
		return nil, &Error{Op: "open", Path: path, Offset: -1, Err: errors.Unwrap(err)}
	} else if !st.Mode().IsRegular() && st.Mode().Type() != os.ModeDevice {
		return nil, &Error{Op: "open", Path: path, Offset: -1, Err: errors.New("not a block device or regular file")}
	}
	d := &device{path: path, bufferedFD: -1, bufferedMode: mode &^ unix.O_EXCL}
	fd, err := unix.Open(path, mode|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	d.direct.Store(err == nil)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.Open(path, mode|unix.O_CLOEXEC, 0)
	}
	if err != nil {
		return nil, &Error{Op: "open", Path: path, Offset: -1, Err: err}
	}
	d.fd = fd
	if err := errors.Join(lvdevice.Check(fd, uuid), d.inspect()); err != nil {
		d.close()
		return nil, &Error{Op: "open", Path: path, Offset: -1, Err: err}
	}
	return d, nil
}

// openSized opens a device that is not smaller than size.
func openSized(path, uuid string, mode int, size int64) (*device, error) {
	d, err := openDevice(path, uuid, mode)
	if err == nil && d.size < size {
		d.close()
		return nil, fmt.Errorf("%s has %d bytes, of %d: %w", path, d.size, size, ErrSize)
	}
	return d, err
}

// openTarget opens a device to write to, which nothing else may have claimed unless it
// is shared.
func openTarget(path, uuid string, shared bool, size int64) (*device, error) {
	if shared {
		return openSized(path, uuid, writing, size)
	}
	return openSized(path, uuid, claiming, size)
}

// inspect finds out what it is that has been opened.
func (d *device) inspect() error {
	var st unix.Stat_t
	if err := unix.Fstat(d.fd, &st); err != nil {
		return err
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFBLK:
		d.block, d.rdev = true, st.Rdev
		d.zeroes = zeroesByItself(st.Rdev)
	case unix.S_IFREG:
		d.dev, d.ino = st.Dev, st.Ino
	default:
		return errors.New("not a block device or regular file")
	}
	size, err := unix.Seek(d.fd, 0, unix.SEEK_END)
	d.size = size
	return err
}

// zeroesByItself reports whether the kernel sends WRITE ZEROES to the device,
// instead of writing zero pages.
func zeroesByItself(rdev uint64) bool {
	dir := fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(rdev), unix.Minor(rdev))
	// A partition has its disk's queue.
	for _, queue := range []string{"/queue", "/../queue"} {
		if b, err := os.ReadFile(dir + queue + "/write_zeroes_max_bytes"); err == nil {
			return strings.TrimSpace(string(b)) != "0"
		}
	}
	return false
}

func (d *device) close() {
	_ = unix.Close(d.fd) // everything that matters was flushed, and checked, before
	if d.bufferedFD >= 0 {
		_ = unix.Close(d.bufferedFD)
	}
}

// isSame reports whether both are one device or file, under whatever names.
func (d *device) isSame(o *device) bool {
	return d.block == o.block && d.rdev == o.rdev && d.dev == o.dev && d.ino == o.ino
}

// checkSize is an error if the device is smaller than size by now: what is missing
// of a file must not pass for a hole.
func (d *device) checkSize(size int64) error {
	end, err := unix.Seek(d.fd, 0, unix.SEEK_END)
	if err == nil && end < size {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return &Error{Op: "read", Path: d.path, Offset: end, Length: size - end, Err: err}
	}
	return nil
}

// readFull reads n bytes at off into b, which is a whole buffer.
func (d *device) readFull(b []byte, n int, off int64) error {
	for got := 0; got < n; {
		// Direct requests are rounded up. Nothing is there beyond the end of a
		// device or file, so these return less.
		want := b[got:min((n+align-1)&^(align-1), len(b))]
		m, err := d.request(unix.Pread, want, b[got:n], off+int64(got))
		if err == nil && m == 0 {
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return &Error{Op: "read", Path: d.path, Offset: off + int64(got), Length: int64(n - got), Err: err}
		}
		got += m
	}
	return nil
}

// writeFull writes b at off.
func (d *device) writeFull(b []byte, off int64) error {
	for len(b) > 0 {
		n := len(b)
		if n > align {
			n &^= align - 1 // what is left over is written by the page cache
		}
		m, err := d.request(unix.Pwrite, b[:n], b[:n], off)
		if err == nil && m == 0 {
			err = io.ErrShortWrite
		}
		if err != nil {
			return &Error{Op: "write", Path: d.path, Offset: off, Length: int64(len(b)), Err: err}
		}
		b, off = b[m:], off+int64(m)
	}
	return nil
}

// request makes one request: direct with the first slice if that is possible,
// otherwise by the page cache with the second.
func (d *device) request(call func(int, []byte, int64) (int, error), direct, buffered []byte, off int64) (int, error) {
	aligned := (uintptr(unsafe.Pointer(unsafe.SliceData(direct)))|uintptr(len(direct))|uintptr(off))&(align-1) == 0
	if aligned && d.direct.Load() {
		n, err := retryInterrupted(call, d.fd, direct, off)
		if !errors.Is(err, unix.EINVAL) {
			return n, err
		}
		d.direct.Store(false) // opened with O_DIRECT, but does not mean it
	}
	fd, err := d.openBuffered()
	if err != nil {
		return 0, err
	}
	return retryInterrupted(call, fd, buffered, off)
}

// retryInterrupted repeats a call that a signal interrupted. Go's own signals do that.
func retryInterrupted(call func(int, []byte, int64) (int, error), fd int, b []byte, off int64) (int, error) {
	for {
		n, err := call(fd, b, off)
		if !errors.Is(err, unix.EINTR) {
			return max(n, 0), err
		}
	}
}

// openBuffered opens what fd has open a second time, by the page cache. The path
// may mean something else by now; the descriptor does not.
func (d *device) openBuffered() (int, error) {
	d.buffered.Do(func() {
		d.bufferedFD, d.bufferedErr = unix.Open(fmt.Sprintf("/proc/self/fd/%d", d.fd), d.bufferedMode|unix.O_CLOEXEC, 0)
	})
	return d.bufferedFD, d.bufferedErr
}

// writeZeroes makes a range read as zeroes, by the fastest way there is.
func (d *device) writeZeroes(off, n int64) error {
	if whole := n &^ (align - 1); whole > 0 {
		switch err := d.zeroByKernel(off, whole); {
		case err == nil:
			off, n = off+whole, n-whole
		case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOTTY), errors.Is(err, unix.ENOSYS):
			d.noZero.Store(true)
		default:
			return &Error{Op: "zero", Path: d.path, Offset: off, Length: n, Err: err}
		}
	}
	for n > 0 {
		part := min(n, grain)
		if err := d.writeFull(zeroes[:part], off); err != nil {
			return err
		}
		off, n = off+part, n-part
	}
	return nil
}

func (d *device) zeroByKernel(off, n int64) error {
	if d.noZero.Load() {
		return unix.EOPNOTSUPP
	}
	if d.block {
		return d.ioctlRange(unix.BLKZEROOUT, off, n)
	}
	return d.punch(off, n)
}

// discard tells the device that a range is not needed any more.
func (d *device) discard(off, n int64) error {
	var err error
	if d.block {
		err = d.ioctlRange(unix.BLKDISCARD, off, n)
	} else {
		err = d.punch(off, n)
	}
	if err != nil {
		return &Error{Op: "discard", Path: d.path, Offset: off, Length: n, Err: err}
	}
	return nil
}

func (d *device) punch(off, n int64) error {
	for {
		err := unix.Fallocate(d.fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, off, n)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

func (d *device) ioctlRange(request uint, off, n int64) error {
	arg := [2]uint64{uint64(off), uint64(n)}
	for {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(d.fd), uintptr(request), uintptr(unsafe.Pointer(&arg)))
		if errno == 0 {
			return nil
		}
		if errno != unix.EINTR {
			return errno
		}
	}
}

// flush returns when everything that was written is on the medium.
func (d *device) flush() error {
	for {
		err := unix.Fdatasync(d.fd)
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			return &Error{Op: "flush", Path: d.path, Offset: -1, Err: err}
		}
	}
}
