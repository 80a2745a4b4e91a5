package watch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// configfs watches the kernel's targets: what is written by fanotify, which says who did it, and
// what is made and removed by inotify.
//
// fanotify watches the whole file system at once, whatever mount it is changed through. inotify
// watches single directories; those that are made are watched from then on.
type configfs struct {
	w    *Watcher
	root string
	own  int
	// changed wakes check.
	changed signal

	// mu guards what follows. It is held while directories are looked for, by check and by whoever
	// reads events of inotify.
	mu          sync.Mutex
	started     bool
	writes      *fanotify // nil: not to be had, for this reason:
	writesWhy   error
	directories *inotify // nil: not to be had
	paths       map[int]string
	roots       map[string]bool
	// unwatched is how many directories could not be watched because of a limit, which was
	// reached then.
	unwatched int
	limit     int
	walked    time.Time
}

// watchLimit limits how many directories inotify watches.
const watchLimit = "fs.inotify.max_user_watches"

// configfsMagic is what statfs(2) says of configfs.
const configfsMagic = 0x62656570

// walkAgain is how long it takes to try again what a limit forbids, if the limit is the same.
const walkAgain = 10 * time.Minute

func newConfigfs(w *Watcher) *configfs {
	return &configfs{
		w: w, root: w.options.ConfigFS, own: os.Getpid(), changed: newSignal(),
		paths: map[int]string{}, roots: map[string]bool{},
	}
}

func (c *configfs) wake() <-chan struct{} { return c.changed }

// check watches what is not watched yet.
func (c *configfs) check(ctx context.Context, readers *sync.WaitGroup) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.writesWhy = c.watchWrites(ctx, readers)
	if err := c.watchDirectories(ctx, readers); err != nil {
		c.w.set(Status{Source: Configfs, Why: err.Error()})
		return false
	}
	if c.unwatched > 0 && (c.limit != limitNow(watchLimit) || time.Since(c.walked) > walkAgain) {
		c.walk()
		c.put("", nil)
	}
	for _, name := range subsystems {
		if c.roots[name] || !c.exists(name) {
			continue
		}
		c.roots[name] = true
		c.follow(name)
		if c.started {
			c.put(name, nil)
		}
	}
	c.started = true
	c.report()
	// A subsystem comes with a module, and a module with a uevent.
	announced := len(c.roots) == len(subsystems) || c.w.watches(Devices)
	return announced && c.unwatched == 0 && (c.writesWhy == nil || errors.Is(c.writesWhy, errNotPermitted))
}

func (c *configfs) exists(name string) bool {
	_, err := os.Lstat(filepath.Join(c.root, name))
	return err == nil
}

// report sets the status.
func (c *configfs) report() {
	s := Status{Source: Configfs, Watching: true}
	switch {
	case c.unwatched > 0:
		s = Status{Source: Configfs, Why: fmt.Sprintf("%d directories are not watched: %v", c.unwatched, limitReached(watchLimit, c.unwatched))}
	case len(c.roots) > 0 && c.writesWhy != nil:
		s.Why = fmt.Sprintf("who changed it is unknown: %v", c.writesWhy)
	}
	c.w.set(s)
}

func (c *configfs) put(place string, by *Process) {
	e := Event{Source: Configfs, By: by}
	if place != "" {
		e.Path = filepath.Join(c.root, place)
	}
	c.w.queue.put(e)
}

// watchWrites has what is written reported. Marking a file system again changes nothing.
func (c *configfs) watchWrites(ctx context.Context, readers *sync.WaitGroup) error {
	var fs unix.Statfs_t
	if err := unix.Statfs(c.root, &fs); err != nil {
		return fmt.Errorf("statfs %s: %w", c.root, err)
	}
	if fs.Type != configfsMagic {
		return fmt.Errorf("%s is not a configfs", c.root)
	}
	if c.writes == nil {
		// The kernel opens the attribute for whoever reads the event. Some can be opened for
		// writing alone, and it was just opened for writing by somebody else.
		writes, err := newFanotify(ctx, unix.O_WRONLY, unix.FAN_REPORT_FD_ERROR, 0)
		if err != nil {
			return err
		}
		c.writes = writes
		readers.Go(func() {
			err := writes.each(unix.FAN_EVENT_METADATA_LEN, c.written)
			writes.close()
			c.lost(ctx, err, func() { c.writes = nil })
		})
	}
	// A file that was written, and not only opened for it. What a write that fails may have changed
	// is found later.
	if err := c.writes.mark(unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_MODIFY, c.root); err != nil {
		return fmt.Errorf("fanotify_mark: %w", err)
	}
	return nil
}

