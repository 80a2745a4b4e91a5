package slicefs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// fsType is the type of the mount: what is removed at the start if a predecessor was killed.
const fsType = "fuse.volreconciler"

// maxRead is the largest read of the kernel. restic reads 512 KiB at a time.
const maxRead = 512 << 10

// Volume is a device and its description.
type Volume struct {
	Device *blockcopy.Access
	// Index has the slices with their times, and the digests of those that have not changed.
	// The digests of the others are filled in while they are read.
	Index *format.Index
	// Changed are the positions, in the index, of slices whose digests are not known yet.
	Changed []int
	// VolumeYAML is the content of volume.yaml.
	VolumeYAML []byte
	Limiter    *blockcopy.Limiter
}

// Mounted is a tree that can be read.
type Mounted struct {
	dir     string
	server  *fuse.Server
	tree    *tree
	release []func()
}

type tree struct {
	fuse.RawFileSystem
	index      *format.Index
	device     *blockcopy.Access
	limiter    *blockcopy.Limiter
	volumeYAML []byte
	times      []byte
	dirs       map[int]int64 // by number: the newest time of its slices
	order      []int         // their numbers, ascending

	ctx            context.Context // ends at the first error, and when it is unmounted
	stop           context.CancelFunc
	read           atomic.Int64
	ahead, reading chan []byte
	complete       chan struct{} // closed when all digests are known
	patience       time.Duration

	mu         sync.Mutex
	handles    map[uint64]*handle
	nextHandle uint64
	pending    []bool // by position: its digest is not known yet
	left       int
	activity   time.Time // when a slice was opened or closed last
	failed     error
}

// Mount shows a volume in an empty directory, which is made if it is missing. What a killed predecessor
// left mounted there is unmounted first. Only root can do it.
func Mount(dir string, v Volume) (*Mounted, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil && !errors.Is(err, unix.ENOTCONN) {
		if !errors.Is(err, os.ErrExist) { // a dead mount is something that cannot be looked at
			return nil, fmt.Errorf("cannot make the mount directory %s: %w", dir, err)
		}
	}
	if err := RemoveStale(dir); err != nil {
		return nil, err
	}
	m := &Mounted{dir: dir, tree: newTree(v)}
	if err := m.allocate(); err != nil {
		m.free()
		return nil, err
	}
	if err := m.mount(); err != nil {
		m.free()
		return nil, fmt.Errorf("cannot mount the slices of %s at %s: %w", v.Device, dir, err)
	}
	return m, nil
}

func newTree(v Volume) *tree {
	t := &tree{
		RawFileSystem: fuse.NewDefaultRawFileSystem(),
		index:         v.Index, device: v.Device, limiter: v.Limiter,
		volumeYAML: v.VolumeYAML, times: v.Index.EncodeTimes(),
		dirs:     map[int]int64{},
		order:    v.Index.Dirs(),
		ahead:    make(chan []byte, aheadBuffers),
		reading:  make(chan []byte, readingBuffers),
		complete: make(chan struct{}),
		patience: patience,
		handles:  map[uint64]*handle{},
		pending:  make([]bool, len(v.Index.Present)),
		activity: time.Now(),
	}
	t.ctx, t.stop = context.WithCancel(context.Background())
	for _, d := range t.order {
		first, end := t.index.Range(d)
		for at := first; at < end; at++ {
			t.dirs[d] = max(t.dirs[d], t.index.Moment(at))
		}
	}
	for _, position := range v.Changed {
		if !t.pending[position] {
			t.pending[position] = true
			t.left++
		}
	}
	if t.left == 0 {
		close(t.complete)
	}
	return t
}

// allocate maps the buffers.
func (m *Mounted) allocate() error {
	for _, pool := range []chan []byte{m.tree.ahead, m.tree.reading} {
		for range cap(pool) {
			memory, release, err := blockcopy.Memory(Window)
			if err != nil {
				return err
			}
			m.release = append(m.release, release)
			pool <- memory
		}
	}
	return nil
}

func (m *Mounted) free() {
	for _, release := range m.release {
		release()
	}
}

