package observe

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// System is a part of the machine that is read as a whole.
type System string

// The systems.
const (
	LVM   System = "lvm"
	LIO   System = "lio"   // the kernel's SCSI target
	NVMet System = "nvmet" // the kernel's NVMe target
	TGT   System = "tgt"   // tgtd, a SCSI target in userspace
	Data  System = "data"  // the content of logical volumes; changed, and read only while it is copied
	// Repositories are what backups are in; changed, and read beside the passes.
	Repositories System = "repositories"
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
	// Repositories are those that are declared, by the names of these objects.
	Repositories map[string]Repository
	// BootID changes each time the node is started (random(4)); empty: unknown.
	BootID string
	// Unknown are the systems that could not be read, with the reason. Nothing
	// is changed in them: unknown is not empty.
	Unknown map[System]error
	// UnknownGroups is why some volume groups could not be read though LVM could:
	// whatever is not in VolumeGroups is unknown then, too. Nil: what is not in
	// VolumeGroups does not exist.
	UnknownGroups error
	// UnusableGroups is why volume groups that are on the machine are not in VolumeGroups, by name.
	// Each concerns that volume group alone; see [GroupError].
	UnusableGroups map[string]error
	// SilentDevices are block devices that do not answer, each with since when. What is
	// not in VolumeGroups may be on them.
	SilentDevices []string
	// KeptFromLVM are devices that LVM's settings exclude, each with the setting. What is not in
	// VolumeGroups may be on them.
	KeptFromLVM []string
	// unread is UnknownGroups without them.
	unread error
}

// setSilent sets the devices that do not answer. Until [State.Expect] says otherwise, their
// content is part of what could not be read.
func (s *State) setSilent(devices []string) {
	s.SilentDevices, s.unread = devices, s.UnknownGroups
	s.UnknownGroups = errors.Join(s.unread, s.hiddenGroups())
}

// hiddenGroups is why a volume group may exist that was not read.
func (s State) hiddenGroups() error {
	if len(s.SilentDevices) == 0 {
		return nil
	}
	return fmt.Errorf("a device does not respond, and volume groups on it may be unreadable: %s", shortList(s.SilentDevices))
}

// Expect says which volume groups matter: those that the spec names, and those of the
// objects that are remembered. If all of them were read, devices that do not answer are no
// obstacle; only [State.Group] still reports that other volume groups may exist.
func (s *State) Expect(groups ...string) {
	for _, name := range groups {
		if _, ok := s.VolumeGroups[name]; !ok {
			return
		}
	}
	if len(s.SilentDevices) > 0 {
		s.UnknownGroups = s.unread
	}
}

// Group returns a volume group. It reports false if it is not on this machine;
// the error is why that is unknown, or why it cannot be used.
func (s State) Group(name string) (VolumeGroup, bool, error) {
	if vg, ok := s.VolumeGroups[name]; ok {
		return vg, true, nil
	}
	if err := s.UnusableGroups[name]; err != nil {
		return VolumeGroup{}, false, err
	}
	unknown := s.UnknownGroups
	if len(s.SilentDevices) > 0 {
		unknown = errors.Join(s.unread, s.hiddenGroups())
	}
	return VolumeGroup{}, false, errors.Join(s.Unknown[LVM], unknown)
}

// Err is all that could not be read; nil if everything could.
func (s State) Err() error {
	var errs []error
	for _, system := range slices.Sorted(maps.Keys(s.Unknown)) {
		errs = append(errs, fmt.Errorf("%s: %w", system, s.Unknown[system]))
	}
	return errors.Join(append(errs, s.UnknownGroups)...)
}

