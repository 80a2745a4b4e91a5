package watch

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// devices receives the kernel's uevents.
type devices struct {
	w       *Watcher
	changed signal

	mu     sync.Mutex
	socket *descriptor // nil: not to be had
}

// uevent is a message of the kernel about a device or a module.
type uevent struct {
	action    string
	subsystem string
	// name is DEVNAME: that of the node below /dev.
	name string
}

func newDevices(w *Watcher) *devices { return &devices{w: w, changed: newSignal()} }

func (d *devices) wake() <-chan struct{} { return d.changed }

// check watches what is not watched yet.
func (d *devices) check(ctx context.Context, readers *sync.WaitGroup) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.socket == nil {
		socket, err := newUeventSocket(ctx)
		if err != nil {
			d.w.set(Status{Source: Devices, Why: err.Error()})
			return false
		}
		d.socket = socket
		if d.w.isKnown(Devices) {
			d.missed() // what came before the socket was there
		}
		readers.Go(func() { d.read(ctx, socket) })
	}
	d.w.set(Status{Source: Devices, Watching: true})
	return true
}

// initialUserNamespace is what /proc/self/ns/user leads to where nothing is in a container of
// users: the kernel has that number built in.
const initialUserNamespace = "user:[4026531837]"

// ueventGroup is the multicast group of the kernel; that of udev is another.
const ueventGroup = 1

// receiveBuffer is enough for thousands of uevents.
const receiveBuffer = 8 << 20

func newUeventSocket(ctx context.Context) (*descriptor, error) {
	// The socket is to be had in any, but nothing arrives.
	if namespace, err := os.Readlink("/proc/self/ns/user"); err == nil && namespace != initialUserNamespace {
		return nil, errors.New("the kernel sends no uevents to a user namespace")
	}
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, fmt.Errorf("socket: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer) // up to a limit
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: ueventGroup}); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("bind: %w", err)
	}
	return newDescriptor(ctx, fd, "uevents")
}

// read takes messages until that fails, as it does when the context has ended.
func (d *devices) read(ctx context.Context, socket *descriptor) {
	buf := make([]byte, 16<<10)
	for {
		message, err := receive(socket, buf)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			d.missed()
			continue
		case err == nil:
			if u, ok := parseUevent(message); ok {
				d.take(u)
			}
			continue
		}
		socket.close()
		if d.w.ceased(ctx, Devices, err) {
			d.mu.Lock()
			d.socket = nil
			d.mu.Unlock()
			d.changed.raise()
		}
		return
	}
}

// receive returns a message of the kernel; nil: it was of somebody else.
func receive(socket *descriptor, buf []byte) ([]byte, error) {
	var n int
	var from unix.Sockaddr
	var err error
	closed := socket.raw.Read(func(fd uintptr) bool {
		n, from, err = unix.Recvfrom(int(fd), buf, 0)
		return !errors.Is(err, unix.EAGAIN)
	})
	if err := errors.Join(closed, err); err != nil {
		return nil, err
	}
	if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
		return nil, nil
	}
	return buf[:n], nil
}

// missed is called when any device may have changed.
func (d *devices) missed() {
	d.w.queue.put(Event{Source: Devices})
	d.w.metadata.deviceChanged("")
	d.w.configfs.changed.raise()
}

func (d *devices) take(u uevent) {
	switch u.subsystem {
	case "block":
		if u.name == "" {
			return
		}
		path := filepath.Join(d.w.options.Dev, u.name)
		d.w.queue.put(Event{Source: Devices, Path: path})
		if u.action != "change" {
			d.w.metadata.deviceChanged(path)
		}
	case "module":
		// A module may register a subsystem of configfs, or remove it: configfs itself reports neither.
		d.w.configfs.changed.raise()
	}
}

// parseUevent parses a message: "add@/devices/…", and variables, each with a zero byte at the end.
func parseUevent(message []byte) (uevent, bool) {
	header, rest, found := bytes.Cut(message, []byte{0})
	action, _, isKernel := bytes.Cut(header, []byte("@"))
	if !found || !isKernel {
		return uevent{}, false
	}
	u := uevent{action: string(action)}
	for variable := range strings.SplitSeq(string(rest), "\x00") {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "SUBSYSTEM":
			u.subsystem = value
		case "DEVNAME":
			u.name = strings.TrimPrefix(value, "/dev/")
		}
	}
	return u, u.subsystem != ""
}
