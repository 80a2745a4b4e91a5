package fakehost

// Node is what a machine holds, as plain data. It is the content of a captured
// node's file. Sizes are in bytes.
type Node struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"` // Node
	// VolumeGroups are LVM's.
	VolumeGroups []VolumeGroup `yaml:"volumeGroups,omitempty"`
	// Mounts are the mounted logical volumes.
	Mounts []Mount `yaml:"mounts,omitempty"`
	// Modules are the kernel modules that are loaded, of those that matter.
	Modules []string `yaml:"modules,omitempty"`
	// ConfigFS is what is below /sys/kernel/config/target, parents first. It is
	// empty while target_core_mod is not loaded.
	ConfigFS []Entry `yaml:"configfs,omitempty"`
}

// VolumeGroup is an LVM volume group.
type VolumeGroup struct {
	Name       string `yaml:"name"`
	UUID       string `yaml:"uuid"`
	ExtentSize uint64 `yaml:"extentSize"`
	Extents    uint64 `yaml:"extents"`
	MissingPVs int    `yaml:"missingPVs,omitempty"`
	// Unusable is why LVM cannot read the volume group, as it would say it on
	// stderr; empty: it can.
	Unusable string `yaml:"unusable,omitempty"`
	// LogicalVolumes are the visible ones.
	LogicalVolumes []LogicalVolume `yaml:"logicalVolumes,omitempty"`
}

// LogicalVolume is an LVM logical volume.
type LogicalVolume struct {
	Name string `yaml:"name"`
	UUID string `yaml:"uuid"`
	// Type is thick, thickSnapshot, thin, thinPool or other.
	Type string `yaml:"type"`
	// Size is that of the device: of a thickSnapshot the origin's.
	Size uint64 `yaml:"size"`
	// COWSize is the copy-on-write space of a thickSnapshot.
	COWSize uint64 `yaml:"cowSize,omitempty"`
	// MetadataSize is that of a thinPool.
	MetadataSize uint64   `yaml:"metadataSize,omitempty"`
	Origin       string   `yaml:"origin,omitempty"`
	Pool         string   `yaml:"pool,omitempty"`
	Tags         []string `yaml:"tags,omitempty"`
	Active       bool     `yaml:"active,omitempty"`
	// SkipActivation is the flag that lvchange -K overrides.
	SkipActivation bool    `yaml:"skipActivation,omitempty"`
	ReadOnly       bool    `yaml:"readOnly,omitempty"`
	Invalid        bool    `yaml:"invalid,omitempty"` // an overflowed thickSnapshot
	Health         string  `yaml:"health,omitempty"`
	DataPercent    float64 `yaml:"dataPercent,omitempty"`
	MetaPercent    float64 `yaml:"metadataPercent,omitempty"`
	// Minor is the number of its device-mapper device while it is active.
	Minor int `yaml:"minor,omitempty"`
	// Content stands for the data in it. A snapshot gets its origin's, a new
	// logical volume none.
	Content string `yaml:"content,omitempty"`
	// HeldBy are device-mapper devices on top of it, as in vg1-root.
	HeldBy []string `yaml:"heldBy,omitempty"`
}

// Mount is a mounted logical volume.
type Mount struct {
	LV  string `yaml:"lv"` // vg/lv
	Dir string `yaml:"dir"`
}

// Entry is a directory, an attribute or a symlink in configfs.
type Entry struct {
	// Path is relative to /sys/kernel/config/target; "." is that directory.
	Path string `yaml:"path"`
	// Text is an attribute's content; nil for directories and symlinks.
	Text *string `yaml:"text,omitempty"`
	// Link is where a symlink leads, relative to /sys/kernel/config/target.
	Link string `yaml:"link,omitempty"`
}
