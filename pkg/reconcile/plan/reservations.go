package plan

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Initiators that share a volume keep each other from writing to it by persistent
// reservations. The kernel forgets a registration with the mapped LUN by which it was made.
// A backstore that is made anew has those again that the kernel keeps in a file, as soon as
// the same initiator sees it by the same number of the same target. All others would be lost
// without a word, and with them the fence: what would lose one waits.

// clearThem says what to do about registrations.
const clearThem = "Clear them from an initiator (sg_persist --out --clear --param-rk=KEY DEVICE)"

// registeredBy returns the registrations that initiators made by a LUN of a target, all of
// them or one's. Sessions do not matter: a registration outlives them.
func (d *differ) registeredBy(t observe.Target, lun int, initiator string) []string {
	var who []string
	for _, r := range d.in.Observed.LIO.Backstores[t.LUNs[lun].Backstore].Registrations {
		if initiator != "" && r.Initiator != initiator || r.Target != "" && r.Target != t.Name {
			continue
		}
		if slices.Contains(t.DynamicSessions, r.Initiator) || shows(t.ACLs[r.Initiator], lun) {
			who = append(who, r.String())
		}
	}
	return who
}

// shows reports whether an access list shows a LUN.
func shows(acl observe.ACL, lun int) bool {
	for _, m := range acl.LUNs {
		if m.LUN == lun {
			return true
		}
	}
	return false
}

// mayRemoveLUN is mayRemove of a LUN, which takes the keys along that were registered by it.
func (x *exportDiffer) mayRemoveLUN(what string, n int, waiting ...string) bool {
	return x.mayRemove(what, append(initiatorsOf(x.have, n), waiting...)) && x.keepsKeys(fmt.Sprintf("LUN %d", n), n, "")
}

// comesBackWithKeys is keepsKeys of a LUN that is taken away and added again.
func (x *exportDiffer) comesBackWithKeys(n int, l observe.TargetLUN) bool {
	return x.losesNone(fmt.Sprintf("LUN %d", n), x.lostKeys(x.in.Observed.LIO.Backstores[l.Backstore]))
}

// keepsKeys reports whether nobody loses a registration with a LUN that is taken away, or
// with the access of one initiator to it; if somebody does, it says so.
func (x *exportDiffer) keepsKeys(what string, lun int, initiator string) bool {
	return x.losesNone(what, x.registeredBy(x.have, lun, initiator))
}

// keepsKeysOf is keepsKeys for all that an initiator sees.
func (x *exportDiffer) keepsKeysOf(initiator string) bool {
	var who []string
	for _, lun := range sortedInts(x.have.LUNs) {
		who = append(who, x.registeredBy(x.have, lun, initiator)...)
	}
	return x.losesNone("initiator "+initiator, slices.Compact(who))
}

func (x *exportDiffer) losesNone(what string, who []string) bool {
	if len(who) == 0 || x.spec.Disconnect == spec.DisconnectForce {
		return true
	}
	x.withheld = true
	x.setBlocked(x.id, status.ReasonReservationsActive, "cannot remove %s of %s: initiators hold persistent reservations: %s. %s, or set disconnect: Force",
		what, x.target.Name, shortList(who), clearThem)
	return false
}

// keysOf returns all registrations that were made by a target.
func (d *differ) keysOf(t observe.Target) []string {
	var who []string
	for _, lun := range sortedInts(t.LUNs) {
		who = append(who, d.registeredBy(t, lun, "")...)
	}
	slices.Sort(who)
	return slices.Compact(who)
}

// lostKeys returns the registrations that a backstore would not have again when it is made
// anew and served as before: those that the kernel does not keep, and those of initiators
// without an access list, to whom it gives none back.
func (d *differ) lostKeys(b observe.Backstore) []string {
	var who []string
	for _, r := range b.Registrations {
		listed := slices.ContainsFunc(d.index.linksTo(b), func(key lunKey) bool { return shows(d.target(key.target).ACLs[r.Initiator], key.lun) })
		if !r.Kept || !listed {
			who = append(who, r.String())
		}
	}
	return who
}

// fencesStay: a cutover makes the backstore anew.
func (d *differ) fencesStay(c cutover) *Obstacle {
	b, exported := d.index.Backstore(c.id)
	if !exported {
		return nil
	}
	if who := d.lostKeys(b); len(who) > 0 {
		return blocked(status.ReasonReservationsActive, "%s; the cutover would lose persistent reservations on %s: %s. %s, or register with APTPL (sg_persist --out --register-ignore --param-aptpl)", c.done, c.lv.FullName(), shortList(who), clearThem)
	}
	return nil
}

// rebuild lets go of a backstore on the right device that is not as it should be, if nobody sees
// it and none but our targets serve it: initiators would take it for another disk, as an old
// saveconfig.json may restore it, or somebody changed the permission of the logical volume. The
// next pass makes it anew. It reports whether it has said what becomes of it.
func (d *differ) rebuild(id spec.ID, b observe.Backstore, lv observe.LogicalVolume) bool {
	if !BoundTo(b, lv) || d.isSuspended(id) || d.inDoubt() {
		return false
	}
	keys := d.index.linksTo(b)
	for _, key := range keys {
		t := d.target(key.target)
		owner, ours := t.Owner()
		if e, desired := d.in.Desired.Exports[owner.Name]; !ours || !desired || e.Metadata.Suspended() || d.in.targetOf(e) != key.target {
			return false
		}
		if len(Sessions(t)) > 0 {
			return false
		}
	}
	if who := d.lostKeys(b); len(who) > 0 {
		d.setBlocked(id, status.ReasonReservationsActive, "cannot recreate backstore %s: persistent reservations would be lost: %s. %s", b.Path(), shortList(who), clearThem)
		return true
	}
	why := fmt.Sprintf("read-only %t, and nobody is connected", b.ReadOnly)
	if b.Serial != ondisk.UnitSerial(lv.Identity()) {
		why = fmt.Sprintf("has serial %s, and nobody is connected", b.Serial)
	}
	d.interrupt(id, lv, keys, true, why)
	return true
}
