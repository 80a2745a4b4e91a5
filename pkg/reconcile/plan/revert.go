package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// continueRevert continues the revert of a volume that is being overwritten with the data of a
// snapshot.
func (d *differ) continueRevert(id spec.ID, r *spec.Revert, lv observe.LogicalVolume) {
	switch {
	case r != nil && r.Backup != nil:
		if from, repository, ok := d.backupToRevertTo(id, r, lv); ok {
			backup := change.Backup{Repository: repository, ID: from.ID, Size: spec.Size(from.Size)}
			d.revertInPlace(id, r, lv, backup.String(), change.Restore{
				LV: nameOf(lv), Backup: &backup, Size: spec.Size(from.Size), Done: spec.Size(lv.Checkpoint(from.ID)), Request: r.Request,
			})
		}
	case r != nil:
		if snapshot, ok := d.snapshotToRevertTo(id, r, lv); ok {
			d.revertInPlace(id, r, lv, snapshot.FullName(), change.Restore{
				LV: nameOf(lv), Snapshot: nameOf(snapshot), Size: spec.Size(min(lv.Size, snapshot.Size)),
				Done: spec.Size(lv.Checkpoint(snapshot.UUID)), Request: r.Request,
			})
		}
	case lv.Tag(ondisk.TagCheckpoint) == "":
		d.step(id, "no longer in the spec, and nothing was written", change.SetTags{LV: nameOf(lv),
			Remove: append(lv.TagsWith(ondisk.TagRevert), lv.TagsWith(ondisk.TagPhase)...)})
	default:
		d.setBlocked(id, status.ReasonReverting, "the revert of %s is incomplete: it holds part of a snapshot, and is not exported. Name that Snapshot in spec.revert again to finish it", lv.FullName())
	}
}

// planRevert plans the revert of a volume to a snapshot, once for each request.
//
// In a thin pool a clone of the snapshot becomes current by a cutover. Otherwise the volume keeps
// its logical volume, and so does the snapshot: what differs is copied. A merge by LVM would
// remove the snapshot, and the identity by which initiators know it.
func (d *differ) planRevert(id spec.ID, v spec.Volume, lv observe.LogicalVolume) cutoverProgress {
	r := v.Spec.Revert
	var snapshot observe.LogicalVolume
	var ok bool
	if r.Backup != nil {
		_, _, ok = d.backupToRevertTo(id, r, lv)
	} else {
		snapshot, ok = d.snapshotToRevertTo(id, r, lv)
	}
	switch {
	case !ok:
		return none
	case d.inDoubt():
		reason, while := d.doubt()
		d.setBlocked(id, reason, "spec.revert: cannot revert while %s; waiting until that is corrected", while)
		return none
	case d.waitsForCopies(id), d.blockedByVolumeUsers(id, lv) != "":
		return none
	case len(d.index.current[id]) == 0: // its tags are corrected first: beside a clone, an untagged one would look missing
		return none
	case r.Backup == nil && snapshot.Type == observe.Thin && lv.Type == observe.Thin && snapshot.Pool == lv.Pool && snapshot.Size <= lv.Size:
		return d.revertByClone(id, v, lv, snapshot)
	}
	d.dangerousStep(id, "spec.revert asks for it", Destructive, d.connectedTo(id), change.SetTags{LV: nameOf(lv),
		Add: []string{ondisk.PhaseTag(ondisk.Reverting), ondisk.TagRevert + r.Request}, Remove: append(lv.TagsWith(ondisk.TagRevert), lv.TagsWith(ondisk.TagFilled)...)})
	return none // once it has that tag, its Exports remove its LUNs
}

// isReverted reports whether a request was done. It is not done again because somebody removed the
// tag that says so.
func (d *differ) isReverted(id spec.ID, lv observe.LogicalVolume, request string) bool {
	return slices.Contains(lv.Tags, ondisk.TagReverted+request) || slices.Contains(d.in.Known[id].Reverted, request)
}

