package plan

import (
	"net/netip"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
)

func (x *exportDiffer) addPortals(needs []StepID) {
	for _, p := range x.wantedPortals() {
		have, exists := x.listens(p)
		switch {
		case !exists:
			x.step(x.id, "not there", change.AddPortal{Target: x.target, Portal: p, Transport: x.fabric.transport}, needs...)
		case have != x.fabric.transport:
			x.changeTransport(p, needs)
		}
	}
}

// changeTransport changes the transport of a portal. On NVMe that is another port of the kernel,
// and the sessions over the former one end.
func (x *exportDiffer) changeTransport(portal string, needs []StepID) {
	c := change.AddPortal{Target: x.target, Portal: portal, Transport: x.fabric.transport}
	if x.fabric.pause != withoutPortals {
		x.step(x.id, "differs", c, needs...)
	} else if x.mayRemove("the former transport of portal "+portal, Sessions(x.have)) {
		x.dangerousStep(x.id, "differs", Disruptive, Sessions(x.have), c, needs...)
	}
}

// removePortals removes the portals that the spec does not have, after those that it has were
// added: an agent that dies in between leaves a target that can be reached.
func (x *exportDiffer) removePortals() {
	var connected []string
	if x.fabric.pause == withoutPortals { // whose sessions end with it
		connected = Sessions(x.have)
	}
	for _, p := range sorted(x.have.Portals) {
		if x.isUnwanted(p) && x.mayRemove("portal "+p, connected) {
			x.dangerousStep(x.id, "not in the spec", Disruptive, Sessions(x.have), change.RemovePortal{Target: x.target, Portal: p}, x.addedBeside(p)...)
		}
	}
}

func (x *exportDiffer) isUnwanted(portal string) bool {
	return x.fabric.ownPortals && !slices.Contains(x.spec.Portals, portal)
}

// addedBeside returns the steps that add portals which do not collide with the one that is to be
// removed. On a closed target nobody is connected to the latter, so nothing waits.
func (x *exportDiffer) addedBeside(portal string) []StepID {
	var steps []StepID
	if !x.have.Enabled {
		return nil
	}
	for _, s := range x.steps() {
		if c, adds := s.Change.(change.AddPortal); adds && c.Target == x.target && !collide(c.Portal, portal) {
			steps = append(steps, s.ID)
		}
	}
	return steps
}

// portalsCollide reports whether a portal must be removed before another one can be added.
func (x *exportDiffer) portalsCollide() bool {
	for have := range x.have.Portals {
		if x.isUnwanted(have) && slices.ContainsFunc(x.spec.Portals, func(p string) bool { return collide(p, have) }) {
			return true
		}
	}
	return false
}

// collide reports whether the kernel cannot listen on both: one is for every address, and includes
// the other.
func collide(a, b string) bool {
	one, err := netip.ParseAddrPort(a)
	other, otherErr := netip.ParseAddrPort(b)
	return err == nil && otherErr == nil && one.Port() == other.Port() && (one.Addr().IsUnspecified() || other.Addr().IsUnspecified())
}
