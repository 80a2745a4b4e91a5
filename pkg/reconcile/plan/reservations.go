package plan

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Initiators that share a volume fence each other by persistent reservations. The kernel drops a
// registration together with the mapped LUN through which it was made. A recreated backstore
// restores those that the kernel keeps in a file, as soon as the same initiator sees it under the
// same number of the same target. All others would be lost silently, and with them the fence. So
// a step that would lose one waits.

// howToClearKeys says how to remove registrations.
const howToClearKeys = "Clear them from an initiator (sg_persist --out --clear --param-rk=KEY DEVICE)"

// registeredBy returns the registrations that were made through a LUN of a target: all, or those
// of one initiator. Sessions do not matter: a registration outlives them.
func (d *differ) registeredBy(t observe.Target, lun int, initiator string) []string {
	var who []string
	b := d.in.Observed.LIO.Backstores[t.LUNs[lun].Backstore]
	for _, r := range b.Registrations {
		if (initiator == "" || r.Initiator == "" || r.Initiator == initiator) && d.mayBeMadeBy(t, lun, b, r) {
			who = append(who, r.String())
		}
	}
	return who
}

// mayBeMadeBy reports whether a registration is one that was made by a LUN of a target, as far as
// anything says so. Of an initiator without an access list that has logged out, the kernel shows
// nothing else.
func (d *differ) mayBeMadeBy(t observe.Target, lun int, b observe.Backstore, r observe.Registration) bool {
	switch {
	case r.Initiator == "":
		return true
	case r.Target != "":
		return r.Target == t.Name
	case isAdmitted(t, lun, r.Initiator):
		return true
	default:
		return !slices.ContainsFunc(d.index.linksTo(b), func(key lunKey) bool { return isAdmitted(d.target(key.target), key.lun, r.Initiator) })
	}
}

// isAdmitted reports whether an initiator has a LUN of a target.
func isAdmitted(t observe.Target, lun int, initiator string) bool {
	return slices.Contains(t.DynamicSessions, initiator) || isMapped(t.ACLs[initiator], lun)
}

// isMapped reports whether an access list shows a LUN.
func isMapped(acl observe.ACL, lun int) bool {
	for _, m := range acl.LUNs {
		if m.LUN == lun {
			return true
		}
	}
	return false
}

// mayRemoveLUN is mayRemove of a LUN, with which its registrations are removed.
func (x *exportDiffer) mayRemoveLUN(what string, n int, waiting ...string) bool {
	return x.mayRemove(what, append(initiatorsOf(x.have, n), waiting...)) && x.keepsKeys(fmt.Sprintf("LUN %d", n), n, "")
}

// keepsKeysWhenReadded is keepsKeys of a LUN that is removed and added again.
func (x *exportDiffer) keepsKeysWhenReadded(n int, l observe.TargetLUN) bool {
	return x.keepsAllKeys(fmt.Sprintf("LUN %d", n), x.lostKeys(x.in.Observed.LIO.Backstores[l.Backstore]))
}

// keepsKeys reports whether no registration is lost if a LUN is removed, or the access of one
// initiator to it; if one is, it sets the status.
func (x *exportDiffer) keepsKeys(what string, lun int, initiator string) bool {
	return x.keepsAllKeys(what, x.registeredBy(x.have, lun, initiator))
}

// keepsKeysOf is keepsKeys for all LUNs that an initiator sees.
func (x *exportDiffer) keepsKeysOf(initiator string) bool {
	return x.keepsAllKeys("initiator "+initiator, x.keysOf(x.have, initiator))
}

// keepsKeysUnlisted is keepsKeys of an access list that is added. It keeps what an initiator has that
// is logged in without one, and nothing of an initiator that has logged out.
func (x *exportDiffer) keepsKeysUnlisted(initiator string) bool {
	return slices.Contains(x.have.DynamicSessions, initiator) || x.keepsAllKeys("the earlier access of initiator "+initiator, x.keysOf(x.have, initiator))
}

// keysUnlisted reports whether registrations last only as long as the kernel remembers who had access
// without a list.
func (x *exportDiffer) keysUnlisted() bool {
	for n, l := range x.have.LUNs {
		b := x.in.Observed.LIO.Backstores[l.Backstore]
		for _, r := range b.Registrations {
			if _, listed := x.have.ACLs[r.Initiator]; !listed && x.mayBeMadeBy(x.have, n, b, r) {
				return true
			}
		}
	}
	return false
}

