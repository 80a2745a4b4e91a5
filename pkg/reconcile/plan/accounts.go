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

// With tgtd, access lists and accounts belong to a target, not to each initiator, and users to
// the whole daemon. What it cannot keep apart is not exported at all, rather than to more
// initiators than the spec says.

// maxTGTLUN is the largest LUN of a spec that initiators find at tgtd. tgtd serves it under the
// next number, because its LUN 0 is the controller. From 256 on it uses flat addressing: libiscsi,
// and QEMU with it, connects to LUN 1 when asked for LUN 257.
const maxTGTLUN = 254

// whyUnsupported returns why tgtd cannot serve an Export; empty: it can.
func (d *differ) whyUnsupported(e spec.Export) string {
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
		if d.in.Declared.Volumes[l.Volume].Spec.Serial != "" {
			return fmt.Sprintf("LUN %d: Volume/%s has spec.serial, which is not supported with tgtd (backend: tgt). Remove that field", *l.Number, l.Volume)
		}
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
	if why := mutualConflict(initiators); why != "" {
		return why
	}
	for _, account := range accountsOf(e.Spec) {
		for _, other := range accountsOf(e.Spec) {
			if account.Username == other.Username && account.Password != other.Password {
				return fmt.Sprintf("user %s has two passwords, but tgtd (backend: tgt) has one per user. Use two usernames", account.Username)
			}
		}
		if holder := d.passwordOwner(account.Username); holder != "" && holder != e.Metadata.Name && d.passwordIn(holder, account.Username) != account.Password {
			return fmt.Sprintf("user %s has another password in %s, but tgtd (backend: tgt) shares users between targets. Use another username",
				account.Username, spec.ID{Kind: spec.KindExport, Name: holder})
		}
	}
	return ""
}

// blockedAsUnsupported reports whether tgtd cannot serve an Export, and sets its status.
func (d *differ) blockedAsUnsupported(id spec.ID, e spec.Export) bool {
	why := d.whyUnsupported(e)
	if why != "" {
		d.setBlocked(id, status.ReasonUnsupported, "%s", why)
	}
	return why != ""
}

// mutualConflict returns why a target cannot authenticate itself to all its initiators: tgtd has
// one account per target for that. Empty: it can.
func mutualConflict(initiators []spec.Initiator) string {
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

// accountsOf returns all users of an Export, that of its target included.
func accountsOf(e spec.ExportSpec) []ondisk.Account {
	auth := targetAuth(e)
	if auth.Own.Username == "" {
		return auth.Accounts
	}
	return append(auth.Accounts, auth.Own)
}

// targetAuth returns the accounts of an Export's target.
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

// passwordOwner returns the Export that decides on a user's password: one that has set it already
// before one that would change it, or else the first.
func (d *differ) passwordOwner(username string) string {
	users := d.exportsWithUser(username)
	if len(users) < 2 {
		return ""
	}
	same := !slices.ContainsFunc(users, func(name string) bool { return d.passwordIn(name, username) != d.passwordIn(users[0], username) })
	for _, name := range users {
		e := d.in.Declared.Exports[name].Spec
		t := d.in.Observed.TGT[e.Target]
		if !same && t.OwnedBy(name) && t.HasAuth(targetAuth(e)) {
			return name
		}
	}
	return users[0]
}

// exportsWithUser returns the Exports that declare a user, sorted.
func (d *differ) exportsWithUser(username string) []string {
	return d.refs.usersOf()[username]
}

func (d *differ) passwordIn(export, username string) spec.Secret {
	for _, account := range accountsOf(d.in.Declared.Exports[export].Spec) {
		if account.Username == username {
			return account.Password
		}
	}
	return spec.Secret{}
}

// setAccounts sets the accounts of the target before anything else is changed in it.
func (x *exportDiffer) setAccounts() {
	want := targetAuth(x.spec)
	if x.fabric.targetAccounts && want.Needed() && !x.have.HasAuth(want) {
		x.base = append(x.base, x.step(x.id, "differ", change.SetAccounts{Target: x.target, Auth: want}, x.base...))
	}
}

// removeAccounts removes the accounts of the target, once no initiator is admitted and the target
// has nothing that the spec does not have.
func (x *exportDiffer) removeAccounts() {
	want := targetAuth(x.spec)
	if !want.Needed() && !x.have.HasAuth(want) && !x.hasObsolete {
		x.step(x.id, "spec has no auth", change.SetAccounts{Target: x.target, Auth: want}, append(slices.Clone(x.base), x.closingSteps()...)...)
	}
}

// awaitUnlisted makes new LUNs wait until initiators that are not listed are disconnected:
// everybody who is connected sees all LUNs of the target.
func (x *exportDiffer) awaitUnlisted() {
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
			x.unlisted = append(x.unlisted, name)
		}
	}
	x.unlisted = append(x.unlisted, x.sessionsOfRemoved()...)
	if x.fabric.targetAccounts { // with nvmet that is usual: an initiator that is no longer listed is among unlisted
		x.unlisted = append(x.unlisted, x.have.Unattributed...)
	}
}

