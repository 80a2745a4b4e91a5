package plan

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// exportDiffer holds one export while its steps are planned. The steps of a
// target are applied in the order of the plan: what is missing is added before
// what is superfluous is taken away, and the target is enabled last.
type exportDiffer struct {
	*differ
	id     spec.ID
	spec   spec.ExportSpec
	fabric fabric
	target change.Target
	have   observe.Target
	// base are the steps without which nothing else may be done to the target:
	// it has to be there, and closed to whoever is not listed.
	base []StepID
	// luns are the desired LUNs that are there or will be, with the step that
	// adds each; 0: it is there.
	luns map[int]StepID
	// others are those who would see every new LUN and must not.
	others []string
	// removedInitiators are the steps that take away access lists.
	removedInitiators []StepID
	// withheld is true if something stays that the spec does not have, and contested if
	// something is shown otherwise than the spec says.
	withheld, contested bool
	// staysWritable is true if anybody can write to what is added, which is to be read-only.
	staysWritable bool
	// letGone is true if all LUNs go, and come again.
	letGone bool
	// strays are the mappings that go before a LUN comes, by which step.
	strays map[mapping]StepID
	// seen is what is known of those who can log in.
	seen map[string]Exposure
	// before is how many steps the plan had without those of this export.
	before int
}

// steps returns the steps of the plan that were added for the export.
func (x *exportDiffer) steps() []Step { return x.plan.Steps[x.before:] }

func (d *differ) export(e spec.Export) {
	id := spec.ID{Kind: spec.KindExport, Name: e.Metadata.Name}
	f := d.in.fabricOf(e.Spec.Protocol)
	if d.unknown(id, f.System()) {
		return
	}
	target := change.Target{Fabric: f.Fabric, Name: e.Spec.Target, Export: e.Metadata.Name}
	have, exists := d.in.Observed.Target(target.ID())
	owner, owned := have.Owner()
	if exists && !have.Empty() && (!owned || owner != id) {
		d.setBlocked(id, status.ReasonNotOwned, "target %s already exists and is not managed by volreconciler. Choose another spec.target, or remove that target by hand", e.Spec.Target)
		return
	}
	if owned && owner == id {
		d.object(id).Export = d.exportStatus(id, have)
	}
	if d.suspended(id, e.Metadata) || d.blockedAsUnsupported(id, e) {
		d.reopen(id)
		return
	}
	if d.waitsForMove(id) {
		return
	}
	x := &exportDiffer{
		differ: d, id: id, spec: e.Spec, fabric: f, target: target, have: have, luns: map[int]StepID{}, before: len(d.plan.Steps),
		seen: d.admittedExposures(e.Spec, target.ID(), have),
	}
	x.warnOfPositions()
	x.keepNumbers()
	if !exists || !owned && (!f.markInLUNs || !have.HasTPG) {
		x.base = append(x.base, x.step(id, "not there", change.CreateTarget{Target: x.target}))
	}
	if have.MarkInAlias {
		x.step(id, "some initiators cannot log in to a target with a long alias", change.MoveMark{Target: x.target}, x.base...)
	}
	x.attributes()
	x.askPasswords()
	x.parameters()
	if f.enables {
		x.addPortals(x.base)
	}
	if !f.maps {
		x.removeInitiators()
		x.strangers()
		x.keepFromOthers()
	}
	x.addLUNs()
	if f.maps {
		x.addInitiators()
		x.removeInitiators()
	}
	x.removeLUNs()
	if !f.maps {
		x.askNothing()
		x.admitAll()
	}
	returning, ok := x.returning()
	open := slices.Concat(x.base, returning)
	moves := ok && !f.enables && f.ownPortals && len(have.Portals) > 0 && !x.portalsCollide()
	if moves { // it is reached at the new ones before the old ones go
		x.addPortals(open)
	}
	x.removePortals()
	x.open()
	if f.maps {
		x.strangers()
	}
	x.offline()
	switch {
	case !ok, moves:
	case !f.enables && len(have.Portals) > 0:
		x.addPortals(open)
	case !f.enables && !x.contested && (!x.withheld || x.wasOpen()):
		x.addPortals(append(open, x.closing()...))
	case f.enables && !have.Enabled && !x.contested && (!x.withheld || x.wasOpen()):
		x.step(id, "not enabled", change.EnableTarget{Target: x.target}, append(open, x.closing()...)...)
	}
}

