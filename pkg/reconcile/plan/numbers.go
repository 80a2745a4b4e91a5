package plan

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// admittedExposures returns what is known of the initiators that can log in to a target now, or
// after this plan.
func (d *differ) admittedExposures(e spec.ExportSpec, target observe.TargetID, have observe.Target) map[string]Exposure {
	all := d.in.Exposures[target]
	if len(all) == 0 || e.AllowAnyInitiator || have.Attrib.GenerateNodeACLs {
		return all
	}
	return without(all, func(name string, _ Exposure) bool {
		_, listed := have.ACLs[name]
		return !listed && !isAnonymous(name) && !slices.ContainsFunc(e.Initiators, func(i spec.Initiator) bool { return i.Name == name })
	})
}

// keepNumbers keeps a LUN under the number that initiators have seen, whatever the spec says now:
// removing the first entry of a list renumbers all others. A number under which they saw something
// that the spec no longer has remains free. It changes x.spec, and everything after it reads these
// numbers.
func (x *exportDiffer) keepNumbers() {
	if len(x.seen) == 0 {
		return
	}
	var luns []spec.LUN
	asked, taken := map[spec.ID]int{}, map[int]spec.ID{}
	for _, l := range x.spec.LUNs {
		asked[l.Backing()] = *l.Number
		if n, who := x.seenElsewhere(l.Backing(), *l.Number); len(who) > 0 && taken[n] == (spec.ID{}) {
			x.setBlocked(x.id, status.ReasonSessionsActive, "LUN %d: %s remains LUN %d until these initiators, which saw it there, disconnect or are removed from the Export: %s", *l.Number, l.Backing(), n, shortList(who))
			taken[n], l.Number = l.Backing(), &n
		}
		luns = append(luns, l)
	}
	x.spec.LUNs = slices.DeleteFunc(luns, func(l spec.LUN) bool {
		if by := taken[*l.Number]; by != (spec.ID{}) {
			if by != l.Backing() {
				x.setBlocked(x.id, status.ReasonSessionsActive, "LUN %d: %s waits until the initiators that saw %s under this number disconnect", *l.Number, l.Backing(), by)
			}
			return by != l.Backing()
		}
		who := x.seenOtherwise(l.Backing(), *l.Number)
		if len(who) > 0 {
			x.setBlocked(x.id, status.ReasonSessionsActive, "LUN %d: these initiators saw another volume than %s under this number, and may write to it. Choose another number, remove them from the Export, or wait until they disconnect: %s",
				*l.Number, l.Backing(), shortList(who))
		}
		return len(who) > 0
	})
	// A number in the list of an initiator means what the spec declares under it, not another LUN
	// that has kept it: that may be for another host only.
	numbers := make(map[int]int, len(x.spec.LUNs))
	for _, l := range x.spec.LUNs {
		numbers[asked[l.Backing()]] = *l.Number
	}
	x.spec.Initiators = slices.Clone(x.spec.Initiators)
	for i, initiator := range x.spec.Initiators {
		if initiator.LUNs == nil {
			continue
		}
		shown := make([]int, 0, len(initiator.LUNs))
		for _, n := range initiator.LUNs {
			if at, there := numbers[n]; there {
				shown = append(shown, at)
			}
		}
		x.spec.Initiators[i].LUNs = shown
	}
}

// warnOfPositions warns if the position of a LUN in the list gives it another number than
// initiators know: most likely only the list was meant to change.
func (x *exportDiffer) warnOfPositions() {
	var luns, known []string
	example := ""
	for _, l := range x.spec.LUNs {
		if !l.ByPosition {
			continue
		}
		at, who := x.seenElsewhere(l.Backing(), *l.Number)
		if len(who) == 0 {
			continue
		}
		luns = append(luns, fmt.Sprintf("%s %d instead of %d", l.Backing(), *l.Number, at))
		known = append(known, who...)
		if example == "" {
			example = fmt.Sprintf("lun: %d for %s", at, l.Backing())
		}
	}
	if len(luns) == 0 {
		return
	}
	slices.Sort(known)
	x.plan.Warnings = append(x.plan.Warnings, Warning{x.id, fmt.Sprintf(
		"by their positions in spec.luns, LUNs change their numbers: %s. To keep the numbers, declare them, for example %s. Known to: %s",
		shortList(luns), example, shortList(slices.Compact(known)))})
}

// identityOf returns what initiators know an object by; empty: it does not exist yet.
func (x *exportDiffer) identityOf(id spec.ID) string {
	lv := x.backingOf(id).lv
	if lv.UUID == "" {
		return ""
	}
	if x.fabric.backstores {
		return lv.Serial()
	}
	return x.fabric.identity(lv.Identity())
}

