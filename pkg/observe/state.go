package observe

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// System is a part of the machine that is read as a whole.
type System string

// The systems.
const (
	LVM   System = "lvm"
	LIO   System = "lio"   // the kernel's SCSI target
	NVMet System = "nvmet" // the kernel's NVMe target
	TGT   System = "tgt"   // tgtd, a SCSI target in userspace
	Data  System = "data"  // what is in logical volumes; changed, and read only while it is copied
)

// State is what the machine held when it was read.
type State struct {
	VolumeGroups map[string]VolumeGroup
	LIO          Targets
	// NVMe are nvmet's subsystems and TGT are tgtd's targets, by name.
	NVMe map[string]Target
	TGT  map[string]Target
	// ImageFiles are the image files that were looked at, by their path.
	ImageFiles map[string]ImageFile
	// Unknown are the systems that could not be read, with the reason. They
	// get no steps: unknown is not empty.
	Unknown map[System]error
	// UnknownGroups is why some volume groups could not be read though LVM could:
	// whatever is not in VolumeGroups is unknown then, too. Nil: it is not there.
	UnknownGroups error
}

// Group returns a volume group. It reports false if it is not on this machine;
// the error is why that cannot be told.
func (s State) Group(name string) (VolumeGroup, bool, error) {
	if vg, ok := s.VolumeGroups[name]; ok {
		return vg, true, nil
	}
	return VolumeGroup{}, false, errors.Join(s.Unknown[LVM], s.UnknownGroups)
}

// Err is all that could not be read; nil if everything could.
func (s State) Err() error {
	var errs []error
	for _, system := range slices.Sorted(maps.Keys(s.Unknown)) {
		errs = append(errs, fmt.Errorf("%s: %w", system, s.Unknown[system]))
	}
	return errors.Join(append(errs, s.UnknownGroups)...)
}

// HealthPartial is the Health of a logical volume of which a part lies on a
// physical volume that cannot be found.
const HealthPartial = "partial"

// VolumeGroup is an LVM volume group. Sizes are in bytes.
type VolumeGroup struct {
	Name       string
	UUID       string
	ExtentSize uint64
	Size       uint64
	Free       uint64
	// MissingPVs is the number of physical volumes that cannot be found.
	MissingPVs int
	// LogicalVolumes are the visible ones, by name.
	LogicalVolumes map[string]LogicalVolume
}

// LVType is what a logical volume is, as far as the agent tells them apart.
type LVType string

// The types of logical volumes.
const (
	Thick         LVType = "thick"         // linear, striped, RAID …
	ThickSnapshot LVType = "thickSnapshot" // copy-on-write snapshot
	Thin          LVType = "thin"          // thin volume or thin snapshot
	ThinPool      LVType = "thinPool"
	OtherLV       LVType = "other" // cache pool, VDO, …: never ours to change
)

// LogicalVolume is an LVM logical volume. Sizes are in bytes, fullness in per
// cent.
type LogicalVolume struct {
	VolumeGroup string
	Name        string
	UUID        string
	Type        LVType
	Size        uint64
	// COWSize is the copy-on-write space of a ThickSnapshot.
	COWSize uint64
	// Origin is the LV of which this is a snapshot; Pool is its thin pool.
	Origin string
	Pool   string
	Tags   []string
	Active bool
	// Open is true while something on this machine holds the device.
	Open     bool
	ReadOnly bool
	// ReadsZero is true if what was never written to it reads as zeroes, which is so
	// in thin pools that clear what they hand out.
	ReadsZero bool
	// SnapshotInvalid is true for a copy-on-write snapshot that overflowed:
	// what it held is lost.
	SnapshotInvalid bool
	DataPercent     float64 // thin pool, thin volume, copy-on-write snapshot
	MetadataPercent float64 // thin pool
	// Health is LVM's lv_health_status; empty: nothing known to be wrong.
	Health string
	// HeldBy is who holds an open device, as far as the kernel says: "mounted
	// on /mnt", "dm-7 (vg1-root)". LIO's backstores are not among them.
	HeldBy []string
	// OpenedBy is who else has an open device open: "open by qemu-system-x86 (process
	// 12)", a foreign target. It is looked for only if there is no HeldBy, and no target of
	// ours serves it. OpenedBySelf is that the agent itself has it open, to copy from it.
	OpenedBy     []string
	OpenedBySelf bool
	// TakesAlong is what LVM removes together with it, without asking, besides the
	// thick snapshots of it: "vg1/clone, a thin volume that has it as external
	// origin". [ReadLV] knows less of it: that there is something, but not what.
	TakesAlong []string
	// Major and Minor are the numbers of its block device; -1 while inactive.
	Major, Minor int
}