// closing returns the steps that take from somebody what is in the target, and
// without which it must not be enabled: what an interrupted creation left may be
// more than the spec allows by now.
func (x *exportDiffer) closing() []StepID {
	var steps []StepID
	for _, s := range x.steps() {
		if s.Object != x.id || s.Change.Lane() != x.target.Lane() {
			continue
		}
		switch s.Change.(type) {
		case change.RemoveLUN, change.UnmapLUN, change.RemoveInitiator, change.RemovePortal, change.SetAuth, change.SetWriteProtect:
			steps = append(steps, s.ID)
		}
	}
	return steps
}

// attributes closes the group first of all where it has to be closed. It is
// opened to anybody last, by open.
func (x *exportDiffer) attributes() {
	want := x.wantedAttributes()
	switch {
	case !want.GenerateNodeACLs:
	case !x.have.Attrib.GenerateNodeACLs:
		want = x.fabric.closed
	case x.have.Attrib.DemoModeWriteProtect != want.DemoModeWriteProtect && !x.letGoToProtect(want.DemoModeWriteProtect):
		x.staysWritable = want.DemoModeWriteProtect
		want.DemoModeWriteProtect = x.have.Attrib.DemoModeWriteProtect
	}
	if x.have.Attrib != want || len(x.base) > 0 && want != (observe.TPGAttrib{}) {
		x.base = append(x.base, x.step(x.id, "differ", change.SetAttributes{Target: x.target, Attrib: want}, x.base...))
	}
}

func (x *exportDiffer) wantedAttributes() observe.TPGAttrib {
	if !x.spec.AllowAnyInitiator {
		return x.fabric.closed
	}
	want := x.fabric.open
	want.DemoModeWriteProtect = x.fabric.maps && !slices.ContainsFunc(x.spec.LUNs, func(l spec.LUN) bool { return !l.ReadOnly })
	return want
}

// open lets anybody in, once nothing is in the group that they are not to have.
func (x *exportDiffer) open() {
	want := x.wantedAttributes()
	if !x.spec.AllowAnyInitiator || x.have.Attrib.GenerateNodeACLs {
		return
	}
	needs, left := x.othersRemoved()
	if left >= 0 {
		x.setBlocked(x.id, status.ReasonSessionsActive, "cannot open target %s to any initiator: waiting for the removal of LUN %d, which the spec does not have", x.target.Name, left)
		return
	}
	if x.fabric.listCloses {
		// nvmet refuses it while any host is listed. Why one of them has to stay is
		// said where it is to be removed.
		if len(x.removedInitiators) < len(x.have.ACLs) {
			return
		}
		needs = append(needs, x.removedInitiators...)
	}
	x.step(x.id, "spec allows any initiator", change.SetAttributes{Target: x.target, Attrib: want}, append(slices.Clone(x.base), needs...)...)
}

// leftEmpty is why something goes that has to come again: targetcli cannot save its
// configuration as long as there is a LUN without a backstore, or a mapping without a LUN.
const leftEmpty = "empty, left over from an interrupted change"

