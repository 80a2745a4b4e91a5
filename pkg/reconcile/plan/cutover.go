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

// cutover is that another logical volume comes in the place of a Volume's. Those who use the
// Volume are made to wait, what changed last is copied, and the other one takes over. The next
// pass exports that one; or the old one again, if anything failed.
type cutover struct {
	id spec.ID
	// lv gives its place to next. That was synced with the snapshot base last; without one it is
	// complete as it is.
	lv, next, base observe.LogicalVolume
	// why is said of the step that does it, pausing of those that make everybody wait, and done of
	// what was done before.
	why, pausing, done string
	danger             Danger
	affects            []string
	// spareOthers lets targets stay up that have sessions, none of which sees the Volume.
	spareOthers bool
}

// cutoverGuard keeps a Volume where it is. It only looks, and its rule is the sentence of
// docs/architecture.md that says the same.
type cutoverGuard struct {
	rule string
	ask  func(*differ, cutover) *Obstacle
}

// cutoverGuards are asked in this order, before anybody is made to wait.
var cutoverGuards = []cutoverGuard{
	{"the current logical volume has no thick snapshot but the one that was copied last", (*differ).onlyItsBase},
	{"the name for the superseded logical volume is free", (*differ).nameFree},
	{"there is no finding anywhere in the specs, and every system could be read", (*differ).certainly},
	{"nothing on the node uses the current logical volume but the targets that export it", (*differ).onlyExported},
	{"the Exports of these targets are valid, not suspended, and did not fail", (*differ).exportsCanFollow},
	{"the initiators that are connected to these targets can be paused", (*differ).canWait},
	{"the cutover did not fail before with the same spec, or nobody is connected to these targets", (*differ).notInVain},
	{"no initiator would lose a persistent reservation", (*differ).fencesStay},
}

// cutOver plans it unless something stands in the way.
func (d *differ) cutOver(c cutover) succession {
	swap := change.Cutover{LV: nameOf(c.lv), Staged: nameOf(c.next), Since: nameOf(c.base), Size: spec.Size(c.lv.Size)}
	if d.in.Held[c.id] { // nobody is made to wait for nothing
		danger := c.danger
		if danger == Disruptive {
			danger = Harmless
		}
		d.dangerousStep(c.id, c.why, danger, nil, swap)
		return prepared
	}
	for _, g := range cutoverGuards {
		if d.stopped(c.id, g.ask(d, c)) {
			return prepared
		}
	}
	needs := d.interrupt(c.id, c.lv, d.lunsOf(c.id, c.lv), c.spareOthers, c.pausing)
	d.leaveExports(c.id)
	d.dangerousStep(c.id, c.why, c.danger, c.affects, swap, needs...)
	return due
}

func (d *differ) onlyItsBase(c cutover) *Obstacle {
	if c.base.UUID == "" {
		return nil
	}
	others := slices.DeleteFunc(d.thickSnapshotsOf(c.lv), func(name string) bool { return name == c.base.FullName() || d.ledger.volumes[name] != 0 })
	if len(others) == 0 {
		return nil
	}
	return blocked(status.ReasonNotReady, "cutover to %s: waiting for the copies of %s to complete: %s", c.next.FullName(), c.lv.FullName(), shortList(others))
}

// nameFree: the next pass puts the names right, or nobody would be served.
func (d *differ) nameFree(c cutover) *Obstacle {
	old := change.LV{VolumeGroup: c.lv.VolumeGroup, Name: ondisk.SupersededName(c.id)}
	if _, taken := d.in.Observed.VolumeGroups[old.VolumeGroup].LogicalVolumes[old.Name]; !taken || c.next.VolumeGroup != old.VolumeGroup {
		return nil
	}
	return blocked(status.ReasonNotReady, "cutover to %s: waiting for %s to be removed, because its name is needed for %s", c.next.FullName(), old, c.lv.FullName())
}

func (d *differ) certainly(c cutover) *Obstacle {
	if !d.inDoubt() {
		return nil
	}
	return blocked(status.ReasonIncompleteInput, "%s; the cutover waits until there are no findings in the specs and every system can be read", c.done)
}

func (d *differ) onlyExported(c cutover) *Obstacle {
	_, exported := d.index.Backstore(c.id)
	switch {
	case len(c.lv.HeldBy) > 0:
		return blocked(status.ReasonInUse, "%s; the cutover waits until %s is no longer %s", c.done, c.lv.FullName(), shortList(c.lv.HeldBy))
	case c.lv.Open && !exported && len(d.index.servedDirectly(c.lv)) == 0:
		return blocked(status.ReasonInUse, "%s; the cutover waits until %s is no longer open on this node (see lsof %s)", c.done, c.lv.FullName(), c.lv.Path())
	}
	return nil
}

// exportsCanFollow: whoever waits for an Export that does nothing in the next pass would not be
// served any more.
func (d *differ) exportsCanFollow(c cutover) *Obstacle {
	for _, key := range d.lunsOf(c.id, c.lv) {
		t := d.target(key.target)
		owner, _ := t.Owner()
		e, desired := d.in.Desired.Exports[owner.Name]
		switch {
		case !desired || d.in.targetOf(e) != key.target || e.Metadata.Suspended() || d.unsupported(e) != "":
			return blocked(status.ReasonInUse, "%s; the cutover waits until target %s no longer exports %s, or its Export is declared and not suspended", c.done, t.Name, c.lv.FullName())
		case d.in.Held[owner]: // its steps wait, and so would initiators
			return blocked(status.ReasonNotReady, "%s; the cutover waits until %s, which failed, is retried", c.done, owner)
		}
	}
	return nil
}

