package plan

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Interruption is what cutovers removed from a target for a moment. It is remembered before they
// do, so that it can be restored even if nothing else may be changed in the target by then,
// because its Export is invalid or suspended. It is the only evidence that the agent itself closed
// a target, and of what initiators saw there.
type Interruption struct {
	Fabric observe.Fabric `json:"fabric"`
	Target string         `json:"target"`
	// Disabled is true if the target was open, and the cutover disabled it.
	Disabled bool `json:"disabled,omitempty"`
	// Portals are those that were removed, and LUNs those by their number.
	Portals map[string]observe.Transport `json:"portals,omitempty"`
	LUNs    map[int]InterruptedLUN       `json:"luns,omitempty"`
	// The rest is what the Export last said when it was valid. Offered are its objects by LUN.
	// Initiators are those that it admitted, with credentials that the target had: which LUNs each
	// should see, and whether read-only. Anyone is true if it admitted any initiator.
	Offered    map[int]string          `json:"offered,omitempty"`
	Initiators map[string]map[int]bool `json:"initiators,omitempty"`
	Anyone     bool                    `json:"anyone,omitempty"`
}

// InterruptedLUN is a LUN as initiators saw it.
type InterruptedLUN struct {
	Volume string `json:"volume"`
	// UUID is the [observe.LogicalVolume.Identity] of the volume: the same before the cutover and
	// after it.
	UUID string `json:"uuid"`
	// Mapped are the initiators with a mapping of their own, and whether it was write-protected.
	// ReadOnly is that of a LUN of tgtd.
	Mapped   map[string]bool `json:"mapped,omitempty"`
	ReadOnly bool            `json:"readOnly,omitempty"`
}

func (i Interruption) id() observe.TargetID {
	return observe.TargetID{Fabric: i.Fabric, Name: i.Target}
}

func (i Interruption) isOver() bool { return !i.Disabled && len(i.Portals)+len(i.LUNs) == 0 }

// NoteBeginning returns what is known of objects when the steps of a plan begin: what cutovers
// remove, whose content is overwritten, and what was put into the trash when. A step of a Volume
// in a target is a cutover's. It is pure.
func NoteBeginning(known map[spec.ID]Identity, plan Plan, declared spec.Set, observed observe.State, index *Index) map[spec.ID]Identity {
	next, copied := known, false
	note := func(volume spec.ID, target change.Target, f func(*Interruption, observe.Target)) {
		have, there := observed.Target(target.ID())
		id := spec.ID{Kind: spec.KindExport, Name: target.Export}
		e, valid := declared.Exports[id.Name]
		if volume.Kind != spec.KindVolume || !there || !valid {
			return
		}
		if !copied {
			next, copied = maps.Clone(known), true
		}
		identity := next[id]
		all := slices.Clone(identity.Interrupted)
		n := slices.IndexFunc(all, func(i Interruption) bool { return i.id() == target.ID() })
		if n < 0 {
			n, all = len(all), append(all, Interruption{Fabric: target.Fabric, Target: target.Name})
		}
		i := all[n]
		i.Portals, i.LUNs = maps.Clone(i.Portals), maps.Clone(i.LUNs)
		f(&i, have)
		all[n] = i.limitedTo(e.Spec, have)
		identity.Interrupted = all
		next[id] = identity
	}
	for _, s := range plan.Steps {
		if identity := next[s.Object]; !identity.Declared && declared.Has(s.Object) && hasVolume(s.Object) {
			if !copied {
				next, copied = maps.Clone(known), true
			}
			identity.Declared = true // the file may be removed before the new object is observed
			next[s.Object] = identity
		}
		switch c := s.Change.(type) {
		case change.DisableTarget:
			note(s.Object, c.Target, func(i *Interruption, _ observe.Target) { i.Disabled = true })
		case change.RemovePortal:
			note(s.Object, c.Target, func(i *Interruption, t observe.Target) {
				i.Portals = with(i.Portals, c.Portal, t.Portals[c.Portal])
			})
		case change.SetTags:
			if identity, changes := next[s.Object].withTags(c.Add); changes {
				if !copied {
					next, copied = maps.Clone(known), true
				}
				next[s.Object] = identity
			}
		case change.RemoveLUN:
			note(s.Object, c.Target, func(i *Interruption, t observe.Target) {
				if lvs := index.current[s.Object]; len(lvs) == 1 {
					l := interruptedLUN(s.Object, lvs[0], t, c.LUN)
					for name, readOnly := range i.LUNs[c.LUN].Mapped { // not restored since the last time
						l.Mapped = with(l.Mapped, name, readOnly)
					}
					i.LUNs = with(i.LUNs, c.LUN, l)
				}
			})
		}
	}
	return next
}