func (x *exportDiffer) keepsAllKeys(what string, who []string) bool {
	if len(who) == 0 || x.spec.Disconnect == spec.DisconnectForce {
		return true
	}
	x.hasObsolete = true
	x.setBlocked(x.id, status.ReasonReservationsActive, "cannot remove %s of %s: initiators hold persistent reservations: %s. %s, or set disconnect: Force",
		what, x.target.Name, shortList(who), howToClearKeys)
	return false
}

// keysOf returns the registrations that were made through a target: all, or those of one initiator.
func (d *differ) keysOf(t observe.Target, initiator string) []string {
	var who []string
	for lun := range t.LUNs {
		who = append(who, d.registeredBy(t, lun, initiator)...)
	}
	slices.Sort(who)
	return slices.Compact(who)
}

// lostKeys returns the registrations that a backstore would not have again when it is recreated
// and served as its Exports say. They are those that the kernel does not keep, and those of
// initiators to whom it gives none back, because they have no access list, or do not see it again
// under the same number.
func (d *differ) lostKeys(b observe.Backstore) []string {
	var who []string
	for _, r := range b.Registrations {
		by := slices.DeleteFunc(d.index.linksTo(b), func(key lunKey) bool {
			t := d.target(key.target)
			return r.Target != "" && r.Target != t.Name || !isMapped(t.ACLs[r.Initiator], key.lun)
		})
		left := slices.ContainsFunc(by, func(key lunKey) bool { return !d.seesAgain(r.Initiator, key, b) })
		if !r.Kept || len(by) == 0 || left {
			who = append(who, r.String())
		}
	}
	return who
}

// seesAgain reports whether an initiator sees a backstore again under the same number of a target from
// which its LUN was taken for a moment. An Export that is invalid gives back what there was, and one
// that no file has nothing.
func (d *differ) seesAgain(initiator string, at lunKey, b observe.Backstore) bool {
	of, _ := b.Owner()
	id, _ := d.target(at.target).Owner()
	e, declared := d.in.Declared.Exports[id.Name]
	if !declared {
		return d.isDeclared(id)
	}
	return d.in.targetOf(e) == at.target && slices.ContainsFunc(e.Spec.Initiators, func(i spec.Initiator) bool {
		return i.Name == initiator && slices.ContainsFunc(e.Spec.LUNs, func(l spec.LUN) bool { return l.Backing() == of && *l.Number == at.lun && i.Sees(at.lun) })
	})
}

// checkReservationsKept: a cutover recreates the backstore.
func (d *differ) checkReservationsKept(c cutover) *Obstacle {
	b, exported := d.index.Backstore(c.id)
	if !exported {
		return nil
	}
	if who := d.lostKeys(b); len(who) > 0 {
		return blocked(status.ReasonReservationsActive, "%s; the cutover would lose persistent reservations on %s: %s. %s, or register with APTPL (sg_persist --out --register-ignore --param-aptpl)", c.done, c.lv.FullName(), shortList(who), howToClearKeys)
	}
	return nil
}

// recreateBackstore removes a backstore on the right device with wrong properties, such as its
// serial. An old saveconfig.json may have restored it, or somebody changed the permission of the
// logical volume. It does so if only our targets serve it and nobody is connected: to initiators
// it is another disk. The next pass creates it again. It reports whether it has planned that, or
// set the status.
func (d *differ) recreateBackstore(id spec.ID, b observe.Backstore, lv observe.LogicalVolume) bool {
	if !BoundTo(b, lv) || d.isSuspended(id) || d.inDoubt() {
		return false
	}
	keys := d.index.linksTo(b)
	for _, key := range keys {
		t := d.target(key.target)
		owner, ours := t.Owner()
		if e, declared := d.in.Declared.Exports[owner.Name]; !ours || !declared || e.Metadata.Suspended() || d.in.targetOf(e) != key.target {
			return false
		}
		if len(Sessions(t)) > 0 {
			return false
		}
	}
	if who := d.lostKeys(b); len(who) > 0 {
		d.setBlocked(id, status.ReasonReservationsActive, "cannot recreate backstore %s: persistent reservations would be lost: %s. %s", b.Path(), shortList(who), howToClearKeys)
		return true
	}
	why := fmt.Sprintf("read-only %t, and nobody is connected", b.ReadOnly)
	if b.Serial != lv.Serial() {
		why = fmt.Sprintf("has serial %s, and nobody is connected", b.Serial)
	}
	d.planInterruption(id, lv, keys, true, why)
	return true
}