func (d *differ) canWait(c cutover) *Obstacle {
	for _, key := range d.lunsOf(c.id, c.lv) {
		t := d.target(key.target)
		who := slices.DeleteFunc(Sessions(t), func(name string) bool { // nothing happens to those who do not see it
			_, listed := t.ACLs[name]
			return traitsOf[t.Fabric].alwaysConnected && listed && !slices.Contains(initiatorsOf(t, key.lun), name)
		})
		if traitsOf[t.Fabric].pause == noPause && len(who) > 0 {
			return blocked(status.ReasonSessionsActive, "%s; the cutover waits for the initiators of target %s, which cannot be paused, to disconnect: %s", c.done, t.Name, shortList(who))
		}
	}
	return nil
}

// notInVain: whoever was made to wait for nothing once is not made to again and again.
func (d *differ) notInVain(c cutover) *Obstacle {
	if failed := d.in.Known[c.id].FailedCutover; failed == "" || failed != printOf(d.in.Desired, c.id) {
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

// NoteFailures returns what is known when some steps of a plan have failed: initiators were made
// to wait for a cutover that did not happen. It is pure, and returns known itself if there is none.
func NoteFailures(known map[spec.ID]Identity, plan Plan, failed func(StepID) bool, desired spec.Set) map[spec.ID]Identity {
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
		identity.FailedCutover = printOf(desired, s.Object)
		next[s.Object] = identity
	}
	return next
}

// printOf stands for the spec of a Volume; empty: it has none that is valid.
func printOf(set spec.Set, id spec.ID) string {
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

// lunsOf returns the LUNs by which targets serve an object's logical volume.
func (d *differ) lunsOf(id spec.ID, lv observe.LogicalVolume) []lunKey {
	keys := d.index.servedDirectly(lv)
	if b, exported := d.index.Backstore(id); exported {
		keys = append(keys, d.index.linksTo(b)...)
	}
	return keys
}

// interrupt plans that nobody uses a Volume: targets that export it end their sessions
// and let go of it. It returns the steps after which that is so. If others are to be
// spared, a target that has sessions stays up, all of which see other LUNs only: whoever
// logs in just then finds the volume a moment later.
func (d *differ) interrupt(id spec.ID, lv observe.LogicalVolume, keys []lunKey, spareOthers bool, why string) []StepID {
	var needs []StepID
	paused := map[observe.TargetID][]StepID{}
	for _, key := range keys {
		t := d.target(key.target)
		owner, _ := t.Owner()
		target := change.Target{Fabric: t.Fabric, Name: t.Name, Export: owner.Name}
		spared := spareOthers && len(Sessions(t)) > 0
		if _, done := paused[key.target]; !done && !spared {
			paused[key.target] = d.pause(id, t, target, why)
		}
		// On behalf of the Volume, so that it waits like the rest for its next attempt.
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

// leaveExports leaves all exports of a Volume as they are in this pass, also those that a
// crash left without it: initiators must not find their target without their LUN.
func (d *differ) leaveExports(id spec.ID) {
	for _, name := range d.refs.exports[id] {
		d.results.of(spec.ID{Kind: spec.KindExport, Name: name}).waitsFor = id
	}
	for _, of := range d.refs.interrupted[id.Name] {
		d.results.of(of).waitsFor = id
	}
}

// pause plans that nobody is logged in to a target.
func (d *differ) pause(id spec.ID, t observe.Target, target change.Target, why string) []StepID {
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

// waitsForMove says so of an export whose target is taken down for a moment in this pass.
func (d *differ) waitsForMove(id spec.ID) bool {
	by := d.results.of(id).waitsFor
	interrupted := by != spec.ID{}
	if interrupted {
		d.setStatus(id, status.Progressing, status.ReasonConverging, "paused until the cutover of %s is done", by)
	}
	return interrupted
}

// takingOver leaves those Volumes alone, and nobody uses them, whose take-over takes longer
// than a plan is waited for: what is written to the old one now would be lost.
func (d *differ) takingOver() {
	for _, id := range sortedIDs(d.index.leftovers) {
		for _, staged := range d.index.left(id).staged {
			if !d.in.Busy[change.Cutover{Staged: nameOf(staged)}.Lane()] {
				continue
			}
			d.results.of(id).seen = true
			d.setStatus(id, status.Progressing, status.ReasonConverging, "cutover to %s is in progress", staged.FullName())
			d.leaveExports(id)
		}
	}
}

// returning returns the steps that add and map the LUNs of Volumes whose initiators were
// made to wait for a move: found without them, the target would make them give up. It
// reports false if such a LUN is not added in this pass.
func (x *exportDiffer) returning() ([]StepID, bool) {
	var steps []StepID
	for _, l := range x.spec.LUNs {
		waited := x.results.of(l.Backing()).retreats || x.results.of(l.Backing()).arrived
		if !waited && x.index.leftovers[l.Backing()] == nil { // an earlier agent may have made them wait
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