// hasVolume reports whether objects of a kind have a logical volume.
func hasVolume(id spec.ID) bool {
	return id.Kind == spec.KindVolume || id.Kind == spec.KindSnapshot || id.Kind == spec.KindPool
}

// withTags returns what is known of an object when tags are added to its logical volume, and
// whether that is news.
func (i Identity) withTags(tags []string) (Identity, bool) {
	changes := false
	for _, tag := range tags {
		if tag == ondisk.PhaseTag(ondisk.Reverting) {
			i.Content, changes = "", true
		}
		if text, trashed := strings.CutPrefix(tag, ondisk.TagDeleted); trashed {
			if at, err := time.Parse(ondisk.TimeOfTag, text); err == nil {
				i.TrashedSince, changes = at, true
			}
		}
	}
	return i, changes
}

func interruptedLUN(volume spec.ID, lv observe.LogicalVolume, t observe.Target, number int) InterruptedLUN {
	l := InterruptedLUN{Volume: volume.Name, UUID: lv.Identity(), ReadOnly: t.LUNs[number].ReadOnly}
	for name, acl := range t.ACLs {
		if m, mapped := acl.LUNs[number]; mapped && m.LUN == number {
			l.Mapped = with(l.Mapped, name, m.WriteProtect)
		}
	}
	return l
}

// with returns a map, which may be nil, with one more entry.
func with[K comparable, V any](m map[K]V, key K, value V) map[K]V {
	if m == nil {
		m = map[K]V{}
	}
	m[key] = value
	return m
}

// learnInterruptions forgets what is restored, and what a valid Export no longer declares. It
// changes next.
func learnInterruptions(next map[spec.ID]Identity, declared spec.Set, observed observe.State) map[spec.ID]Identity {
	for id, identity := range next {
		var left []Interruption
		for _, i := range identity.Interrupted {
			t, _ := observed.Target(i.id())
			if observed.Unknown[i.Fabric.System()] == nil {
				i = i.stillMissing(t)
			}
			if e, valid := declared.Exports[id.Name]; valid {
				i = i.limitedTo(e.Spec, t)
			}
			if !i.isOver() {
				left = append(left, i)
			}
		}
		if len(identity.Interrupted) > 0 {
			identity.Interrupted = left
			next[id] = identity
		}
	}
	return next
}

// KeepWhileBusy returns what was learned, with the interruptions of targets that a change is still
// being made to. No pass waits for such a change any more, and it may remove what was observed. It
// is pure.
func KeepWhileBusy(learned, known map[spec.ID]Identity, busy map[string]bool) map[spec.ID]Identity {
	if len(busy) == 0 {
		return learned
	}
	next := maps.Clone(learned)
	for id, identity := range learned {
		for _, i := range known[id].Interrupted {
			if !busy[change.Target{Fabric: i.Fabric, Name: i.Target}.Lane()] {
				continue
			}
			same := func(other Interruption) bool { return other.id() == i.id() }
			identity.Interrupted = append(slices.DeleteFunc(slices.Clone(identity.Interrupted), same), i)
			next[id] = identity
		}
	}
	return next
}

// stillMissing returns what is not restored in a target. Nothing is missing in a target that no
// longer exists.
func (i Interruption) stillMissing(t observe.Target) Interruption {
	if !t.HasTPG {
		return Interruption{Fabric: i.Fabric, Target: i.Target}
	}
	i.Disabled = i.Disabled && !t.Enabled
	i.Portals = without(i.Portals, func(portal string, _ observe.Transport) bool {
		_, there := t.Portals[portal]
		return there
	})
	i.LUNs = without(i.LUNs, func(n int, l InterruptedLUN) bool {
		have, there := t.LUNs[n]
		for name := range l.Mapped {
			acl, listed := t.ACLs[name]
			m, mapped := acl.LUNs[n]
			there = there && (!listed || mapped && m.LUN == n)
		}
		return there && l.isShownBy(i.Fabric, have)
	})
	return i
}

// isShownBy reports whether a LUN shows the Volume again, whichever logical volume is current now.
func (l InterruptedLUN) isShownBy(f observe.Fabric, have observe.TargetLUN) bool {
	if traitsOf[f].backstores {
		return strings.HasSuffix(have.Backstore, "/"+ondisk.BackstoreName(spec.ID{Kind: spec.KindVolume, Name: l.Volume}))
	}
	return have.Device != "" && have.Identity == traitsOf[f].identify(l.UUID)
}

