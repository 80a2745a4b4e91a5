package plan

import (
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// replace plans what has to happen at once, and reports whether it can: those who use the
// Volume are made to wait, what changed last is copied, and the other one takes over. The
// next pass exports that one; or this one again, if anything failed.
func (d *differ) replace(id spec.ID, lv, staged, base observe.LogicalVolume) bool {
	take := change.TakeOver{LV: nameOf(lv), Staged: nameOf(staged), Since: nameOf(base), Size: spec.Size(lv.Size)}
	if d.in.Held[id] { // nobody is made to wait for nothing
		d.step(id, "everything is copied but what changed last", take)
		return false
	}
	others := slices.DeleteFunc(d.thickSnapshotsOf(lv), func(name string) bool { return name == base.FullName() || d.removedLVs[name] != 0 })
	if len(others) > 0 {
		d.block(id, status.ReasonNotReady, "%s takes the place of %s when what is copied from that is complete (%s)", staged.FullName(), lv.FullName(), strings.Join(others, ", "))
		return false
	}
	if !d.replaceable(id, lv, staged) {
		return false
	}
	keys, ok := d.interruptible(id, lv, "spec.pool: all but what changed last is copied")
	if !ok {
		return false
	}
	needs := d.interrupt(id, lv, keys, false, "so that what changed last can be copied; it comes back at once")
	d.leaveExports(id)
	d.dangerousStep(id, "everything is copied but what changed last", Disruptive, d.connectedTo(id), take, needs...)
	return true
}

// replaceable reports whether the next pass could put the names right if one logical
// volume came in the place of another, or nobody would be served; if not, it says why.
func (d *differ) replaceable(id spec.ID, lv, staged observe.LogicalVolume) bool {
	old := change.LV{VolumeGroup: lv.VolumeGroup, Name: ondisk.ReplacedName(id)}
	_, taken := d.in.Observed.VolumeGroups[old.VolumeGroup].LogicalVolumes[old.Name]
	taken = taken && staged.VolumeGroup == old.VolumeGroup
	if taken {
		d.block(id, status.ReasonNotReady, "%s takes the place of %s when %s is gone, whose name that one gets then", staged.FullName(), lv.FullName(), old)
	}
	return !taken
}

// interruptible returns where a Volume is exported, and whether those who use it can be
// made to wait; if not, it says why, and what is done so far.
func (d *differ) interruptible(id spec.ID, lv observe.LogicalVolume, done string) ([]lunKey, bool) {
	if d.inDoubt() {
		d.block(id, status.ReasonIncompleteInput, "%s; nobody is made to wait while there are findings in the specs, or a system cannot be read", done)
		return nil, false
	}
	b, exported := d.index.Backstore(id)
	keys := d.index.servedDirectly(lv)
	if exported {
		keys = append(keys, d.index.linksTo(b)...)
	}
	switch {
	case len(lv.HeldBy) > 0:
		d.block(id, status.ReasonInUse, "%s; the other one takes the place of %s when that is no longer %s", done, lv.FullName(), strings.Join(lv.HeldBy, ", "))
		return nil, false
	case lv.Open && !exported && len(keys) == 0:
		d.block(id, status.ReasonInUse, "%s; the other one takes the place of %s when that is no longer open on this node (see lsof %s)", done, lv.FullName(), lv.Path())
		return nil, false
	}
	for _, key := range keys {
		t := d.target(key.target)
		owner, _ := t.Owner()
		e, desired := d.in.Desired.Exports[owner.Name]
		who := slices.DeleteFunc(Sessions(t), func(name string) bool { // nothing happens to those who do not see it
			_, listed := t.ACLs[name]
			return traitsOf[t.Fabric].alwaysConnected && listed && !slices.Contains(initiatorsOf(t, key.lun), name)
		})
		switch {
		case !desired || d.in.targetOf(e) != key.target || e.Metadata.Suspended() || d.unsupported(e) != "":
			d.block(id, status.ReasonInUse, "%s; the other one takes the place of %s when that is no longer exported by target %s, which must not be changed", done, lv.FullName(), t.Name)
			return nil, false
		case d.in.Held[owner]: // its steps wait, and so would initiators
			d.block(id, status.ReasonNotReady, "%s; the rest is done when %s, which failed and would not be back at once, is tried again", done, owner)
			return nil, false
		case traitsOf[t.Fabric].pause == noPause && len(who) > 0:
			d.block(id, status.ReasonSessionsActive, "%s; initiators of target %s cannot be made to wait, and the rest is done when these log out: %s", done, t.Name, strings.Join(who, ", "))
			return nil, false
		}
	}
	return keys, true
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
		d.removedLUNs[key] = step
		needs = append(needs, step)
	}
	if b, exported := d.index.Backstore(id); exported {
		step := d.dangerousStep(id, why, Disruptive, nil, change.RemoveBackstore{Backstore: change.Backstore{HBA: b.HBA, Name: b.Name}}, needs...)
		d.backstores[id] = wantedStore{path: b.Path(), step: step}
		needs = append(needs, step)
	}
	return append(needs, d.activate(id, lv))
}

// leaveExports leaves all exports of a Volume as they are in this pass, also those that a
// crash left without it: initiators must not find their target without their LUN.
func (d *differ) leaveExports(id spec.ID) {
	for _, name := range d.refs.exports[id] {
		d.interrupted[spec.ID{Kind: spec.KindExport, Name: name}] = id
	}
	for _, of := range d.refs.interrupted[id.Name] {
		d.interrupted[of] = id
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
	by, interrupted := d.interrupted[id]
	if interrupted {
		d.say(id, status.Progressing, status.ReasonConverging, "its sessions end for a moment, because another logical volume takes the place of that of %s", by)
	}
	return interrupted
}

// takingOver leaves those Volumes alone, and nobody uses them, whose take-over takes longer
// than a plan is waited for: what is written to the old one now would be lost.
func (d *differ) takingOver() {
	for _, id := range sortedIDs(d.index.leftovers) {
		for _, staged := range d.index.left(id).staged {
			if !d.in.Busy[change.TakeOver{Staged: nameOf(staged)}.Lane()] {
				continue
			}
			d.seen[id] = true
			d.say(id, status.Progressing, status.ReasonConverging, "%s is taking its place", staged.FullName())
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
		waited := x.retreats[l.Backing()] || x.arrived[l.Backing()]
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
