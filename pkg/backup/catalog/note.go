package catalog

import (
	"maps"
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
)

// note changes what is kept of a repository, and writes it if that is something else than before. The caller has
// the lock. An error is logged: who needs to know calls [Catalog.commit].
func (c *Catalog) note(url string, change func(*kept)) {
	if err := c.store.note(url, change); err != nil {
		c.log.Error(err, "the state of repositories is not stored; it is stored with the next change")
	}
}

// commit is note with its error, for those who do not have the lock. It wakes the loop.
func (c *Catalog) commit(url string, change func(*kept, time.Time)) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer c.wake()
	now := c.clock()
	return c.store.note(url, func(k *kept) { change(k, now) })
}

// NoteSeen records that a repository with a URL is there: it is not created again. That there was none is no longer
// true then.
func (c *Catalog) NoteSeen(url string) error {
	c.mu.Lock()
	for _, e := range c.entries {
		if e.from.URL == url && e.read.Missing {
			e.read = observe.Repository{}
		}
	}
	c.mu.Unlock()
	return c.commit(url, func(k *kept, _ time.Time) { k.Seen = true })
}

// NotePruned records that a repository was pruned now.
func (c *Catalog) NotePruned(url string) error {
	return c.commit(url, func(k *kept, now time.Time) { k.Pruned = now.Round(0) })
}

// NoteChecked records that a repository was checked now.
func (c *Catalog) NoteChecked(url string) error {
	return c.commit(url, func(k *kept, now time.Time) { k.Checked = now.Round(0) })
}

// NoteForgotten records that backups of a Volume are removed now. It is called before: those that are still
// there do not count, whereas one that is gone and not recorded would let another be removed too early.
func (c *Catalog) NoteForgotten(url, volume string, ids ...string) error {
	return c.commit(url, func(k *kept, now time.Time) { k.noteRemovals(volume, ids, now) })
}

// NoteDoubted records that a backup does not have the content that its volume had then, or that the volume has lost
// it. No other backup must rely on it.
func (c *Catalog) NoteDoubted(url, id string) error {
	return c.commit(url, func(k *kept, now time.Time) {
		if k.Doubted == nil {
			k.Doubted = map[string]time.Time{}
		}
		k.Doubted[id] = now
	})
}

// IsDoubted reports whether NoteDoubted was called for a backup.
func (c *Catalog) IsDoubted(url, id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.store.byKey[key(url)]
	return k != nil && !k.Doubted[id].IsZero()
}

// NoteBegun records that a backup is about to be made, of which ID and time are not known yet. Until NoteEnded is called,
// or the backup was found to be complete, it does not count.
func (c *Catalog) NoteBegun(url string, b observe.Backup) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.clock()
	return c.store.note(url, func(k *kept) {
		maps.DeleteFunc(k.Begun, func(_ string, at time.Time) bool { return now.Sub(at) > begunCounts })
		if k.Begun == nil {
			k.Begun = map[string]time.Time{}
		}
		k.Begun[begunKey(b)] = now.Round(0)
	})
}

// NoteEnded records that a backup was made, and is complete.
func (c *Catalog) NoteEnded(url string, b observe.Backup) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.note(url, func(k *kept) { delete(k.Begun, begunKey(b)) })
}

// IsBegun reports whether a backup was begun, and not ended.
func (c *Catalog) IsBegun(url string, b observe.Backup) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	k := c.store.byKey[key(url)]
	return k != nil && !k.Begun[begunKey(b)].IsZero()
}

// begunKey names a backup before it has an ID: each snapshot is backed up once for each that asks for it.
func begunKey(b observe.Backup) string { return b.LV + "/" + b.Schedule + "/" + b.Object }
