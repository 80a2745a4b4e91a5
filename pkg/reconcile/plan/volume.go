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

// volumeOnce and snapshotOnce see to an object that others depend on, and that may
// have been seen to before.
func (d *differ) volumeOnce(name string) {
	if v, valid := d.in.Desired.Volumes[name]; valid && d.first(spec.ID{Kind: spec.KindVolume, Name: name}) {
		d.volume(v)
	}
}

func (d *differ) snapshotOnce(name string) {
	s, valid := d.in.Desired.Snapshots[name]
	if valid && d.first(spec.ID{Kind: spec.KindSnapshot, Name: name}) {
		d.volumeOnce(s.Spec.Volume)
		d.snapshot(s)
	}
}

// first reports whether it is asked for an object for the first time.
func (d *differ) first(id spec.ID) bool {
	seen := d.results.of(id).seen
	d.results.of(id).seen = true
	return !seen
}

func (d *differ) volume(v spec.Volume) {
	id := spec.ID{Kind: spec.KindVolume, Name: v.Metadata.Name}
	if d.unknown(id, observe.LVM) {
		return
	}
	p := d.poolOf(v.Spec.Pool)
	if !d.poolKnown(id, v.Spec.Pool) {
		return
	}
	suspended := d.suspended(id, v.Metadata)
	size := roundUp(uint64(v.Spec.Size), p.vg.ExtentSize)
	tags := append(d.signed(ondisk.OwnerTags(id)), ondisk.DeletionTag(v.Spec.DeletionPolicy))

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
		d.createVolume(id, v, p, observe.LogicalVolume{VolumeGroup: p.vg.Name, Name: v.Spec.LVName, Size: size}, append(tags, ondisk.TagProduct+ondisk.Product(id.Name)))
		return
	}

	lv = d.asKnown(id, lv, tags)
	d.object(id).Volume = d.volumeStatus(id, lv)
	d.warnOfReturn(id, lv)
	if p.damage != "" && lv.Type == observe.Thin && !misplaced(lv, p) {
		d.setStatus(id, status.Failed, status.ReasonPoolDamaged, "%s", p.damage)
		b := backing{lv: lv, usable: whole(lv) && !d.otherSource(id, v.Spec.Source, lv), thin: true} // as it is, and nothing else
		if p.dormant && !suspended && lv.Health != observe.HealthPartial {
			b.step = d.activate(id, lv) // LVM may have its reasons to refuse the pool alone
		}
		d.results.of(id).backing = &b
		return
	}
	d.existingVolume(id, v, p, lv, suspended, tags)
}

// asKnown gives a logical volume back the tag that says by what initiators know it, without which
// they would see another disk.
func (d *differ) asKnown(id spec.ID, lv observe.LogicalVolume, tags []string) observe.LogicalVolume {
	if !d.lostIdentity(id, lv) {
		return lv
	}
	tags = append(tags[:len(tags):len(tags)], ondisk.TagIdentity+d.in.Known[id].UUID)
	d.correctTags(id, lv, tags)
	lv.Tags = append(slices.Clone(lv.Tags), tags...)
	return lv
}

