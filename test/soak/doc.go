// Package soak holds long random histories of a node that an administrator works
// on while the agent does: edits of the files, changes by hand in LVM and LIO,
// mistakes, crashes, reboots, and data that is written meanwhile.
//
// A [Model] says what the node must hold after every round: which logical volumes with
// which content, what is exported, what somebody else made and must not change, and
// the status of each object. It knows nothing of how the agent works, so the two can be
// compared. Everything that happens follows from a seed.
//
// A history runs on a [Node]: the machine in memory, where a day takes no time,
// and a real kernel, see test/e2e. Start reading at [History.Run]; actions.go has
// what may happen, model.go what must come of it.
package soak
