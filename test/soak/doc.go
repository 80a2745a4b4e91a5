// Package soak holds long random histories of a node that an administrator works
// on while the agent does: edits of the files, changes by hand in LVM and LIO,
// mistakes, crashes, reboots, and data that is written meanwhile.
//
// A [Model] says what there must be after every round: which logical volumes with
// what in them, what is exported, what somebody else made and must stay as it is,
// and the status of each object. It knows nothing of how the agent comes to that, so
// the two can be compared. Everything that happens follows from a seed.
//
// A history runs on a [Node]: the machine in memory, where a day takes no time,
// and a real kernel, see test/e2e. Start reading at [History.Run]; actions.go has
// what may happen, model.go what must come of it.
package soak
