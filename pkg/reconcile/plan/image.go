package plan

import (
	"path"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// planImage plans an image file. It is written once: an existing file is never changed, whatever is in
// it.
func (d *differ) planImage(i spec.Image) {
	id := spec.ID{Kind: spec.KindImage, Name: i.Metadata.Name}
	file, looked := d.in.Observed.ImageFiles[i.Spec.Path]
	suspended := d.blockedBySuspension(id, i.Metadata)
	switch {
	case !looked:
		d.plan.KeepJobs = true
		d.setStatus(id, status.Failed, status.ReasonObservationFailed, "waiting until %s is checked", i.Spec.Path)
	case file.Err != nil:
		// Without a step for its job, the job would be cancelled.
		d.plan.KeepJobs = true
		d.setStatus(id, status.Failed, status.ReasonObservationFailed, "cannot check whether %s exists: %v", i.Spec.Path, file.Err)
	case file.IsWritten():
		d.object(id).Image = &status.Image{Path: i.Spec.Path, Format: i.Spec.Format, Size: file.Size, SHA256: file.SHA256}
	case file.Exists:
		d.setBlocked(id, status.ReasonNotOwned, "%s already exists and is no image that was written here: it has no %s beside it. Remove it, or choose another path",
			i.Spec.Path, path.Base(i.Spec.Path)+spec.ChecksumSuffix)
	case suspended:
	case file.NoDirectory:
		d.setBlocked(id, status.ReasonNotReady, "directory %s does not exist. Create it, or mount its file system", path.Dir(i.Spec.Path))
	default:
		d.writeImage(id, i)
	}
}

func (d *differ) writeImage(id spec.ID, i spec.Image) {
	if d.isUnreadable(id, observe.LVM) {
		return
	}
	if from, ok := d.imageSource(id, i); ok {
		d.step(id, "not there", change.WriteImage{
			Path: i.Spec.Path, Format: i.Spec.Format, Compress: i.Spec.Compress, Source: nameOf(from), Size: spec.Size(from.Size),
		})
	}
}

// imageSource returns the logical volume that an image is written from: that of a Snapshot, or the
// snapshot that is made of a Volume for this, because the Volume may be in use. It reports false
// if there is none yet.
func (d *differ) imageSource(id spec.ID, i spec.Image) (observe.LogicalVolume, bool) {
	made, there := d.index.sources[id]
	switch {
	case there && made.SnapshotInvalid:
		d.setStatus(id, status.Failed, status.ReasonSnapshotOverflow, "snapshot %s overflowed while the image was written from it; retried from a new one", made.FullName())
		d.discard(id, made, d.withSignature(ondisk.SourceTags(id)), notToCopy)
		return made, false
	case there && (i.Spec.Volume == "" || !d.isSourceOf(i.Spec.Volume, made)):
		d.discardOther(id, made)
		return made, false
	case there:
		return made, true
	}
	source := i.Spec.Object()
	from := d.backingOf(source)
	switch {
	case !from.exportable || from.lv.UUID == "":
		d.setBlocked(id, status.ReasonNotReady, "waiting for %s: %s", source, d.object(source).Message)
		return from.lv, false
	case source.Kind == spec.KindSnapshot:
		return from.lv, d.isReadOnlyEverywhere(id, source, from.lv)
	}
	d.createSource(id, i.Spec.Volume, from)
	return from.lv, false
}

// isBeingWritten reports whether an Image is being written, or may be.
func (d *differ) isBeingWritten(id spec.ID) bool {
	i, valid := d.in.Declared.Images[id.Name]
	if !valid {
		return d.isDeclared(id) || d.inDoubt()
	}
	file, looked := d.in.Observed.ImageFiles[i.Spec.Path]
	return !looked || file.Err != nil || !file.Exists
}
