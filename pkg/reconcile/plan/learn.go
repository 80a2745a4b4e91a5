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

// Identity is what is remembered of an object: its logical volume, or the targets of an Export.
type Identity struct {
	// UUID is the [observe.LogicalVolume.Identity] of the logical volume.
	UUID        string `json:"uuid,omitempty"`
	VolumeGroup string `json:"volumeGroup,omitempty"`
	// Retain is true if the files last declared deletionPolicy: Retain. The tag may be older,
	// because tags of suspended objects are not corrected.
	Retain bool `json:"retain,omitempty"`
	// Outdated are tags that say that the logical volume is in the trash although a file has
	// declared the object since. They too are not corrected while it is suspended, nor while
	// physical volumes are missing.
	Outdated []string `json:"outdated,omitempty"`
	// TrashedSince is when it was first seen in the trash. A tag may say that it has been there
	// for longer, if it was set by a wrong clock.
	TrashedSince time.Time `json:"trashedSince,omitzero"`
	// Since is when a SnapshotSchedule was first seen: it has no run before that.
	Since time.Time `json:"since,omitzero"`
	// Taken is the last moment of which it took a snapshot, by Volume.
	Taken map[string]time.Time `json:"taken,omitempty"`
	// Drilled is when its last drill of a Volume succeeded.
	Drilled map[string]time.Time `json:"drilled,omitempty"`
	// Declared is true if a file here has declared it.
	Declared bool `json:"declared,omitempty"`
	// Reverted are the requests by which its content was reverted, in any logical volume.
	Reverted []string `json:"reverted,omitempty"`
	// LV is the UUID of its current logical volume, and Content whether that was complete
	// when it was observed.
	LV      string  `json:"lv,omitempty"`
	Content Content `json:"content,omitempty"`
	// FailedCutover identifies the spec for which a cutover failed last; empty: none failed.
	FailedCutover string `json:"failedCutover,omitempty"`
	// Orphaned is true if it was undeclared when it was last observed, and not in the trash.
	Orphaned bool `json:"orphaned,omitempty"`
	// Unserved is true if no target showed it when it was last observed, and not only because the
	// node was restarted.
	Unserved bool `json:"unserved,omitempty"`
	// Origin is the identity of a Snapshot's origin, if no tag says it.
	Origin string `json:"origin,omitempty"`
	// Targets are the targets that an Export declares, and former ones that still exist.
	Targets []string `json:"targets,omitempty"`
	// Adopted is the target that an Export has adopted and still declares.
	Adopted string `json:"adopted,omitempty"`
	// Force is true if an Export last declared disconnect: Force.
	Force bool `json:"force,omitempty"`
	// Interrupted is what cutovers removed from an Export's targets and is not restored.
	Interrupted []Interruption `json:"interrupted,omitempty"`
}

// Content says whether an object's logical volume held all of its data when it was observed.
type Content string

// What was seen of a content.
const (
	Complete   Content = "complete"
	Incomplete Content = "incomplete"
)

// Learn returns what is known after an observation with its index: known itself, if nothing is
// new. It is pure.
func Learn(known map[spec.ID]Identity, declared spec.Set, observed observe.State, index *Index, now time.Time) map[spec.ID]Identity {
	l := learning{identities: known}
	l.learnVolumes(known, declared, observed, index, now)
	l.learnTargets(declared, observed, index)
	for _, identity := range l.identities {
		if len(identity.Interrupted) > 0 {
			return learnInterruptions(maps.Clone(l.identities), declared, observed)
		}
	}
	return l.identities
}

// learning is what is known so far. It is copied before the first change: with many objects a copy
// costs more than to see that nothing has changed.
type learning struct {
	identities map[spec.ID]Identity
	copied     bool
	// exported are the objects that an Export declares; nil: not computed yet.
	exported map[spec.ID]bool
}

func (l *learning) editable() map[spec.ID]Identity {
	if !l.copied {
		l.identities, l.copied = maps.Clone(l.identities), true
	}
	return l.identities
}

