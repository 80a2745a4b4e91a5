package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// disconnectUnlisted waits for initiators that are still connected although the target does not
// admit them any more, or, with disconnect: Force, disconnects them. Those that the spec lists get
// an access list in this pass.
func (x *exportDiffer) disconnectUnlisted() {
	if x.spec.AllowAnyInitiator {
		return
	}
	waited := x.sessionsOfRemoved()
	if len(waited) > 0 && x.spec.Disconnect == spec.DisconnectForce && x.fabric.pause == withoutPortals && !x.inDoubt() {
		x.disconnectAll(waited)
		waited = nil
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(x.have.DynamicSessions))) {
		listed := slices.ContainsFunc(x.spec.Initiators, func(i spec.Initiator) bool { return i.Name == name && !x.hasSeenMore(i) })
		if listed || x.spec.Disconnect != spec.DisconnectForce || x.inDoubt() {
			waited = append(waited, name)
			continue
		}
		x.dangerousStep(x.id, "connected from before, and not listed", Disruptive, []string{name},
			change.RemoveInitiator{Target: x.target, Initiator: name}, x.base...)
	}
	if len(waited) > 0 {
		x.setBlocked(x.id, status.ReasonSessionsActive, "waiting for initiators that the Export does not list to disconnect from target %s: %s",
			x.target.Name, shortList(waited))
	}
}

// hasSeenMore reports whether an initiator that connected while any was admitted sees more than
// the spec shows it. A new access list would keep showing it that, also at its next login, so it
// is created when that session has ended.
func (x *exportDiffer) hasSeenMore(i spec.Initiator) bool {
	_, exists := x.have.ACLs[i.Name]
	if exists || !x.fabric.inheritsViews || !slices.Contains(x.have.DynamicSessions, i.Name) {
		return false
	}
	for n := range x.have.LUNs {
		at := slices.IndexFunc(x.spec.LUNs, func(l spec.LUN) bool { return *l.Number == n })
		if at < 0 || !i.Sees(n) || x.spec.LUNs[at].ReadOnly || i.ReadOnly {
			return true
		}
	}
	return false
}

func (x *exportDiffer) removeInitiators() {
	for _, name := range sorted(x.have.ACLs) {
		wanted := slices.ContainsFunc(x.spec.Initiators, func(i spec.Initiator) bool { return i.Name == name })
		who := append(loggedIn(x.have.ACLs[name]), x.have.Unattributed...)
		switch {
		case wanted:
		case x.mayRemove("initiator "+name, who) && x.keepsKeysOf(name):
			x.removedInitiators = append(x.removedInitiators,
				x.dangerousStep(x.id, "not in the spec", Disruptive, who, change.RemoveInitiator{Target: x.target, Initiator: name}))
		default:
			x.refuseLogin(name, who)
		}
	}
}

// refuseLogin keeps an initiator from logging in again that should be removed and is kept only for
// its session, or for the persistent reservations that it registered. sessions may be its own.
func (x *exportDiffer) refuseLogin(initiator string, sessions []string) {
	auth := change.Auth{Refused: true}
	switch {
	case x.inDoubt():
		return
	case x.fabric.sessionsOutliveListing && len(sessions) > 0:
		x.step(x.id, "not in the spec", change.RemoveInitiator{Target: x.target, Initiator: initiator, KeepSessions: sessions})
		return
	case !x.fabric.refusesLogins || hasAuth(x.have.ACLs[initiator], x.have.Attrib, auth):
		return
	}
	x.step(x.id, "not in the spec", change.SetAuth{Target: x.target, Initiator: initiator, Auth: auth})
}

// sessionsOfRemoved returns the sessions that may belong to an initiator that was removed from the
// Export. Where the kernel does not say whose they are, these are all sessions of that time.
func (x *exportDiffer) sessionsOfRemoved() (sessions []string) {
	for _, at := range sorted(x.seen) {
		e := x.seen[at]
		out := slices.DeleteFunc(slices.Clone(e.Leaving), func(name string) bool {
			return slices.ContainsFunc(x.spec.Initiators, func(i spec.Initiator) bool { return i.Name == name })
		})
		if e.Live && len(out) > 0 {
			sessions = append(sessions, at+" (may be "+shortList(out)+")")
		}
	}
	return sessions
}

// disconnectAll removes the declared portals, which the next pass adds again: only listed
// initiators can reconnect.
func (x *exportDiffer) disconnectAll(why []string) {
	for _, portal := range sorted(x.have.Portals) {
		if slices.Contains(x.spec.Portals, portal) {
			x.dangerousStep(x.id, "ends the sessions of "+shortList(why), Disruptive, Sessions(x.have), change.RemovePortal{Target: x.target, Portal: portal}, x.base...)
		}
	}
}
