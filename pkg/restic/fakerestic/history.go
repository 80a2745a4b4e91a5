package fakerestic

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/restic"
)

// Clone returns another restic with copies of all repositories.
func (f *Restic) Clone() *Restic {
	f.mu.Lock()
	defer f.mu.Unlock()
	clone := NewRestic()
	clone.New, clone.count, clone.killAt, clone.unreadable = f.New, f.count, f.killAt, f.unreadable
	for url, r := range f.repos {
		clone.repos[url] = r.clone()
	}
	return clone
}

func (r *repository) clone() *repository {
	clone := *r
	clone.locks, clone.ids = slices.Clone(r.locks), slices.Clone(r.ids)
	clone.snapshots = make([]*snapshot, len(r.snapshots))
	for i, s := range r.snapshots {
		copied := *s
		copied.nodes = slices.Clone(s.nodes)
		clone.snapshots[i] = &copied
	}
	return &clone
}

// Copy copies a repository to another place, as cp does with a directory: what was there is replaced.
func (f *Restic) Copy(from, to string) {
	f.with(from, func(r *repository) { f.repos[to] = r.clone() })
}

// Remove removes a repository.
func (f *Restic) Remove(url string) {
	f.with(url, func(*repository) { delete(f.repos, url) })
}

// Die leaves what a command leaves that is killed before or after it has had its effect: its lock.
func (f *Restic) Die(c restic.Command) {
	i, err := parse(c)
	if err != nil {
		return
	}
	command, ok := f.commandOf(i.command)
	r, err := f.open(i)
	if ok && err == nil && command.locks(i) {
		_, _ = f.lock(r, command.exclusive)
	}
}

// Kept is a snapshot with the files in it, by path.
type Kept struct {
	restic.Snapshot
	Files map[string][]byte
}

// Kept returns all that is in all repositories, by URL, the oldest first.
func (f *Restic) Kept() map[string][]Kept {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string][]Kept{}
	for url, r := range f.repos {
		all[url] = []Kept{}
		for _, s := range r.snapshots {
			k := Kept{Snapshot: s.Snapshot, Files: map[string][]byte{}}
			for _, n := range s.nodes {
				if !n.dir {
					k.Files[n.path] = n.content
				}
			}
			all[url] = append(all[url], k)
		}
	}
	return all
}
