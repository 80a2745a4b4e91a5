package plan

import (
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// exportDiffer plans one Export. The steps of a target are applied in the order of the plan: what
// is missing is added before what is obsolete is removed, and the target is enabled last.
type exportDiffer struct {
	*differ
	id     spec.ID
	spec   spec.ExportSpec
	fabric fabric
	target change.Target
	have   observe.Target
	// base are the steps that must have succeeded before anything else is done to the target: it
	// must exist, and admit nobody who is not listed.
	base []StepID
	// luns are the declared LUNs that exist or are added, with the step that adds each; 0: it
	// exists.
	luns map[int]StepID
	// unlisted are the initiators that would see every new LUN and must not.
	unlisted []string
	// removedInitiators are the steps that remove access lists.
	removedInitiators []StepID
	// hasObsolete is true if something is kept for now that the spec does not have, and
	// hasConflict if something is shown in another way than the spec says.
	hasObsolete, hasConflict bool
	// remainsWritable is true if any initiator could write to a new LUN that should be read-only.
	remainsWritable bool
	// allLUNsRemoved is true if all LUNs are removed and added again.
	allLUNsRemoved bool
	// strays are the mappings that are removed before a LUN is added, by step.
	strays map[mapping]StepID
	// seen is what the initiators that can log in have seen.
	seen map[string]Exposure
	// stepsBefore is the number of steps that the plan had before those of this Export.
	stepsBefore int
}

// steps returns the steps of the Export.
func (x *exportDiffer) steps() []Step { return x.plan.Steps[x.stepsBefore:] }

func (d *differ) planExport(e spec.Export) {
	id := spec.ID{Kind: spec.KindExport, Name: e.Metadata.Name}
	f := d.in.fabricOf(e.Spec.Protocol)
	if d.isUnreadable(id, f.System()) {
		return
	}
	target := change.Target{Fabric: f.Fabric, Name: e.Spec.Target, Export: e.Metadata.Name}
	have, exists := d.in.Observed.Target(target.ID())
	owner, owned := have.Owner()
	if exists && !have.Empty() && !owned && e.Spec.Adopt && f.adopts {
		if !d.blockedBySuspension(id, e.Metadata) && !d.isPausedForCutover(id) {
			d.adoptExport(id, e, have)
		}
		return
	}
	if exists && !have.Empty() && (!owned || owner != id) {
		d.setBlocked(id, status.ReasonNotOwned, "target %s already exists and is not managed by volreconciler. Choose another spec.target, or remove that target by hand", e.Spec.Target)
		return
	}
	if owned && owner == id {
		d.object(id).Export = d.exportStatus(id, have)
	}
	if d.blockedBySuspension(id, e.Metadata) || d.blockedAsUnsupported(id, e) {
		d.reopenTarget(id)
		return
	}
	if d.isPausedForCutover(id) {
		return
	}
	x := &exportDiffer{
		differ: d, id: id, spec: e.Spec, fabric: f, target: target, have: have, luns: map[int]StepID{}, stepsBefore: len(d.plan.Steps),
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
	x.setAttributes()
	x.setAccounts()
	x.setParameters()
	if f.hasEnable {
		x.addPortals(x.base)
	}
	if !f.mapsLUNs {
		x.removeInitiators()
		x.disconnectUnlisted()
		x.awaitUnlisted()
	}
	x.addLUNs()
	if f.mapsLUNs {
		x.addInitiators()
		x.removeInitiators()
	}
	x.removeLUNs()
	if !f.mapsLUNs {
		x.removeAccounts()
		x.admitInitiators()
	}
	returning, ok := x.returningLUNSteps()
	open := slices.Concat(x.base, returning)
	moves := ok && !f.hasEnable && f.ownPortals && len(have.Portals) > 0 && !x.portalsCollide()
	if moves { // the new portals are added before the old ones are removed
		x.addPortals(open)
	}
	x.removePortals()
	x.openToAnyone()
	if f.mapsLUNs {
		x.disconnectUnlisted()
	}
	x.bringOnline()
	switch {
	case !ok, moves:
	case !f.hasEnable && len(have.Portals) > 0:
		x.addPortals(open)
	case !f.hasEnable && !x.hasConflict && (!x.hasObsolete || x.wasOpen()):
		x.addPortals(append(open, x.closingSteps()...))
	case f.hasEnable && !have.Enabled && !x.hasConflict && (!x.hasObsolete || x.wasOpen()):
		x.step(id, "not enabled", change.EnableTarget{Target: x.target}, append(open, x.closingSteps()...)...)
	}
}

// closingSteps returns the steps that remove access to something. The target must not be enabled
// before them: what an interrupted creation left may be more than the spec allows now.
func (x *exportDiffer) closingSteps() []StepID {
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

// setAttributes closes the portal group first of all if it has to be closed. openToAnyone opens it
// last.
func (x *exportDiffer) setAttributes() {
	want := x.wantedAttributes()
	switch {
	case x.spec.Adopt && x.servesAdopted() && x.asAdopted(want) == x.have.Attrib:
		return
	case !want.GenerateNodeACLs:
	case !x.have.Attrib.GenerateNodeACLs:
		want = x.closedAttributes()
	case x.have.Attrib.DemoModeWriteProtect != want.DemoModeWriteProtect && !x.removeLUNsToProtect(want.DemoModeWriteProtect):
		x.remainsWritable = want.DemoModeWriteProtect
		want.DemoModeWriteProtect = x.have.Attrib.DemoModeWriteProtect
	}
	if x.have.Attrib != want || len(x.base) > 0 && want != (observe.TPGAttrib{}) {
		x.base = append(x.base, x.step(x.id, "differ", change.SetAttributes{Target: x.target, Attrib: want}, x.base...))
	}
}

func (x *exportDiffer) wantedAttributes() observe.TPGAttrib {
	if !x.spec.AllowAnyInitiator {
		return x.closedAttributes()
	}
	want := x.fabric.openAttrib
	want.DemoModeWriteProtect = x.fabric.mapsLUNs && !slices.ContainsFunc(x.spec.LUNs, func(l spec.LUN) bool { return !l.ReadOnly })
	return want
}

// closedAttributes are those that admit listed initiators only. Who had access before, and registered
// keys, is not forgotten: the keys would be lost with the session.
func (x *exportDiffer) closedAttributes() observe.TPGAttrib {
	want := x.fabric.closedAttrib
	want.CacheDynamicACLs = x.have.Attrib.CacheDynamicACLs && x.spec.Disconnect != spec.DisconnectForce && x.keysUnlisted()
	return want
}

// openToAnyone admits any initiator, once the group has nothing that they must not see.
func (x *exportDiffer) openToAnyone() {
	want := x.wantedAttributes()
	if !x.spec.AllowAnyInitiator || x.have.Attrib.GenerateNodeACLs {
		return
	}
	needs, left := x.obsoleteLUNSteps()
	if left >= 0 {
		x.setBlocked(x.id, status.ReasonSessionsActive, "cannot open target %s to any initiator: waiting for the removal of LUN %d, which the spec does not have", x.target.Name, left)
		return
	}
	if x.fabric.listCloses {
		// nvmet refuses it while any host is listed. The step that should remove a host
		// reports why it is kept.
		if len(x.removedInitiators) < len(x.have.ACLs) {
			return
		}
		needs = append(needs, x.removedInitiators...)
	}
	x.step(x.id, "spec allows any initiator", change.SetAttributes{Target: x.target, Attrib: want}, append(slices.Clone(x.base), needs...)...)
}

// leftEmpty is why something is removed that is added again: targetcli cannot save its
// configuration while there is a LUN without a backstore, or a mapping without a LUN.
const leftEmpty = "empty, left over from an interrupted change"

func (x *exportDiffer) addLUNs() {
	for _, l := range x.spec.LUNs {
		n, backing := *l.Number, l.Backing()
		store := x.storeOf(backing)
		have, exists := x.have.LUNs[n]
		var replaced StepID
		// An empty LUN is not kept for a backstore that may take long.
		if exists && x.fabric.backstores && have.Backstore == "" && (!store.linkable || store.step != 0) {
			replaced = x.step(x.id, leftEmpty, change.RemoveLUN{Target: x.target, LUN: n})
		}
		if !x.fabric.backstores && store.linkable && (!exists || !store.servedBy(have)) && x.blockedByUsers(backing, x.backingOf(backing).lv) {
			store.linkable = false
		}
		if !store.linkable {
			o := x.object(backing)
			x.setBlocked(x.id, status.ReasonNotReady, "LUN %d: %s is %s: %s: %s", n, backing, o.Phase, o.Reason, o.Message)
			x.removeRevertingLUN(n, backing, store)
			x.hasConflict = x.hasConflict || x.showsAnother(have, backing, store)
			continue
		}
		if by := x.alsoServedBy(backing); by != "" {
			x.setBlocked(x.id, status.ReasonInUse, "LUN %d: %s is also served by %s, and tgtd cannot share it. Remove it there; the LUN is exported afterwards", n, backing, by)
			continue
		}
		readOnly := store.readOnly
		if x.fabric.targetAccounts {
			readOnly = x.isReadOnly(l)
		}
		switch {
		case x.allLUNsRemoved && exists:
			replaced = x.ledger.luns[lunKey{x.target.ID(), n}]
		case exists && store.servedBy(have):
			x.luns[n] = 0
			x.setWriteProtectForAll(n, have, readOnly)
			x.resizeLUN(n, have, backing)
			if o := x.object(backing); o.Phase == status.Failed { // it remains exported, and is not well
				x.setBlocked(x.id, status.ReasonNotReady, "LUN %d: %s is %s: %s: %s", n, backing, o.Phase, o.Reason, o.Message)
			}
			continue
		case x.remainsWritable:
			x.setBlocked(x.id, status.ReasonSessionsActive, "cannot add LUN %d to %s: any initiator could write to it. Waiting until the target can be made read-only, once its initiators have disconnected", n, x.target.Name)
			continue
		case exists && have.Backstore+have.Device != "":
			if !x.mayReplace(fmt.Sprintf("LUN %d (now %s)", n, have.Backstore+have.Device), initiatorsOf(x.have, n)) || !x.keepsKeys(fmt.Sprintf("LUN %d", n), n, "") {
				x.hasConflict = true
				continue
			}
			replaced = x.removeLUN(n, "spec asks for "+backing.String())
		}
		if len(x.unlisted) > 0 {
			x.setBlocked(x.id, status.ReasonSessionsActive, "cannot add LUN %d to %s: waiting for initiators that the Export does not list, and that would see it, to disconnect: %s",
				n, x.target.Name, shortList(x.unlisted))
			continue
		}
		elsewhere, removable := x.removeOtherNumbers(store, n)
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

// removeRevertingLUN removes a LUN whose volume is being reverted to a snapshot.
func (x *exportDiffer) removeRevertingLUN(n int, backing spec.ID, store wantedStore) {
	have, exists := x.have.LUNs[n]
	if !exists || !x.backingOf(backing).reverting || !store.servedBy(have) {
		return
	}
	if x.mayReplace(fmt.Sprintf("LUN %d (its volume is being reverted)", n), initiatorsOf(x.have, n)) && x.keepsKeysWhenReadded(n, have) {
		x.removeLUN(n, "its volume is being reverted")
	}
}

// resizeLUN tells initiators that a LUN without a backstore has grown. LIO sees the new size of a
// backstore by itself.
func (x *exportDiffer) resizeLUN(n int, have observe.TargetLUN, backing spec.ID) {
	lv, grown := x.backingOf(backing).lv, x.results.of(backing).grown
	if !x.fabric.backstores && (grown != 0 || have.Size != 0 && !have.HasSize(lv.Size)) {
		x.dangerousStep(x.id, "has grown", Harmless, x.interruptedByResize(), change.ResizeLUN{Target: x.target, LUN: n, Device: lv.Path(), LVUUID: lv.UUID, Identity: lv.Identity()}, grown)
	}
}

// removeOtherNumbers removes a volume from the target under all other numbers before it is added
// under the declared one: an initiator that sees one volume twice corrupts it. It reports false if
// that cannot be done in this pass.
func (x *exportDiffer) removeOtherNumbers(store wantedStore, number int) ([]StepID, bool) {
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
		case x.mayRemoveLUN(fmt.Sprintf("LUN %d", n), n, x.awaitedAt(n)...):
			x.removeLUN(n, "not in the spec")
		default:
			x.hideFromOthers(n)
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
		case x.hasSeenMore(i): // disconnectUnlisted sets the status
			continue
		case !x.keepsKeysUnlisted(i.Name):
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
		readOnly := l.ReadOnly || i.ReadOnly || x.backingOf(l.Backing()).lv.ReadOnly
		mapped, exists := have.LUNs[n]
		unmapped, stray := x.strays[mapping{i.Name, n}]
		exists = exists && !stray
		if exists && mapped.LUN < 0 && (!exported || step != 0) {
			unmapped, exists = x.step(x.id, leftEmpty, change.UnmapLUN{Target: x.target, Initiator: i.Name, LUN: n}), false
		}
		if !exported {
			// The mapping is not changed, and may allow more than the spec.
			x.hasConflict = x.hasConflict || exists && mapped.LUN >= 0 && (mapped.LUN != n || readOnly && !mapped.WriteProtect)
			continue
		}
		if !exists && x.hasSeenAnother(i.Name, n, l.Backing()) {
			x.setBlocked(x.id, status.ReasonSessionsActive, "LUN %d: %s saw another volume than %s under this number, and may write to it. Waiting for that initiator to disconnect and reconnect; or choose another number",
				n, i.Name, l.Backing())
			continue
		}
		if exists && step == 0 && mapped.LUN == n {
			if mapped.WriteProtect != readOnly {
				x.setWriteProtect(change.SetWriteProtect{Target: x.target, Initiator: i.Name, LUN: n, ReadOnly: readOnly}, loggedIn(have))
			}
			continue
		}
		if exists && mapped.LUN >= 0 && mapped.LUN != n {
			if !x.mayReplace(fmt.Sprintf("mapped LUN %d", n), loggedIn(have)) || !x.keepsKeys(fmt.Sprintf("mapped LUN %d", n), mapped.LUN, i.Name) {
				x.hasConflict = true
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
		// If the group has a LUN of that number, its mappings are handled with it.
		_, inGroup := x.have.LUNs[n]
		wanted := slices.ContainsFunc(x.spec.LUNs, func(l spec.LUN) bool { return *l.Number == n })
		hidden := wanted && !i.Sees(n)
		if (hidden || !wanted && !inGroup) && x.mayRemove(fmt.Sprintf("mapped LUN %d", n), loggedIn(have)) && x.keepsKeys(fmt.Sprintf("mapped LUN %d", n), have.LUNs[n].LUN, i.Name) {
			x.dangerousStep(x.id, "not in the spec", Disruptive, loggedIn(have), change.UnmapLUN{Target: x.target, Initiator: i.Name, LUN: n})
		}
	}
}

// mayRemove reports whether a part of the Export may be removed in this pass; if not, it sets the
// status. sessions are the initiators that would lose it.
func (x *exportDiffer) mayRemove(what string, sessions []string) bool {
	if x.spec.Disconnect == spec.DisconnectForce {
		sessions = nil
	}
	may := x.mayReplace(what, sessions)
	x.hasObsolete = x.hasObsolete || !may
	return may
}

// mayReplace is mayRemove for what is replaced by something else. It waits for live sessions
// whatever the spec says: an initiator that does not notice the change continues to write to the
// same number, which is another volume now.
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

// loggedIn returns the initiator of an access list, if it is logged in.
func loggedIn(acl observe.ACL) []string {
	if acl.LoggedIn {
		return []string{acl.Initiator}
	}
	return nil
}

// Sessions returns which initiators are connected to a target.
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

// authOf returns the credentials of an initiator. NVMe has keys only, without user names.
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

// hasAuth reports whether an access list asks for certain credentials.
func hasAuth(have observe.ACL, group observe.TPGAttrib, want change.Auth) bool {
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
