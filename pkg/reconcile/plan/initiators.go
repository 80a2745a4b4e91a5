package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// strangers sees to those who are still logged in though the target was closed
// to them: they are waited for, or, if the spec says so, put out. Those whom the
// spec lists get an access list of their own in this pass.
func (x *exportDiffer) strangers() {
	if x.spec.AllowAnyInitiator {
		return
	}
	waited := x.leaving()
	if len(waited) > 0 && x.spec.Disconnect == spec.DisconnectForce && x.fabric.pause == withoutPortals && !x.inDoubt() {
		x.disconnectAll(waited)
		waited = nil
	}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(x.have.DynamicSessions))) {
		listed := slices.ContainsFunc(x.spec.Initiators, func(i spec.Initiator) bool { return i.Name == name && !x.sawMore(i) })
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

// sawMore reports whether an initiator that is logged in from when anybody was let in sees more
// than it is to see by now. An access list would go on showing it that, also at its next login, and
// not say so: it is made when that session has ended.
func (x *exportDiffer) sawMore(i spec.Initiator) bool {
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
			x.refuse(name, who)
		}
	}
}

// refuse keeps an initiator from logging in again that is not to be there any more, and stays as
// long as its session does, or the keys that it registered. sessions may be its own.
func (x *exportDiffer) refuse(initiator string, sessions []string) {
	auth := change.Auth{Refused: true}
	switch {
	case x.inDoubt():
		return
	case x.fabric.outlives && len(sessions) > 0:
		x.step(x.id, "not in the spec", change.RemoveInitiator{Target: x.target, Initiator: initiator, KeepSessions: sessions})
		return
	case !x.fabric.refuses || sameAuth(x.have.ACLs[initiator], x.have.Attrib, auth):
		return
	}
	x.step(x.id, "not in the spec", change.SetAuth{Target: x.target, Initiator: initiator, Auth: auth})
}

// leaving returns the sessions that may be of an initiator that was taken out of the Export: where
// nobody says whose they are, all that were there then.
func (x *exportDiffer) leaving() (sessions []string) {
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

// disconnectAll takes the portals away, of which those that are to be there come back in the next
// pass: who is listed connects again, and nobody else.
func (x *exportDiffer) disconnectAll(why []string) {
	for _, portal := range sorted(x.have.Portals) {
		if slices.Contains(x.spec.Portals, portal) {
			x.dangerousStep(x.id, "ends the sessions of "+shortList(why), Disruptive, Sessions(x.have), change.RemovePortal{Target: x.target, Portal: portal}, x.base...)
		}
	}
}
