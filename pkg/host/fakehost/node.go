package fakehost

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"gopkg.in/yaml.v3"
)

// APIVersion is that of a captured node's file.
const APIVersion = "volreconciler/v1alpha1"

// kind is the kind of object that a captured node's file holds.
const kind = "Node"

// Parse reads a captured node's file: one YAML document. A field that a Node
// does not have is an error. Whether the parts fit together is for [New] to say.
func Parse(data []byte) (Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(data))
	d.KnownFields(true)
	var n Node
	switch err := d.Decode(&n); {
	case errors.Is(err, io.EOF):
		return Node{}, errors.New("node: empty")
	case err != nil:
		return Node{}, fmt.Errorf("node: %w", err)
	case n.APIVersion != APIVersion || n.Kind != kind:
		return Node{}, fmt.Errorf("node: it is a %q of %q, not a %q of %q", n.Kind, n.APIVersion, kind, APIVersion)
	}
	if err := d.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return Node{}, errors.New("node: more than one document")
	}
	return n, nil
}

// Marshal returns the file that [Parse] reads.
func (n Node) Marshal() ([]byte, error) {
	n.APIVersion, n.Kind = APIVersion, kind
	data, err := n.marshal()
	if err != nil {
		return nil, fmt.Errorf("node: %w", err)
	}
	return data, nil
}

// Node is what a machine holds, as plain data. It is the content of a captured
// node's file. Sizes are in bytes.
type Node struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string `yaml:"kind"` // Node
	// Serial is how many UUIDs were made up so far. It only grows, so that none
	// is given out twice.
	Serial uint64 `yaml:"serial,omitempty"`
	// VolumeGroups are LVM's.
	VolumeGroups []VolumeGroup `yaml:"volumeGroups,omitempty"`
	// Mounts are the mounted logical volumes.
	Mounts []Mount `yaml:"mounts,omitempty"`
	// Processes are those that have logical volumes open, not for themselves alone.
	Processes []Process `yaml:"processes,omitempty"`
	// Boots is how often it was started anew.
	Boots uint64 `yaml:"boots,omitempty"`
	// Modules are the kernel modules that are loaded, of those that matter.
	Modules []string `yaml:"modules,omitempty"`
	// MissingModules are kernel modules that the machine does not have.
	MissingModules []string `yaml:"missingModules,omitempty"`
	// Listeners are the addresses, ip:port or [ip]:port, on which something
	// else than LIO accepts connections.
	Listeners []string `yaml:"listeners,omitempty"`
	// RDMA are the addresses, without a port, that an RDMA device serves.
	RDMA []string `yaml:"rdma,omitempty"`
	// FCPorts are the Fibre Channel ports.
	FCPorts []FCPort `yaml:"fcPorts,omitempty"`
	// Sockets are the addresses on which LIO listens, in the same form. A portal
	// that is not among them shares one of them. If there are none, they are
	// those that the portals would open one after the other.
	Sockets []string `yaml:"sockets,omitempty"`
	// ConfigFSUnmounted is true if configfs is not mounted, whatever it holds.
	ConfigFSUnmounted bool `yaml:"configfsUnmounted,omitempty"`
	// ConfigFS is what is below /sys/kernel/config/target, parents first. It is
	// empty while target_core_mod is not loaded.
	ConfigFS []Entry `yaml:"configfs,omitempty"`
	// NVMet is what is below /sys/kernel/config/nvmet, with paths relative to it,
	// parents first. It is empty while nvmet is not loaded.
	NVMet []Entry `yaml:"nvmet,omitempty"`
	// NVMeDevices are the minor numbers of the devices that namespaces serve, by
	// their path in NVMet. Without one it is that of the device that they name.
	NVMeDevices map[string]int `yaml:"nvmeDevices,omitempty"`
	// NVMeSessions are the hosts that are connected.
	NVMeSessions []NVMeSession `yaml:"nvmeSessions,omitempty"`
	// NVMeDebugFS is true if the kernel says in debugfs which hosts are connected.
	NVMeDebugFS bool `yaml:"nvmeDebugFS,omitempty"`
	// AtomicWrites is true if the kernel's SCSI target knows of atomic writes.
	AtomicWrites bool `yaml:"atomicWrites,omitempty"`
	// WithoutNVMeAuth is true if the kernel cannot ask hosts for keys.
	WithoutNVMeAuth bool `yaml:"withoutNVMeAuth,omitempty"`
	// MissingAddresses are IP addresses that the machine does not have. Only NVMe
	// ports need one that it has.
	MissingAddresses []string `yaml:"missingAddresses,omitempty"`
	// Files are those that images were written to, and others in their places.
	Files []File `yaml:"files,omitempty"`
}

// File is a regular file outside the kernel's file systems, or a directory.
type File struct {
	// Path of a directory ends in "/.".
	Path string `yaml:"path"`
	// Size is in bytes; 0: that of Text.
	Size uint64 `yaml:"size,omitempty"`
	Text string `yaml:"text,omitempty"`
	// part is true if it was made here, as a part of an image file.
	part bool
}

// Process is a process that has a logical volume open, or a file system on it mounted in
// a mount namespace of its own.
type Process struct {
	PID     int    `yaml:"pid"`
	Command string `yaml:"command"`
	// LV is vg/lv, and Mounted where it is mounted; empty: it is open.
	LV      string `yaml:"lv"`
	Mounted string `yaml:"mounted,omitempty"`
}

