package watch

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// inotify is an instance of inotify(7).
type inotify struct{ *descriptor }

// inotifyEvent is a struct inotify_event.
type inotifyEvent struct {
	watch int
	mask  uint32
	name  string
}

func newInotify(ctx context.Context) (*inotify, error) {
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err == unix.EMFILE { //nolint:errorlint // an errno as it is
		return nil, limitReached("fs.inotify.max_user_instances", 1)
	}
	if err != nil {
		return nil, fmt.Errorf("inotify_init1: %w", err)
	}
	d, err := newDescriptor(ctx, fd, "inotify")
	if err != nil {
		return nil, err
	}
	return &inotify{d}, nil
}

// add adds a watch, or finds the one that the inode has. The error is an errno.
func (i *inotify) add(path string, mask uint32) (watch int, err error) {
	err = i.with(func(fd int) error {
		watch, err = unix.InotifyAddWatch(fd, path, mask)
		return err
	})
	return watch, err
}

func (i *inotify) remove(watch int) {
	_ = i.with(func(fd int) error {
		_, err := unix.InotifyRmWatch(fd, uint32(watch))
		return err
	})
}

// each calls f for each event until reading fails, as it does when the context has ended.
func (i *inotify) each(f func(inotifyEvent)) error {
	buf := make([]byte, 64<<10)
	for {
		n, err := i.read(buf)
		if err != nil {
			return err
		}
		for rest := buf[:n]; len(rest) >= unix.SizeofInotifyEvent; {
			end := min(unix.SizeofInotifyEvent+int(binary.NativeEndian.Uint32(rest[12:])), len(rest))
			name, _, _ := strings.Cut(string(rest[unix.SizeofInotifyEvent:end]), "\x00")
			f(inotifyEvent{
				watch: int(int32(binary.NativeEndian.Uint32(rest))),
				mask:  binary.NativeEndian.Uint32(rest[4:]),
				name:  name,
			})
			rest = rest[end:]
		}
	}
}

// limitReached is the error of a limit of inotify that is reached where some more are needed.
func limitReached(sysctl string, more int) error {
	now := limitNow(sysctl)
	return fmt.Errorf("the limit %s=%d is reached, set it to %d with sysctl(8)", sysctl, now, max(2*now, now+2*more))
}

// limitNow is the value of a limit; 0: unknown.
func limitNow(sysctl string) int {
	value, _ := os.ReadFile("/proc/sys/" + strings.ReplaceAll(sysctl, ".", "/"))
	now, _ := strconv.Atoi(string(bytes.TrimSpace(value)))
	return now
}