// watchDirectories has what is made and removed reported, in no directory yet.
func (c *configfs) watchDirectories(ctx context.Context, readers *sync.WaitGroup) error {
	if c.directories != nil {
		return nil
	}
	directories, err := newInotify(ctx)
	if err != nil {
		return err
	}
	c.directories = directories
	readers.Go(func() {
		err := directories.each(c.entry)
		directories.close()
		c.lost(ctx, err, func() {
			c.directories = nil
			clear(c.paths)
			clear(c.roots)
		})
	})
	return nil
}

// lost is called by a reader that ends. It does not begin again at once: what failed may again.
func (c *configfs) lost(ctx context.Context, err error, forget func()) {
	if !c.w.ceased(ctx, Configfs, err) {
		return
	}
	c.mu.Lock()
	forget()
	c.mu.Unlock()
	c.put("", nil)
	c.changed.raise()
}

// written takes an event of fanotify.
func (c *configfs) written(e fanotifyEvent) {
	if e.fd >= 0 {
		defer func() { _ = unix.Close(e.fd) }()
	}
	if e.pid == c.own {
		return
	}
	// First, because it may be gone soon.
	by := c.w.asker.ask(e.pid)
	if e.mask&unix.FAN_Q_OVERFLOW != 0 || e.fd < 0 {
		c.put("", by)
		return
	}
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(e.fd))
	if err != nil {
		c.put("", by)
		return
	}
	place := placeOf(path, c.root, func(below string) bool { return isFile(e.fd, filepath.Join(c.root, below)) })
	if place == "" || isSubsystem(place) {
		c.put(place, by)
	}
}

// isFile is true if a path leads to the file that is open.
func isFile(fd int, path string) bool {
	var open, there unix.Stat_t
	return unix.Stat(path, &there) == nil && unix.Fstat(fd, &open) == nil && open.Dev == there.Dev && open.Ino == there.Ino
}

// entry takes an event of inotify.
func (c *configfs) entry(e inotifyEvent) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.mask&unix.IN_Q_OVERFLOW != 0 {
		// Directories may have been made that nothing watches.
		c.walk()
		c.report()
		c.put("", nil)
		return
	}
	directory, ok := c.paths[e.watch]
	if !ok {
		return
	}
	if e.mask&unix.IN_IGNORED != 0 {
		delete(c.paths, e.watch)
		if !strings.Contains(directory, "/") {
			delete(c.roots, directory)
			c.put(directory, nil)
			c.changed.raise()
		}
		return
	}
	if e.name == "" {
		return
	}
	path := filepath.Join(directory, e.name)
	if e.mask&unix.IN_CREATE != 0 && e.mask&unix.IN_ISDIR != 0 {
		unwatched := c.unwatched
		c.follow(path)
		if c.unwatched != unwatched {
			c.report()
			c.changed.raise()
		}
	}
	c.put(path, nil)
}

// walk watches all directories, as far as they are not watched yet.
func (c *configfs) walk() {
	c.unwatched = 0
	for name := range c.roots {
		c.follow(name)
	}
}

// follow watches a directory and all below. Each is watched first and listed then: what is made
// meanwhile is in the list, or in an event.
func (c *configfs) follow(directory string) {
	attributes := c.writes == nil
	if !isWatched(directory, attributes) {
		return
	}
	mask := uint32(unix.IN_CREATE | unix.IN_DELETE | unix.IN_ONLYDIR | unix.IN_DONT_FOLLOW)
	if attributes {
		mask |= unix.IN_MODIFY
	}
	path := filepath.Join(c.root, directory)
	watch, err := c.directories.add(path, mask)
	switch {
	case errors.Is(err, unix.ENOSPC):
		c.unwatched++
		c.limit, c.walked = limitNow(watchLimit), time.Now()
	case err != nil: // gone
		return
	default:
		c.paths[watch] = directory
	}
	entries, _ := os.ReadDir(path) // what could not be read is gone
	for _, e := range entries {
		if e.IsDir() {
			c.follow(filepath.Join(directory, e.Name()))
		}
	}
}
