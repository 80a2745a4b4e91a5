package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// metadata watches the device nodes of physical volumes: LVM opens them for writing to commit
// metadata, and for nothing else.
type metadata struct {
	w       *Watcher
	changed signal

	mu     sync.Mutex
	marker marker // nil: not to be had
	// why is what marker does not tell; nil: it tells all.
	why     error
	volumes map[string]*volume // by node, as named by the user
}

// volume is a physical volume.
type volume struct {
	node string
	// path is the node itself, where the other is a symbolic link. Empty: it was not there yet.
	path string
	// inode is that of the node that is watched; zero: none is. A device that is attached
	// again has another.
	inode uint64
	// key is what marker calls it.
	key string
	err error
}

// marker has a node reported that was closed after writing.
type marker interface {
	// mark returns what the node is called in events.
	mark(path string) (key string, err error)
	unmark(path, key string)
	// each calls f for each event until reading fails. Empty key: events were lost.
	each(f func(key string, pid int)) error
	close()
}

func newMetadata(w *Watcher) *metadata {
	return &metadata{w: w, changed: newSignal(), volumes: map[string]*volume{}}
}

func (m *metadata) wake() <-chan struct{} { return m.changed }

func (m *metadata) set(nodes []string) {
	m.mu.Lock()
	for node, v := range m.volumes {
		if !slices.Contains(nodes, node) {
			if v.inode != 0 && m.marker != nil {
				m.marker.unmark(v.path, v.key)
			}
			delete(m.volumes, node)
		}
	}
	for _, node := range nodes {
		if m.volumes[node] == nil {
			m.volumes[node] = &volume{node: node}
		}
	}
	m.mu.Unlock()
	m.changed.raise()
}

// deviceChanged looks again at the volumes if a device node that came or went may be of one.
func (m *metadata) deviceChanged(path string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.volumes {
		if path == "" || v.path == path || v.inode == 0 {
			m.changed.raise()
			return
		}
	}
}

// check watches what is not watched yet.
func (m *metadata) check(ctx context.Context, readers *sync.WaitGroup) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.marker == nil {
		if err := m.open(ctx, readers); err != nil {
			m.w.set(Status{Source: Metadata, Why: err.Error()})
			return false
		}
	}
	var failed, absent []string
	for _, v := range m.volumes {
		m.follow(v)
		switch {
		case errors.Is(v.err, os.ErrNotExist):
			absent = append(absent, v.node)
		case v.err != nil:
			failed = append(failed, fmt.Sprintf("%s: %v", v.node, v.err))
		}
	}
	slices.Sort(failed)
	slices.Sort(absent)
	s := Status{Source: Metadata, Watching: len(failed) == 0}
	switch {
	case len(failed) > 0:
		s.Why = "not watched: " + strings.Join(failed, "; ")
	case len(absent) > 0:
		s.Why = "not there, and watched when they are: " + strings.Join(absent, ", ")
	case m.why != nil:
		s.Why = fmt.Sprintf("who changed it is unknown: %v", m.why)
	}
	m.w.set(s)
	return len(failed) == 0 && len(absent) == 0 && (len(m.volumes) == 0 || m.w.watches(Devices))
}

// open finds out how nodes can be watched.
func (m *metadata) open(ctx context.Context, readers *sync.WaitGroup) error {
	m.marker, m.why = newHandleMarker(ctx, m.w.options.Dev)
	if m.why != nil {
		var err error
		if m.marker, err = newInotifyMarker(ctx); err != nil {
			m.marker = nil
			return err
		}
	}
	marker := m.marker
	readers.Go(func() {
		err := marker.each(m.closed)
		marker.close()
		if !m.w.ceased(ctx, Metadata, err) {
			return
		}
		m.mu.Lock()
		m.marker = nil
		for _, v := range m.volumes {
			v.inode = 0
		}
		m.mu.Unlock()
		m.changed.raise()
	})
	return nil
}

