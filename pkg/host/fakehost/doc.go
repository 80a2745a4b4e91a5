// Package fakehost is a machine in memory that implements [host.Host]: LVM, and
// configfs of LIO and nvmet, with their arguments, reports, exit statuses, error
// texts, defaults and refusals, as far as the agent uses them.
//
// It is used by tests, which are faster than with a kernel and can crash the agent at
// any call, and for planning against a node that is elsewhere. It never touches the
// real machine, and knows nothing of volumes, exports or plans. The scenarios that
// run on it also run on a real kernel, so a difference between the two is noticed.
//
// Start reading at [Host] and [Node], which is the machine's state as it is stored in
// a file. lvm*.go emulate LVM, configfs*.go and nvmet.go the kernel; tap.go watches
// and interrupts the calls to any host.
package fakehost
