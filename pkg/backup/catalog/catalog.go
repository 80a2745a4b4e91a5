package catalog

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/go-logr/logr"

	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// fresh is how long what was read counts as new. Only this node writes to its repository, and what it
	// writes is read again at once: this is for what people do by hand.
	fresh = time.Hour
	// firstRetry is the delay after a failure. It doubles up to fresh.
	firstRetry = time.Minute
	// patience bounds one reading: without it a server that takes a connection and says nothing would
	// never be asked again.
	patience = 15 * time.Minute
)

// Catalog is what is known of repositories. It is safe for concurrent use.
type Catalog struct {
	with    restic.Repository // all of a repository but URL, password and environment
	log     logr.Logger
	clock   func() time.Time
	changed chan struct{}
	ctx     context.Context
	stop    context.CancelFunc
	readers sync.WaitGroup

	mu      sync.Mutex
	entries map[string]*entry // by the name of the object
	store   *store
}

// entry is a repository that is declared now.
type entry struct {
	from spec.ResticRepository
	// read is what was read last, without what the file keeps.
	read observe.Repository
	// due is when it is to be read again; zero: now. failures is how often that failed since it last succeeded.
	due      time.Time
	failures int
	// reading is closed when nothing is being read any more; nil: nothing is. again: what is being read is
	// outdated before it is there.
	reading chan struct{}
	again   bool
	cancel  context.CancelFunc
}

// Options are what a catalog needs besides its file.
type Options struct {
	// With is all of a repository but its URL, password and environment.
	With restic.Repository
	Log  logr.Logger
	// Clock is the time; nil: the machine's.
	Clock func() time.Time
	// ReadOnly leaves the file as it is.
	ReadOnly bool
}

// Open returns the catalog with a file, which need not exist. One that cannot be understood is set aside. Without
// a path nothing is kept.
func Open(file string, o Options) (*Catalog, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	store, err := openStore(file, o.ReadOnly, o.Log)
	if err != nil {
		return nil, err
	}
	// A repository may be read-only, and restic takes exclusive locks to forget, prune and check. The list of
	// snapshots is complete meanwhile.
	o.With.NoLock = true
	ctx, stop := context.WithCancel(context.Background())
	return &Catalog{
		with: o.With, log: o.Log, clock: o.Clock, changed: make(chan struct{}, 1), ctx: ctx, stop: stop,
		entries: map[string]*entry{}, store: store,
	}, nil
}

// Close ends what is being read, and waits for it.
func (c *Catalog) Close() {
	c.stop()
	c.readers.Wait()
}

// Changed has a value when something is known that was not known before.
func (c *Catalog) Changed() <-chan struct{} { return c.changed }

// Observe returns what was read last of the repositories that are declared, and begins to read those of which that is
// too old. Of one that was never read nothing is known; so it is of one with another URL or other secrets than before.
func (c *Catalog) Observe(repositories map[string]spec.Repository) map[string]observe.Repository {
	c.mu.Lock()
	defer c.mu.Unlock()
	maps.DeleteFunc(c.entries, func(name string, e *entry) bool {
		r, declared := repositories[name]
		gone := !declared || !isSame(e.from, r.Spec.Restic)
		if gone && e.cancel != nil {
			e.cancel()
		}
		return gone
	})
	now := c.clock()
	known := make(map[string]observe.Repository, len(repositories))
	for name, r := range repositories {
		e := c.entries[name]
		if e == nil {
			e = &entry{from: r.Spec.Restic}
			c.entries[name] = e
		}
		if e.reading == nil && !now.Before(e.due) {
			c.begin(name, e)
		}
		known[name] = c.store.complete(e.from.URL, e.read, now)
	}
	return known
}

func isSame(a, b spec.ResticRepository) bool {
	return a.URL == b.URL && a.Password == b.Password && maps.Equal(a.Environment, b.Environment)
}

// Invalidate makes a repository be read again, at once. What is being read does not count.
func (c *Catalog) Invalidate(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.invalidate(name)
}

