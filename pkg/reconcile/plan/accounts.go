package plan

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// What is different with tgtd: access lists and accounts are those of a target, not
// of each initiator, and users those of the whole daemon. What it cannot keep apart
// is not exported at all, rather than to more initiators than the spec says.

// maxTGTLUN is the largest number of a LUN that initiators find at tgtd, for which it is one more, because LUN 0 is
// its controller. From 256 on tgtd speaks in flat addressing: libiscsi, and QEMU with it, is
// connected with LUN 1 where LUN 257 was asked for.
const maxTGTLUN = 254

// unsupported returns what of an export tgtd cannot do; empty: nothing.
func (d *differ) unsupported(e spec.Export) string {
	if !d.in.TGT {
		return ""
	}
	if e.Spec.Protocol != spec.ProtocolISCSI {
		return fmt.Sprintf("tgtd (backend: tgt) cannot serve protocol %s. Use protocol: iscsi, or export from a node with the kernel's target", e.Spec.Protocol)
	}
	if len(e.Spec.Attributes) > 0 {
		return "spec.attributes: tgtd (backend: tgt) has no such attributes. Remove the field"
	}
	for _, l := range e.Spec.LUNs {
		if *l.Number > maxTGTLUN {
			return fmt.Sprintf("LUN %d: tgtd (backend: tgt) serves it as LUN %d, which initiators cannot find reliably. Use a number from 0 to %d", *l.Number, *l.Number+1, maxTGTLUN)
		}
	}
	initiators := e.Spec.Initiators
	for i, initiator := range initiators {
		first := initiators[0]
		hidden := slices.ContainsFunc(e.Spec.LUNs, func(l spec.LUN) bool { return !initiator.Sees(*l.Number) })
		switch {
		case hidden:
			return fmt.Sprintf("%s must not see every LUN, but tgtd (backend: tgt) shows all LUNs of a target to all its initiators. Declare another Export for it", initiator.Name)
		case i > 0 && initiator.ReadOnly != first.ReadOnly:
			return fmt.Sprintf("readOnly differs for %s and %s, but tgtd (backend: tgt) has one value per LUN. Declare an Export for each", first.Name, initiator.Name)
		case i > 0 && authOf(initiator.Auth).Needed() != authOf(first.Auth).Needed():
			return fmt.Sprintf("auth differs for %s and %s, but tgtd (backend: tgt) asks all initiators of a target for a password, or none. Declare an Export for each", first.Name, initiator.Name)
		}
	}
	if why := mutuals(initiators); why != "" {
		return why
	}
	for _, account := range accountsOf(e.Spec) {
		for _, other := range accountsOf(e.Spec) {
			if account.Username == other.Username && account.Password != other.Password {
				return fmt.Sprintf("user %s has two passwords, but tgtd (backend: tgt) has one per user. Use two usernames", account.Username)
			}
		}
		if holder := d.holder(account.Username); holder != "" && holder != e.Metadata.Name && d.passwordIn(holder, account.Username) != account.Password {
			return fmt.Sprintf("user %s has another password in %s, but tgtd (backend: tgt) shares users between targets. Use another username",
				account.Username, spec.ID{Kind: spec.KindExport, Name: holder})
		}
	}
	return ""
}

func (d *differ) blockedAsUnsupported(id spec.ID, e spec.Export) bool {
	why := d.unsupported(e)
	if why != "" {
		d.setBlocked(id, status.ReasonUnsupported, "%s", why)
	}
	return why != ""
}

// mutuals says what is wrong if a target would have to prove itself in two ways.
func mutuals(initiators []spec.Initiator) string {
	var own *spec.Credentials
	var of string
	for _, i := range initiators {
		if i.Auth == nil || i.Auth.Mutual == nil {
			continue
		}
		if own != nil && (own.Username != i.Auth.Mutual.Username || own.Password != i.Auth.Mutual.Password) {
			return fmt.Sprintf("auth.mutual differs for %s and %s, but a target of tgtd (backend: tgt) has one account to authenticate with. Declare an Export for each", of, i.Name)
		}
		own, of = i.Auth.Mutual, i.Name
	}
	return ""
}

// accountsOf returns all users that an export needs, those of its target included.
func accountsOf(e spec.ExportSpec) []ondisk.Account {
	auth := targetAuth(e)
	if auth.Own.Username == "" {
		return auth.Accounts
	}
	return append(auth.Accounts, auth.Own)
}

