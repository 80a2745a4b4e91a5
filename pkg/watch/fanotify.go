package watch

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// fanotify is a group of fanotify(7).
type fanotify struct{ *descriptor }

// fanotifyEvent is a struct fanotify_event_metadata.
type fanotifyEvent struct {
	mask uint64
	// fd is a file that was opened for whoever reads the event, who closes it. Negative: none.
	fd  int
	pid int
	// handle is the file handle of a group that has handles in place of descriptors.
	handle string
}

// errNotPermitted says what fanotify needs.
var errNotPermitted = errors.New("fanotify needs CAP_SYS_ADMIN")

// newFanotify makes a group with the first flags that the kernel knows.
func newFanotify(ctx context.Context, eventFlags uint, flags ...uint) (*fanotify, error) {
	var fd int
	var err error
	for _, f := range flags {
		fd, err = unix.FanotifyInit(unix.FAN_CLASS_NOTIF|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK|f, eventFlags|unix.O_CLOEXEC|unix.O_LARGEFILE)
		if !errors.Is(err, unix.EINVAL) {
			break
		}
	}
	if errors.Is(err, unix.EPERM) {
		return nil, errNotPermitted
	}
	if err != nil {
		return nil, fmt.Errorf("fanotify_init: %w", err)
	}
	d, err := newDescriptor(ctx, fd, "fanotify")
	if err != nil {
		return nil, err
	}
	return &fanotify{d}, nil
}

// mark is fanotify_mark(2). The error is an errno.
func (f *fanotify) mark(flags uint, mask uint64, path string) error {
	return f.with(func(fd int) error { return unix.FanotifyMark(fd, flags, mask, unix.AT_FDCWD, path) })
}

// each calls f for each event until reading fails, as it does when the context has ended.
//
// Of groups with descriptors it reads one event at a time. If the file of an event cannot be
// opened, read(2) fails and the event is gone; after others in the same read(2) it would be gone
// without a word.
func (f *fanotify) each(size int, each func(fanotifyEvent)) error {
	buf := make([]byte, size)
	for {
		n, err := f.read(buf)
		if err != nil {
			if !isEventLost(err) {
				return err
			}
			each(fanotifyEvent{fd: -1})
			continue
		}
		for rest := buf[:n]; len(rest) >= unix.FAN_EVENT_METADATA_LEN; {
			e, length := parseFanotify(rest)
			if length == 0 {
				break
			}
			each(e)
			rest = rest[length:]
		}
	}
}

// isEventLost is true for an error of the event that was read, and not of reading: its file could
// not be opened.
func isEventLost(err error) bool {
	var errno unix.Errno
	return errors.As(err, &errno) && errno != unix.EBADF && errno != unix.EFAULT && errno != unix.EINVAL
}

// parseFanotify returns the first event and its length; 0: it is not one.
func parseFanotify(b []byte) (fanotifyEvent, int) {
	length, header := int(binary.NativeEndian.Uint32(b)), int(binary.NativeEndian.Uint16(b[6:]))
	if length > len(b) || header < unix.FAN_EVENT_METADATA_LEN || header > length {
		return fanotifyEvent{}, 0
	}
	e := fanotifyEvent{
		mask: binary.NativeEndian.Uint64(b[8:]),
		fd:   int(int32(binary.NativeEndian.Uint32(b[16:]))),
		pid:  int(int32(binary.NativeEndian.Uint32(b[20:]))),
	}
	// struct fanotify_event_info_fid: type, pad, length, fsid, struct file_handle.
	const beforeHandle, handleHeader = 12, 8
	if info := b[header:length]; len(info) >= beforeHandle+handleHeader && info[0] == unix.FAN_EVENT_INFO_TYPE_FID {
		handle := info[beforeHandle:]
		size := int(binary.NativeEndian.Uint32(handle))
		if size <= len(handle)-handleHeader {
			e.handle = handleKey(int32(binary.NativeEndian.Uint32(handle[4:])), handle[handleHeader:handleHeader+size])
		}
	}
	return e, length
}

// handleKey is a file handle as something to compare.
func handleKey(kind int32, handle []byte) string {
	return fmt.Sprintf("%d:%x", kind, handle)
}