// existingVolume sees to a Volume whose logical volume is there.
func (d *differ) existingVolume(id spec.ID, v spec.Volume, p pool, lv observe.LogicalVolume, suspended bool, tags []string) {
	missing := d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs > 0 // which need not be the Pool's
	came := lv.Phase() == ondisk.Staged
	var arrived StepID
	if came && !missing && !suspended && !d.in.Held[id] { // by whatever name, it is served
		lv, arrived = d.arrive(id, v.Spec.LVName, lv)
	}
	r, stage := d.results.of(id), stageOf(lv, misplaced(lv, p), v.Spec.Revert != nil && !d.reverted(id, lv, v.Spec.Revert.Request))
	r.retreats = d.in.Held[id] && (came || d.index.leftovers[id] != nil) // also if it is not to move any more
	b := backing{lv: lv, thin: lv.Type == observe.Thin, step: arrived}
	other := d.otherSource(id, v.Spec.Source, lv)
	switch {
	case misplaced(lv, p) && !lv.Marked():
		d.setBlocked(id, status.ReasonImmutableField, "spec.pool: %s is in %s. To adopt it, name the Pool that it is in", lv.FullName(), placeOf(lv))
		return // not adopted, so not ours to export
	case lv.Type == observe.OtherLV && lv.Servable():
		b.step = cmp.Or(d.special(id, v, p, lv, suspended, missing, tags), arrived)
	case lv.Type != observe.Thin && lv.Type != observe.Thick:
		d.setBlocked(id, status.ReasonNotOwned, "%s already exists, and is neither a thick nor a thin volume. Choose another lvName", lv.FullName())
		return
	case other && (!lv.Marked() || len(lv.DeletedTags()) > 0): // and it stays what it is, or where
		d.results.of(id).backing = &b
		return
	case suspended:
	case missing:
		if b.step = d.activateWhole(id, lv); !lv.Active && b.step == 0 {
			return
		}
	case stage == strange:
		d.stopped(id, d.understood(id, lv))
	case stage == filling:
		d.correctTags(id, lv, tags)
		d.populate(id, v, lv)
	default:
		if r := v.Spec.Revert; r != nil && stage != restoring && d.reverted(id, lv, r.Request) {
			tags = append(tags, ondisk.TagReverted+r.Request) // which somebody may have taken away
		}
		d.correctTags(id, lv, tags)
		if stage == restoring {
			d.restoring(id, v.Spec.Revert, lv)
			break
		}
		if other {
			d.activate(id, lv)
			break
		}
		next := d.succeed(id, v, p, lv, stage, came)
		r.retreats = r.retreats || d.in.Held[id] && next != none // whatever failed on its way, it is served
		if next == due {
			d.results.of(id).backing = &b
			return
		}
		b.step = cmp.Or(d.activate(id, lv), arrived)
	}
	b.usable, b.reverting = whole(lv) && !other, lv.Phase() == ondisk.Reverting
	d.results.of(id).backing = &b
	d.remarkOn(id, lv)
}

// succeed sees to what a Volume's logical volume is to become: another one in its place, a
// larger one, or the only one that there is.
func (d *differ) succeed(id spec.ID, v spec.Volume, p pool, lv observe.LogicalVolume, stage stage, came bool) succession {
	next, elsewhere := none, misplaced(lv, p)
	if stage == reverting {
		next = d.revert(id, v, lv)
	}
	if next != none {
		return next
	}
	if size := roundUp(uint64(v.Spec.Size), p.vg.ExtentSize); elsewhere {
		next = d.move(id, v, p, lv)
	} else if d.growVolume(id, lv, size) {
		d.provision(v.Spec.Pool, size-lv.Size)
	}
	// What carries no tags yet, and is known by its UUID alone, is marked first.
	marked := len(d.index.current[id]) > 0
	if marked && !came && (!elsewhere || len(d.index.left(id).superseded) > 0) { // names are right by then
		d.afterMove(id, lv)
	}
	return next
}

// poolKnown reports whether a Pool's volume group is there and could be read; if
// not, it says so of an object that lives in it.
func (d *differ) poolKnown(id spec.ID, name string) bool {
	p := d.poolOf(name)
	message := d.object(spec.ID{Kind: spec.KindPool, Name: name}).Message
	switch {
	case p.unreadable:
		d.setStatus(id, status.Failed, status.ReasonObservationFailed, "%s", message)
	case !p.known:
		d.setBlocked(id, status.ReasonNotReady, "Pool/%s: %s", name, message)
	}
	return p.known
}

