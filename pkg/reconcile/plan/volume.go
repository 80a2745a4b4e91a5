package plan

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// volumeOnce and snapshotOnce plan an object that others depend on, unless it was planned before.
func (d *differ) volumeOnce(name string) {
	if v, valid := d.in.Declared.Volumes[name]; valid && d.visit(spec.ID{Kind: spec.KindVolume, Name: name}) {
		d.planVolume(v)
	}
}

func (d *differ) snapshotOnce(name string) {
	s, valid := d.in.Declared.Snapshots[name]
	if valid && d.visit(spec.ID{Kind: spec.KindSnapshot, Name: name}) {
		d.volumeOnce(s.Spec.Volume)
		d.planSnapshot(s)
	}
}

// visit reports whether an object is planned for the first time, and notes that it is.
func (d *differ) visit(id spec.ID) bool {
	seen := d.results.of(id).visited
	d.results.of(id).visited = true
	return !seen
}

func (d *differ) planVolume(v spec.Volume) {
	id := spec.ID{Kind: spec.KindVolume, Name: v.Metadata.Name}
	if d.isUnreadable(id, observe.LVM) {
		return
	}
	p := d.poolOf(v.Spec.Pool)
	if !d.isPoolReadable(id, v.Spec.Pool) {
		return
	}
	suspended := d.blockedBySuspension(id, v.Metadata)
	size := roundUp(uint64(v.Spec.Size), p.vg.ExtentSize)
	tags := append(d.withSignature(ondisk.OwnerTags(id)), ondisk.DeletionTag(v.Spec.DeletionPolicy))
	if run, is := d.in.Scheduled.drills[id.Name]; is {
		tags = append(tags, ondisk.TagDrill+run.schedule)
	}

	lv, verdict := d.find(id, v.Metadata, p, v.Spec.LVName, v.Spec.Adopt)
	switch {
	case verdict == refused:
		return
	case verdict == absent && suspended:
		return
	case verdict == absent && !p.creatable:
		d.setBlocked(id, status.ReasonNotReady, "Pool/%s cannot take new volumes: %s", v.Spec.Pool, d.object(spec.ID{Kind: spec.KindPool, Name: v.Spec.Pool}).Message)
		return
	case verdict == absent:
		d.createVolume(id, v, p, observe.LogicalVolume{VolumeGroup: p.vg.Name, Name: v.Spec.LVName, Size: size, Tags: serialTags(v.Spec.Serial)},
			slices.Concat(tags, []string{ondisk.TagProduct + ondisk.ProductName(id.Name)}, serialTags(v.Spec.Serial)))
		return
	}

	lv, tags = d.planSerial(id, v, lv, tags)
	lv = d.restoreIdentityTag(id, lv, tags)
	d.object(id).Volume = d.volumeStatus(id, lv)
	d.warnOfReturn(id, lv)
	if p.damage != "" && lv.Type == observe.Thin && !isMisplaced(lv, p) {
		d.setStatus(id, status.Failed, status.ReasonPoolDamaged, "%s", p.damage)
		b := backing{lv: lv, exportable: isComplete(lv) && !d.hasOtherSource(id, v.Spec.Source, lv), thin: true} // it is served, and not changed
		if p.dormant && !suspended && lv.Health != observe.HealthPartial {
			b.step = d.activate(id, lv) // LVM may activate the pool with a volume where it refuses the pool alone
		}
		d.results.of(id).backing = &b
		return
	}
	d.planExistingVolume(id, v, p, lv, suspended, tags)
}

// restoreIdentityTag plans the tag with the identity by which initiators know a logical volume, if
// somebody removed it. Without it they would see another disk.
func (d *differ) restoreIdentityTag(id spec.ID, lv observe.LogicalVolume, tags []string) observe.LogicalVolume {
	if !d.hasLostIdentityTag(id, lv) {
		return lv
	}
	tags = append(tags[:len(tags):len(tags)], ondisk.TagIdentity+d.in.Known[id].UUID)
	d.correctTags(id, lv, tags)
	lv.Tags = append(slices.Clone(lv.Tags), tags...)
	return lv
}

