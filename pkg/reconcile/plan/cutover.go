package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// cutover makes another logical volume a Volume's current one. Initiators are paused, the last
// changes are copied, and the staged logical volume becomes current. The next pass exports it; or
// the old one again, if anything failed.
type cutover struct {
	id spec.ID
	// next becomes current instead of lv. base is the snapshot with which next was synced last;
	// without one, next is complete.
	lv, next, base observe.LogicalVolume
	// why is the reason of the step that cuts over, pausing that of the steps that pause
	// initiators, and done describes what is complete so far.
	why, pausing, done string
	danger             Danger
	affects            []string
	// spareOthers keeps targets up whose initiators are connected and do not see the Volume.
	spareOthers bool
}

// cutoverGuard decides whether a cutover must wait. It changes nothing. Its rule is a sentence of
// docs/architecture.md, word for word.
type cutoverGuard struct {
	rule  string
	check func(*differ, cutover) *Obstacle
}

// cutoverGuards are asked in this order, before any initiator is paused.
var cutoverGuards = []cutoverGuard{
	{"the current logical volume has no thick snapshot but the one that was copied last", (*differ).checkOnlyBaseSnapshot},
	{"the name for the superseded logical volume is free", (*differ).checkNameFree},
	{"there is no finding anywhere in the specs, and every system could be read", (*differ).checkCutoverNotInDoubt},
	{"nothing on the node uses the current logical volume but the targets that export it", (*differ).checkOnlyExported},
	{"the Exports of these targets are valid, not suspended, and did not fail", (*differ).checkExportsFollow},
	{"the initiators that are connected to these targets can be paused", (*differ).checkCanPause},
	{"the cutover did not fail before with the same spec, or nobody is connected to these targets", (*differ).checkNotFailedBefore},
	{"no initiator would lose a persistent reservation", (*differ).checkReservationsKept},
}

// planCutover plans a cutover, unless a guard finds an obstacle.
func (d *differ) planCutover(c cutover) cutoverProgress {
	swap := change.Cutover{LV: nameOf(c.lv), Staged: nameOf(c.next), Since: nameOf(c.base), Size: spec.Size(c.lv.Size)}
	if d.in.BackingOff[c.id] { // initiators are not paused for a step that waits
		danger := c.danger
		if danger == Disruptive {
			danger = Harmless
		}
		d.dangerousStep(c.id, c.why, danger, nil, swap)
		return prepared
	}
	for _, g := range cutoverGuards {
		if d.blockedBy(c.id, g.check(d, c)) {
			return prepared
		}
	}
	needs := d.planInterruption(c.id, c.lv, d.lunsOf(c.id, c.lv), c.spareOthers, c.pausing)
	d.keepExports(c.id)
	d.dangerousStep(c.id, c.why, c.danger, c.affects, swap, needs...)
	return due
}

// checkOnlyBaseSnapshot: another thick snapshot would be lost with the superseded logical volume.
func (d *differ) checkOnlyBaseSnapshot(c cutover) *Obstacle {
	if c.base.UUID == "" {
		return nil
	}
	others := slices.DeleteFunc(d.thickSnapshotsOf(c.lv), func(name string) bool { return name == c.base.FullName() || d.ledger.volumes[name] != 0 })
	if len(others) == 0 {
		return nil
	}
	return blocked(status.ReasonNotReady, "cutover to %s: waiting for the copies of %s to complete: %s", c.next.FullName(), c.lv.FullName(), shortList(others))
}

// checkNameFree: the next pass renames both logical volumes. If it could not, the Volume would not
// be served.
func (d *differ) checkNameFree(c cutover) *Obstacle {
	old := change.LV{VolumeGroup: c.lv.VolumeGroup, Name: ondisk.SupersededName(c.id)}
	if _, taken := d.in.Observed.VolumeGroups[old.VolumeGroup].LogicalVolumes[old.Name]; !taken || c.next.VolumeGroup != old.VolumeGroup {
		return nil
	}
	return blocked(status.ReasonNotReady, "cutover to %s: waiting for %s to be removed, because its name is needed for %s", c.next.FullName(), old, c.lv.FullName())
}

// checkCutoverNotInDoubt: in doubt nothing is taken from initiators, not even for a moment.
func (d *differ) checkCutoverNotInDoubt(c cutover) *Obstacle {
	if !d.inDoubt() {
		return nil
	}
	return blocked(status.ReasonIncompleteInput, "%s; the cutover waits until there are no findings in the specs and every system can be read", c.done)
}