// Doubtful is why the content of some volume groups is unknown, without effect on the others;
// nil: there are none. It is not part of [State.Err].
func (s State) Doubtful() error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(s.UnusableGroups)) {
		var of *GroupError
		if err := s.UnusableGroups[name]; errors.As(err, &of) && !of.Refused {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
	// Shared is true if other machines may use it as well, by the locks of lvmlockd(8).
	Shared bool
	// MDAFree is how much the metadata of LVM may still grow, on the physical volume with the least room
	// for it (vg_mda_free in vgs(8)). Without room LVM creates nothing more.
	MDAFree uint64
	// PhysicalVolumes are the device nodes of its physical volumes, as far as they are there.
	PhysicalVolumes []string
	// pvs are the UUIDs of its physical volumes.
	pvs []string
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
	OtherLV       LVType = "other" // cached, VDO, cache pool, …: exported as it is, if it is a volume
)

// LogicalVolume is an LVM logical volume. Sizes are in bytes, fullness in per
// cent.
type LogicalVolume struct {
	VolumeGroup string
	Name        string
	UUID        string
	Type        LVType
	// Layout is LVM's lv_layout of one that is neither linear nor thin: "raid,raid1", "cache".
	// [LogicalVolume.Kind] says it in words.
	Layout string
	Size   uint64
	// Stripes is on how many devices its data lies side by side, where that is more than one:
	// LVM makes it larger in multiples of as many extents.
	Stripes int
	// COWSize is the copy-on-write space of a ThickSnapshot.
	COWSize uint64
	// Origin is the LV of which this is a snapshot; Pool is its thin pool.
	Origin string
	Pool   string
	// Tags are what the agent recorded on it, with methods that read that: Owner, Phase, …
	ondisk.Tags
	Active bool
	// Open is true while something on this machine holds the device.
	Open     bool
	ReadOnly bool
	// ReadOnlyByList is true if it is read-only only because lvm.conf(5) says so
	// (activation/read_only_volume_list).
	ReadOnlyByList bool
	// SkipActivation is the flag that makes LVM skip it when it activates a volume group.
	SkipActivation bool
	// ReadsZero is true if blocks that were never written read as zeroes, which is so
	// in thin pools that zero new chunks.
	ReadsZero bool
	// SnapshotInvalid is true for a copy-on-write snapshot that overflowed:
	// what it held is lost.
	SnapshotInvalid bool
	DataPercent     float64 // thin pool, thin volume, copy-on-write snapshot
	MetadataPercent float64 // thin pool
	// MetadataSize is the size of a thin pool's metadata, and ChunkSize the unit in which it allocates.
	MetadataSize, ChunkSize uint64
	// Health is LVM's lv_health_status; empty: nothing known to be wrong.
	Health string
	// CheckNeeded is true for a thin pool whose metadata must be checked, as the kernel says.
	CheckNeeded bool
	// HeldBy is who holds an open device, as far as the kernel says: "mounted
	// on /mnt", "dm-7 (vg1-root)". LIO's backstores are not among them.
	HeldBy []string
	// OpenedBy is who else has the device open: "open by qemu-system-x86 (process 12)", a
	// foreign target. It is read only if there is no HeldBy, and no target of ours serves it.
	// OpenedBySelf is true if the agent itself has it open, to copy from it.
	OpenedBy     []string
	OpenedBySelf bool
	// TakesAlong is what LVM removes together with it, without asking, besides the
	// thick snapshots of it: "vg1/clone, a thin volume that has it as external
	// origin". [ReadLV] knows only whether there is anything, not what.
	TakesAlong []string
	// MissingPVs is [VolumeGroup.MissingPVs], if [ReadLV] read it.
	MissingPVs int
	// Major and Minor are the numbers of its block device; -1 while inactive.
	Major, Minor int
	// Created is when it was created, by the clock at that time; zero: LVM does not know.
	Created time.Time
}

// Path is the device node that udev keeps for an active logical volume.
func (lv LogicalVolume) Path() string { return "/dev/" + lv.VolumeGroup + "/" + lv.Name }

// FullName is the name that LVM's commands take.
func (lv LogicalVolume) FullName() string { return lv.VolumeGroup + "/" + lv.Name }

// ContentSince is since when its content exists: when it was created, or the first logical volume
// that held the data. Zero: it is not known.
func (lv LogicalVolume) ContentSince() time.Time {
	switch since, known := lv.FirstCreated(); {
	case known:
		return since
	case lv.Tag(ondisk.TagIdentity) != "": // an earlier agent moved it
		return time.Time{}
	default:
		return lv.Created
	}
}

// Identity is what the identifiers that initiators see are derived from, and the key by which
// it is remembered, see [ondisk.Tags.Identity].
func (lv LogicalVolume) Identity() string { return lv.Tags.Identity(lv.UUID) }

// Serial is the unit serial that SCSI initiators see: the one in its tag, or the derived one.
func (lv LogicalVolume) Serial() string {
	return cmp.Or(lv.Tag(ondisk.TagSerial), ondisk.UnitSerial(lv.Identity()))
}