// planExistingVolume plans a Volume whose logical volume exists.
func (d *differ) planExistingVolume(id spec.ID, v spec.Volume, p pool, lv observe.LogicalVolume, suspended bool, tags []string) {
	missing := d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs > 0 // which may be another group than the Pool's
	justCutOver := lv.Phase() == ondisk.Staged
	var renamed StepID
	if justCutOver && !missing && !suspended && !d.in.BackingOff[id] { // until then it is served under its present name
		lv, renamed = d.finishCutover(id, v.Spec.LVName, lv)
	}
	r, stage := d.results.of(id), stageOf(lv, isMisplaced(lv, p), v.Spec.Revert != nil && !d.isReverted(id, lv, v.Spec.Revert.Request))
	r.rollsBack = d.in.BackingOff[id] && (justCutOver || d.index.leftovers[id] != nil) // also if the spec no longer moves it
	b := backing{lv: lv, thin: lv.Type == observe.Thin, step: renamed}
	other := d.hasOtherSource(id, v.Spec.Source, lv)
	switch {
	case isMisplaced(lv, p) && !lv.Marked():
		d.setBlocked(id, status.ReasonImmutableField, "spec.pool: %s is in %s. To adopt it, name the Pool that it is in", lv.FullName(), placeOf(lv))
		return // not adopted, so not ours to export
	case lv.Type == observe.OtherLV && lv.IsServable():
		b.step = cmp.Or(d.planSpecial(id, v, p, lv, suspended, missing, tags), renamed)
	case lv.Type != observe.Thin && lv.Type != observe.Thick:
		d.setBlocked(id, status.ReasonNotOwned, "%s already exists, and is neither a thick nor a thin volume. Choose another lvName", lv.FullName())
		return
	case other && (!lv.Marked() || len(lv.DeletedTags()) > 0): // it is not adopted, or is kept in the trash
		d.results.of(id).backing = &b
		return
	case suspended:
	case missing:
		if b.step = d.activateWhole(id, lv); !lv.Active && b.step == 0 {
			return
		}
	case stage == phaseUnknown:
		d.blockedBy(id, d.checkPhaseKnown(id, lv))
	case stage == filling:
		d.correctTags(id, lv, tags)
		d.planFill(id, v, lv)
	default:
		if r := v.Spec.Revert; r != nil && stage != reverting && d.isReverted(id, lv, r.Request) {
			tags = append(tags, ondisk.TagReverted+r.Request) // somebody may have removed it
		}
		d.correctTags(id, lv, tags)
		if stage == reverting {
			d.continueRevert(id, v.Spec.Revert, lv)
			break
		}
		if other {
			d.activate(id, lv)
			break
		}
		next := d.planSuccessor(id, v, p, lv, stage, justCutOver)
		r.rollsBack = r.rollsBack || d.in.BackingOff[id] && next != none // whatever failed on its way, it is served
		if next == due {
			d.results.of(id).backing = &b
			return
		}
		b.step = cmp.Or(d.activate(id, lv), renamed)
	}
	b.exportable, b.reverting = isComplete(lv) && !other, lv.Phase() == ondisk.Reverting
	d.results.of(id).backing = &b
	d.remarkOn(id, lv)
}

// planSuccessor plans the next state of a Volume's logical volume: a cutover to another one,
// growth, or the removal of leftovers.
func (d *differ) planSuccessor(id spec.ID, v spec.Volume, p pool, lv observe.LogicalVolume, stage stage, justCutOver bool) cutoverProgress {
	next, elsewhere := none, isMisplaced(lv, p)
	if stage == revertDue {
		next = d.planRevert(id, v, lv)
	}
	if next != none {
		return next
	}
	if size := roundUp(uint64(v.Spec.Size), p.vg.ExtentSize); elsewhere {
		next = d.planMove(id, v, p, lv)
	} else if d.growVolume(id, lv, size) {
		d.addProvisioned(v.Spec.Pool, size-lv.Size)
	}
	// A logical volume without tags, known by its UUID alone, is tagged first.
	marked := len(d.index.current[id]) > 0
	if marked && !justCutOver && (!elsewhere || len(d.index.leftoversOf(id).superseded) > 0) { // both have their names by then
		d.discardLeftovers(id, lv)
	}
	return next
}

