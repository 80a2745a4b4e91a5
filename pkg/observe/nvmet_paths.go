package observe

import (
	"path"
	"strconv"
)

// Where nvmet lives in configfs, see drivers/nvme/target/configfs.c.
const (
	// NVMetDir appears once the module nvmet is loaded.
	NVMetDir = ConfigFS + "/nvmet"
	// SubsystemsDir holds a directory per subsystem.
	SubsystemsDir = NVMetDir + "/subsystems"
	// PortsDir holds a directory per port. All subsystems share them.
	PortsDir = NVMetDir + "/ports"
	// HostsDir holds a directory per host. All subsystems share them.
	HostsDir = NVMetDir + "/hosts"
)

const (
	// nvmetModuleDir is there while nvmet is loaded, whether configfs is mounted or
	// not.
	nvmetModuleDir = "/sys/module/nvmet"
	// nvmetDebugDir holds a directory per subsystem, and in it one per controller,
	// where the kernel has it: since 6.11, if it was built with
	// CONFIG_NVME_TARGET_DEBUGFS.
	nvmetDebugDir = "/sys/kernel/debug/nvmet"
)

// SubsystemDir is a subsystem's directory.
func SubsystemDir(nqn string) string { return path.Join(SubsystemsDir, nqn) }

// NamespacesDir holds a directory per namespace.
func NamespacesDir(nqn string) string { return path.Join(SubsystemDir(nqn), "namespaces") }

// NamespaceDir is the directory of the namespace that is a LUN: identifiers begin
// with 1.
func NamespaceDir(nqn string, lun int) string {
	return path.Join(NamespacesDir(nqn), strconv.Itoa(lun+1))
}

// AllowedHostsDir holds symlinks to the hosts that are admitted to a subsystem.
func AllowedHostsDir(nqn string) string { return path.Join(SubsystemDir(nqn), "allowed_hosts") }

// PortDir is a port's directory.
func PortDir(id string) string { return path.Join(PortsDir, id) }

// PortSubsystemsDir holds symlinks to the subsystems that a port serves.
func PortSubsystemsDir(id string) string { return path.Join(PortDir(id), "subsystems") }

// HostDir is a host's directory.
func HostDir(host string) string { return path.Join(HostsDir, host) }
