package observe

import (
	"maps"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// adoptees are the iSCSI targets of others that are to be adopted. They are read in full, passwords
// included, and so are the backstores of others while there are any: what is adopted must be as it is
// declared. Of all other targets no password is read.
type adoptees struct {
	mu    sync.Mutex
	all   bool
	names map[string]bool
}

// Adopt says which iSCSI targets of others are to be adopted, from the next [Observer.Observe] on.
func (o *Observer) Adopt(targets ...string) {
	names := make(map[string]bool, len(targets))
	for _, name := range targets {
		names[name] = true
	}
	o.setAdoptees(false, names)
}

// AdoptAll says that all of them are.
func (o *Observer) AdoptAll() { o.setAdoptees(true, nil) }

func (o *Observer) setAdoptees(all bool, names map[string]bool) {
	a := &o.cache.adoptees
	a.mu.Lock()
	same := a.all == all && maps.Equal(a.names, names)
	a.all, a.names = all, names
	a.mu.Unlock()
	if !same {
		o.Forget(AllOfConfigFS)
	}
}

// isAdopted reports whether a target is to be adopted, and anyAdopted whether any is. Without an
// Observer none is.
func isAdopted(h host.Files, target string) bool {
	c, observer := h.(*cache)
	if !observer {
		return false
	}
	c.adoptees.mu.Lock()
	defer c.adoptees.mu.Unlock()
	return c.adoptees.all || c.adoptees.names[target]
}

func anyAdopted(h host.Files) bool {
	c, observer := h.(*cache)
	if !observer {
		return false
	}
	c.adoptees.mu.Lock()
	defer c.adoptees.mu.Unlock()
	return c.adoptees.all || len(c.adoptees.names) > 0
}
