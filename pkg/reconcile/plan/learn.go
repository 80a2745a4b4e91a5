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

// Learn returns what is known after an observation, of which index is the index. It is pure.
func Learn(known map[spec.ID]Identity, desired spec.Set, observed observe.State, index *Index) map[spec.ID]Identity {
	return learnInterruptions(learnTargets(learnVolumes(known, desired, observed, index), desired, observed, index), desired, observed)
}

// learnTargets learns of Exports. A target is forgotten when no file names it
// and no directory of it is there.
func learnTargets(known map[spec.ID]Identity, desired spec.Set, observed observe.State, index *Index) map[spec.ID]Identity {
	next := maps.Clone(known)
	targets := map[spec.ID][]string{}
	observed = withOwners(observed, desired, known)
	there := map[string]bool{}
	for _, target := range index.targets {
		there[target.Name] = true
		t, _ := observed.Target(target)
		if id, ours := t.Owner(); ours {
			targets[id] = append(targets[id], target.Name)
		}
	}
	for name, e := range desired.Exports {
		id := spec.ID{Kind: spec.KindExport, Name: name}
		targets[id] = append(targets[id], e.Spec.Target)
		next[id] = Identity{Targets: next[id].Targets, Force: e.Spec.Disconnect == spec.DisconnectForce, Interrupted: next[id].Interrupted}
	}
	for id, identity := range next {
		for _, name := range identity.Targets {
			if there[name] || !desired.Complete || unknownTargets(observed) {
				targets[id] = append(targets[id], name)
			}
		}
		if id.Kind == spec.KindExport && len(targets[id]) == 0 {
			delete(next, id)
		}
	}
	for id, names := range targets {
		slices.Sort(names)
		next[id] = Identity{Targets: slices.Compact(names), Force: next[id].Force, Interrupted: next[id].Interrupted}
	}
	return next
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

// learnVolumes learns of Volumes, Snapshots and Pools.
//
// An identity is learnt when an object's logical volume is first seen, or when
// the object's annotation gives up the one that is known. It keeps to the volume
// group in which its logical volume is by now. It is forgotten when
// no file names the object and its volume group, which is there, holds nothing
// of it.
func learnVolumes(known map[spec.ID]Identity, desired spec.Set, observed observe.State, index *Index) map[spec.ID]Identity {
	if observed.Unknown[observe.LVM] != nil {
		return known
	}
	next := maps.Clone(known)
	for id, lvs := range index.current {
		identity, isKnown := known[id]
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
		next[id] = identity
	}
	for id, identity := range known {
		_, vgThere := observed.VolumeGroups[identity.VolumeGroup]
		_, invalid := desired.Invalid[id]
		if desired.Complete && vgThere && !index.exists(id) && !invalid && !desired.Has(id) {
			delete(next, id)
		}
	}
	return next
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