// Path is the device node that udev keeps for an active logical volume.
func (lv LogicalVolume) Path() string { return "/dev/" + lv.VolumeGroup + "/" + lv.Name }

// FullName is the name that LVM's commands take.
func (lv LogicalVolume) FullName() string { return lv.VolumeGroup + "/" + lv.Name }

// Tags on a logical volume that say whose it is.
const (
	TagKind     = "volreconciler/kind="
	TagName     = "volreconciler/name="
	TagDeletion = "volreconciler/deletion="
	// TagDeleted is followed by when the logical volume went into the trash, in
	// the form of [TimeOfTag].
	TagDeleted = "volreconciler/deleted="
	// TagPhase is followed by a [DataPhase].
	TagPhase = "volreconciler/phase="
	// TagSource is followed by what a volume was filled from, as spec says it then.
	TagSource = "volreconciler/source="
	// TagFor is followed by what a snapshot is copied to, see [SourceTags].
	TagFor = "volreconciler/for="
	// TagCheckpoint is followed by what is being copied and how much of it has
	// reached the device, see [CheckpointTag].
	TagCheckpoint = "volreconciler/checkpoint="
	// TagRevert is followed by the request of the revert that is being done, and
	// TagReverted by that of the last one that was.
	TagRevert   = "volreconciler/revert="
	TagReverted = "volreconciler/reverted="
	// TagIdentity is followed by the UUID of the logical volume in whose place this one
	// came, or is to come: what initiators tell it by, see [LogicalVolume.Identity].
	TagIdentity = "volreconciler/identity="
	// TagSynced is followed by what a staged logical volume holds, see [SyncedTag].
	TagSynced = "volreconciler/synced="
	// TagSince is followed by the UUID of the snapshot that was copied before this one;
	// nothing follows if none was.
	TagSince = "volreconciler/since="
	// TagReplacedBy is followed by the UUID of the logical volume that came in the
	// place of this one.
	TagReplacedBy = "volreconciler/replaced-by="
	tagPrefix     = "volreconciler/"
)

// Tag returns the value of the tag with the given prefix, such as [TagName].
func (lv LogicalVolume) Tag(prefix string) string {
	for _, t := range lv.Tags {
		if v, ok := strings.CutPrefix(t, prefix); ok {
			return v
		}
	}
	return ""
}

// DeletedTags returns the tags that say that the logical volume is in the trash.
func (lv LogicalVolume) DeletedTags() []string { return lv.TagsWith(TagDeleted) }

// Marked reports whether any of our tags is on the logical volume.
func (lv LogicalVolume) Marked() bool {
	for _, t := range lv.Tags {
		if strings.HasPrefix(t, tagPrefix) {
			return true
		}
	}
	return false
}

// Owner returns the object whose logical volume this is, by its tags.
// It reports false if the tags do not name one, or if what was in it is being
// destroyed: nothing of the object is there any more.
func (lv LogicalVolume) Owner() (spec.ID, bool) {
	id, named := lv.LastOwner()
	return id, named && lv.Phase() != Clearing
}

// LastOwner is Owner, and of what is being destroyed the object that had it.
func (lv LogicalVolume) LastOwner() (spec.ID, bool) {
	kind, ok := kindOfTag[lv.Tag(TagKind)]
	name := lv.Tag(TagName)
	return spec.ID{Kind: kind, Name: name}, ok && name != ""
}

var kindOfTag = map[string]spec.Kind{
	"pool":     spec.KindPool,
	"volume":   spec.KindVolume,
	"snapshot": spec.KindSnapshot,
}

// OwnerTags returns the tags that mark a logical volume as that of an object.
func OwnerTags(id spec.ID) []string {
	return []string{TagKind + strings.ToLower(string(id.Kind)), TagName + id.Name}
}

// DeletionTag returns the tag that remembers a deletion policy.
func DeletionTag(p spec.DeletionPolicy) string { return TagDeletion + strings.ToLower(string(p)) }

// TimeOfTag is how tags say a time, which is in UTC: LVM does not take every
// character in them.
const TimeOfTag = "20060102T150405Z"

// DeletedTag returns the tag that a logical volume in the trash carries.
func DeletedTag(at time.Time) string { return TagDeleted + at.UTC().Format(TimeOfTag) }