// waitsForCopies reports whether a copy of the current data is declared and does not exist yet:
// the revert would destroy that data. It sets the status.
func (d *differ) waitsForCopies(id spec.ID) bool {
	waits := func(of spec.ID) bool {
		d.setBlocked(id, status.ReasonNotReady, "spec.revert: waiting until the current data is safe in %s, which does not exist yet", of)
		return true
	}
	for _, name := range d.refs.snapshots[id.Name] {
		s, of := d.in.Declared.Snapshots[name], spec.ID{Kind: spec.KindSnapshot, Name: name}
		if !s.Metadata.Suspended() && d.isNew(of) {
			return waits(of)
		}
	}
	for _, name := range d.refs.copies[id.Name] {
		v, of := d.in.Declared.Volumes[name], spec.ID{Kind: spec.KindVolume, Name: name}
		_, made := d.index.sources[of]
		if !v.Metadata.Suspended() && !made && (d.isNew(of) || d.isBeingFilled(of) && len(d.index.current[of]) > 0) {
			return waits(of)
		}
	}
	for _, name := range d.refs.images[id.Name] {
		i, of := d.in.Declared.Images[name], spec.ID{Kind: spec.KindImage, Name: name}
		if _, made := d.index.sources[of]; !i.Metadata.Suspended() && !made && d.isBeingWritten(of) {
			return waits(of)
		}
	}
	return false
}

// isNew reports whether an object has no logical volume, and had none before.
func (d *differ) isNew(id spec.ID) bool {
	return len(d.index.current[id]) == 0 && d.in.Known[id].UUID == ""
}

// revertInPlace plans the next step for a volume that is tagged as being reverted.
func (d *differ) revertInPlace(id spec.ID, r *spec.Revert, lv observe.LogicalVolume, to string, restore change.Restore) {
	_, served := d.index.Backstore(id)
	switch {
	case len(d.in.Observed.Unknown) > 0: // somebody may use it there
		d.setBlocked(id, status.ReasonObservationFailed, "spec.revert: waiting until every system can be read: %v", d.in.Observed.Err())
	case lv.Tag(ondisk.TagRevert) != r.Request:
		d.step(id, "spec.revert has changed", change.SetTags{LV: nameOf(lv), Add: []string{ondisk.TagRevert + r.Request}, Remove: lv.TagsWith(ondisk.TagRevert)})
	case served || len(d.index.servedDirectly(lv)) > 0: // its LUNs are removed in this pass
		d.setStatus(id, status.Progressing, status.ReasonReverting, "reverted to %s once the volume is no longer exported", to)
	default:
		d.dangerousStep(id, "spec.revert asks for it", Destructive, nil, restore)
	}
}

// revertByClone plans a cutover to a clone of a snapshot in a thin pool. The clone is created
// while the volume is served, and one tag makes it current, as when a Volume moves.
func (d *differ) revertByClone(id spec.ID, v spec.Volume, lv, snapshot observe.LogicalVolume) cutoverProgress {
	const why = "spec.revert asks for it"
	done := ondisk.TagReverted + v.Spec.Revert.Request
	clone, found := d.findStaged(id, "the Volume is no longer reverted to it", func(s observe.LogicalVolume) bool {
		return s.VolumeGroup == snapshot.VolumeGroup && s.Origin == snapshot.Name && slices.Contains(s.Tags, done) && s.Identity() == lv.Identity()
	})
	if !found {
		name := observe.LogicalVolume{VolumeGroup: lv.VolumeGroup, Name: ondisk.StagedName(id), Size: lv.Size}
		if d.isNameFree(id, nameOf(name), "spec.revert: cannot revert") {
			// Readers of a plan want to know what this step leads to.
			d.clone(id, why+"; the cutover to it discards the current data", Destructive, backing{lv: snapshot}, name, append(d.tagsToMove(id, v, lv), done))
		}
		return prepared
	}
	if clone.Size < lv.Size { // initiators see one size only
		d.step(id, why, change.GrowVolume{LV: nameOf(clone), From: spec.Size(clone.Size), To: spec.Size(lv.Size)})
		return prepared
	}
	return d.planCutover(cutover{
		id: id, lv: lv, next: clone, why: why, pausing: why, done: "spec.revert: the clone is ready",
		danger: Destructive, spareOthers: true, // no connected initiator sees it
	})
}

// backupToRevertTo returns the backup that a volume is reverted to. It reports false, and sets the status, if that
// cannot be done.
func (d *differ) backupToRevertTo(id spec.ID, r *spec.Revert, lv observe.LogicalVolume) (observe.Backup, change.Repository, bool) {
	if d.cannotRevert(id, lv) {
		return observe.Backup{}, change.Repository{}, false
	}
	from, repository, ok := d.backupOf(id, "spec.revert", *r.Backup, lv)
	return from, repository, ok && d.holdsBackup(id, from, lv.Size)
}

// cannotRevert reports whether a volume cannot be reverted to anything now, and sets the status.
func (d *differ) cannotRevert(id spec.ID, lv observe.LogicalVolume) bool {
	if old := d.index.leftoversOf(id).superseded; len(old) > 0 {
		d.setBlocked(id, status.ReasonNotReady, "spec.revert: waiting for the removal of %s, superseded by the last cutover", old[0].FullName())
		return true
	}
	if lv.ReadOnly {
		d.setBlocked(id, status.ReasonImmutableField, "spec.revert: %s is read-only. Make it writable (%s)", lv.FullName(), lv.HowToMakeWritable())
	}
	return lv.ReadOnly
}