func (x *exportDiffer) addLUNs() {
	for _, l := range x.spec.LUNs {
		n, backing := *l.Number, l.Backing()
		store := x.store(backing)
		have, exists := x.have.LUNs[n]
		var replaced StepID
		// It is not kept for what may be long in coming.
		if exists && x.fabric.backstores && have.Backstore == "" && (!store.usable || store.step != 0) {
			replaced = x.step(x.id, leftEmpty, change.RemoveLUN{Target: x.target, LUN: n})
		}
		if !x.fabric.backstores && store.usable && (!exists || !store.servedBy(have)) && x.blockedByUsers(backing, x.backing(backing).lv) {
			store.usable = false
		}
		if !store.usable {
			o := x.object(backing)
			x.setBlocked(x.id, status.ReasonNotReady, "LUN %d: %s is %s: %s: %s", n, backing, o.Phase, o.Reason, o.Message)
			x.letGo(n, backing, store)
			x.contested = x.contested || x.showsAnother(have, backing, store)
			continue
		}
		if by := x.shared(backing); by != "" {
			x.setBlocked(x.id, status.ReasonInUse, "LUN %d: %s is also served by %s, and tgtd cannot share it. Remove it there; the LUN is exported afterwards", n, backing, by)
			continue
		}
		readOnly := store.readOnly
		if x.fabric.accounts {
			readOnly = x.readOnly(l)
		}
		switch {
		case x.letGone && exists:
			replaced = x.ledger.luns[lunKey{x.target.ID(), n}]
		case exists && store.servedBy(have):
			x.luns[n] = 0
			x.protectAll(n, have, readOnly)
			x.resize(n, have, backing)
			if o := x.object(backing); o.Phase == status.Failed { // it is shown as it is, and not well
				x.setBlocked(x.id, status.ReasonNotReady, "LUN %d: %s is %s: %s: %s", n, backing, o.Phase, o.Reason, o.Message)
			}
			continue
		case x.staysWritable:
			x.setBlocked(x.id, status.ReasonSessionsActive, "cannot add LUN %d to %s: any initiator could write to it. Waiting until the target can be made read-only, once its initiators have disconnected", n, x.target.Name)
			continue
		case exists && have.Backstore+have.Device != "":
			if !x.mayReplace(fmt.Sprintf("LUN %d (now %s)", n, have.Backstore+have.Device), initiatorsOf(x.have, n)) || !x.keepsKeys(fmt.Sprintf("LUN %d", n), n, "") {
				x.contested = true
				continue
			}
			replaced = x.removeLUN(n, "spec asks for "+backing.String())
		}
		if len(x.others) > 0 {
			x.setBlocked(x.id, status.ReasonSessionsActive, "cannot add LUN %d to %s: waiting for initiators that the Export does not list, and that would see it, to disconnect: %s",
				n, x.target.Name, shortList(x.others))
			continue
		}
		elsewhere, removable := x.elsewhere(store, n)
		if !removable {
			continue
		}
		needs := slices.Concat(x.base, []StepID{store.step, replaced}, elsewhere, x.unmapStrays(n))
		x.luns[n] = x.step(x.id, "not there", change.AddLUN{
			Target: x.target, LUN: n, Backstore: store.path,
			Device: store.device, LVUUID: store.lvUUID, Identity: store.lvIdentity, ReadOnly: readOnly, Unmap: store.unmap,
		}, needs...)
	}
}

// letGo takes a LUN away whose volume is being put back to a snapshot.
func (x *exportDiffer) letGo(n int, backing spec.ID, store wantedStore) {
	have, exists := x.have.LUNs[n]
	if !exists || !x.backing(backing).reverting || !store.servedBy(have) {
		return
	}
	if x.mayReplace(fmt.Sprintf("LUN %d (its volume is being reverted)", n), initiatorsOf(x.have, n)) && x.comesBackWithKeys(n, have) {
		x.removeLUN(n, "its volume is being reverted")
	}
}

// resize makes a LUN without a backstore as large as its logical volume, which
// those that have one are by themselves.
func (x *exportDiffer) resize(n int, have observe.TargetLUN, backing spec.ID) {
	lv, grown := x.backing(backing).lv, x.results.of(backing).grown
	if !x.fabric.backstores && (grown != 0 || have.Size != 0 && !have.HasSize(lv.Size)) {
		x.dangerousStep(x.id, "has grown", Harmless, x.paused(), change.ResizeLUN{Target: x.target, LUN: n, Device: lv.Path(), LVUUID: lv.UUID, Identity: lv.Identity()}, grown)
	}
}

// elsewhere takes a volume out of the target under all other numbers, before
// it is added under the right one: an initiator that sees one volume twice
// corrupts it. It reports false if that cannot be done in this pass.
func (x *exportDiffer) elsewhere(store wantedStore, number int) ([]StepID, bool) {
	var steps []StepID
	for _, n := range sortedInts(x.have.LUNs) {
		if n == number || !store.servedBy(x.have.LUNs[n]) {
			continue
		}
		if !x.mayRemoveLUN(fmt.Sprintf("LUN %d (becomes LUN %d)", n, number), n) {
			return nil, false
		}
		steps = append(steps, x.removeLUN(n, fmt.Sprintf("becomes LUN %d", number)))
	}
	return steps, true
}