// seenElsewhere returns another number than the declared one under which initiators have seen an
// object, and which initiators; none: they have not, or under the declared number too.
func (x *exportDiffer) seenElsewhere(id spec.ID, number int) (at int, who []string) {
	identity := x.identityOf(id)
	if identity == "" {
		return number, nil
	}
	for _, name := range sorted(x.seen) {
		for _, n := range sortedInts(x.seen[name].LUNs) {
			switch {
			case x.seen[name].LUNs[n].Identity != identity:
			case n == number:
				return number, nil
			case len(who) == 0 || n == at:
				at, who = n, append(who, name)
			}
		}
	}
	return at, who
}

// seenOtherwise returns which initiators have seen something else under a number than an object
// that is not there yet. Once their sessions have ended, however that happened, disconnect: Force
// ignores them.
func (x *exportDiffer) seenOtherwise(id spec.ID, number int) (who []string) {
	identity := x.identityOf(id)
	if have, there := x.have.LUNs[number]; there && identity != "" && identityOfLUN(have, x.in.Observed.LIO.Backstores) == identity {
		return nil
	}
	for _, name := range sorted(x.seen) {
		shown, seen := x.seen[name].LUNs[number]
		if seen && shown.Identity != identity && (x.seen[name].Live || x.spec.Disconnect != spec.DisconnectForce) {
			who = append(who, name)
		}
	}
	return who
}

// hasSeenAnother reports whether an initiator has seen something other than an object under a
// number, and may reconnect to that: it was removed from the Export in between, and not waited
// for. Others may see the object there already.
func (x *exportDiffer) hasSeenAnother(initiator string, number int, id spec.ID) bool {
	e := x.seen[initiator]
	shown, seen := e.LUNs[number]
	return seen && shown.Identity != x.identityOf(id) && (e.Live || x.spec.Disconnect != spec.DisconnectForce)
}

// awaitedAt returns which initiators have seen the LUN of a number and have not reconnected since
// their session was ended: the LUN is kept until they do. A target that was recreated and is not
// open yet has lost its LUNs already.
func (x *exportDiffer) awaitedAt(number int) (who []string) {
	if !isOpen(x.have) && !x.wasInterrupted() {
		return nil
	}
	for _, name := range sorted(x.seen) {
		if _, seen := x.seen[name].LUNs[number]; seen && !x.seen[name].Live {
			who = append(who, name+notBack)
		}
	}
	return who
}

// hideFromOthers hides a LUN that is not in the spec, and is kept for the sessions of some
// initiators, from the other initiators: they do not find it when they log in.
func (x *exportDiffer) hideFromOthers(number int) {
	if !x.fabric.mapsLUNs || x.inDoubt() || len(x.registeredBy(x.have, number, "")) > 0 {
		return
	}
	for _, i := range x.spec.Initiators {
		acl := x.have.ACLs[i.Name]
		m, mapped := acl.LUNs[number]
		_, waited := x.seen[i.Name].LUNs[number]
		if !mapped || m.LUN != number || acl.LoggedIn || waited {
			continue
		}
		x.step(x.id, "not in the spec", change.UnmapLUN{Target: x.target, Initiator: i.Name, LUN: number})
	}
}

// wasOpen reports whether the target had sessions, or accepted logins, when it was closed: by a
// cutover, by hand, or by a reboot. The initiators have seen all of its LUNs, and wait for it.
func (x *exportDiffer) wasOpen() bool {
	for _, e := range x.seen {
		if !e.Live {
			return true
		}
	}
	return x.wasInterrupted()
}

// wasInterrupted reports whether a cutover closed the target and it has not been opened since.
func (x *exportDiffer) wasInterrupted() bool {
	return slices.ContainsFunc(x.in.Known[x.id].Interrupted, func(i Interruption) bool {
		return i.id() == x.target.ID() && (i.Disabled || len(i.Portals) > 0)
	})
}

// mapping is that of a LUN for an initiator, by the number that the initiator sees.
type mapping struct {
	initiator string
	number    int
}

// unmapStrays removes mappings that would show a new LUN to other initiators than the spec says,
// or under another number. Nothing is seen through them so far.
func (x *exportDiffer) unmapStrays(number int) (steps []StepID) {
	if !x.fabric.mapsLUNs || x.have.LUNs[number].Backstore != "" { // removing that LUN removes its mappings
		return nil
	}
	for _, name := range sorted(x.have.ACLs) {
		acl := x.have.ACLs[name]
		shown := slices.ContainsFunc(x.spec.Initiators, func(i spec.Initiator) bool { return i.Name == name && i.Sees(number) })
		for _, n := range sortedInts(acl.LUNs) {
			if acl.LUNs[n].LUN != number || n == number && shown {
				continue
			}
			step := x.step(x.id, "would show a LUN that is added", change.UnmapLUN{Target: x.target, Initiator: name, LUN: n})
			x.strays = with(x.strays, mapping{name, n}, step)
			steps = append(steps, step)
		}
	}
	return steps
}
