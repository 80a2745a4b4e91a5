// Package pvscan finds the devices that hold LVM physical volumes without ever waiting
// for a device that does not answer, so that LVM can be limited to these devices.
//
// It never opens a device that cannot hold a physical volume, that the node's lvm.conf(5)
// or devices file exclude, or that is an export of this very node. It remembers what it
// has read: while nothing changes, it reads sysfs only. It writes nothing, and knows
// nothing of volume groups.
//
// Start reading at [Scanner].
package pvscan
