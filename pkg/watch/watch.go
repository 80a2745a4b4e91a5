package watch

import (
	"cmp"
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
)

// Options say what is watched.
type Options struct {
	// ConfigFS is where configfs is mounted, or will be. Default: /sys/kernel/config.
	ConfigFS string
	// Dev is where device nodes are. Default: /dev.
	Dev string
	// Proc is where processes are looked up. Default: /proc.
	Proc string
	// Retry is how long it takes to try again what could not be watched, and to look whether
	// what was not there is. Default: 30 s. Nothing is done that often while all is watched.
	Retry time.Duration
	Log   logr.Logger
}

// Watcher reports changes until the context it was started with ends.
type Watcher struct {
	options  Options
	queue    *queue
	ended    chan struct{}
	asker    *asker
	configfs *configfs
	metadata *metadata
	devices  *devices

	mu     sync.Mutex
	status map[Source]Status
}

// checker watches a source.
type checker interface {
	// check watches what is not watched yet. It returns false if it is to be called again
	// after some time.
	check(ctx context.Context, readers *sync.WaitGroup) bool
	// wake is received from when it is to be called before that.
	wake() <-chan struct{}
}

// startPatience is how long Start waits for each source. A directory of configfs is locked while the
// kernel removes what is in it, and if a device does not respond that has no end.
var startPatience = 5 * time.Second

// Start watches the machine. When it returns, everything that can be watched is, unless the kernel does
// not respond: what is read from now on can be relied on until an event says otherwise. It never
// fails: what cannot be watched is in [Watcher.Status], and tried again.
func Start(ctx context.Context, options Options) *Watcher {
	options.ConfigFS = cmp.Or(options.ConfigFS, "/sys/kernel/config")
	options.Dev = cmp.Or(options.Dev, "/dev")
	options.Proc = cmp.Or(options.Proc, "/proc")
	options.Retry = cmp.Or(options.Retry, 30*time.Second)
	w := &Watcher{
		options: options,
		queue:   newQueue(),
		ended:   make(chan struct{}),
		asker:   newAsker(options.Proc),
		status:  map[Source]Status{},
	}
	w.configfs = newConfigfs(w)
	w.metadata = newMetadata(w)
	w.devices = newDevices(w)
	var sources sync.WaitGroup
	w.begin(ctx, &sources, Devices, w.devices)
	w.begin(ctx, &sources, Configfs, w.configfs)
	w.begin(ctx, &sources, Metadata, w.metadata)
	go func() {
		sources.Wait()
		close(w.ended)
	}()
	return w
}

// begin watches a source, and waits for that for a moment.
func (w *Watcher) begin(ctx context.Context, sources *sync.WaitGroup, source Source, c checker) {
	begun, late := make(chan struct{}), make(chan struct{})
	sources.Go(func() {
		done := c.check(ctx, sources)
		select {
		case begun <- struct{}{}:
		case <-late:
			w.queue.put(Event{Source: source}) // it may have changed after it was read
		}
		for {
			var again <-chan time.Time
			if !done {
				again = time.After(w.options.Retry)
			}
			select {
			case <-ctx.Done():
				return
			case <-again:
			case <-c.wake():
			}
			done = c.check(ctx, sources)
		}
	})
	select {
	case <-begun:
	case <-time.After(startPatience):
		close(late)
	}
}

// Changed receives when there is something to take, and when a source begins or ceases to be watched.
func (w *Watcher) Changed() <-chan struct{} { return w.queue.filled }

// Take returns what has changed since the last call. What is not taken yet is merged, and never
// lost.
func (w *Watcher) Take() []Event { return w.queue.take() }

// Wait waits until all that [Start] began has ended, after its context.
func (w *Watcher) Wait() { <-w.ended }

// Status says of each source whether it is watched.
func (w *Watcher) Status() []Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []Status
	for _, source := range []Source{Configfs, Metadata, Devices} {
		s, known := w.status[source]
		if !known {
			s = Status{Source: source, Why: "the kernel does not respond; see dmesg"}
		}
		all = append(all, s)
	}
	return all
}

// PhysicalVolumes names the device nodes of all physical volumes, in place of those named before.
// Each that was not watched yet gives an event once it is: its metadata may have changed after it
// was read, and before it was watched.
func (w *Watcher) PhysicalVolumes(nodes []string) { w.metadata.set(nodes) }

// set sets the status of a source.
func (w *Watcher) set(s Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.status[s.Source] != s {
		w.options.Log.V(1).Info("watching changes of the machine", "source", s.Source, "watching", s.Watching, "why", s.Why)
	}
	if w.status[s.Source].Watching != s.Watching {
		w.queue.filled.raise() // whoever waits for events must know that none may come
	}
	w.status[s.Source] = s
}

// ceased is called by a reader of a source that cannot read any more. It returns when that may be
// tried again, and false if the context has ended.
func (w *Watcher) ceased(ctx context.Context, source Source, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	w.set(Status{Source: source, Why: fmt.Sprint(err)})
	select {
	case <-ctx.Done():
		return false
	case <-time.After(w.options.Retry):
	}
	w.options.Log.V(1).Info("watching again", "source", source, "error", err)
	return true
}

// isKnown is true if it was tried to watch a source.
func (w *Watcher) isKnown(s Source) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, known := w.status[s]
	return known
}

// watches is true if a source is watched.
func (w *Watcher) watches(s Source) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.status[s].Watching
}

// signal is a channel of one element that wakes somebody who is waiting, or will.
type signal chan struct{}

func newSignal() signal { return make(signal, 1) }

func (s signal) raise() {
	select {
	case s <- struct{}{}:
	default:
	}
}
