package plan

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
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
	// TrashedSince is when it was first seen in the trash. A tag may say that it has been there
	// for longer: it was set by a clock that was wrong.
	TrashedSince time.Time `json:"trashedSince,omitzero"`
	// Declared is true if a file here has named it.
	Declared bool `json:"declared,omitempty"`
	// Reverted are the requests by which the content was put back, of whatever logical volume.
	Reverted []string `json:"reverted,omitempty"`
	// LV is the UUID of the logical volume that is its now, and Content what was seen of what is
	// in that.
	LV      string  `json:"lv,omitempty"`
	Content Content `json:"content,omitempty"`
	// FailedCutover stands for the spec for which a cutover failed last; empty: none did.
	FailedCutover string `json:"failedCutover,omitempty"`
	// Orphaned is true if no file named it when it was last looked at, and it was not in the trash.
	Orphaned bool `json:"orphaned,omitempty"`
	// Unserved is true if no target showed it when it was last looked at, and not only because the
	// node was started anew.
	Unserved bool `json:"unserved,omitempty"`
	// Origin is the identity of what a Snapshot was taken of, if no tag says it.
	Origin string `json:"origin,omitempty"`
	// Targets are the targets that an Export names, and those that it had and
	// that are still there.
	Targets []string `json:"targets,omitempty"`
	// Force is true if an Export said last that live sessions are not waited for.
	Force bool `json:"force,omitempty"`
	// Interrupted is what cutovers took from an Export's targets, as far as it is not back.
	Interrupted []Interruption `json:"interrupted,omitempty"`
}

// Content says whether all that an object holds was found in its logical volume.
type Content string

// What was seen of a content.
const (
	Complete   Content = "complete"
	Incomplete Content = "incomplete"
)

