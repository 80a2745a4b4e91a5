package watch

// Source is a part of the kernel that reports changes.
type Source string

// The sources.
const (
	// Configfs reports changes of the kernel's targets: fanotify(7) for what is written, inotify(7)
	// for what is made and removed.
	Configfs Source = "configfs"
	// Metadata reports commits of LVM's metadata: a physical volume was closed after writing.
	Metadata Source = "lvm"
	// Devices reports block devices that come, go, or change, by the kernel's uevents.
	Devices Source = "devices"
)

// Event says that something may have changed.
type Event struct {
	Source Source
	// Path is what may have changed: of [Configfs] a file or directory below /sys/kernel/config,
	// with all below it, whatever mount it was changed through; of [Metadata] a physical volume, as
	// it was named to [Watcher.PhysicalVolumes]; of [Devices] a device node, as in /dev/dm-3. Empty:
	// anything of this source may have changed, because events were lost, or the kernel did
	// not say what.
	Path string
	// By is who did it; nil: the kernel does not say. It never does of what is made or removed in
	// configfs, and of devices.
	By *Process
}

// Process is a process that changed something, as it was when the event was read.
type Process struct {
	PID int
	// Command is its name (comm of proc(5)), and Executable the path of its program; empty:
	// unknown, because it was gone before it could be asked.
	Command    string
	Executable string
	// UID is its effective user, -1 if unknown, and User the name of that; empty: it has none.
	UID  int
	User string
	// LoginUID is the user who logged in and started it, through sudo(8) and su(1), with its name;
	// -1: nobody did, as with a service (loginuid of proc(5)), or it is unknown.
	LoginUID  int
	LoginUser string
	// Parents are the names of its parents, the nearest first, without PID 1.
	Parents []string
	// Own is true for this process and its children.
	Own bool
}

// Status is whether a source reports changes.
type Status struct {
	Source Source
	// Watching is true if it does. Otherwise, and where it reports only a part, Why says why.
	Watching bool
	Why      string
}