func (c *Catalog) invalidate(name string) *entry {
	e := c.entries[name]
	switch {
	case e == nil:
	case e.reading != nil:
		e.again = true
	default:
		e.due, e.failures = time.Time{}, 0
		c.begin(name, e)
	}
	return e
}

// Refresh is [Catalog.Invalidate], and waits until that was read, or could not be, or ctx ends.
func (c *Catalog) Refresh(ctx context.Context, name string) {
	c.mu.Lock()
	e := c.invalidate(name)
	var read chan struct{}
	if e != nil {
		read = e.reading
	}
	c.mu.Unlock()
	if read != nil {
		select {
		case <-read:
		case <-ctx.Done():
		}
	}
}

// Wait waits until nothing is being read, or ctx ends.
func (c *Catalog) Wait(ctx context.Context) {
	for ctx.Err() == nil {
		c.mu.Lock()
		var reading chan struct{}
		for _, e := range c.entries {
			if e.reading != nil {
				reading = e.reading
			}
		}
		c.mu.Unlock()
		if reading == nil {
			return
		}
		select {
		case <-reading:
		case <-ctx.Done():
		}
	}
}

// begin reads a repository in the background. The caller has the lock.
func (c *Catalog) begin(name string, e *entry) {
	if c.ctx.Err() != nil {
		return
	}
	ctx, cancel := context.WithCancel(c.ctx)
	e.reading, e.cancel, e.again = make(chan struct{}), cancel, false
	c.readers.Go(func() {
		defer cancel()
		for again := true; again; {
			found, err := c.list(ctx, e.from)
			again = c.take(name, e, found, err)
		}
	})
}

// list reads the backups in a repository. One that was begun and not ended, as far as is known, is left out unless it is
// complete: the agent may have died, or the repository been out of reach, before it was removed.
func (c *Catalog) list(ctx context.Context, from spec.ResticRepository) ([]observe.Backup, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := c.with
	r.URL, r.Password, r.Environment = from.URL, from.Password, from.Environment
	snapshots, err := backup.List(ctx, r, "")
	if err != nil {
		return nil, err
	}
	found := make([]observe.Backup, 0, len(snapshots))
	for _, s := range snapshots {
		b := Parse(s)
		if c.IsBegun(from.URL, b) {
			switch _, err := backup.Inspect(ctx, r, s.ID); {
			case errors.Is(err, backup.ErrFormat):
				continue // it is made once more, and this one is removed
			case err != nil:
				return nil, err
			}
			c.NoteEnded(from.URL, b)
		}
		found = append(found, b)
	}
	return found, nil
}

// take takes in what was read. It reports true if that is to be done again.
func (c *Catalog) take(name string, e *entry, found []observe.Backup, err error) (again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx.Err() != nil || c.entries[name] != e {
		close(e.reading)
		e.reading = nil
		return false
	}
	if e.again {
		e.again, e.failures = false, 0
		return true
	}
	before, now := e.read, c.clock()
	if err == nil {
		e.read = observe.Repository{Backups: found, Read: now}
		e.failures, e.due = 0, now.Add(fresh)
		c.note(e.from.URL, func(k *kept) { k.wasRead(found) })
	} else {
		e.read.Err, e.read.Missing = err, errors.Is(err, restic.ErrMissing)
		e.failures++
		e.due = now.Add(min(firstRetry<<min(e.failures-1, 10), fresh))
	}
	close(e.reading)
	e.reading, e.cancel = nil, nil
	if !isEqual(before, e.read) {
		c.wake()
	}
	return false
}

// wake tells of something new.
func (c *Catalog) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// isEqual reports whether there is nothing new but the time at which it was read.
func isEqual(a, b observe.Repository) bool {
	if a.IsKnown() != b.IsKnown() || a.Missing != b.Missing || (a.Err == nil) != (b.Err == nil) || len(a.Backups) != len(b.Backups) {
		return false
	}
	for i := range a.Backups {
		if a.Backups[i] != b.Backups[i] {
			return false
		}
	}
	return a.Err == nil || a.Err.Error() == b.Err.Error()
}
