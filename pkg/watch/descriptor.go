package watch

import (
	"context"
	"errors"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// descriptor is a file descriptor of the kernel that events are read from. Reading it occupies no
// thread while there are none.
type descriptor struct {
	file *os.File
	raw  syscall.RawConn
}

// newDescriptor wraps a non-blocking descriptor, and closes it when the context ends.
func newDescriptor(ctx context.Context, fd int, name string) (*descriptor, error) {
	file := os.NewFile(uintptr(fd), name)
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	context.AfterFunc(ctx, func() { _ = file.Close() })
	return &descriptor{file: file, raw: raw}, nil
}

func (d *descriptor) close() { _ = d.file.Close() }

// with calls f with the descriptor, which is not closed meanwhile.
func (d *descriptor) with(f func(fd int) error) error {
	var err error
	if closed := d.raw.Control(func(fd uintptr) { err = f(int(fd)) }); closed != nil {
		return closed
	}
	return err
}

// read is read(2), with its error alone.
func (d *descriptor) read(buf []byte) (int, error) {
	n, err := d.file.Read(buf)
	var errno unix.Errno
	if errors.As(err, &errno) {
		err = errno
	}
	return n, err
}