// targetAuth returns what an export's target asks of its initiators.
func targetAuth(e spec.ExportSpec) observe.TargetAuth {
	var auth observe.TargetAuth
	for _, i := range e.Initiators {
		a := authOf(i.Auth)
		account := ondisk.Account{Username: a.Username, Password: a.Password}
		if a.Needed() && !slices.Contains(auth.Accounts, account) {
			auth.Accounts = append(auth.Accounts, account)
		}
		if a.MutualUsername != "" {
			auth.Own = ondisk.Account{Username: a.MutualUsername, Password: a.MutualPassword}
		}
	}
	return auth
}

// holder returns the export that decides on a user's password: one that has it
// already before one that would change it, or else the first.
func (d *differ) holder(username string) string {
	users := d.exportsWith(username)
	if len(users) < 2 {
		return ""
	}
	same := !slices.ContainsFunc(users, func(name string) bool { return d.passwordIn(name, username) != d.passwordIn(users[0], username) })
	for _, name := range users {
		e := d.in.Desired.Exports[name].Spec
		t := d.in.Observed.TGT[e.Target]
		if !same && t.OwnedBy(name) && t.HasAuth(targetAuth(e)) {
			return name
		}
	}
	return users[0]
}

// exportsWith returns the exports that have a user, sorted.
func (d *differ) exportsWith(username string) []string {
	return d.refs.usersOf()[username]
}

func (d *differ) passwordIn(export, username string) spec.Secret {
	for _, account := range accountsOf(d.in.Desired.Exports[export].Spec) {
		if account.Username == username {
			return account.Password
		}
	}
	return spec.Secret{}
}

// askPasswords gives the target its accounts, before anything else is done to it.
func (x *exportDiffer) askPasswords() {
	want := targetAuth(x.spec)
	if x.fabric.accounts && want.Needed() && !x.have.HasAuth(want) {
		x.base = append(x.base, x.step(x.id, "differ", change.SetAccounts{Target: x.target, Auth: want}, x.base...))
	}
}

// askNothing takes the accounts of the target away, once nobody is admitted and
// nothing is in it that is not to be.
func (x *exportDiffer) askNothing() {
	want := targetAuth(x.spec)
	if !want.Needed() && !x.have.HasAuth(want) && !x.withheld {
		x.step(x.id, "spec has no auth", change.SetAccounts{Target: x.target, Auth: want}, append(slices.Clone(x.base), x.closing()...)...)
	}
}

// keepFromOthers has no LUN added before those are put out who are not listed: all
// who are logged in see all of the target.
func (x *exportDiffer) keepFromOthers() {
	if x.spec.AllowAnyInitiator {
		return
	}
	out := map[string]StepID{}
	for _, s := range x.steps() {
		if c, ok := s.Change.(change.RemoveInitiator); ok && s.Object == x.id && len(c.KeepSessions) == 0 {
			out[c.Initiator] = s.ID
		}
	}
	others := slices.Concat(slices.Sorted(maps.Keys(x.have.ACLs)), x.have.DynamicSessions)
	for _, name := range others {
		listed := slices.ContainsFunc(x.spec.Initiators, func(i spec.Initiator) bool { return i.Name == name })
		switch step, removed := out[name]; {
		case listed:
		case removed:
			x.base = append(x.base, step)
		default:
			x.others = append(x.others, name)
		}
	}
	x.others = append(x.others, x.leaving()...)
	if x.fabric.accounts { // of nvmet's hosts that is usual, and one that is listed no longer is among others
		x.others = append(x.others, x.have.Unattributed...)
	}
}

// admitAll adds the initiators, once nothing is in the target that they are not to
// have: all of them see all of it.
func (x *exportDiffer) admitAll() {
	needs, left := x.othersRemoved()
	for _, i := range x.spec.Initiators {
		if _, exists := x.have.ACLs[i.Name]; exists {
			x.setAuth(i)
			continue
		}
		if left >= 0 && !x.sawAllThatGoes(i.Name) {
			x.setBlocked(x.id, status.ReasonSessionsActive, "cannot admit %s to target %s: waiting for the removal of LUN %d, which the spec does not show it", i.Name, x.target.Name, left)
			continue
		}
		x.step(x.id, "not there", change.AddInitiator{Target: x.target, Initiator: i.Name, Auth: x.authOf(i.Auth)}, append(slices.Clone(x.base), needs...)...)
	}
}

// sawAllThatGoes reports whether an initiator has seen whatever is in the target and is not to be there:
// it is waited for, and would never be back if it had to wait itself.
func (x *exportDiffer) sawAllThatGoes(initiator string) bool {
	for n, l := range x.have.LUNs {
		identity := shownAs(l, x.in.Observed.LIO.Backstores)
		if step, kept := x.luns[n]; (!kept || step != 0) && (identity == "" || x.seen[initiator].LUNs[n].Identity != identity) {
			return false
		}
	}
	return true
}

