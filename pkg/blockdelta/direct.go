package blockdelta

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"unsafe"

	"golang.org/x/sys/unix"
)

// alignment is what direct I/O asks for, at most, of devices that LVM uses.
const alignment = 4096

// direct is a block device that is read past the page cache, which does not know what
// the kernel itself writes to it.
type direct struct {
	path string
	fd   int
	size int64
}

func openDirect(path string) (*direct, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECT|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	d := &direct{path: path, fd: fd}
	if d.size, err = unix.Seek(fd, 0, unix.SEEK_END); err != nil {
		d.close()
		return nil, &fs.PathError{Op: "seek", Path: path, Err: err}
	}
	return d, nil
}

func (d *direct) close() { _ = unix.Close(d.fd) } // nothing was written

// ReadAt reads into memory that is [aligned], from an offset that is a multiple of the
// same.
func (d *direct) ReadAt(b []byte, offset int64) (int, error) {
	done := 0
	for done < len(b) {
		n, err := unix.Pread(d.fd, b[done:], offset+int64(done))
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return done, fmt.Errorf("%s at %d: %w", d.path, offset+int64(done), err)
		case n == 0:
			return done, io.ErrUnexpectedEOF
		}
		done += n
	}
	return done, nil
}

// aligned returns memory for direct I/O.
func aligned(size int) []byte {
	b := make([]byte, size+alignment)
	start := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) % alignment)
	return b[start : start+size : start+size]
}