// checkOnlyExported: somebody else who writes to the current logical volume would lose those
// writes.
func (d *differ) checkOnlyExported(c cutover) *Obstacle {
	_, exported := d.index.Backstore(c.id)
	switch {
	case len(c.lv.HeldBy) > 0:
		return blocked(status.ReasonInUse, "%s; the cutover waits until %s is no longer %s", c.done, c.lv.FullName(), shortList(c.lv.HeldBy))
	case c.lv.Open && !exported && len(d.index.servedDirectly(c.lv)) == 0:
		return blocked(status.ReasonInUse, "%s; the cutover waits until %s is no longer open on this node (see lsof %s)", c.done, c.lv.FullName(), c.lv.Path())
	}
	return nil
}

// checkExportsFollow: initiators that are paused by an Export that is not planned in the next pass
// would not be served again.
func (d *differ) checkExportsFollow(c cutover) *Obstacle {
	for _, key := range d.lunsOf(c.id, c.lv) {
		t := d.target(key.target)
		owner, _ := t.Owner()
		e, declared := d.in.Declared.Exports[owner.Name]
		switch {
		case !declared || d.in.targetOf(e) != key.target || e.Metadata.Suspended() || d.whyUnsupported(e) != "":
			return blocked(status.ReasonInUse, "%s; the cutover waits until target %s no longer exports %s, or its Export is declared and not suspended", c.done, t.Name, c.lv.FullName())
		case d.in.BackingOff[owner]: // its steps wait, and so would initiators
			return blocked(status.ReasonNotReady, "%s; the cutover waits until %s, which failed, is retried", c.done, owner)
		}
	}
	return nil
}

// checkCanPause: without a way to pause them, connected initiators would see errors.
func (d *differ) checkCanPause(c cutover) *Obstacle {
	for _, key := range d.lunsOf(c.id, c.lv) {
		t := d.target(key.target)
		who := slices.DeleteFunc(Sessions(t), func(name string) bool { // those who do not see the LUN are not affected
			_, listed := t.ACLs[name]
			return traitsOf[t.Fabric].alwaysConnected && listed && !slices.Contains(initiatorsOf(t, key.lun), name)
		})
		if traitsOf[t.Fabric].pause == noPause && len(who) > 0 {
			return blocked(status.ReasonSessionsActive, "%s; the cutover waits for the initiators of target %s, which cannot be paused, to disconnect: %s", c.done, t.Name, shortList(who))
		}
	}
	return nil
}

// checkNotFailedBefore: initiators are not paused again and again for a cutover that fails.
func (d *differ) checkNotFailedBefore(c cutover) *Obstacle {
	if failed := d.in.Known[c.id].FailedCutover; failed == "" || failed != specDigest(d.in.Declared, c.id) {
		return nil
	}
	for _, key := range d.lunsOf(c.id, c.lv) {
		if who := Sessions(d.target(key.target)); len(who) > 0 {
			return blocked(status.ReasonSessionsActive, "%s; the last cutover failed after initiators had been paused (see the agent's log). It is retried when the Volume's spec changes, or when these disconnect: %s",
				c.done, shortList(who))
		}
	}
	return nil
}

// NoteFailures returns what is known when some steps of a plan have failed: initiators were paused
// for a cutover that did not happen. It is pure, and returns known itself if there was none.
func NoteFailures(known map[spec.ID]Identity, plan Plan, failed func(StepID) bool, declared spec.Set) map[spec.ID]Identity {
	var cut []spec.ID
	for _, s := range plan.Steps {
		if _, swaps := s.Change.(change.Cutover); swaps && len(s.Needs) > 0 {
			cut = append(cut, s.Object)
		}
	}
	next, copied := known, false
	for _, s := range plan.Steps {
		if !failed(s.ID) || !slices.Contains(cut, s.Object) {
			continue
		}
		if !copied {
			next, copied = maps.Clone(known), true
		}
		identity := next[s.Object]
		identity.FailedCutover = specDigest(declared, s.Object)
		next[s.Object] = identity
	}
	return next
}

