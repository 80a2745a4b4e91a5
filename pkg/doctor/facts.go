package doctor

import (
	"net/netip"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Facts are all that checks know of a node.
type Facts struct {
	Set spec.Set
	// TGT is true if tgtd serves iSCSI, and not the kernel.
	TGT bool
	// Listen is the TCP address of the agent's HTTP interface; empty: none.
	Listen string

	State observe.State
	LVM   LVM
	// Tools are programs and a kernel of versions that were not tested.
	Tools  []ToolRemark
	Kernel Kernel
	// Programs are those that were looked for, by their name or path: true if it is there.
	Programs map[string]bool
	// Services are the units of systemd that were looked for, by name.
	Services map[string]Service
	// Saved are files from which tools restore targets.
	Saved     []Saved
	Multipath Multipath
	// Listeners are the TCP sockets that listen.
	Listeners []Listener
	// Addresses are those of this node's interfaces.
	Addresses []netip.Addr
	// BindV6Only is the sysctl net.ipv6.bindv6only.
	BindV6Only bool
	Paths      Paths
	// ClockUnsynchronized is true if the kernel says that nothing keeps the clock right (adjtimex(2)).
	ClockUnsynchronized bool
	// Watches is the limit fs.inotify.max_user_watches; 0: unknown.
	Watches int
	// Udev is true if udevd listens.
	Udev  bool
	Agent Agent
	// Unread are what could not be read, each with why.
	Unread []string
}

// LVM is how LVM is configured, and what observe.State does not have of volume groups.
type LVM struct {
	// Config has the values of lvm.conf(5) and its defaults, as "devices/scan_lvs", as LVM prints them; nil: unknown.
	Config map[string]string
	// HostTags are the tags of this node (lvm.conf(5), section tags).
	HostTags []string
	// Groups by name.
	Groups map[string]Group
	// Excluded are physical volumes that LVM's settings keep from it.
	Excluded []Excluded
	// Archive is the directory of old metadata.
	Archive Archive
}

// Group is a volume group.
type Group struct {
	Tags []string
	// MetadataSize is the size of a metadata area in bytes. MetadataFree is what the metadata can still
	// grow by: LVM writes a new copy beside the old one, so an empty area has about half of its size.
	MetadataSize, MetadataFree uint64
	Volumes                    int
}

// Excluded is a physical volume that LVM does not see.
type Excluded struct {
	Device, Group string
	// By is the setting that excludes it.
	By string
	// DevicesFile is true if that is the devices file, lvmdevices(8).
	DevicesFile bool
}

// Archive is the directory of LVM's old metadata.
type Archive struct {
	Dir   string
	Files int
	Bytes uint64
}

// Kernel is the running kernel.
type Kernel struct {
	Release string
	// Modules are those that were looked for, with underscores: true if loaded, built in or installed.
	Modules map[string]bool
	// Loaded are those of them that need no loading.
	Loaded map[string]bool
	// NoneInstalled is true if there is no directory of modules for this kernel.
	NoneInstalled bool
	// LoadingDisabled is the sysctl kernel.modules_disabled.
	LoadingDisabled bool
	// Forbidden are modules that modprobe.d(5) replaces with a command that does nothing, each with the file.
	Forbidden map[string]string
	// ConfigFS is true if it is mounted where the agent looks.
	ConfigFS bool
	// RDMA are the RDMA devices.
	RDMA []string
}

// Service is a unit of systemd.
type Service struct {
	// Enabled is true if the unit starts at boot.
	Enabled bool
}

// Saved is a file from which a tool restores targets.
type Saved struct {
	Path string
	// Targets are the IQNs or NQNs in it.
	Targets []string
	// Backing are its devices by the name of the backstore or namespace.
	Backing map[string]string
}

// Multipath is multipathd.
type Multipath struct {
	Running bool
	// Exceptions are the regular expressions of blacklist_exceptions for device nodes, each with its file.
	Exceptions map[string]string
}

// Listener is a TCP socket that listens.
type Listener struct {
	At netip.AddrPort
	// Process is the program that has it, and PID its number; empty: the kernel, or unknown.
	Process string
	PID     int
}

// Paths are the agent's own files and directories.
type Paths struct {
	Specs, StateDir, ImageCache string
	// Unsafe are what others than root can change, each with a text that says so.
	Unsafe map[string]string
	// Config is the configuration file. Exposed are the settings in it that every user can read, and that hold secrets.
	Config  string
	Exposed []string
	// Space is that of the file systems of these directories, or of the nearest parent that exists.
	Space map[string]Space
	// CacheSize is the largest size of the image cache in bytes; CacheUsed is what is in it.
	CacheSize, CacheUsed uint64
}

// Space of a file system in bytes. Free is what root may still use.
type Space struct{ Size, Free uint64 }

// Agent is what runs here.
type Agent struct {
	Socket string
	// Answers is true if an agent answers on the socket.
	Answers bool
}
