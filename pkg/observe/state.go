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
	LVM System = "lvm"
	LIO System = "lio"
)

// State is what the machine held when it was read.
type State struct {
	VolumeGroups map[string]VolumeGroup
	LIO          Targets
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
	tagPrefix  = "volreconciler/"
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
func (lv LogicalVolume) DeletedTags() []string {
	var tags []string
	for _, t := range lv.Tags {
		if strings.HasPrefix(t, TagDeleted) {
			tags = append(tags, t)
		}
	}
	return tags
}

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
// It reports false if the tags do not name one.
func (lv LogicalVolume) Owner() (spec.ID, bool) {
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

// Targets is what LIO holds.
type Targets struct {
	// Backstores by their path below core/, as in iblock_0/name.
	Backstores map[string]Backstore
	// ISCSI are the iSCSI targets by name.
	ISCSI map[string]Target
}

// Backstore is a LIO storage object.
type Backstore struct {
	// HBA and Name are the two levels of its path: core/<HBA>/<Name>.
	HBA, Name string
	// Enabled is false until the backstore is bound to its device.
	Enabled bool
	// BlockDevice is the kernel's name of the device it is bound to, as in
	// dm-3; empty while it is not enabled.
	BlockDevice string
	Device      string // udev_path
	Serial      string // vpd_unit_serial
	ReadOnly    bool
	// Unmap is emulate_tpu: discards of the initiators reach the device.
	Unmap bool
	// CanUnmap is true if the device supports discards; else Unmap cannot be set.
	CanUnmap bool
}

// Path is the backstore's place below core/.
func (b Backstore) Path() string { return b.HBA + "/" + b.Name }

// HBA is where our backstores are created. Its number is high because targetcli
// gives each of its own backstores a directory of its own, counting from 0, and
// removes that directory together with the backstore.
const HBA = "iblock_900"

// backstorePrefix marks our backstores; no other tool names them so.
const backstorePrefix = "volreconciler:"

// BackstoreName returns the name of an object's backstore.
func BackstoreName(id spec.ID) string {
	return backstorePrefix + strings.ToLower(string(id.Kind)) + ":" + id.Name
}

// Owner returns the object whose backstore this is, by its name.
func (b Backstore) Owner() (spec.ID, bool) {
	rest, ok := strings.CutPrefix(b.Name, backstorePrefix)
	if !ok {
		return spec.ID{}, false
	}
	kind, name, _ := strings.Cut(rest, ":")
	k, ok := kindOfTag[kind]
	return spec.ID{Kind: k, Name: name}, ok && name != ""
}

// Target is a LIO iSCSI target. Of its target portal groups only the first,
// tpgt_1, is looked into.
type Target struct {
	IQN string
	// HasTPG is false while tpgt_1 does not exist.
	HasTPG bool
	// OtherTPGs is the number of target portal groups besides tpgt_1.
	OtherTPGs int
	Enabled   bool
	Alias     string // param/TargetAlias
	Attrib    TPGAttrib
	Portals   map[string]bool // in the form of spec: ip:port, [ip]:port
	// LUNs by number.
	LUNs map[int]TargetLUN
	// ACLs by initiator name.
	ACLs map[string]ACL
	// DynamicSessions are the initiators that are logged in without an ACL.
	DynamicSessions []string
	// Sessions is the number of live sessions, -1 if it could not be read.
	Sessions int
}

// TPGAttrib are the attributes of a target portal group that we set.
type TPGAttrib struct {
	Authentication       bool // authentication
	GenerateNodeACLs     bool // generate_node_acls
	CacheDynamicACLs     bool // cache_dynamic_acls
	DemoModeWriteProtect bool // demo_mode_write_protect
	DemoModeDiscovery    bool // demo_mode_discovery
	ProdModeWriteProtect bool // prod_mode_write_protect
}

// TargetLUN is a LUN of a target portal group.
type TargetLUN struct {
	// Backstore is the path below core/; empty while the LUN is linked to none.
	Backstore string
	// Link is the name of the symlink, which is for its creator to choose.
	Link string
}

// ACL is what one initiator may do.
type ACL struct {
	Initiator string
	// Authentication is attrib/authentication: "-1" means the group's.
	Authentication string
	Auth           CHAP
	// LUNs by the number that the initiator sees.
	LUNs map[int]MappedLUN
	// LoggedIn is true while a session of the initiator is alive.
	LoggedIn bool
}

// CHAP is what an ACL asks of both sides; empty: nothing.
type CHAP struct {
	Username       string
	Password       spec.Secret
	MutualUsername string
	MutualPassword spec.Secret
}

// MappedLUN is a LUN as one initiator sees it.
type MappedLUN struct {
	// LUN is the number in the target portal group; -1 while it is linked to none.
	LUN          int
	Link         string
	WriteProtect bool
}

// aliasPrefix marks our targets.
const aliasPrefix = "volreconciler:"

// Alias returns the target alias of an export.
func Alias(export string) string { return aliasPrefix + export }

// Owner returns the export whose target this is, by its alias.
func (t Target) Owner() (spec.ID, bool) {
	name, ok := strings.CutPrefix(t.Alias, aliasPrefix)
	return spec.ID{Kind: spec.KindExport, Name: name}, ok && t.HasTPG && name != ""
}

// Empty reports whether the target is a bare shell: it serves nothing, nobody
// may log in, and nobody marked it. That is what an interrupted creation leaves.
func (t Target) Empty() bool {
	return t.OtherTPGs == 0 && !t.Enabled && len(t.Portals) == 0 && len(t.LUNs) == 0 && len(t.ACLs) == 0 &&
		(!t.HasTPG || t.Alias == "" || t.Alias == defaultAlias)
}

// defaultAlias is what the kernel puts into param/TargetAlias.
const defaultAlias = "LIO Target"
