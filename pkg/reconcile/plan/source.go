package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Why a snapshot that was made to copy from is no longer needed.
const (
	copied          = "the copy from it has ended"
	notToCopy       = "it cannot be copied from"
	ofSomethingElse = "it was made for another copy"
)

// createVolume plans a logical volume for a Volume that has none.
func (d *differ) createVolume(id spec.ID, v spec.Volume, p pool, lv observe.LogicalVolume, tags []string) {
	create := change.CreateVolume{LV: nameOf(lv), ThinPool: p.thinPool, Size: spec.Size(lv.Size), Tags: tags}
	b := backing{lv: lv, exportable: true, thin: p.thinPool != ""}
	switch source := v.Spec.Source; {
	case source == nil:
		b.step = d.step(id, "not there", create, p.step)
	case source.Image != nil:
		d.createToFill(id, create, source, p.step)
		b.exportable = false
	case source.Backup != nil:
		from, _, ok := d.backupOf(id, "spec.source", *source.Backup, observe.LogicalVolume{})
		if !ok || !d.holdsBackup(id, from, lv.Size) || d.drillWaits(id, from, p) {
			return
		}
		create.Tags = append(create.Tags, d.inheritedIdentity(id, from)...)
		d.createToFill(id, create, source, p.step)
		b.exportable = false
	default:
		from, ok := d.sourceOf(id, source)
		if ok {
			lv.Size, tags = d.asLargeAs(from.lv, v, p, lv.Size, tags)
			create.Size, create.Tags, b.lv = spec.Size(lv.Size), tags, lv
		}
		if !ok || !d.fits(id, from.lv, lv.Size) {
			return
		}
		if p.thinPool != "" && p.thinPool == from.lv.Pool && p.vg.Name == from.lv.VolumeGroup {
			b.step = d.clone(id, "not there", Harmless, from, lv, append(tags, ondisk.TagSource+source.Tag()))
			break
		}
		if made, there := d.index.sources[id]; there && source.Volume != "" && (!d.isSourceOf(source.Volume, made) || made.Origin != from.lv.Name) {
			d.discardOther(id, made)
			return
		}
		d.createToFill(id, create, source, p.step)
		d.ensureSourceSnapshot(id, source, from)
		b.exportable = false
	}
	d.results.of(id).backing = &b
	d.addProvisioned(v.Spec.Pool, lv.Size)
}

// asLargeAs returns the size and the tags of a volume that is filled from a logical volume. If
// that is larger than declared only because LVM rounds sizes up, so is the new volume.
func (d *differ) asLargeAs(from observe.LogicalVolume, v spec.Volume, p pool, size uint64, tags []string) (uint64, []string) {
	extent := d.in.Observed.VolumeGroups[from.VolumeGroup].ExtentSize
	if from.Size <= size || !d.isRoundedUp(from, roundUp(uint64(v.Spec.Size), extent)) {
		return size, tags
	}
	larger := roundUp(from.Size, p.vg.ExtentSize)
	return larger, append(tags[:len(tags):len(tags)], ondisk.RoundedTag(size, larger))
}

// createToFill creates a logical volume that nobody may use until later passes have filled it.
func (d *differ) createToFill(id spec.ID, create change.CreateVolume, source *spec.VolumeSource, needs ...StepID) {
	create.Tags = append(create.Tags, ondisk.PhaseTag(ondisk.Populating), ondisk.TagSource+source.Tag())
	d.step(id, "not there", create, needs...)
}

// clone plans a thin clone, which is complete from the start.
func (d *differ) clone(id spec.ID, why string, danger Danger, from backing, lv observe.LogicalVolume, tags []string) StepID {
	step := d.dangerousStep(id, why, danger, nil, change.CloneVolume{LV: nameOf(lv), Origin: from.lv.Name, OriginUUID: from.lv.UUID, Tags: tags})
	if size := spec.Size(from.lv.Size); uint64(size) < lv.Size {
		// Before it is exported: initiators see one size only.
		step = d.step(id, "spec asks for "+spec.Size(lv.Size).String(), change.GrowVolume{LV: nameOf(lv), From: size, To: spec.Size(lv.Size)}, step)
	}
	return step
}

// sourceOf returns the logical volume that a new volume is filled from. It reports false, and sets
// the status, if none can be read.
func (d *differ) sourceOf(id spec.ID, source *spec.VolumeSource) (backing, bool) {
	from, _ := source.Object()
	if !d.isDeclared(from) {
		d.setBlocked(id, status.ReasonNotReady, "spec.source: %s is not declared, and %s was not created yet. Declare the source, or change the field", from, id)
		return backing{}, false
	}
	// Objects are planned by name; the source of this one must be planned before it.
	if from.Kind == spec.KindSnapshot {
		d.snapshotOnce(from.Name)
	} else {
		d.volumeOnce(from.Name)
	}
	b := d.backingOf(from)
	if !b.exportable || b.lv.UUID == "" {
		d.setBlocked(id, status.ReasonNotReady, "spec.source: waiting for %s: %s", from, d.object(from).Message)
		return backing{}, false
	}
	return b, true
}