// follow watches the node of a volume, if it is not the one that is watched.
func (m *metadata) follow(v *volume) {
	path, inode, err := nodeOf(v.node)
	if v.err = err; err != nil {
		v.inode = 0
		return
	}
	if v.inode == inode && v.path == path {
		return
	}
	if v.inode != 0 && v.path != path {
		m.marker.unmark(v.path, v.key)
	}
	v.path, v.inode = path, inode
	if v.key, v.err = m.marker.mark(path); v.err != nil {
		v.inode = 0
		return
	}
	// If it was replaced meanwhile, a uevent comes for it, and leads here again.
	m.w.queue.put(Event{Source: Metadata, Path: v.node})
}

// nodeOf returns the device node that a path leads to, and its inode.
func nodeOf(path string) (string, uint64, error) {
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", 0, err
	}
	var stat unix.Stat_t
	if err := unix.Stat(path, &stat); err != nil {
		return "", 0, &os.PathError{Op: "stat", Path: path, Err: err}
	}
	return path, stat.Ino, nil
}

// closed takes an event of a node that was closed after writing.
func (m *metadata) closed(key string, pid int) {
	by := m.w.asker.ask(pid)
	if key == "" {
		m.w.queue.put(Event{Source: Metadata, By: by})
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, v := range m.volumes {
		if v.inode != 0 && v.key == key {
			m.w.queue.put(Event{Source: Metadata, Path: v.node, By: by})
		}
	}
}

// handleMarker is fanotify with file handles: with descriptors the kernel would open the device for
// each event, and it could not be removed meanwhile.
type handleMarker struct{ group *fanotify }

// newHandleMarker fails if the kernel cannot watch a directory of device nodes like that.
func newHandleMarker(ctx context.Context, dev string) (marker, error) {
	// The second flag needs CAP_SYS_ADMIN. Without it there are groups too, but of no process.
	group, err := newFanotify(ctx, unix.O_RDONLY, unix.FAN_REPORT_FID|unix.FAN_UNLIMITED_MARKS)
	if err != nil {
		return nil, err
	}
	h := handleMarker{group: group}
	null := filepath.Join(dev, "null")
	key, err := h.mark(null)
	if err != nil {
		group.close()
		return nil, fmt.Errorf("fanotify_mark: %w", err)
	}
	h.unmark(null, key)
	return h, nil
}

func (h handleMarker) mark(path string) (string, error) {
	handle, _, err := unix.NameToHandleAt(unix.AT_FDCWD, path, 0)
	if err != nil {
		return "", err
	}
	return handleKey(handle.Type(), handle.Bytes()), h.group.mark(unix.FAN_MARK_ADD, unix.FAN_CLOSE_WRITE, path)
}

func (h handleMarker) unmark(path, _ string) {
	_ = h.group.mark(unix.FAN_MARK_REMOVE, unix.FAN_CLOSE_WRITE, path)
}

func (h handleMarker) close() { h.group.close() }

func (h handleMarker) each(f func(key string, pid int)) error {
	return h.group.each(4096, func(e fanotifyEvent) { f(e.handle, e.pid) })
}

// inotifyMarker is inotify, which does not say who it was.
type inotifyMarker struct{ *inotify }

func newInotifyMarker(ctx context.Context) (marker, error) {
	i, err := newInotify(ctx)
	return inotifyMarker{i}, err
}

func (i inotifyMarker) mark(path string) (string, error) {
	watch, err := i.add(path, unix.IN_CLOSE_WRITE)
	if errors.Is(err, unix.ENOSPC) {
		err = limitReached(watchLimit, 1)
	}
	return strconv.Itoa(watch), err
}

func (i inotifyMarker) unmark(_, key string) {
	if watch, err := strconv.Atoi(key); err == nil {
		i.remove(watch)
	}
}

func (i inotifyMarker) each(f func(key string, pid int)) error {
	return i.inotify.each(func(e inotifyEvent) {
		switch {
		case e.mask&unix.IN_Q_OVERFLOW != 0:
			f("", 0)
		case e.mask&unix.IN_CLOSE_WRITE != 0:
			f(strconv.Itoa(e.watch), 0)
		}
	})
}