// Learn returns what is known after an observation, of which index is the index: known
// itself, if that is no news. It is pure.
func Learn(known map[spec.ID]Identity, desired spec.Set, observed observe.State, index *Index, now time.Time) map[spec.ID]Identity {
	l := learning{identities: known}
	l.volumes(known, desired, observed, index, now)
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
	// exported are the objects that an Export names; nil: nobody asked.
	exported map[spec.ID]bool
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
		_, invalid := desired.Invalid[id]
		now := Identity{Force: was.Force, Interrupted: was.Interrupted, Declared: was.Declared || named || invalid}
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
		case !slices.Equal(names, was.Targets) || now.Force != was.Force || now.Declared != was.Declared || was.isVolume():
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
func (l *learning) volumes(known map[spec.ID]Identity, desired spec.Set, observed observe.State, index *Index, now time.Time) {
	if observed.Unknown[observe.LVM] != nil {
		return
	}
	for id, lvs := range index.current {
		was, isKnown := known[id]
		isKnown = isKnown && was.UUID != "" // and not only about to be made
		identity := was
		givenUp := isKnown && desired.Annotation(id, spec.AnnotationRecreate) == identity.UUID
		switch {
		case len(lvs) > 1 && !isKnown:
			// Which of several copies is the right one is for somebody else to say.
			continue
		case len(lvs) == 1 && (!isKnown || givenUp || lvs[0].Identity() == identity.UUID):
			if !isKnown || givenUp || !strayed(was, lvs[0], desired, observed) {
				identity.VolumeGroup = lvs[0].VolumeGroup
			}
			identity.UUID = lvs[0].Identity()
		}
		if policy, named := desired.DeletionPolicy(id); named {
			identity.Retain = policy == spec.Retain
		}
		_, invalid := desired.Invalid[id]
		if invalid || desired.Has(id) {
			identity.Outdated, identity.Declared = deletedTags(lvs), true
		}
		identity.TrashedSince = trashedSince(identity, lvs, now)
		for _, lv := range lvs {
			identity.Reverted = withRequests(identity.Reverted, lv)
		}
		if identity.FailedCutover != "" && (identity.FailedCutover != printOf(desired, id) || len(lvs) == 1 && lvs[0].UUID != was.LV) {
			identity.FailedCutover = "" // something else is asked for, or it succeeded
		}
		// And not one that only carries its tags.
		if len(lvs) == 1 && lvs[0].Identity() == identity.UUID && (givenUp || !was.cameBack(lvs[0])) {
			identity.LV, identity.Content = lvs[0].UUID, contentOf(was, lvs[0])
		}
		identity = l.learnServed(identity, was, id, lvs, desired, observed, index)
		if _, had := known[id]; !had || !identity.sameVolume(was) {
			l.change()[id] = identity
		}
	}
	for id, identity := range known {
		_, vgThere := observed.VolumeGroups[identity.VolumeGroup]
		vgThere = vgThere || identity.VolumeGroup == "" && id.Kind != spec.KindExport // it was never made
		_, invalid := desired.Invalid[id]
		if desired.Complete && vgThere && !index.exists(id) && !invalid && !desired.Has(id) {
			delete(l.change(), id)
		}
	}
}

// sameVolume reports whether two identities say the same of a logical volume.
func (i Identity) sameVolume(other Identity) bool {
	return i.UUID == other.UUID && i.VolumeGroup == other.VolumeGroup && i.Retain == other.Retain && i.Declared == other.Declared &&
		i.Orphaned == other.Orphaned && i.Unserved == other.Unserved && i.Origin == other.Origin && i.LV == other.LV && i.FailedCutover == other.FailedCutover && i.Content == other.Content && i.TrashedSince.Equal(other.TrashedSince) &&
		slices.Equal(i.Outdated, other.Outdated) && slices.Equal(i.Reverted, other.Reverted)
}

// trashedSince is when an object was first seen in the trash, in which it is; zero: it is not,
// or a file named it after it was put there.
func trashedSince(was Identity, lvs []observe.LogicalVolume, now time.Time) time.Time {
	tags := deletedTags(lvs)
	news := slices.ContainsFunc(tags, func(tag string) bool { return !slices.Contains(was.Outdated, tag) })
	switch {
	case len(tags) == 0 || !news:
		return time.Time{}
	case was.TrashedSince.IsZero():
		return now.Round(0)
	default:
		return was.TrashedSince
	}
}

// withRequests adds the requests by which a logical volume says that it was put back.
func withRequests(known []string, lv observe.LogicalVolume) []string {
	for _, tag := range lv.TagsWith(ondisk.TagReverted) {
		if request := strings.TrimPrefix(tag, ondisk.TagReverted); !slices.Contains(known, request) {
			known = append(slices.Clone(known), request)
		}
	}
	return known
}

// contentOf judges by the tags on an object's logical volume, and by what they said before, what
// is in it. Tags are lost, and come back with old metadata: what contradicts what was seen of the
// same logical volume is not believed.
func contentOf(was Identity, lv observe.LogicalVolume) Content {
	same := was.LV == lv.UUID
	switch {
	case same && was.Content == Complete:
		return Complete
	case lv.Phase() == ondisk.Populating, lv.Phase() == ondisk.Reverting:
		return Incomplete
	case !whole(lv):
		return ""
	case same && was.Content == Incomplete && !filled(lv):
		return Incomplete
	default:
		return Complete
	}
}

// strayed reports whether the logical volume of an object is in a volume group that
// no Pool names, though that in which the object was is still there: somebody took it elsewhere, or
// it is what a copy of a disk has of it.
func strayed(known Identity, lv observe.LogicalVolume, desired spec.Set, observed observe.State) bool {
	_, there := observed.VolumeGroups[known.VolumeGroup]
	if !there || lv.VolumeGroup == known.VolumeGroup || lv.UUID != known.LV && lv.UUID != known.UUID {
		return false
	}
	for _, p := range desired.Pools {
		if p.Spec.VolumeGroup == lv.VolumeGroup {
			return false
		}
	}
	return true
}

// filled reports whether a logical volume says that what was written to it is complete.
func filled(lv observe.LogicalVolume) bool {
	return slices.Contains(lv.Tags, ondisk.TagFilled)
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