func (x *exportDiffer) removeLUNs() {
	for _, n := range sortedInts(x.have.LUNs) {
		wanted := slices.ContainsFunc(x.spec.LUNs, func(l spec.LUN) bool { return *l.Number == n })
		switch {
		case wanted:
		case x.mayRemoveLUN(fmt.Sprintf("LUN %d", n), n, x.waiting(n)...):
			x.removeLUN(n, "not in the spec")
		default:
			x.withdraw(n)
		}
	}
}

func (x *exportDiffer) removeLUN(n int, why string) StepID {
	if step, planned := x.ledger.luns[lunKey{x.target.ID(), n}]; planned {
		return step
	}
	step := x.dangerousStep(x.id, why, Disruptive, initiatorsOf(x.have, n), change.RemoveLUN{Target: x.target, LUN: n})
	x.ledger.luns[lunKey{x.target.ID(), n}] = step
	return step
}

func (x *exportDiffer) addInitiators() {
	for _, i := range x.spec.Initiators {
		have, exists := x.have.ACLs[i.Name]
		added := x.setAuth(i)
		switch {
		case exists:
		case x.sawMore(i): // strangers says so
			continue
		default:
			added = x.step(x.id, "not there", change.AddInitiator{Target: x.target, Initiator: i.Name, Auth: x.authOf(i.Auth)}, x.base...)
		}
		x.mapLUNs(i, have, added)
	}
}

func (x *exportDiffer) mapLUNs(i spec.Initiator, have observe.ACL, added StepID) {
	for _, l := range x.spec.LUNs {
		n := *l.Number
		if !i.Sees(n) {
			continue
		}
		step, exported := x.luns[n]
		readOnly := l.ReadOnly || i.ReadOnly || x.backing(l.Backing()).lv.ReadOnly
		mapped, exists := have.LUNs[n]
		unmapped, stray := x.strays[mapping{i.Name, n}]
		exists = exists && !stray
		if exists && mapped.LUN < 0 && (!exported || step != 0) {
			unmapped, exists = x.step(x.id, leftEmpty, change.UnmapLUN{Target: x.target, Initiator: i.Name, LUN: n}), false
		}
		if !exported {
			// Nothing is changed of it, and it may be more than the spec allows.
			x.contested = x.contested || exists && mapped.LUN >= 0 && (mapped.LUN != n || readOnly && !mapped.WriteProtect)
			continue
		}
		if !exists && x.sawAnother(i.Name, n, l.Backing()) {
			x.setBlocked(x.id, status.ReasonSessionsActive, "LUN %d: %s saw another volume than %s under this number, and may write to it. Waiting for that initiator to disconnect and reconnect; or choose another number",
				n, i.Name, l.Backing())
			continue
		}
		if exists && step == 0 && mapped.LUN == n {
			if mapped.WriteProtect != readOnly {
				x.protect(change.SetWriteProtect{Target: x.target, Initiator: i.Name, LUN: n, ReadOnly: readOnly}, loggedIn(have))
			}
			continue
		}
		if exists && mapped.LUN >= 0 && mapped.LUN != n {
			if !x.mayReplace(fmt.Sprintf("mapped LUN %d", n), loggedIn(have)) || !x.keepsKeys(fmt.Sprintf("mapped LUN %d", n), mapped.LUN, i.Name) {
				x.contested = true
				continue
			}
			step = x.dangerousStep(x.id, fmt.Sprintf("shows LUN %d", mapped.LUN), Disruptive, loggedIn(have),
				change.UnmapLUN{Target: x.target, Initiator: i.Name, LUN: n}, step)
		}
		x.step(x.id, "not there", change.MapLUN{Target: x.target, Initiator: i.Name, LUN: n, ReadOnly: readOnly}, append(slices.Clone(x.base), step, added, unmapped)...)
	}
	for _, n := range sortedInts(have.LUNs) {
		if _, gone := x.strays[mapping{i.Name, n}]; gone {
			continue
		}
		// A mapped LUN of a number that the group has is dealt with where that
		// LUN is.
		_, inGroup := x.have.LUNs[n]
		wanted := slices.ContainsFunc(x.spec.LUNs, func(l spec.LUN) bool { return *l.Number == n })
		hidden := wanted && !i.Sees(n)
		if (hidden || !wanted && !inGroup) && x.mayRemove(fmt.Sprintf("mapped LUN %d", n), loggedIn(have)) && x.keepsKeys(fmt.Sprintf("mapped LUN %d", n), have.LUNs[n].LUN, i.Name) {
			x.dangerousStep(x.id, "not in the spec", Disruptive, loggedIn(have), change.UnmapLUN{Target: x.target, Initiator: i.Name, LUN: n})
		}
	}
}