// limitedTo returns the part of an interruption that an Export still declares, for the initiators
// that it still admits.
func (i Interruption) limitedTo(e spec.ExportSpec, have observe.Target) Interruption {
	if e.Target != i.Target {
		return Interruption{Fabric: i.Fabric, Target: i.Target}
	}
	before := i.Initiators
	i.Offered, i.Initiators, i.Anyone = nil, nil, e.AllowAnyInitiator
	luns := i.byKnownNumbers(e.LUNs, have)
	for n, l := range luns {
		i.Offered = with(i.Offered, n, l.Backing().String())
	}
	for _, initiator := range e.Initiators {
		_, admitted := before[initiator.Name]
		if i.hasDeclaredAuth(have, initiator, admitted) {
			i.Initiators = with(i.Initiators, initiator.Name, shownTo(initiator, luns))
		}
	}
	i.Portals = without(i.Portals, func(portal string, _ observe.Transport) bool { return !slices.Contains(e.Portals, portal) })
	lost := i.LUNs
	i.LUNs = nil
	for n, l := range luns {
		if had, taken := lost[n]; taken && had.Volume == l.Volume {
			had.ReadOnly = had.ReadOnly || l.ReadOnly
			had.Mapped = stillMapped(had.Mapped, l, e.Initiators)
			i.LUNs = with(i.LUNs, n, had)
		}
	}
	return i
}

// byKnownNumbers returns the LUNs of an Export by the numbers that initiators know. A LUN that was
// removed under another number than the Export declares now has kept it, and what the Export
// declares under that number is not there yet.
func (i Interruption) byKnownNumbers(luns []spec.LUN, have observe.Target) map[int]spec.LUN {
	kept := map[int]spec.LUN{}
	for _, l := range luns {
		for n, had := range i.LUNs {
			if n != *l.Number && l.Volume != "" && l.Volume == had.Volume && !had.isShownBy(i.Fabric, have.LUNs[*l.Number]) {
				kept[n] = l
			}
		}
	}
	all := maps.Clone(kept)
	for _, l := range luns {
		moved := slices.ContainsFunc(slices.Collect(maps.Values(kept)), func(k spec.LUN) bool { return k.Backing() == l.Backing() })
		if _, taken := kept[*l.Number]; !taken && !moved {
			all[*l.Number] = l
		}
	}
	return all
}

// shownTo returns the numbers that an initiator should see, and whether read-only.
func shownTo(initiator spec.Initiator, luns map[int]spec.LUN) map[int]bool {
	var shown map[int]bool
	for n, l := range luns {
		if initiator.Sees(*l.Number) {
			shown = with(shown, n, l.ReadOnly || initiator.ReadOnly)
		}
	}
	return shown
}

// hasDeclaredAuth reports whether a target asks a listed initiator for the declared credentials.
// If the password cannot be read, before says whether it did so when it could.
func (i Interruption) hasDeclaredAuth(t observe.Target, initiator spec.Initiator, before bool) bool {
	have, listed := t.ACLs[initiator.Name]
	if !listed || traitsOf[i.Fabric].targetAccounts { // these belong to the target
		return true
	}
	want := authOf(initiator.Auth)
	if traitsOf[i.Fabric].keysOnly {
		want.Username, want.MutualUsername = "", ""
	}
	if a := initiator.Auth; a != nil && a.CHAP != nil && a.CHAP.Password == (spec.Secret{}) {
		want.Password = have.Auth.Password
		if a.Mutual != nil {
			want.MutualPassword = have.Auth.MutualPassword
		}
		return before && have.Auth.Password != (spec.Secret{}) && hasAuth(have, t.Attrib, want)
	}
	return hasAuth(have, t.Attrib, want)
}

func stillMapped(had map[string]bool, l spec.LUN, initiators []spec.Initiator) map[string]bool {
	var mapped map[string]bool
	for _, initiator := range initiators {
		if readOnly, seen := had[initiator.Name]; seen && initiator.Sees(*l.Number) {
			mapped = with(mapped, initiator.Name, readOnly || initiator.ReadOnly || l.ReadOnly)
		}
	}
	return mapped
}

// without returns a map without some of its entries; nil if none is left.
func without[K comparable, V any](m map[K]V, drop func(K, V) bool) map[K]V {
	left := maps.Clone(m)
	maps.DeleteFunc(left, drop)
	if len(left) == 0 {
		return nil
	}
	return left
}