// admitInitiators adds the initiators, once the target has no LUN that they must not see: all of
// them see all of it.
func (x *exportDiffer) admitInitiators() {
	needs, left := x.obsoleteLUNSteps()
	for _, i := range x.spec.Initiators {
		if _, exists := x.have.ACLs[i.Name]; exists {
			x.setAuth(i)
			continue
		}
		if left >= 0 && !x.hasSeenObsoleteLUNs(i.Name) {
			x.setBlocked(x.id, status.ReasonSessionsActive, "cannot admit %s to target %s: waiting for the removal of LUN %d, which the spec does not show it", i.Name, x.target.Name, left)
			continue
		}
		x.step(x.id, "not there", change.AddInitiator{Target: x.target, Initiator: i.Name, Auth: x.authOf(i.Auth)}, append(slices.Clone(x.base), needs...)...)
	}
}

// hasSeenObsoleteLUNs reports whether an initiator has already seen every LUN that is still to be
// removed. Their removal waits for that initiator to reconnect, so it must not wait for the
// removal.
func (x *exportDiffer) hasSeenObsoleteLUNs(initiator string) bool {
	for n, l := range x.have.LUNs {
		identity := identityOfLUN(l, x.in.Observed.LIO.Backstores)
		if step, kept := x.luns[n]; (!kept || step != 0) && (identity == "" || x.seen[initiator].LUNs[n].Identity != identity) {
			return false
		}
	}
	return true
}

// obsoleteLUNSteps returns the steps that remove the LUNs which the target must not have, and the
// number of one that is kept for now; -1: none is.
func (x *exportDiffer) obsoleteLUNSteps() (steps []StepID, left int) {
	for _, n := range sortedInts(x.have.LUNs) {
		step, kept := x.luns[n]
		if kept && step == 0 {
			continue // exists, and as declared
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

// isReadOnly reports whether a LUN is write-protected, on a fabric without access lists per
// initiator.
func (x *exportDiffer) isReadOnly(l spec.LUN) bool {
	everybody := len(x.spec.Initiators) > 0 && x.spec.Initiators[0].ReadOnly // they are alike
	return l.ReadOnly || everybody || x.backingOf(l.Backing()).lv.ReadOnly
}

// interruptedByResize returns the initiators that must log in again when a LUN is resized.
func (x *exportDiffer) interruptedByResize() []string {
	if !x.fabric.resizeEndsSessions {
		return nil
	}
	return Sessions(x.have)
}

// alsoServedBy returns which backstore or target of the kernel serves the same logical volume;
// empty: none. tgtd caches the data, and the kernel's targets do not see that cache.
func (x *exportDiffer) alsoServedBy(id spec.ID) string {
	lv := x.backingOf(id).lv
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

// wantedPortals returns the portals of the target. LIO's portal for any IPv6 address serves IPv4
// too, and a spec means both by it. tgtd needs two.
func (x *exportDiffer) wantedPortals() []string {
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

// listens reports whether the target listens at a portal, and over which transport.
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

// bringOnline enables a target that an interrupted change left offline. Its content was there
// before.
func (x *exportDiffer) bringOnline() {
	if x.have.Offline {
		x.step(x.id, "offline", change.EnableTarget{Target: x.target}, append(slices.Clone(x.base), x.closingSteps()...)...)
	}
}

// setAuth sets the credentials of a listed initiator, before anything else is shown to it.
func (x *exportDiffer) setAuth(i spec.Initiator) StepID {
	have, exists := x.have.ACLs[i.Name]
	auth := x.authOf(i.Auth)
	if !exists || x.fabric.targetAccounts || hasAuth(have, x.have.Attrib, auth) {
		return 0
	}
	return x.step(x.id, "differs", change.SetAuth{Target: x.target, Initiator: i.Name, Auth: auth}, x.base...)
}

// setWriteProtectForAll sets the write protection of a LUN on a fabric that has one value for all
// initiators.
func (x *exportDiffer) setWriteProtectForAll(n int, have observe.TargetLUN, readOnly bool) {
	switch {
	case !x.fabric.targetAccounts || have.ReadOnly == readOnly:
	case !readOnly && len(x.unlisted) > 0:
		x.setBlocked(x.id, status.ReasonSessionsActive, "cannot make LUN %d of %s writable: waiting for initiators that the Export does not list to disconnect: %s",
			n, x.target.Name, shortList(x.unlisted))
	default:
		x.setWriteProtect(change.SetWriteProtect{Target: x.target, LUN: n, ReadOnly: readOnly}, Sessions(x.have), x.base...)
	}
}