// NVMeSession is a host that is connected to a subsystem.
type NVMeSession struct {
	Subsystem string `yaml:"subsystem"`
	Host      string `yaml:"host"`
	// Port is the number of the port.
	Port string `yaml:"port"`
}

// VolumeGroup is an LVM volume group.
type VolumeGroup struct {
	Name string `yaml:"name"`
	// UUID is made up if it is empty.
	UUID       string `yaml:"uuid"`
	ExtentSize uint64 `yaml:"extentSize"`
	Extents    uint64 `yaml:"extents"`
	// ReservedExtents are those that hidden logical volumes have beyond what
	// follows from LogicalVolumes; negative if they have less.
	ReservedExtents int64 `yaml:"reservedExtents,omitempty"`
	MissingPVs      int   `yaml:"missingPVs,omitempty"`
	// BlockSize is that of the logical blocks of its disks, in bytes; 0: 512.
	BlockSize uint64 `yaml:"blockSize,omitempty"`
	// Seqno is how often its metadata was written.
	Seqno uint64 `yaml:"seqno,omitempty"`
	// Leftovers are what is in the free extents, in the order in which these are
	// used.
	Leftovers []Span `yaml:"leftovers,omitempty"`
	// SystemID is the system that it belongs to; the machine itself has none. Exported and
	// Shared are what vgexport and vgcreate --shared make of it: LVM changes nothing in it.
	SystemID string `yaml:"systemID,omitempty"`
	Exported bool   `yaml:"exported,omitempty"`
	Shared   bool   `yaml:"shared,omitempty"`
	// Unusable is why LVM cannot read the volume group, as it would say it on
	// stderr; empty: it can.
	Unusable string `yaml:"unusable,omitempty"`
	// LogicalVolumes are the visible ones.
	LogicalVolumes []LogicalVolume `yaml:"logicalVolumes,omitempty"`
}

// LogicalVolume is an LVM logical volume.
type LogicalVolume struct {
	Name string `yaml:"name"`
	// UUID is made up if it is empty.
	UUID string `yaml:"uuid"`
	// Type is thick, thickSnapshot, thin, thinPool or other.
	Type string `yaml:"type"`
	// Layout is LVM's lv_layout of a thick or other one; empty: linear, or a cache pool.
	Layout string `yaml:"layout,omitempty"`
	// Stripes is on how many devices its data lies side by side; 0: one.
	Stripes int `yaml:"stripes,omitempty"`
	// Size is that of the device: of a thickSnapshot the origin's.
	Size uint64 `yaml:"size"`
	// COWSize is the copy-on-write space of a thickSnapshot.
	COWSize uint64 `yaml:"cowSize,omitempty"`
	// MetadataSize is that of a thinPool; 0: LVM's default.
	MetadataSize uint64   `yaml:"metadataSize,omitempty"`
	Origin       string   `yaml:"origin,omitempty"`
	Pool         string   `yaml:"pool,omitempty"`
	Tags         []string `yaml:"tags,omitempty"`
	// Active is the origin's if it is a thickSnapshot.
	Active bool `yaml:"active,omitempty"`
	// SkipActivation is the flag that lvchange -K overrides.
	SkipActivation bool   `yaml:"skipActivation,omitempty"`
	ReadOnly       bool   `yaml:"readOnly,omitempty"`
	Invalid        bool   `yaml:"invalid,omitempty"` // an overflowed thickSnapshot
	Health         string `yaml:"health,omitempty"`
	// Damage is what LVM says instead of activating it, and what is in it if it is a thin pool.
	Damage      string  `yaml:"damage,omitempty"`
	DataPercent float64 `yaml:"dataPercent,omitempty"`
	MetaPercent float64 `yaml:"metadataPercent,omitempty"`
	// Minor is the number of its device-mapper device while it is active, and 0
	// otherwise. Of two active ones with the same number the second is given another.
	Minor int `yaml:"minor,omitempty"`
	// Created is when it was made; zero: it is not known.
	Created time.Time `yaml:"created,omitempty"`
	// Content represents the data at its start. A snapshot has its origin's, a new
	// logical volume none.
	Content string `yaml:"content,omitempty"`
	// Data is what is in the rest of it. A new thick logical volume has what was
	// in the extents that it is given.
	Data []Span `yaml:"data,omitempty"`
	// Written is where the origin of a thickSnapshot was written to since it was taken.
	Written []Span `yaml:"written,omitempty"`
	// HeldBy are device-mapper devices on top of it, as in vg1-root.
	HeldBy []string `yaml:"heldBy,omitempty"`
}

// Mount is a mounted logical volume.
type Mount struct {
	LV  string `yaml:"lv"` // vg/lv
	Dir string `yaml:"dir"`
}

// FCPort is a Fibre Channel port of the machine.
type FCPort struct {
	// WWPN is its name, 16 hexadecimal digits.
	WWPN string `yaml:"wwpn"`
	// Driver is its low-level driver, as in fcoe or qla2xxx.
	Driver string `yaml:"driver,omitempty"`
	// InitiatorMode is qla2xxx's parameter qlini_mode; empty: there is none.
	InitiatorMode string `yaml:"initiatorMode,omitempty"`
	// Remote are the WWPNs of the ports that are connected to it.
	Remote []string `yaml:"remote,omitempty"`
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