// mount does what fusermount does. The descriptor of /dev/fuse must not reach children: while one of them
// has it, the file system does not end with this process.
func (m *Mounted) mount() error {
	fd, err := unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: "/dev/fuse", Err: err}
	}
	options := fmt.Sprintf("fd=%d,rootmode=40000,user_id=%d,group_id=%d,max_read=%d", fd, os.Getuid(), os.Getgid(), maxRead)
	err = unix.Mount("volreconciler", m.dir, fsType, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options)
	if err != nil {
		_ = unix.Close(fd)
		return os.NewSyscallError("mount", err)
	}
	m.server, err = fuse.NewServer(m.tree, fmt.Sprintf("/dev/fd/%d", fd), &fuse.MountOptions{
		Name: "volreconciler", MaxWrite: maxRead, MaxBackground: 16,
		// Requests under way: their number, not their size, is what restic's readers need.
		MaxInflightRequestBytes: 16 << 20,
		DisableXAttrs:           true, DisableReadDirPlus: false,
		Logger: log.New(io.Discard, "", 0), // such as that a reader was interrupted
	})
	if err != nil {
		_ = unix.Unmount(m.dir, unix.MNT_DETACH)
		_ = unix.Close(fd)
		return err
	}
	go m.server.Serve()
	m.refusePolls()
	return nil
}

// refusePolls makes the kernel learn that nothing can be polled here. Package os registers every file that it
// opens with epoll, by a system call that keeps a processor of the Go runtime: if this process itself opened
// a file of the tree, it might wait for its own answer for ever.
func (m *Mounted) refusePolls() {
	fd, err := unix.Open(filepath.Join(m.dir, format.Dir, format.Times), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return // restic will say the same
	}
	_, _ = unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
	_ = unix.Close(fd)
}

// Read is how many bytes were read from the device.
func (m *Mounted) Read() int64 { return m.tree.read.Load() }

// Left is how many changed slices have not been read yet.
func (m *Mounted) Left() int {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	return m.tree.left
}

// Failed is closed when [Mounted.Err] is there, and when the tree is unmounted.
func (m *Mounted) Failed() <-chan struct{} { return m.tree.ctx.Done() }

// Err is the first error: of the device, or [ErrDigest]. Nothing could be read from then on.
func (m *Mounted) Err() error {
	m.tree.mu.Lock()
	defer m.tree.mu.Unlock()
	return m.tree.failed
}

// Close unmounts. It always does: if somebody has a file open, the tree vanishes from the name space,
// and reads fail.
func (m *Mounted) Close() error {
	m.tree.stop()
	var err error
	for wait := time.Millisecond; ; wait *= 2 {
		if err = unix.Unmount(m.dir, 0); !errors.Is(err, unix.EBUSY) || wait > 100*time.Millisecond {
			break
		}
		<-time.After(wait)
	}
	if err != nil {
		err = unix.Unmount(m.dir, unix.MNT_DETACH)
	}
	if err != nil {
		return fmt.Errorf("cannot unmount %s: %w", m.dir, err)
	}
	ended := make(chan struct{})
	go func() {
		m.server.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		m.free()
	case <-time.After(10 * time.Second):
		// Somebody still has a file open. The buffers stay until the process ends: a request
		// may be reading into one.
	}
	return nil
}

// RemoveStale unmounts what a process that was killed left mounted at a directory. Anything that is not of
// this package is an error.
func RemoveStale(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for range 16 {
		kind, err := mountedAt(dir)
		switch {
		case err != nil:
			return err
		case kind == "":
			return nil
		case kind != fsType:
			return fmt.Errorf("%s is a mount point of type %s; unmount it, or use another directory for backups", dir, kind)
		}
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			return fmt.Errorf("cannot unmount %s, which an earlier backup left mounted: %w", dir, err)
		}
	}
	return fmt.Errorf("%s is mounted again and again; another backup is using the directory", dir)
}

// mountedAt returns the type of what is mounted at a directory last; empty: nothing. proc(5) has the form
// of mountinfo.
func mountedAt(dir string) (string, error) {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", err
	}
	kind := ""
	escaped := strings.NewReplacer(`\`, `\134`, " ", `\040`, "\t", `\011`, "\n", `\012`).Replace(dir)
	for line := range strings.Lines(string(table)) {
		before, after, ok := strings.Cut(line, " - ")
		fields := strings.Fields(before)
		if ok && len(fields) > 4 && fields[4] == escaped {
			kind = strings.Fields(after)[0]
		}
	}
	return kind, nil
}
