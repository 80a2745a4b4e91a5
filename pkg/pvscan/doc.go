// Package pvscan finds the devices that hold LVM physical volumes without ever waiting
// for one that does not answer, so that LVM can be told to open these and no others.
//
// It opens nothing that cannot hold one, or that the node's lvm.conf(5) and devices file
// exclude, nor disks that are exports of this very node. What it has read it remembers:
// a node on which nothing changes is looked at in sysfs only. It writes nothing, and
// knows nothing of volume groups.
//
// Start reading at [Scanner].
package pvscan