// isPoolReadable reports whether a Pool's volume group exists and could be read; if not, it sets
// the status of an object in it.
func (d *differ) isPoolReadable(id spec.ID, name string) bool {
	p := d.poolOf(name)
	message := d.object(spec.ID{Kind: spec.KindPool, Name: name}).Message
	switch {
	case p.unreadable:
		d.setStatus(id, status.Failed, status.ReasonObservationFailed, "%s", message)
	case !p.found:
		d.setBlocked(id, status.ReasonNotReady, "Pool/%s: %s", name, message)
	}
	return p.found
}

// growVolume reports whether the volume grows in this plan.
func (d *differ) growVolume(id spec.ID, lv observe.LogicalVolume, size uint64) bool {
	switch {
	case lv.Size > size && d.isRoundedUp(lv, size): // LVM rounds sizes up
	case lv.Size > size:
		d.setBlocked(id, status.ReasonShrinkRefused, "spec.size: %s has %s, more than the declared %s, and volumes are never shrunk. Increase spec.size", lv.FullName(), spec.Size(lv.Size), spec.Size(size))
	case lv.Size < size:
		if s := d.thickSnapshotsOf(lv); len(s) > 0 {
			d.setBlocked(id, status.ReasonSnapshotsExist, "spec.size: cannot grow %s: LVM refuses that while it has thick snapshots (%s). Remove them first, in the trash too", lv.FullName(), shortList(s))
			return false
		}
		d.results.of(id).grown = d.dangerousStep(id, "spec asks for "+spec.Size(size).String(), Harmless, d.connectedTo(id),
			change.GrowVolume{LV: nameOf(lv), From: spec.Size(lv.Size), To: spec.Size(size)})
		return true
	}
	return false
}

// isRoundedUp reports whether a logical volume is larger than a size only because LVM cannot
// create that size: it extends several stripes by the same number of extents each. Or that was so
// of the logical volume that it superseded.
func (d *differ) isRoundedUp(lv observe.LogicalVolume, size uint64) bool {
	extent := d.in.Observed.VolumeGroups[lv.VolumeGroup].ExtentSize
	return lv.Size < size+uint64(max(lv.Stripes, 1))*extent || ondisk.IsRoundedFrom(lv.Tags, size, lv.Size)
}