// snapshotToRevertTo returns the logical volume of the snapshot that a volume is reverted to. It
// reports false, and sets the status, if that cannot be done.
func (d *differ) snapshotToRevertTo(id spec.ID, r *spec.Revert, lv observe.LogicalVolume) (observe.LogicalVolume, bool) {
	of := spec.ID{Kind: spec.KindSnapshot, Name: r.Snapshot}
	lvs := d.index.current[of]
	if d.cannotRevert(id, lv) {
		return lv, false
	}
	switch {
	case len(lvs) == 0:
		d.setBlocked(id, status.ReasonNotReady, "spec.revert: %s has no logical volume. Wait until it has, or name another Snapshot", of)
		return lv, false
	case len(lvs) > 1:
		d.setBlocked(id, status.ReasonNotReady, "spec.revert: several logical volumes have the tags of %s. Find the right one (lvs -o +lv_uuid,lv_time,lv_tags), and remove the tags from the others (lvchange --deltag)", of)
		return lv, false
	case lvs[0].SnapshotInvalid:
		d.setBlocked(id, status.ReasonSnapshotOverflow, "spec.revert: snapshot %s overflowed, and the snapshot's data is lost. Name another Snapshot", lvs[0].FullName())
		return lv, false
	case lvs[0].VolumeGroup != lv.VolumeGroup || lvs[0].Origin != "" && lvs[0].Origin != lv.Name:
		d.setBlocked(id, status.ReasonImmutableField, "spec.revert: %s is no snapshot of %s. Name another Snapshot", lvs[0].FullName(), lv.FullName())
		return lv, false
	}
	if d.isSnapshotOfAnother(of, lv, lvs[0]) {
		d.setBlocked(id, status.ReasonImmutableField, "spec.revert: %s%s is no snapshot of the current %s. Name another Snapshot%s",
			lvs[0].FullName(), createdAtHint(of, lvs[0]), lv.FullName(), d.originHint(lv, lvs[0]))
		return lv, false
	}
	if who := shortList(d.connectedWriters(of, lvs[0])); who != "" {
		d.setBlocked(id, status.ReasonSessionsActive, "spec.revert: waiting for initiators that can write to %s to disconnect: %s", lvs[0].FullName(), who)
		d.restartCopy(id, lv, lvs[0])
		return lv, false
	}
	if full := d.overflowedBy(lvs[0], lv); full != "" {
		d.setBlocked(id, status.ReasonSnapshotsExist, "spec.revert: snapshot %s has no room for the data that would be overwritten. Increase its spec.size, or remove it", full)
		return lv, false
	}
	return lvs[0], true
}

// overflowedBy returns another thick snapshot of a volume that could overflow, and lose its data,
// when all that was written since a snapshot is overwritten.
func (d *differ) overflowedBy(snapshot, origin observe.LogicalVolume) string {
	written := float64(snapshot.COWSize) * snapshot.DataPercent / 100
	for _, other := range d.index.snapshotsOf(origin) {
		if other.UUID == snapshot.UUID || other.SnapshotInvalid {
			continue
		}
		free := float64(other.COWSize) * (1 - other.DataPercent/100)
		if other.COWSize < observe.MaxCOWSize(origin.Size) && free < written {
			return other.FullName()
		}
	}
	return ""
}

// blockedByVolumeUsers returns who uses a volume, so that its content must not change now, and
// sets the status; empty: nobody.
func (d *differ) blockedByVolumeUsers(id spec.ID, lv observe.LogicalVolume) string {
	awaited := d.in.Exposures.awaitedBy(lv.Serial(), ondisk.NamespaceUUID(lv.Identity()))
	who := shortList(append(d.connectedTo(id), awaited...))
	if who != "" {
		d.setBlocked(id, status.ReasonSessionsActive, "spec.revert: waiting for initiators to disconnect: %s", who)
		return who
	}
	who = shortList(lv.HeldBy)
	_, served := d.index.Backstore(id)
	if who == "" && lv.Open && !served && len(d.index.servedDirectly(lv)) == 0 {
		who = "open on this node (see lsof " + lv.Path() + ")"
	}
	if who != "" {
		d.setBlocked(id, status.ReasonInUse, "spec.revert: waiting until %s is no longer %s", lv.FullName(), who)
	}
	return who
}
