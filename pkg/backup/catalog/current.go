package catalog

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/restic"
)

// Current returns the backups in a repository. It reports false where they have to be read first: they were never read,
// are too old, or something has happened since.
func (c *Catalog) Current(name, url string) ([]observe.Backup, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	if e == nil || !c.isCurrent(e) || e.from.URL != url {
		return nil, false
	}
	return e.read.Backups, true
}

func (c *Catalog) isCurrent(e *entry) bool {
	return e.read.IsKnown() && e.read.Err == nil && e.reading == nil && c.clock().Before(e.due)
}

// Add takes in a backup that was made, so that the repository need not be read again: to list 100,000 backups after
// each of 1,000 would take longer than to make them. It reports false if it has to be read all the same; restic before
// 0.17 does not say the whole ID.
func (c *Catalog) Add(name string, b observe.Backup) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.entries[name]
	if e == nil || !c.isCurrent(e) || len(b.ID) != restic.IDLength {
		return false
	}
	at, _ := slices.BinarySearchFunc(e.read.Backups, b, func(one, b observe.Backup) int { return one.Time.Compare(b.Time) })
	for at < len(e.read.Backups) && e.read.Backups[at].Time.Equal(b.Time) {
		at++
	}
	e.read.Backups = slices.Insert(slices.Clone(e.read.Backups), at, b)
	c.wake()
	return true
}