func (d *differ) planSnapshot(s spec.Snapshot) {
	id := spec.ID{Kind: spec.KindSnapshot, Name: s.Metadata.Name}
	if d.isUnreadable(id, observe.LVM) {
		return
	}
	origin := spec.ID{Kind: spec.KindVolume, Name: s.Spec.Volume}
	volume := d.in.Declared.Volumes[s.Spec.Volume]
	p := d.poolOf(volume.Spec.Pool)
	if !d.isPoolReadable(id, volume.Spec.Pool) {
		return
	}
	suspended := d.blockedBySuspension(id, s.Metadata)
	tags := append(d.withSignature(ondisk.OwnerTags(id)), ondisk.DeletionTag(s.Spec.DeletionPolicy))
	if run, is := d.in.Scheduled.snapshots[id.Name]; is {
		tags = append(tags, ondisk.ScheduledTags(run.schedule, run.volume)...)
	}

	lv, verdict := d.find(id, s.Metadata, p, s.Metadata.Name, false)
	switch {
	case verdict == refused, verdict == absent && suspended, verdict == absent && d.isSkipped(id, origin, p):
		return
	case verdict == absent:
		if p.vg.MissingPVs > 0 {
			d.setBlocked(id, status.ReasonNotReady, "Pool/%s cannot take new snapshots: %s", volume.Spec.Pool, d.object(spec.ID{Kind: spec.KindPool, Name: volume.Spec.Pool}).Message)
			return
		}
		o := d.backingOf(origin)
		if !o.exportable || isMisplaced(o.lv, p) {
			d.setBlocked(id, status.ReasonNotReady, "%s: %s", origin, d.object(origin).Message)
			return
		}
		if d.cannotSnapshot(id, o.lv) {
			return
		}
		if damage := d.damageAround(o.lv); damage != "" {
			d.setBlocked(id, status.ReasonNotReady, "%s: %s", origin, damage)
			return
		}
		// The type of the origin decides, not what its Pool declares now.
		thin := o.thin
		lv = observe.LogicalVolume{VolumeGroup: p.vg.Name, Name: s.Metadata.Name}
		create := change.CreateSnapshot{LV: nameOf(lv), Origin: o.lv.Name, OriginUUID: o.lv.UUID, Thin: thin, Tags: append(tags, ondisk.TagProduct+ondisk.ProductName(id.Name))}
		if size := roundUp(uint64(s.Spec.Size), p.vg.ExtentSize); !thin && size < o.lv.Size {
			create.Size = spec.Size(size)
		}
		needs := []StepID{o.step}
		if !thin { // LVM cannot grow an origin with a thick snapshot
			needs = append(needs, d.results.of(origin).grown)
		}
		step := d.step(id, "not there", create, needs...)
		if thin {
			// A thin snapshot is created inactive; its device is needed only
			// while it is exported.
			step = d.activateForExport(id, lv, step)
		}
		d.results.of(id).backing = &backing{lv: lv, exportable: true, thin: thin, step: step}
		return
	}

	d.object(id).Snapshot = d.volumeStatus(id, lv)
	d.warnOfReturn(id, lv)
	b := backing{lv: lv, exportable: true, thin: lv.Type == observe.Thin}
	other, unusable := false, false
	if !lv.SnapshotInvalid {
		other, unusable = d.hasOtherOrigin(id, origin, volume, lv)
		b.exportable = !unusable
	}
	switch {
	case lv.SnapshotInvalid:
		d.setStatus(id, status.Failed, status.ReasonSnapshotOverflow, "snapshot %[1]s overflowed its copy-on-write space of %[2]s, and the snapshot's data is lost; its volume is not affected. Remove its declaration, then: lvremove %[1]s", lv.FullName(), spec.Size(lv.COWSize))
		return
	case d.blockedBy(id, d.checkPhaseKnown(id, lv)):
		return
	case lv.Type != observe.Thin && lv.Type != observe.ThickSnapshot:
		d.setBlocked(id, status.ReasonNotOwned, "%s already exists and is no snapshot. Choose another name", lv.FullName())
		return
	case other && (!lv.Marked() || len(lv.DeletedTags()) > 0): // it is not adopted, or is kept in the trash
	case suspended:
	case d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs > 0: // which may be another group than the Pool's
		if lv.Type == observe.Thin && !d.isExported(id) {
			break // an unexported thin snapshot needs no device
		}
		if b.step = d.activateWhole(id, lv); !lv.Active && b.step == 0 {
			return
		}
	default:
		d.correctTags(id, lv, tags)
		if lv.Type == observe.ThickSnapshot {
			d.growSnapshot(id, lv, roundUp(uint64(s.Spec.Size), p.vg.ExtentSize))
		}
		if lv.Type == observe.Thin {
			b.step = d.activateForExport(id, lv, 0)
		} else {
			b.step = d.activate(id, lv)
		}
	}
	d.results.of(id).backing = &b
}

// serveInvalid lets Exports continue to serve invalid objects, which is most likely what was
// meant. What is incomplete is not served because of an error either.
//
// The same applies to undeclared objects that an interrupted target shows: while its Export is
// invalid, nothing of it is removed.
func (d *differ) serveInvalid() {
	d.serveAsIs(maps.Keys(d.in.Declared.Invalid))
	if d.refs.anyInterrupted && d.inDoubt() {
		d.serveAsIs(func(yield func(spec.ID) bool) {
			for id, lvs := range d.index.current {
				if !d.isDeclared(id) && len(deletedTags(lvs)) == 0 && !yield(id) {
					return
				}
			}
		})
	}
}

func (d *differ) serveAsIs(ids iter.Seq[spec.ID]) {
	for id := range ids {
		lvs := d.index.current[id]
		if len(lvs) != 1 || d.results.of(id).visited || !lvs[0].Active || lvs[0].SnapshotInvalid {
			continue
		}
		if known := d.in.Known[id].UUID; known == "" || known == lvs[0].Identity() {
			d.results.of(id).backing = &backing{
				lv: lvs[0], exportable: isComplete(lvs[0]), reverting: lvs[0].Phase() == ondisk.Reverting, thin: lvs[0].Type == observe.Thin,
			}
			if isComplete(lvs[0]) && d.in.BackingOff[id] && d.index.leftovers[id] != nil { // its move failed before its file broke
				d.results.of(id).rollsBack = true
			}
		}
	}
}