// fits reports whether a source is not larger than the volume that is filled from it, and will not
// grow beyond it, before or after the copy; if it is, the status is set.
func (d *differ) fits(id spec.ID, from observe.LogicalVolume, size uint64) bool {
	larger := from.Size
	if owner, _ := from.Owner(); owner.Kind == spec.KindVolume {
		larger = max(larger, uint64(d.in.Declared.Volumes[owner.Name].Spec.Size))
	}
	if larger > size {
		d.setBlocked(id, status.ReasonShrinkRefused, "spec.size: %s is smaller than the source %s (%s). Increase it to at least as much", spec.Size(size), from.FullName(), spec.Size(larger))
	}
	return larger <= size
}

// planFill plans the next step for a volume that is being filled. Nobody may use it before that is
// done.
func (d *differ) planFill(id spec.ID, v spec.Volume, lv observe.LogicalVolume) {
	source := v.Spec.Source
	if source == nil || ondisk.TagSource+source.Tag() != ondisk.TagSource+lv.Tag(ondisk.TagSource) {
		d.setBlocked(id, status.ReasonImmutableField, "spec.source: %s is being filled from %s. Undo the change, or remove the Volume and declare it again", lv.FullName(), lv.Tag(ondisk.TagSource))
		return
	}
	fill := change.Populate{LV: nameOf(lv), ReadsZero: lv.ReadsZero}
	if image := source.Image; image != nil {
		fill.Image = &change.Image{Key: image.Key(), Path: image.Path, URL: image.URL, Format: image.Format, SHA256: image.SHA256, BlockSize: image.BlockSize}
		d.step(id, "not filled yet", fill)
		return
	}
	if source.Backup != nil {
		if from, repository, ok := d.backupOf(id, "spec.source", *source.Backup, lv); ok && d.holdsBackup(id, from, lv.Size) {
			fill.Backup = &change.Backup{Repository: repository, ID: from.ID, Size: spec.Size(from.Size)}
			fill.Size, fill.Done = spec.Size(from.Size), spec.Size(lv.Checkpoint(from.ID))
			d.step(id, "not filled yet", fill)
		}
		return
	}
	from, ok := d.readableSource(id, source, lv)
	if !ok {
		return
	}
	fill.Volume, fill.Size = nameOf(from), spec.Size(from.Size)
	fill.Done = spec.Size(lv.Checkpoint(from.UUID))
	d.step(id, "not filled yet", fill)
}

// readableSource returns what a volume is copied from: a Snapshot's logical volume, or the
// snapshot that was made of a Volume for this. If that is missing it is made again, and the copy
// begins again.
func (d *differ) readableSource(id spec.ID, source *spec.VolumeSource, lv observe.LogicalVolume) (observe.LogicalVolume, bool) {
	made, there := d.index.sources[id]
	snapshot := spec.ID{Kind: spec.KindSnapshot, Name: source.Snapshot}
	lvs := d.index.current[snapshot]
	switch {
	case source.Snapshot != "" && len(lvs) == 1 && !lvs[0].SnapshotInvalid:
		// It can be read in the trash too: a copy that has begun is completed.
		if !d.isReadOnlyEverywhere(id, snapshot, lvs[0]) {
			d.restartCopy(id, lv, lvs[0])
			return lv, false
		}
		return lvs[0], d.fits(id, lvs[0], lv.Size)
	case source.Snapshot != "", !there:
	case !d.isSourceOf(source.Volume, made):
		d.discardOther(id, made)
		return lv, false
	case made.SnapshotInvalid:
		d.setStatus(id, status.Failed, status.ReasonSnapshotOverflow, "snapshot %s overflowed while %s was copied from it; retried from a new one", made.FullName(), lv.FullName())
		d.discard(id, made, d.withSignature(ondisk.SourceTags(id)), notToCopy)
		return lv, false
	default:
		return made, d.fits(id, made, lv.Size)
	}
	from, ok := d.sourceOf(id, source)
	if ok && d.fits(id, from.lv, lv.Size) {
		d.ensureSourceSnapshot(id, source, from)
	}
	return lv, false
}

