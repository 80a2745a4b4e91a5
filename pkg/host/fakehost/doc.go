// Package fakehost is a machine in memory, behind the door of package host: LVM
// and LIO's configfs with their arguments, reports, exit statuses, error texts,
// defaults and refusals, as far as the agent uses them.
//
// It is there for tests that are faster than a kernel and crash more precisely
// than a power cut, and for planning against a node that is elsewhere. It knows
// nothing of volumes, exports or plans. The scenarios that run on it also run on
// a real kernel, so that the two cannot drift apart unseen.
//
// Start reading at [Host]; lvm*.go play LVM, configfs*.go the kernel, node.go is
// what the machine holds, as it is stored in a file, and tap.go watches and
// interrupts the calls to any host.
package fakehost