// originName returns the name of a Volume's logical volume, which somebody may have renamed.
func (d *differ) originName(id spec.ID, v spec.Volume) string {
	if b := d.backingOf(id); b.lv.Name != "" {
		return b.lv.Name
	}
	return v.Spec.LVName
}

// isSnapshotOfSuperseded reports whether a snapshot is one of a superseded logical volume of a
// Volume.
func (d *differ) isSnapshotOfSuperseded(id spec.ID, snapshot observe.LogicalVolume) bool {
	return slices.ContainsFunc(d.index.leftoversOf(id).superseded, func(old observe.LogicalVolume) bool {
		return old.VolumeGroup == snapshot.VolumeGroup && old.Name == snapshot.Origin
	})
}

// growSnapshot extends copy-on-write space. More than the origin's size is never needed, and LVM
// does not allow it.
func (d *differ) growSnapshot(id spec.ID, lv observe.LogicalVolume, size uint64) {
	size = min(size, lv.Size)
	if size > lv.COWSize {
		d.step(id, "spec asks for "+spec.Size(size).String(), change.GrowSnapshot{LV: nameOf(lv), From: spec.Size(lv.COWSize), To: spec.Size(size)})
	}
}

// activateForExport activates a thin snapshot if an Export needs its device.
func (d *differ) activateForExport(id spec.ID, lv observe.LogicalVolume, created StepID) StepID {
	if lv.Active || !d.isExported(id) {
		return created
	}
	return d.step(id, "exported", change.Activate{LV: nameOf(lv)}, created)
}

// isExported reports whether a declared Export exports an object.
func (d *differ) isExported(id spec.ID) bool {
	return len(d.refs.exports[id]) > 0
}

func (d *differ) activate(id spec.ID, lv observe.LogicalVolume) StepID {
	if lv.Active {
		return 0
	}
	return d.servingStep(id, "inactive", change.Activate{LV: nameOf(lv)})
}

// activateWhole activates a logical volume in a volume group with missing physical volumes, unless
// it lies on one of them. LVM also activates a redundant one if enough of it is left. Nothing else
// may be done there: LVM permits new tags and removals, but after any write to the metadata it
// refuses the missing physical volumes when they are connected again.
func (d *differ) activateWhole(id spec.ID, lv observe.LogicalVolume) StepID {
	if lv.Health == observe.HealthPartial && !lv.Degraded() {
		d.setStatus(id, status.Failed, status.ReasonDeviceMissing, "%s cannot be activated: physical volumes of %s are missing. Reconnect them", lv.FullName(), lv.VolumeGroup)
		return 0
	}
	return d.activate(id, lv)
}

// correctTags plans an object's tags for a logical volume, and restores it from the trash.
func (d *differ) correctTags(id spec.ID, lv observe.LogicalVolume, want []string) {
	var set change.SetTags
	_, named := lv.BelongsTo()
	there := d.tagsOn(id, lv)
	for _, t := range want {
		beside := named && strings.HasPrefix(t, ondisk.TagBy) // see signOwn
		if !slices.Contains(there, t) && !beside {
			set.Add = append(set.Add, t)
		}
	}
	for _, t := range there {
		other := strings.HasPrefix(t, ondisk.TagDeletion) || strings.HasPrefix(t, ondisk.TagDeleted) || strings.HasPrefix(t, ondisk.TagSerial)
		if other && !slices.Contains(want, t) {
			set.Remove = append(set.Remove, t)
		}
	}
	if len(set.Add)+len(set.Remove) == 0 {
		return
	}
	set.LV = nameOf(lv)
	d.step(id, d.whyTags(id, lv), set)
}

// thickSnapshotsOf returns the copy-on-write snapshots of a logical volume, whoever made them.
func (d *differ) thickSnapshotsOf(origin observe.LogicalVolume) []string {
	var names []string
	for _, s := range d.index.snapshotsOf(origin) {
		names = append(names, s.FullName())
	}
	return names
}

func nameOf(lv observe.LogicalVolume) change.LV {
	return change.LV{VolumeGroup: lv.VolumeGroup, Name: lv.Name, UUID: lv.UUID}
}

func placeOf(lv observe.LogicalVolume) string {
	if lv.Pool != "" {
		return "thin pool " + lv.VolumeGroup + "/" + lv.Pool
	}
	return "volume group " + lv.VolumeGroup
}