// discardOther discards a snapshot that was made for another copy, and sets the status.
func (d *differ) discardOther(id spec.ID, made observe.LogicalVolume) {
	d.discard(id, made, d.withSignature(ondisk.SourceTags(id)), ofSomethingElse)
	d.setStatus(id, status.Progressing, status.ReasonConverging, "removing %s: %s", made.FullName(), ofSomethingElse)
}

// ensureSourceSnapshot plans the snapshot that a Volume is copied from, because the Volume may be
// in use, unless there is one.
func (d *differ) ensureSourceSnapshot(id spec.ID, source *spec.VolumeSource, from backing) {
	if made, there := d.index.sources[id]; source.Volume == "" || there && made.Origin == from.lv.Name {
		return
	}
	d.createSource(id, source.Volume, from)
}

// isSourceOf reports whether a snapshot that was made to copy from is one of a Volume's current
// logical volume, or of the one that was current when the copy began. Its tag names the Volume. If
// the Volume is missing, the snapshot may be all that is left of it.
func (d *differ) isSourceOf(volume string, made observe.LogicalVolume) bool {
	lvs := d.index.current[spec.ID{Kind: spec.KindVolume, Name: volume}]
	return made.Tag(ondisk.TagSource) == (spec.VolumeSource{Volume: volume}).Tag() &&
		(len(lvs) != 1 || made.Origin == "" || lvs[0].VolumeGroup == made.VolumeGroup && lvs[0].Name == made.Origin ||
			d.isSnapshotOfSuperseded(spec.ID{Kind: spec.KindVolume, Name: volume}, made)) // the copy is of what was current when it began
}

// createSource plans a snapshot of a Volume from which another one is filled or an Image is
// written.
func (d *differ) createSource(id spec.ID, volume string, from backing) {
	if missing := d.in.Observed.VolumeGroups[from.lv.VolumeGroup].MissingPVs; missing > 0 {
		d.setBlocked(id, status.ReasonNotReady, "cannot copy from %s: no snapshot can be made while volume group %[3]s lacks %[2]d physical volume(s). Reconnect them first", from.lv.FullName(), missing, from.lv.VolumeGroup)
		return
	}
	if d.cannotSnapshot(id, from.lv) {
		return
	}
	if damage := d.damageAround(from.lv); damage != "" {
		d.setBlocked(id, status.ReasonNotReady, "cannot copy from %s: %s", from.lv.FullName(), damage)
		return
	}
	name := ondisk.SourceName(id)
	switch lv, there := d.in.Observed.VolumeGroups[from.lv.VolumeGroup].LogicalVolumes[name]; {
	case there && lv.Phase() == ondisk.Clearing:
		d.setStatus(id, status.Progressing, status.ReasonClearing, "the next snapshot of %s to copy from waits until the last one, %s, is wiped", from.lv.FullName(), lv.FullName())
		return
	case there: // somebody changed its tags
		d.setBlocked(id, status.ReasonNotOwned, "cannot copy from %s: the snapshot for that needs the name %s, which already exists without its tags. Rename or remove that logical volume", from.lv.FullName(), lv.FullName())
		return
	}
	d.step(id, "to copy from", change.CreateSnapshot{
		LV: change.LV{VolumeGroup: from.lv.VolumeGroup, Name: name}, Origin: from.lv.Name, OriginUUID: from.lv.UUID,
		Thin: from.lv.Type == observe.Thin, Tags: append(d.withSignature(ondisk.SourceTags(id)), ondisk.TagSource+(spec.VolumeSource{Volume: volume}).Tag()),
	}, from.step)
}

// pruneSources discards the snapshots that nothing is copied from any more.
func (d *differ) pruneSources() {
	for _, id := range sortedIDs(d.index.sources) {
		needed := d.isBeingFilled
		if id.Kind == spec.KindImage {
			needed = d.isBeingWritten
		}
		if id.Kind == spec.KindBackup {
			needed = d.isBeingBackedUp
		}
		why := copied
		if id.Kind == spec.KindImage && !d.isDeclared(id) {
			why += "; an image that was written is kept"
		}
		if !needed(id) && (d.isDeclared(id) || !d.inDoubt() && d.graceLeft(id) <= 0) {
			d.discard(id, d.index.sources[id], d.withSignature(ondisk.SourceTags(id)), why)
		}
	}
}

// isBeingFilled reports whether a Volume is being filled, or may be.
func (d *differ) isBeingFilled(id spec.ID) bool {
	lvs := d.index.current[id]
	return d.isDeclared(id) && d.in.Known[id].Content == Incomplete || len(lvs) == 0 && (d.isDeclared(id) || d.inDoubt()) ||
		slices.ContainsFunc(lvs, func(lv observe.LogicalVolume) bool { return lv.Phase() == ondisk.Populating })
}
