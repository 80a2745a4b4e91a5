package ondisk

import (
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// kindOfTag are the kinds of objects in tags and in the names of backstores.
var kindOfTag = map[string]spec.Kind{
	"pool":     spec.KindPool,
	"volume":   spec.KindVolume,
	"snapshot": spec.KindSnapshot,
}

// KindSource is the kind, in tags, of a snapshot that exists only to be copied from,
// while a volume is filled, an image is written, or a volume moves. Its name is that of
// the volume or image; [TagFor] says which of the three it is, unless a volume is filled.
const (
	KindSource = "source"
	forImage   = "image"
	forMove    = "move"
	forBackup  = "backup"
)

// OwnerTags returns the tags that mark a logical volume as that of an object.
func OwnerTags(id spec.ID) []string {
	return []string{TagKind + strings.ToLower(string(id.Kind)), TagName + id.Name}
}

// Owner returns the object whose logical volume this is, by its tags.
// It reports false if the tags do not name one, or if the logical volume is being
// wiped: nothing of the object is left then.
func (t Tags) Owner() (spec.ID, bool) {
	id, named := t.LastOwner()
	return id, named && t.Phase() != Clearing
}

// LastOwner is Owner, or the previous owner of a logical volume that is being wiped.
func (t Tags) LastOwner() (spec.ID, bool) {
	kind, ok := kindOfTag[t.Tag(TagKind)]
	name := t.Tag(TagName)
	return spec.ID{Kind: kind, Name: name}, ok && name != ""
}

// SourceTags returns the tags of the snapshot that a Volume is filled from, or an
// Image is written from, or a Backup is made of.
func SourceTags(of spec.ID) []string {
	tags := []string{TagKind + KindSource, TagName + of.Name}
	if of.Kind == spec.KindImage {
		tags = append(tags, TagFor+forImage)
	}
	if of.Kind == spec.KindBackup {
		tags = append(tags, TagFor+forBackup)
	}
	return tags
}

// SourceOf returns the Volume that is filled from this snapshot, or the Image that
// is written from it. It reports false if the snapshot was not made for that.
func (t Tags) SourceOf() (spec.ID, bool) {
	of := spec.ID{Kind: spec.KindVolume, Name: t.Tag(TagName)}
	switch t.Tag(TagFor) {
	case "":
	case forImage:
		of.Kind = spec.KindImage
	case forBackup:
		of.Kind = spec.KindBackup
	default:
		return spec.ID{}, false // that of a move, or by a later version
	}
	return of, t.Tag(TagKind) == KindSource && of.Name != ""
}

// MoveTags returns the tags of a snapshot from which a Volume is copied that moves to
// another Pool.
func MoveTags(volume string) []string {
	return []string{TagKind + KindSource, TagName + volume, TagFor + forMove}
}

// MoveOf returns the Volume that moves with the help of this snapshot. It reports
// false if the snapshot was not made for that.
func (t Tags) MoveOf() (spec.ID, bool) {
	of := spec.ID{Kind: spec.KindVolume, Name: t.Tag(TagName)}
	return of, t.Tag(TagKind) == KindSource && t.Tag(TagFor) == forMove && of.Name != ""
}

// DeletionTag returns the tag that records a deletion policy.
func DeletionTag(p spec.DeletionPolicy) string { return TagDeletion + strings.ToLower(string(p)) }

// TimeOfTag is how tags say a time, which is in UTC: LVM does not take every
// character in them.
const TimeOfTag = "20060102T150405Z"

// DeletedTag returns the tag that a logical volume in the trash carries.
func DeletedTag(at time.Time) string { return TagDeleted + at.UTC().Format(TimeOfTag) }

// CreatedTag returns the tag of a logical volume that superseded another: when the first
// logical volume of the same data was created.
func CreatedTag(at time.Time) string { return TagCreated + at.UTC().Format(TimeOfTag) }

// FirstCreated returns the time in the tag of [CreatedTag]; zero: it has no valid time. It reports
// false if there is no such tag.
func (t Tags) FirstCreated() (at time.Time, tagged bool) {
	tags := t.TagsWith(TagCreated)
	if len(tags) == 0 {
		return time.Time{}, false
	}
	at, err := time.Parse(TimeOfTag, strings.TrimPrefix(tags[0], TagCreated))
	if err != nil {
		at = time.Time{}
	}
	return at, true
}

// DeletedTags returns the tags that say that the logical volume is in the trash.
func (t Tags) DeletedTags() []string { return t.TagsWith(TagDeleted) }
