package ondisk

import "strings"

// Prefixes of the tags on logical volumes. What follows is the value.
const (
	// TagKind and TagName say whose the logical volume is, see [OwnerTags], [SourceTags]
	// and [MoveTags]. TagDeletion is followed by the object's deletion policy, see
	// [DeletionTag].
	TagKind     = "volreconciler/kind="
	TagName     = "volreconciler/name="
	TagDeletion = "volreconciler/deletion="
	// TagBy is followed by the installation that made the logical volume, see [Maker.Tag].
	TagBy = "volreconciler/by="
	// TagDeleted is followed by when the logical volume went into the trash, in
	// the form of [TimeOfTag].
	TagDeleted = "volreconciler/deleted="
	// TagPhase is followed by a [DataPhase].
	TagPhase = "volreconciler/phase="
	// TagSource is followed by what a volume was filled from, see [spec.VolumeSource.Tag].
	TagSource = "volreconciler/source="
	// TagFor is followed by what a snapshot is copied to, see [SourceTags].
	TagFor = "volreconciler/for="
	// TagCheckpoint is followed by what is being copied and how much of it has
	// reached the device, see [CheckpointTag].
	TagCheckpoint = "volreconciler/checkpoint="
	// TagRevert is followed by the request of the revert that is being done, and
	// TagReverted by that of one that was; there may be several.
	TagRevert   = "volreconciler/revert="
	TagReverted = "volreconciler/reverted="
	// TagFilled says that what was to be written to a logical volume as a whole is there: it is
	// set by the command that takes the phase away.
	TagFilled = "volreconciler/filled"
	// TagIdentity is followed by the UUID of the logical volume in whose place this one
	// came, or is to come: what initiators tell it by, see [Tags.Identity].
	TagIdentity = "volreconciler/identity="
	// TagCreated is followed by when the logical volume with that UUID was made, in the form of
	// [TimeOfTag]. TagOrigin is set by hand on a Snapshot, and followed by the identity of the
	// volume that it is of, if what is remembered of that is not so.
	TagCreated = "volreconciler/created="
	TagOrigin  = "volreconciler/origin="
	// TagSynced is followed by what a staged logical volume holds, see [SyncedTag].
	TagSynced = "volreconciler/synced="
	// TagSince is followed by the UUID of the snapshot that was copied before this one;
	// nothing follows if none was.
	TagSince = "volreconciler/since="
	// TagProduct is followed by the product id that initiators are shown, see [Product].
	TagProduct = "volreconciler/product="
	// TagSerial is followed by the unit serial that initiators are shown; without it that is derived,
	// see [UnitSerial].
	TagSerial = "volreconciler/serial="
	// TagRounded is followed by a size and by that of the logical volume, see [RoundedTag].
	TagRounded = "volreconciler/rounded="
	// TagSchedule is followed by the name of the schedule that made a snapshot, and TagVolume by that of the
	// Volume. TagBase is followed by the Repository and the ID of the backup that was made of it, see [BaseTag].
	TagSchedule = "volreconciler/schedule="
	TagVolume   = "volreconciler/volume="
	TagBase     = "volreconciler/base="
	// TagDrill is followed by the name of the schedule on whose behalf a backup is restored into this volume.
	TagDrill = "volreconciler/drill="
	// TagReplacedBy is followed by the UUID of the logical volume that replaced this one.
	TagReplacedBy = "volreconciler/replaced-by="
	// TagPrefix is what all of them begin with.
	TagPrefix = "volreconciler/"
)

// IsTagValue reports whether LVM takes a text in a tag (lvm(8), "Valid names").
func IsTagValue(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune("_+.-/=!:&#", r)
	})
}

// ScheduledTags returns the tags of a snapshot that a schedule made of a Volume.
func ScheduledTags(schedule, volume string) []string {
	return []string{TagSchedule + schedule, TagVolume + volume}
}

// BaseTag returns the tag of the snapshot that a backup was made of: the next backup reads only what has changed
// since.
func BaseTag(repository, id string) string { return TagBase + repository + "/" + id }

// Tags are all tags on a logical volume, ours and others, with methods that read ours.
type Tags []string

// Tag returns the value of the tag with the given prefix, such as [TagName].
func (t Tags) Tag(prefix string) string {
	for _, tag := range t {
		if v, ok := strings.CutPrefix(tag, prefix); ok {
			return v
		}
	}
	return ""
}

// TagsWith returns the tags that begin with a prefix.
func (t Tags) TagsWith(prefix string) []string {
	var with []string
	for _, tag := range t {
		if strings.HasPrefix(tag, prefix) {
			with = append(with, tag)
		}
	}
	return with
}

// Marked reports whether any of our tags is on the logical volume.
func (t Tags) Marked() bool {
	for _, tag := range t {
		if strings.HasPrefix(tag, TagPrefix) {
			return true
		}
	}
	return false
}
