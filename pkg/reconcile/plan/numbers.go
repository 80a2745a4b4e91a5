package plan

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// admittedExposures returns what is known of those initiators of a target that can log in to it,
// or will be able to.
func (d *differ) admittedExposures(e spec.ExportSpec, target observe.TargetID, have observe.Target) map[string]Exposure {
	all := d.in.Exposures[target]
	if len(all) == 0 || e.AllowAnyInitiator || have.Attrib.GenerateNodeACLs {
		return all
	}
	return without(all, func(name string, _ Exposure) bool {
		_, listed := have.ACLs[name]
		return !listed && !nameless(name) && !slices.ContainsFunc(e.Initiators, func(i spec.Initiator) bool { return i.Name == name })
	})
}

// keepNumbers lets what initiators have seen under a number keep it, whatever the spec says by
// now: a list that lost its first entry gives all others another one. A number under which they
// saw something that the spec does not have any more stays free. All that follows reads the
// numbers of the spec, which are changed here.
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
	// A number in the list of an initiator means what the spec has there, and nothing that has kept
	// that number: it may be another host's.
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

// warnOfPositions warns if the place of a LUN in the list gives it another number than initiators
// know it by: most likely only the list was meant to change.
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

// identityOf returns what initiators tell an object by; empty: it is not there yet.
func (x *exportDiffer) identityOf(id spec.ID) string {
	lv := x.backing(id).lv
	if lv.UUID == "" {
		return ""
	}
	return x.fabric.identity(lv.Identity())
}

// seenElsewhere returns another number than that of the spec under which initiators have seen an
// object, and who they are; nobody: they have not, or under this one too.
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

// seenOtherwise returns who has seen something else under a number than an object that is not
// there yet. Once their sessions have ended, whoever ended them, Force counts more.
func (x *exportDiffer) seenOtherwise(id spec.ID, number int) (who []string) {
	identity := x.identityOf(id)
	if have, there := x.have.LUNs[number]; there && identity != "" && shownAs(have, x.in.Observed.LIO.Backstores) == identity {
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

// sawAnother reports whether an initiator has seen something else under a number than an object, and
// may come back to that: it was taken out of the Export meanwhile, and not waited for. Others may
// see the object there already.
func (x *exportDiffer) sawAnother(initiator string, number int, id spec.ID) bool {
	e := x.seen[initiator]
	shown, seen := e.LUNs[number]
	return seen && shown.Identity != x.identityOf(id) && (e.Live || x.spec.Disconnect != spec.DisconnectForce)
}

// waiting returns who has seen what is under a number, and whose session was ended: it is not
// taken away before they have been seen again. What is in a target that was made anew, and is
// not open yet, was taken away already.
func (x *exportDiffer) waiting(number int) (who []string) {
	if !open(x.have) && !x.wasInterrupted() {
		return nil
	}
	for _, name := range sorted(x.seen) {
		if _, seen := x.seen[name].LUNs[number]; seen && !x.seen[name].Live {
			who = append(who, name+notBack)
		}
	}
	return who
}

// withdraw hides a LUN that is not in the spec, and stays for the sessions of some, from the others:
// they do not find it when they log in.
func (x *exportDiffer) withdraw(number int) {
	if !x.fabric.maps || x.inDoubt() || len(x.registeredBy(x.have, number, "")) > 0 {
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

// wasOpen reports whether initiators were logged in to the target, or it took logins, when it was
// closed: by a cutover, by hand, by a reboot. They have seen all that is in it, and wait for it.
func (x *exportDiffer) wasOpen() bool {
	for _, e := range x.seen {
		if !e.Live {
			return true
		}
	}
	return x.wasInterrupted()
}

// wasInterrupted reports whether a cutover closed the target, which is not open since.
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

// unmapStrays takes away the mappings that would show a LUN which is added to others than the spec
// says, or under another number. So far nothing is seen through them.
func (x *exportDiffer) unmapStrays(number int) (steps []StepID) {
	if !x.fabric.maps || x.have.LUNs[number].Backstore != "" { // with a LUN that goes, its mappings go
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