// growVolume reports whether the volume grows.
func (d *differ) growVolume(id spec.ID, lv observe.LogicalVolume, size uint64) bool {
	switch {
	case lv.Size > size && d.roundedUp(lv, size): // to what LVM makes of the size
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

// roundedUp reports whether a logical volume is larger than a size only because there is none
// of that size: LVM extends one of several stripes by the same number of extents on each. Or
// that was so of one in whose place it came.
func (d *differ) roundedUp(lv observe.LogicalVolume, size uint64) bool {
	extent := d.in.Observed.VolumeGroups[lv.VolumeGroup].ExtentSize
	return lv.Size < size+uint64(max(lv.Stripes, 1))*extent || ondisk.RoundedTo(lv.Tags, size, lv.Size)
}

func (d *differ) snapshot(s spec.Snapshot) {
	id := spec.ID{Kind: spec.KindSnapshot, Name: s.Metadata.Name}
	if d.unknown(id, observe.LVM) {
		return
	}
	origin := spec.ID{Kind: spec.KindVolume, Name: s.Spec.Volume}
	volume := d.in.Desired.Volumes[s.Spec.Volume]
	p := d.poolOf(volume.Spec.Pool)
	if !d.poolKnown(id, volume.Spec.Pool) {
		return
	}
	suspended := d.suspended(id, s.Metadata)
	tags := append(d.signed(ondisk.OwnerTags(id)), ondisk.DeletionTag(s.Spec.DeletionPolicy))

	lv, verdict := d.find(id, s.Metadata, p, s.Metadata.Name, false)
	switch {
	case verdict == refused, verdict == absent && suspended:
		return
	case verdict == absent:
		if p.vg.MissingPVs > 0 {
			d.setBlocked(id, status.ReasonNotReady, "Pool/%s cannot take new snapshots: %s", volume.Spec.Pool, d.object(spec.ID{Kind: spec.KindPool, Name: volume.Spec.Pool}).Message)
			return
		}
		o := d.backing(origin)
		if !o.usable || misplaced(o.lv, p) {
			d.setBlocked(id, status.ReasonNotReady, "%s: %s", origin, d.object(origin).Message)
			return
		}
		if d.notCopied(id, o.lv) {
			return
		}
		if damage := d.damageAround(o.lv); damage != "" {
			d.setBlocked(id, status.ReasonNotReady, "%s: %s", origin, damage)
			return
		}
		// What the origin is counts, and not what its Pool asks for by now.
		thin := o.thin
		lv = observe.LogicalVolume{VolumeGroup: p.vg.Name, Name: s.Metadata.Name}
		create := change.CreateSnapshot{LV: nameOf(lv), Origin: o.lv.Name, OriginUUID: o.lv.UUID, Thin: thin, Tags: append(tags, ondisk.TagProduct+ondisk.Product(id.Name))}
		if size := roundUp(uint64(s.Spec.Size), p.vg.ExtentSize); !thin && size < o.lv.Size {
			create.Size = spec.Size(size)
		}
		needs := []StepID{o.step}
		if !thin { // LVM could not grow it any more
			needs = append(needs, d.results.of(origin).grown)
		}
		step := d.step(id, "not there", create, needs...)
		if thin {
			// A thin snapshot is created inactive; its device is needed only
			// while it is exported.
			step = d.activateForExport(id, lv, step)
		}
		d.results.of(id).backing = &backing{lv: lv, usable: true, thin: thin, step: step}
		return
	}

	d.object(id).Snapshot = d.volumeStatus(id, lv)
	d.warnOfReturn(id, lv)
	b := backing{lv: lv, usable: true, thin: lv.Type == observe.Thin}
	other, unusable := false, false
	if !lv.SnapshotInvalid {
		other, unusable = d.otherOrigin(id, origin, volume, lv)
		b.usable = !unusable
	}
	switch {
	case lv.SnapshotInvalid:
		d.setStatus(id, status.Failed, status.ReasonSnapshotOverflow, "snapshot %[1]s overflowed its copy-on-write space of %[2]s, and the snapshot's data is lost; its volume is not affected. Remove its declaration, then: lvremove %[1]s", lv.FullName(), spec.Size(lv.COWSize))
		return
	case d.stopped(id, d.understood(id, lv)):
		return
	case lv.Type != observe.Thin && lv.Type != observe.ThickSnapshot:
		d.setBlocked(id, status.ReasonNotOwned, "%s already exists and is no snapshot. Choose another name", lv.FullName())
		return
	case other && (!lv.Marked() || len(lv.DeletedTags()) > 0): // left as it is, or where
	case suspended:
	case d.in.Observed.VolumeGroups[lv.VolumeGroup].MissingPVs > 0: // which need not be the Pool's
		if lv.Type == observe.Thin && !d.exported(id) {
			break // its device is not needed
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

// invalidBackings lets exports go on offering what is there of objects that the
// files name with an error, which is most likely what was meant. What is incomplete
// is not offered because of an error either.
//
// The same goes for what no file names any more, but a target shows that a cutover closed: with
// its Export invalid, nothing of it is removed either.
func (d *differ) invalidBackings() {
	d.servedBackings(maps.Keys(d.in.Desired.Invalid))
	if d.refs.anyInterrupted && d.inDoubt() {
		d.servedBackings(func(yield func(spec.ID) bool) {
			for id, lvs := range d.index.current {
				if !d.names(id) && len(deletedTags(lvs)) == 0 && !yield(id) {
					return
				}
			}
		})
	}
}

func (d *differ) servedBackings(ids iter.Seq[spec.ID]) {
	for id := range ids {
		lvs := d.index.current[id]
		if len(lvs) != 1 || d.results.of(id).seen || !lvs[0].Active || lvs[0].SnapshotInvalid {
			continue
		}
		if known := d.in.Known[id].UUID; known == "" || known == lvs[0].Identity() {
			d.results.of(id).backing = &backing{
				lv: lvs[0], usable: whole(lvs[0]), reverting: lvs[0].Phase() == ondisk.Reverting, thin: lvs[0].Type == observe.Thin,
			}
			if whole(lvs[0]) && d.in.Held[id] && d.index.leftovers[id] != nil { // its move failed before its file broke
				d.results.of(id).retreats = true
			}
		}
	}
}

// originName is the name of a Volume's logical volume, which somebody may have
// renamed.
func (d *differ) originName(id spec.ID, v spec.Volume) string {
	if b := d.backing(id); b.lv.Name != "" {
		return b.lv.Name
	}
	return v.Spec.LVName
}

// replacedOrigin reports whether a snapshot is one of a logical volume in whose place
// another one of the Volume came.
func (d *differ) replacedOrigin(id spec.ID, snapshot observe.LogicalVolume) bool {
	return slices.ContainsFunc(d.index.left(id).superseded, func(old observe.LogicalVolume) bool {
		return old.VolumeGroup == snapshot.VolumeGroup && old.Name == snapshot.Origin
	})
}

// growSnapshot extends copy-on-write space. More than the origin's size is
// never needed, and LVM would not give it.
func (d *differ) growSnapshot(id spec.ID, lv observe.LogicalVolume, size uint64) {
	size = min(size, lv.Size)
	if size > lv.COWSize {
		d.step(id, "spec asks for "+spec.Size(size).String(), change.GrowSnapshot{LV: nameOf(lv), From: spec.Size(lv.COWSize), To: spec.Size(size)})
	}
}

// activateForExport activates a thin snapshot if an export needs its device.
func (d *differ) activateForExport(id spec.ID, lv observe.LogicalVolume, created StepID) StepID {
	if lv.Active || !d.exported(id) {
		return created
	}
	return d.step(id, "exported", change.Activate{LV: nameOf(lv)}, created)
}

// exported reports whether a desired export names an object.
func (d *differ) exported(id spec.ID) bool {
	return len(d.refs.exports[id]) > 0
}

func (d *differ) activate(id spec.ID, lv observe.LogicalVolume) StepID {
	if lv.Active {
		return 0
	}
	return d.servingStep(id, "inactive", change.Activate{LV: nameOf(lv)})
}

// activateWhole activates a logical volume in a volume group of which physical
// volumes are missing, unless it lies on one of them: one with a copy elsewhere LVM activates
// all the same, if enough of it is left. It is all that may be done
// there: LVM lets tags and removals pass, but whatever is written to the metadata
// makes it refuse the missing ones when they come back.
func (d *differ) activateWhole(id spec.ID, lv observe.LogicalVolume) StepID {
	if lv.Health == observe.HealthPartial && !lv.Degraded() {
		d.setStatus(id, status.Failed, status.ReasonDeviceMissing, "%s cannot be activated: physical volumes of %s are missing. Reconnect them", lv.FullName(), lv.VolumeGroup)
		return 0
	}
	return d.activate(id, lv)
}

// correctTags gives a logical volume an object's tags, and takes it out of the
// trash if it is there.
func (d *differ) correctTags(id spec.ID, lv observe.LogicalVolume, want []string) {
	var set change.SetTags
	_, named := lv.BelongsTo()
	for _, t := range want {
		beside := named && strings.HasPrefix(t, ondisk.TagBy) // see signing
		if !slices.Contains(lv.Tags, t) && !beside {
			set.Add = append(set.Add, t)
		}
	}
	for _, t := range lv.Tags {
		other := strings.HasPrefix(t, ondisk.TagDeletion) || strings.HasPrefix(t, ondisk.TagDeleted)
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

// thickSnapshotsOf returns the copy-on-write snapshots of a logical volume,
// whoever made them.
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
