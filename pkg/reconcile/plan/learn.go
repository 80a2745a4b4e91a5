package plan

import (
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Identity is what is remembered of an object: the logical volume behind it, or
// the targets of an Export.
type Identity struct {
	// UUID is what [observe.LogicalVolume.Identity] says of it.
	UUID        string `json:"uuid,omitempty"`
	VolumeGroup string `json:"volumeGroup,omitempty"`
	// Retain is true if the files said so last. The tag may be older: it is not
	// corrected on what is suspended.
	Retain bool `json:"retain,omitempty"`
	// Outdated are tags on the logical volume that say that it is in the trash,
	// though a file has named the object since. They too are not corrected on
	// what is suspended, nor while physical volumes are missing.
	Outdated []string `json:"outdated,omitempty"`
	// Targets are the targets that an Export names, and those that it had and
	// that are still there.
	Targets []string `json:"targets,omitempty"`
	// Force is true if an Export said last that live sessions are not waited for.
	Force bool `json:"force,omitempty"`
	// Interrupted is what cutovers took from an Export's targets, as far as it is not back.
	Interrupted []Interruption `json:"interrupted,omitempty"`
}

// Learn returns what is known after an observation, of which index is the index: known
// itself, if that is no news. It is pure.
func Learn(known map[spec.ID]Identity, desired spec.Set, observed observe.State, index *Index) map[spec.ID]Identity {
	l := learning{identities: known}
	l.volumes(known, desired, observed, index)
	l.targets(desired, observed, index)
	for _, identity := range l.identities {
		if len(identity.Interrupted) > 0 {
			return learnInterruptions(maps.Clone(l.identities), desired, observed)
		}
	}
	return l.identities
}

// learning is what is known so far. It is copied before the first change: with many
// objects a copy costs more than to see that nothing has changed.
type learning struct {
	identities map[spec.ID]Identity
	copied     bool
}

func (l *learning) change() map[spec.ID]Identity {
	if !l.copied {
		l.identities, l.copied = maps.Clone(l.identities), true
	}
	return l.identities
}

// targets learns of Exports. A target is forgotten when no file names it and no
// directory of it is there.
func (l *learning) targets(desired spec.Set, observed observe.State, index *Index) {
	owned := ownedTargets(withOwners(observed, desired, l.identities), index)
	mayBeThere := func(string) bool { return true }
	if desired.Complete && !unknownTargets(observed) {
		mayBeThere = index.anyTarget()
	}
	var names []string
	one := func(id spec.ID) {
		was := l.identities[id]
		e, named := desired.Exports[id.Name]
		named = named && id.Kind == spec.KindExport
		now := Identity{Force: was.Force, Interrupted: was.Interrupted}
		names = append(names[:0], owned[id]...)
		if named {
			names = append(names, e.Spec.Target)
			now.Force = e.Spec.Disconnect == spec.DisconnectForce
		}
		for _, name := range was.Targets {
			if !slices.Contains(names, name) && mayBeThere(name) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		names = slices.Compact(names)
		switch {
		case len(names) == 0 && id.Kind == spec.KindExport:
			delete(l.change(), id)
		case len(names) == 0:
		case !slices.Equal(names, was.Targets) || now.Force != was.Force || was.isVolume():
			now.Targets = slices.Clone(names)
			l.change()[id] = now
		}
	}
	for id := range owned {
		one(id)
	}
	for name := range desired.Exports {
		if id := (spec.ID{Kind: spec.KindExport, Name: name}); len(owned[id]) == 0 {
			one(id)
		}
	}
	for id, identity := range l.identities {
		if id.Kind != spec.KindExport && len(identity.Targets) == 0 || len(owned[id]) > 0 {
			continue
		}
		if _, named := desired.Exports[id.Name]; !named || id.Kind != spec.KindExport {
			one(id)
		}
	}
}

// isVolume reports whether there is more in an identity than there is of Exports.
func (i Identity) isVolume() bool {
	return i.UUID != "" || i.VolumeGroup != "" || i.Retain || i.Outdated != nil
}

// ownedTargets returns the names of the targets of each Export, as they say themselves.
func ownedTargets(observed observe.State, index *Index) map[spec.ID][]string {
	owned := make(map[spec.ID][]string, len(index.targets))
	names := make([]string, len(index.targets))
	for n, target := range index.targets {
		names[n] = target.Name
		t, _ := observed.Target(target)
		if id, ours := t.Owner(); ours {
			addPlace(owned, id, names, n)
		}
	}
	return owned
}

// anyTarget returns what reports whether there is a target of a name, in whatever fabric.
func (x *Index) anyTarget() func(name string) bool {
	var there map[string]bool
	return func(name string) bool {
		if there == nil { // most often nobody asks
			there = make(map[string]bool, len(x.targets))
			for _, target := range x.targets {
				there[target.Name] = true
			}
		}
		return there[name]
	}
}

// unknownTargets reports whether targets may be there that were not seen.
func unknownTargets(observed observe.State) bool {
	for system := range observed.Unknown {
		if system != observe.LVM {
			return true
		}
	}
	return false
}

// volumes learns of Volumes, Snapshots and Pools.
//
// An identity is learnt when an object's logical volume is first seen, or when
// the object's annotation gives up the one that is known. It keeps to the volume
// group in which its logical volume is by now. It is forgotten when
// no file names the object and its volume group, which is there, holds nothing
// of it.
func (l *learning) volumes(known map[spec.ID]Identity, desired spec.Set, observed observe.State, index *Index) {
	if observed.Unknown[observe.LVM] != nil {
		return
	}
	for id, lvs := range index.current {
		was, isKnown := known[id]
		identity := was
		givenUp := isKnown && desired.Annotation(id, spec.AnnotationRecreate) == identity.UUID
		switch {
		case len(lvs) > 1 && !isKnown:
			// Which of several copies is the right one is for somebody else to say.
			continue
		case len(lvs) == 1 && (!isKnown || givenUp || lvs[0].Identity() == identity.UUID):
			identity.UUID, identity.VolumeGroup = lvs[0].Identity(), lvs[0].VolumeGroup
		}
		if policy, named := desired.DeletionPolicy(id); named {
			identity.Retain = policy == spec.Retain
		}
		if _, invalid := desired.Invalid[id]; invalid || desired.Has(id) {
			identity.Outdated = deletedTags(lvs)
		}
		if !isKnown || identity.UUID != was.UUID || identity.VolumeGroup != was.VolumeGroup ||
			identity.Retain != was.Retain || !slices.Equal(identity.Outdated, was.Outdated) {
			l.change()[id] = identity
		}
	}
	for id, identity := range known {
		_, vgThere := observed.VolumeGroups[identity.VolumeGroup]
		_, invalid := desired.Invalid[id]
		if desired.Complete && vgThere && !index.exists(id) && !invalid && !desired.Has(id) {
			delete(l.change(), id)
		}
	}
}

// deletedTags returns the tags that say that logical volumes are in the trash, sorted.
func deletedTags(lvs []observe.LogicalVolume) []string {
	var tags []string
	for _, lv := range lvs {
		tags = append(tags, lv.DeletedTags()...)
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}
