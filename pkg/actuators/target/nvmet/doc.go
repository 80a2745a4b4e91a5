// Package nvmet changes nvmet, the kernel's NVMe target, through configfs:
// subsystems with their namespaces, and the hosts and ports that subsystems share.
//
// It never decides what should be exported, and never touches a subsystem that is not
// ours: one is known by its model and serial number, which are looked at again
// before every change. Of what subsystems share, only that is removed which nothing
// uses any more. It starts no process but modprobe, and that only where nvmet, or
// one of its transports, is not loaded yet.
//
// Start reading at [Actuator.Apply]; there is one file per kind of thing.
package nvmet
