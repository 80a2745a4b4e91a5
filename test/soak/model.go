package soak

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	extent = 4 << 20
	// vg is the volume group in which everything lives, pool0 the thin pool.
	vg    = "vg0"
	pool0 = "pool0"
	hostA = "iqn.1993-08.org.debian:01:a"
	hostB = "iqn.1993-08.org.debian:01:b"
	// maxDoomed is one less than what the agent deletes at once.
	maxDoomed = 9
)

// Model is what a node must come to.
type Model struct {
	things  map[string]*thing // by the object's name
	exports map[string]*export
	// foreign are the logical volumes that are not ours, by name, and theirs what is
	// not ours in LIO: directories, with all that was in them when they were first
	// seen.
	foreign map[string]*foreign
	theirs  map[string][]string

	broken *mistake
	// blind is true if the agent was started anew while there was a mistake: what
	// it then says of the objects depends on what it could still read.
	blind bool
	// failing is true if the agent tries something again and again.
	failing  bool
	full     bool   // somebody else uses all that was left of the volume group
	poolSize uint64 // the thin pool's, at least
	// emptied is true if the trash keeps nothing in this round.
	emptied bool
}

// thing is a Volume or Snapshot.
type thing struct {
	name  string
	of    string // a Snapshot's Volume
	thin  bool
	named bool // by a file
	size  uint64
	// policy is the deletion policy, Delete or Retain.
	policy   spec.DeletionPolicy
	recreate string
	adopt    bool
	known    string // the UUID that the agent remembers
	lv       *volume
}

// volume is the logical volume of a thing.
type volume struct {
	name    string
	uuid    string // empty until it was seen
	size    uint64
	content string
	policy  spec.DeletionPolicy
	extra   []string // tags that somebody added
	held    string   // the directory of somebody else's backstore on it, or where it is mounted
	// readOnly, cached, unlinked and clone are what an administrator made of it: unlinked
	// means that its device has no name, and clone is the name of a thin volume of which it
	// is the external origin.
	readOnly, cached, unlinked bool
	clone                      string
	trashed                    bool
}

// foreign is a logical volume that is not ours.
type foreign struct {
	thin    bool
	size    uint64
	content string
	tags    []string
	held    bool   // by a backstore, or it has to stay for another reason
	pinned  bool   // the reason is another
	line    string // what it was when it was first seen
}

// export is an Export.
type export struct {
	name     string
	named    bool
	luns     map[string]lun // by thing
	hostB    bool           // a second initiator
	password string         // of hostA; empty: none
	portal   string
	// key is registered by hostA for the LUN that is the thing keyed.
	key, keyed string
	// have is what is there of it; nil: nothing.
	have *exported
}

type lun struct {
	number   int
	readOnly bool
}

// exported is what is there of an Export.
type exported struct {
	luns   map[string]lun
	hosts  map[string]string // to password
	portal string
}

// isExact reports whether the node has nothing of an Export beyond what its file declares.
func (e *export) isExact() bool {
	for name := range e.have.luns {
		if _, asked := e.luns[name]; !asked {
			return false
		}
	}
	return true
}

// mistake is one in the files.
type mistake struct {
	what string
	// object is whose status is nobody's concern meanwhile, and file the name of
	// the file that must not be edited.
	object string
	file   string
	// life is that of the agent that saw the files before.
	life int
	// twice is true if two files name the object, so that neither is acted on, nor
	// on what depends on it.
	twice bool
	mend  func(context.Context) error
}

// newModel returns a model of a node with nothing but Pools.
func newModel() *Model {
	m := &Model{things: map[string]*thing{}, exports: map[string]*export{}, foreign: map[string]*foreign{}, theirs: map[string][]string{}, poolSize: 1 << 30}
	for i := range 3 {
		for _, thin := range []bool{false, true} {
			name := fmt.Sprintf("thick%d", i)
			if thin {
				name = fmt.Sprintf("thin%d", i)
			}
			m.things[name] = &thing{name: name, thin: thin}
			for _, s := range []string{"-mon", "-tue"} {
				m.things[name+s] = &thing{name: name + s, of: name, thin: thin}
			}
		}
		name := fmt.Sprintf("e%d", i)
		m.exports[name] = &export{name: name}
	}
	return m
}

func (t *thing) kind() spec.Kind {
	if t.of != "" {
		return spec.KindSnapshot
	}
	return spec.KindVolume
}

func (t *thing) id() string { return string(t.kind()) + "/" + t.name }

// family is the Volume that a thing belongs to.
func (t *thing) family() string {
	if t.of != "" {
		return t.of
	}
	return t.name
}

func (t *thing) usable() bool { return t.named && t.lv != nil && !t.lv.trashed }

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// volumes and snapshots return the things of a kind in the order of their names.
func (m *Model) volumes() []*thing   { return m.of(func(t *thing) bool { return t.of == "" }) }
func (m *Model) snapshots() []*thing { return m.of(func(t *thing) bool { return t.of != "" }) }

func (m *Model) of(is func(*thing) bool) []*thing {
	var things []*thing
	for _, name := range sorted(m.things) {
		if is(m.things[name]) {
			things = append(things, m.things[name])
		}
	}
	return things
}

// snapshotsOf returns those that are there, in the trash or not.
func (m *Model) snapshotsOf(t *thing) []*thing {
	return m.of(func(s *thing) bool { return s.of == t.name && s.lv != nil })
}

// exportedBy reports whether anything of a thing is in a target, or asked for.
func (m *Model) isExported(t *thing) bool {
	for _, e := range m.exports {
		if _, asked := e.luns[t.name]; asked && e.named {
			return true
		}
		if e.have != nil {
			if _, there := e.have.luns[t.name]; there {
				return true
			}
		}
	}
	return false
}