// specDigest identifies the spec of a Volume; empty: it has no valid one.
func specDigest(set spec.Set, id spec.ID) string {
	v, valid := set.Volumes[id.Name]
	if !valid || id.Kind != spec.KindVolume {
		return ""
	}
	text, err := json.Marshal(v.Spec)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// lunsOf returns the LUNs that serve an object's logical volume.
func (d *differ) lunsOf(id spec.ID, lv observe.LogicalVolume) []lunKey {
	keys := d.index.servedDirectly(lv)
	if b, exported := d.index.Backstore(id); exported {
		keys = append(keys, d.index.linksTo(b)...)
	}
	return keys
}

// planInterruption plans that nobody uses a Volume: the targets that export it end their sessions, and
// its LUNs and its backstore are removed. It returns the steps that must have succeeded for that.
// spareOthers keeps a target up that has sessions, none of which sees the Volume: an initiator
// that logs in at that moment finds the LUN a moment later.
func (d *differ) planInterruption(id spec.ID, lv observe.LogicalVolume, keys []lunKey, spareOthers bool, why string) []StepID {
	var needs []StepID
	paused := map[observe.TargetID][]StepID{}
	for _, key := range keys {
		t := d.target(key.target)
		owner, _ := t.Owner()
		target := change.Target{Fabric: t.Fabric, Name: t.Name, Export: owner.Name}
		spared := spareOthers && len(Sessions(t)) > 0
		if _, done := paused[key.target]; !done && !spared {
			paused[key.target] = d.endSessions(id, t, target, why)
		}
		// As a step of the Volume, so that its back-off applies like to the rest.
		step := d.dangerousStep(id, why, Disruptive, nil, change.RemoveLUN{Target: target, LUN: key.lun}, paused[key.target]...)
		d.ledger.luns[key] = step
		needs = append(needs, step)
	}
	if b, exported := d.index.Backstore(id); exported {
		step := d.dangerousStep(id, why, Disruptive, nil, change.RemoveBackstore{Backstore: change.Backstore{HBA: b.HBA, Name: b.Name}}, needs...)
		d.ledger.backstores[id] = step
		needs = append(needs, step)
	}
	return append(needs, d.activate(id, lv))
}

// keepExports leaves all Exports of a Volume unchanged in this pass, also those that a crash left
// without its LUN: initiators must not find their target without their LUN.
func (d *differ) keepExports(id spec.ID) {
	for _, name := range d.refs.exports[id] {
		d.results.of(spec.ID{Kind: spec.KindExport, Name: name}).pausedFor = id
	}
	for _, of := range d.refs.interrupted[id.Name] {
		d.results.of(of).pausedFor = id
	}
}

// endSessions plans the end of all sessions of a target.
func (d *differ) endSessions(id spec.ID, t observe.Target, target change.Target, why string) []StepID {
	var steps []StepID
	switch traitsOf[t.Fabric].pause {
	case noPause:
	case disableTarget:
		if !t.Enabled {
			break
		}
		steps = append(steps, d.dangerousStep(id, why, Disruptive, Sessions(t), change.DisableTarget{Target: target}))
	case withoutPortals:
		for _, portal := range sorted(t.Portals) {
			steps = append(steps, d.dangerousStep(id, why, Disruptive, Sessions(t), change.RemovePortal{Target: target, Portal: portal}))
		}
	}
	return steps
}

// isPausedForCutover reports whether an Export's target is paused for a cutover in this pass, and
// sets its status.
func (d *differ) isPausedForCutover(id spec.ID) bool {
	by := d.results.of(id).pausedFor
	interrupted := by != spec.ID{}
	if interrupted {
		d.setStatus(id, status.Progressing, status.ReasonConverging, "paused until the cutover of %s is done", by)
	}
	return interrupted
}

// continueCutovers leaves Volumes alone whose cutover takes longer than a plan is waited for, so
// that nobody uses them: what is written to the superseded logical volume now would be lost.
func (d *differ) continueCutovers() {
	for _, id := range sortedIDs(d.index.leftovers) {
		for _, staged := range d.index.leftoversOf(id).staged {
			if !d.in.Busy[change.Cutover{Staged: nameOf(staged)}.Lane()] {
				continue
			}
			d.results.of(id).visited = true
			d.setStatus(id, status.Progressing, status.ReasonConverging, "cutover to %s is in progress", staged.FullName())
			d.keepExports(id)
		}
	}
}

// returningLUNSteps returns the steps that add and map the LUNs of Volumes whose initiators were
// paused: an initiator that finds its target without the LUN drops the device. It reports false
// if such a LUN is not added in this pass.
func (x *exportDiffer) returningLUNSteps() ([]StepID, bool) {
	var steps []StepID
	for _, l := range x.spec.LUNs {
		waited := x.results.of(l.Backing()).rollsBack || x.results.of(l.Backing()).cutOver
		if !waited && x.index.leftovers[l.Backing()] == nil { // an earlier agent may have paused them
			continue
		}
		if _, added := x.luns[*l.Number]; waited && !added {
			return nil, false
		}
		for _, s := range x.steps() {
			switch c := s.Change.(type) {
			case change.AddLUN:
				if c.Target == x.target && c.LUN == *l.Number {
					steps = append(steps, s.ID)
				}
			case change.MapLUN:
				if c.Target == x.target && c.LUN == *l.Number {
					steps = append(steps, s.ID)
				}
			}
		}
	}
	return steps, true
}