// learnTargets learns about Exports. A target is forgotten when it is undeclared and no longer
// exists.
func (l *learning) learnTargets(declared spec.Set, observed observe.State, index *Index) {
	owned := ownedTargets(withOwners(observed, declared, l.identities), index)
	mayBeThere := func(string) bool { return true }
	if declared.Complete && !hasUnknownTargets(observed) {
		mayBeThere = index.anyTarget()
	}
	var names []string
	one := func(id spec.ID) {
		was := l.identities[id]
		e, isDeclared := declared.Exports[id.Name]
		isDeclared = isDeclared && id.Kind == spec.KindExport
		_, invalid := declared.Invalid[id]
		now := Identity{Force: was.Force, Interrupted: was.Interrupted, Declared: was.Declared || isDeclared || invalid}
		names = append(names[:0], owned[id]...)
		if isDeclared {
			names = append(names, e.Spec.Target)
			now.Force = e.Spec.Disconnect == spec.DisconnectForce
			if e.Spec.Adopt && (was.Adopted == e.Spec.Target || slices.Contains(owned[id], e.Spec.Target)) {
				now.Adopted = e.Spec.Target
			}
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
			delete(l.editable(), id)
		case len(names) == 0:
		case !slices.Equal(names, was.Targets) || now.Force != was.Force || now.Adopted != was.Adopted || now.Declared != was.Declared || was.isVolume():
			now.Targets = slices.Clone(names)
			l.editable()[id] = now
		}
	}
	for id := range owned {
		one(id)
	}
	for name := range declared.Exports {
		if id := (spec.ID{Kind: spec.KindExport, Name: name}); len(owned[id]) == 0 {
			one(id)
		}
	}
	for id, identity := range l.identities {
		if id.Kind != spec.KindExport && len(identity.Targets) == 0 || len(owned[id]) > 0 {
			continue
		}
		if _, isDeclared := declared.Exports[id.Name]; !isDeclared || id.Kind != spec.KindExport {
			one(id)
		}
	}
}

// isVolume reports whether an identity has fields that those of Exports do not have.
func (i Identity) isVolume() bool {
	return i.UUID != "" || i.VolumeGroup != "" || i.Retain || i.Outdated != nil
}

// ownedTargets returns the names of the targets of each Export, by their marks.
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

// anyTarget returns a function that reports whether a target has a name, in any fabric.
func (x *Index) anyTarget() func(name string) bool {
	var there map[string]bool
	return func(name string) bool {
		if there == nil { // rarely needed
			there = make(map[string]bool, len(x.targets))
			for _, target := range x.targets {
				there[target.Name] = true
			}
		}
		return there[name]
	}
}

// hasUnknownTargets reports whether there may be targets that were not read.
func hasUnknownTargets(observed observe.State) bool {
	for system := range observed.Unknown {
		if system != observe.LVM {
			return true
		}
	}
	return false
}