// mayRemove reports whether a part of the export may be taken away in this
// pass; if not, it says why. sessions are the initiators that would lose it.
func (x *exportDiffer) mayRemove(what string, sessions []string) bool {
	if x.spec.Disconnect == spec.DisconnectForce {
		sessions = nil
	}
	may := x.mayReplace(what, sessions)
	x.withheld = x.withheld || !may
	return may
}

// mayReplace is mayRemove for what something else is put in the place of. It
// waits for live sessions whatever the spec says: an initiator that was not told
// goes on writing what was meant for one volume to the number that another one
// has now.
func (x *exportDiffer) mayReplace(what string, sessions []string) bool {
	switch reason, while := x.doubt(); reason {
	case "":
	case status.ReasonIncompleteInput:
		x.setBlocked(x.id, reason, "cannot remove %s: %s. Correct them first (volreconciler validate)", what, while)
		return false
	default:
		x.setStatus(x.id, status.Failed, reason, "cannot remove %s: waiting until every system can be read: %v", what, x.in.Observed.Err())
		return false
	}
	if len(sessions) > 0 {
		x.setBlocked(x.id, status.ReasonSessionsActive, "cannot remove %s of %s: waiting for initiators to disconnect: %s", what, x.target.Name, shortList(sessions))
		return false
	}
	return true
}

func loggedIn(acl observe.ACL) []string {
	if acl.LoggedIn {
		return []string{acl.Initiator}
	}
	return nil
}

// Sessions returns who is logged in to a target.
func Sessions(t observe.Target) []string {
	names := slices.Concat(t.DynamicSessions, t.Unattributed)
	for _, name := range sorted(t.ACLs) {
		names = append(names, loggedIn(t.ACLs[name])...)
	}
	if len(names) == 0 && t.Sessions > 0 {
		names = append(names, fmt.Sprintf("%d unnamed sessions", t.Sessions))
	}
	return names
}

// authOf returns what an initiator has to prove who it is with. NVMe knows keys
// alone, without user names.
func (x *exportDiffer) authOf(a *spec.Auth) change.Auth {
	out := authOf(a)
	if x.fabric.keysOnly {
		out.Username, out.MutualUsername = "", ""
	}
	return out
}

func authOf(a *spec.Auth) change.Auth {
	var out change.Auth
	if a != nil && a.CHAP != nil {
		out.Username, out.Password = a.CHAP.Username, a.CHAP.Password
	}
	if a != nil && a.Mutual != nil {
		out.MutualUsername, out.MutualPassword = a.Mutual.Username, a.Mutual.Password
	}
	return out
}

// sameAuth reports whether an ACL asks for what it should.
func sameAuth(have observe.ACL, group observe.TPGAttrib, want change.Auth) bool {
	asks := have.Authentication == "1"
	if have.Authentication == "-1" {
		asks = group.Authentication // also what kernels before 6.0 know alone
	}
	return asks == want.Needed() && have.Auth == observe.CHAP{
		Username: want.Username, Password: want.Password,
		MutualUsername: want.MutualUsername, MutualPassword: want.MutualPassword,
	}
}

func sortedInts[V any](m map[int]V) []int {
	keys := make([]int, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