// othersRemoved returns the steps that take the LUNs away which the target is not to
// have, and the number of one that remains; -1: none.
func (x *exportDiffer) othersRemoved() (steps []StepID, left int) {
	for _, n := range sortedInts(x.have.LUNs) {
		step, kept := x.luns[n]
		if kept && step == 0 {
			continue // there, and as desired
		}
		removed, ok := x.ledger.luns[lunKey{x.target.ID(), n}]
		completed := kept && x.have.LUNs[n].Device+x.have.LUNs[n].Backstore == ""
		if !ok && !completed {
			return nil, n
		}
		steps = append(steps, removed, step)
	}
	return steps, -1
}

// readOnly reports whether a LUN of a fabric that has no access lists of its own is
// write-protected.
func (x *exportDiffer) readOnly(l spec.LUN) bool {
	everybody := len(x.spec.Initiators) > 0 && x.spec.Initiators[0].ReadOnly // they are alike
	return l.ReadOnly || everybody || x.backing(l.Backing()).lv.ReadOnly
}

// paused returns who has to log in anew when a LUN is resized.
func (x *exportDiffer) paused() []string {
	if !x.fabric.resizeEndsSessions {
		return nil
	}
	return Sessions(x.have)
}

// shared returns what else serves a logical volume, through the kernel; empty:
// nothing. tgtd keeps a cache of it that the kernel's targets do not see.
func (x *exportDiffer) shared(id spec.ID) string {
	lv := x.backing(id).lv
	if !x.fabric.caches || lv.UUID == "" {
		return ""
	}
	if b, ok := x.index.Backstore(id); ok && b.Enabled {
		return "LIO backstore " + b.Path()
	}
	if path, ok := x.index.foreignBackstore(lv); ok {
		return "LIO backstore " + path
	}
	for _, key := range x.index.servedDirectly(lv) {
		if key.target.Fabric != x.fabric.Fabric {
			return "target " + key.target.Name
		}
	}
	return ""
}

// portals are where the target is to be reached. LIO's portal for any IPv6 address
// serves IPv4 too, and so a spec means both by it, but tgtd's does not.
func (x *exportDiffer) portals() []string {
	if !x.fabric.separateFamilies {
		return x.spec.Portals
	}
	var all []string
	for _, text := range x.spec.Portals {
		all = append(all, text)
		if p, err := netip.ParseAddrPort(text); err == nil && p.Addr() == netip.IPv6Unspecified() {
			all = append(all, netip.AddrPortFrom(netip.IPv4Unspecified(), p.Port()).String())
		}
	}
	return all
}

// listens reports whether the target is reached at a portal.
func (x *exportDiffer) listens(portal string) (over observe.Transport, listens bool) {
	if over, ok := x.have.Portals[portal]; ok || x.fabric.ownPortals {
		return over, ok
	}
	want, err := netip.ParseAddrPort(portal)
	for _, text := range sorted(x.have.Portals) {
		if have, haveErr := netip.ParseAddrPort(text); err == nil && haveErr == nil && observe.TGTServes(have, want) {
			return x.have.Portals[text], true
		}
	}
	return "", false
}

// offline sees to a target that an interrupted change left offline. What is in it
// was there before.
func (x *exportDiffer) offline() {
	if x.have.Offline {
		x.step(x.id, "offline", change.EnableTarget{Target: x.target}, append(slices.Clone(x.base), x.closing()...)...)
	}
}

// setAuth has an initiator that is listed prove who it is as the spec says: nothing more is
// shown to it before.
func (x *exportDiffer) setAuth(i spec.Initiator) StepID {
	have, exists := x.have.ACLs[i.Name]
	auth := x.authOf(i.Auth)
	if !exists || x.fabric.accounts || sameAuth(have, x.have.Attrib, auth) {
		return 0
	}
	return x.step(x.id, "differs", change.SetAuth{Target: x.target, Initiator: i.Name, Auth: auth}, x.base...)
}

// protectAll sees to the write protection of a LUN that all initiators have alike.
func (x *exportDiffer) protectAll(n int, have observe.TargetLUN, readOnly bool) {
	switch {
	case !x.fabric.accounts || have.ReadOnly == readOnly:
	case !readOnly && len(x.others) > 0:
		x.setBlocked(x.id, status.ReasonSessionsActive, "cannot make LUN %d of %s writable: waiting for initiators that the Export does not list to disconnect: %s",
			n, x.target.Name, shortList(x.others))
	default:
		x.protect(change.SetWriteProtect{Target: x.target, LUN: n, ReadOnly: readOnly}, Sessions(x.have), x.base...)
	}
}
