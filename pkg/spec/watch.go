package spec

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
	"github.com/go-logr/logr"
	"golang.org/x/sys/unix"
)

// Watch returns a channel that wakes its reader when a Load may find something
// new: soon after a change where the kernel tells of it, and within the polling
// time where it does not (network file systems, 9p, too many watches). It also
// wakes once at the start. Several wakes become one, and a wake may turn out to
// be for nothing.
//
// Call it once per Source, and Load after every wake: the directories to watch
// are those that the last Load has met. Watching ends with ctx. The channel is
// never closed, because a closed one would wake its reader for ever.
func (s *Source) Watch(ctx context.Context) <-chan struct{} {
	wake := make(chan struct{}, 1)
	go s.watch(ctx, newWatcher(s.options.Log), wake)
	return wake
}

func (s *Source) watch(ctx context.Context, w *watcher, wake chan<- struct{}) {
	defer w.close()
	// Watch first, then read: what changes between the two must not be missed.
	// Hence a wake whenever a directory is watched that was not before.
	w.follow(s.points())
	signal(wake)
	poll := time.NewTimer(w.pollAfter(s.options.Poll))
	defer poll.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.loaded:
			reliable := len(w.silent) == 0
			if w.follow(s.points()) {
				signal(wake)
			}
			if reliable && len(w.silent) > 0 {
				poll.Reset(s.options.Poll)
			}
		case event, open := <-w.events():
			if !open {
				w.lose()
				poll.Reset(s.options.Poll)
			}
			if !open || w.concerns(event.Name) {
				signal(wake)
			}
		case err := <-w.errors():
			// Most likely the queue has overflown: anything may have changed.
			s.options.Log.V(1).Info("file watch lost events; reading all files again", "reason", err)
			signal(wake)
		case <-poll.C:
			if s.changed() {
				signal(wake)
			}
			poll.Reset(w.pollAfter(s.options.Poll))
		}
	}
}

// points returns what to watch: what the last Load has met, or before the first
// what it will meet.
func (s *Source) points() points {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.follow.points == nil {
		return pointsOf(s.dir, list(s.dir), nil)
	}
	return s.follow.points
}

// changed reports whether anything looks different from what the last Load saw.
func (s *Source) changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return fingerprint(list(s.dir), s.follow.secrets) != s.follow.print
}

// watcher watches a changing set of directories. If the kernel gives no
// watches, it does nothing, and polling remains.
type watcher struct {
	log        logr.Logger
	inotify    *fsnotify.Watcher // nil: not to be had
	points     points
	inodes     map[string]os.FileInfo // the directory watched under a path
	silent     map[string]bool        // directories in which changes may go unnoticed
	complained bool
}

func newWatcher(log logr.Logger) *watcher {
	w := &watcher{log: log, inodes: map[string]os.FileInfo{}, silent: map[string]bool{}}
	inotify, err := fsnotify.NewWatcher()
	if err != nil {
		w.complain(err)
		w.silent[""] = true
		return w
	}
	w.inotify = inotify
	return w
}

// complain says once that changes will be noticed later than they should.
func (w *watcher) complain(err error) {
	if !w.complained {
		w.log.Info("cannot watch all spec directories; polling finds changes there", "reason", err.Error())
		w.complained = true
	}
}

// lose continues without watches after inotify has failed.
func (w *watcher) lose() {
	w.close()
	w.inotify = nil
	w.silent[""] = true
	w.complain(errors.New("inotify has stopped"))
}

func (w *watcher) close() {
	if w.inotify != nil {
		_ = w.inotify.Close()
	}
}

// events and errors return nil channels, which never deliver, if there are no
// watches.
func (w *watcher) events() <-chan fsnotify.Event {
	if w.inotify == nil {
		return nil
	}
	return w.inotify.Events
}

func (w *watcher) errors() <-chan error {
	if w.inotify == nil {
		return nil
	}
	return w.inotify.Errors
}

// follow watches these directories, and no others. It reports whether one of
// them was not watched before.
//
// Every watch is set again each time: the kernel drops it with the directory,
// and tells nothing of one that is made anew in the same place.
func (w *watcher) follow(wanted points) (added bool) {
	w.points = wanted
	if w.inotify == nil {
		return false
	}
	watched := map[string]bool{}
	for _, dir := range w.inotify.WatchList() {
		if _, ok := wanted[dir]; !ok {
			_ = w.inotify.Remove(dir) // gone by itself, or never wanted again
			delete(w.inodes, dir)
			delete(w.silent, dir)
			continue
		}
		watched[dir] = true
	}
	for dir := range wanted {
		now, err := os.Stat(dir)
		if err != nil {
			continue // its parent is watched, and tells when it comes
		}
		if watched[dir] && !os.SameFile(w.inodes[dir], now) {
			_ = w.inotify.Remove(dir)
			watched[dir] = false
		}
		if err := w.inotify.Add(dir); err != nil {
			if !os.IsNotExist(err) {
				w.complain(err)
				w.silent[dir] = true
			}
			continue
		}
		if !watched[dir] {
			delete(w.silent, dir)
			if !tellsOfChanges(dir) {
				w.silent[dir] = true
			}
		}
		w.inodes[dir] = now
		added = added || !watched[dir]
	}
	return added
}

// rarePolls is by how much polling is rarer where the kernel reports every change.
const rarePolls = 30

// pollAfter returns how long the next look at the files can wait.
func (w *watcher) pollAfter(poll time.Duration) time.Duration {
	if len(w.silent) > 0 {
		return poll
	}
	return rarePolls * poll
}

// tellsOfChanges reports whether all changes in a directory pass through this kernel, so that
// inotify(7) reports them: those of a network file system are also made elsewhere.
func tellsOfChanges(dir string) bool {
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) != nil {
		return false
	}
	switch fs.Type {
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC, unix.OVERLAYFS_SUPER_MAGIC:
		return true
	}
	return false
}

// concerns reports whether an event may change what a Load finds.
func (w *watcher) concerns(path string) bool {
	if _, self := w.points[path]; self {
		return true
	}
	names, known := w.points[filepath.Dir(path)]
	return !known || names == nil || names[filepath.Base(path)]
}
