// Package lio changes LIO, the kernel's SCSI target, through configfs: block
// backstores, iSCSI targets, their LUNs, portals and ACLs.
//
// It never decides what should be exported, and never touches what is not ours: a
// backstore is known by its name, a target by its mark, and both are looked at
// again before every change. It starts no process but modprobe, and that only
// where LIO is not loaded yet.
//
// Start reading at [Actuator.Apply]; there is one file per kind of thing.
package lio