// learnVolumes learns about Volumes, Snapshots and Pools.
//
// An identity is learned when an object's logical volume is first seen, or when the object's
// annotation abandons the known one. Its volume group is updated when the logical volume is moved.
// It is forgotten when the object is undeclared and its volume group, which was read, has nothing
// of it, and when its logical volume is being wiped: a file that declares the object again, from
// then on, asks for a new one.
func (l *learning) learnVolumes(known map[spec.ID]Identity, declared spec.Set, observed observe.State, index *Index, now time.Time) {
	if observed.Unknown[observe.LVM] != nil {
		return
	}
	for id, lvs := range index.current {
		was, isKnown := known[id]
		isKnown = isKnown && was.UUID != "" // and not only about to be created
		identity := was
		abandoned := isKnown && declared.Annotation(id, spec.AnnotationRecreate) == identity.UUID
		switch {
		case len(lvs) > 1 && !isKnown:
			// An administrator must say which of several copies is the right one.
			continue
		case len(lvs) == 1 && (!isKnown || abandoned || lvs[0].Identity() == identity.UUID):
			if !isKnown || abandoned || !isStray(was, lvs[0], declared, observed) {
				identity.VolumeGroup = lvs[0].VolumeGroup
			}
			identity.UUID = lvs[0].Identity()
		}
		if policy, isDeclared := declared.DeletionPolicy(id); isDeclared {
			identity.Retain = policy == spec.Retain
		}
		_, invalid := declared.Invalid[id]
		if invalid || declared.Has(id) {
			identity.Outdated, identity.Declared = deletedTags(lvs), true
		}
		identity.TrashedSince = trashedSince(identity, lvs, now)
		for _, lv := range lvs {
			identity.Reverted = withRequests(identity.Reverted, lv)
		}
		if identity.FailedCutover != "" && (identity.FailedCutover != specDigest(declared, id) || len(lvs) == 1 && lvs[0].UUID != was.LV) {
			identity.FailedCutover = "" // the spec has changed, or the cutover succeeded
		}
		// A logical volume that only carries its tags is not learned.
		if len(lvs) == 1 && lvs[0].Identity() == identity.UUID && (abandoned || !was.isRestoredPredecessor(lvs[0])) {
			identity.LV, identity.Content = lvs[0].UUID, contentOf(was, lvs[0])
		}
		identity = l.learnServed(identity, was, id, lvs, declared, observed, index)
		if _, had := known[id]; !had || !identity.sameVolume(was) {
			l.editable()[id] = identity
		}
	}
	l.learnSchedules(known, declared, index, now)
	l.learnBackups(known, declared, observed)
	for id, identity := range known {
		_, vgThere := observed.VolumeGroups[identity.VolumeGroup]
		vgThere = vgThere || identity.VolumeGroup == "" && id.Kind != spec.KindExport // it was never created
		_, invalid := declared.Invalid[id]
		if id.Kind == spec.KindBackup {
			continue // see learnBackups
		}
		if declared.Complete && vgThere && !index.hasAny(id) && !invalid && !declared.Has(id) {
			delete(l.editable(), id)
		}
	}
	for _, lv := range index.wiping {
		if id, _ := lv.LastOwner(); known[id].LV == lv.UUID && !index.hasAny(id) {
			delete(l.editable(), id)
		}
	}
}

// sameVolume reports whether two identities say the same of a logical volume.
func (i Identity) sameVolume(other Identity) bool {
	return i.UUID == other.UUID && i.VolumeGroup == other.VolumeGroup && i.Retain == other.Retain && i.Declared == other.Declared &&
		i.Orphaned == other.Orphaned && i.Unserved == other.Unserved && i.Origin == other.Origin && i.LV == other.LV && i.FailedCutover == other.FailedCutover && i.Content == other.Content && i.TrashedSince.Equal(other.TrashedSince) &&
		slices.Equal(i.Outdated, other.Outdated) && slices.Equal(i.Reverted, other.Reverted)
}

// trashedSince returns when an object was first seen in the trash; zero: it is not there, or a
// file has declared it since.
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

// withRequests adds the requests by which a logical volume was reverted, as its tags say.
func withRequests(known []string, lv observe.LogicalVolume) []string {
	for _, tag := range lv.TagsWith(ondisk.TagReverted) {
		if request := strings.TrimPrefix(tag, ondisk.TagReverted); !slices.Contains(known, request) {
			known = append(slices.Clone(known), request)
		}
	}
	return known
}

// contentOf decides whether an object's logical volume is complete, by its tags and by what was
// known before. Tags are lost, and return with old metadata: they are not believed if they
// contradict what was seen of the same logical volume.
func contentOf(was Identity, lv observe.LogicalVolume) Content {
	same := was.LV == lv.UUID
	switch {
	case same && was.Content == Complete:
		return Complete
	case lv.Phase() == ondisk.Populating, lv.Phase() == ondisk.Reverting:
		return Incomplete
	case !isComplete(lv):
		return ""
	case same && was.Content == Incomplete && !isFilled(lv):
		return Incomplete
	default:
		return Complete
	}
}

// isStray reports whether an object's logical volume is in a volume group that no Pool declares,
// although the volume group in which the object was last seen still exists: somebody moved it, or
// it is on a copied disk.
func isStray(known Identity, lv observe.LogicalVolume, declared spec.Set, observed observe.State) bool {
	_, there := observed.VolumeGroups[known.VolumeGroup]
	if !there || lv.VolumeGroup == known.VolumeGroup || lv.UUID != known.LV && lv.UUID != known.UUID {
		return false
	}
	for _, p := range declared.Pools {
		if p.Spec.VolumeGroup == lv.VolumeGroup {
			return false
		}
	}
	return true
}

// isFilled reports whether the tags of a logical volume say that its content was written
// completely.
func isFilled(lv observe.LogicalVolume) bool {
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
