// Package tgt applies the changes to tgtd, an iSCSI target in user space. Start
// reading at [Actuator]; there is a file for each kind of change.
//
// Everything is sent through tgtd's management socket, so that no password is ever
// on a command line, in a file or in an error.
//
// Each change looks at the target anew and does only what is missing, so that it
// can be made again after a crash at any request. In between no target is more
// open than before or after. An initiator is admitted last. A target that asks for
// a password keeps an account that nobody can use (see [ondisk.GuardAccount]) while the
// others change. What cannot be changed under way is changed while the target is offline.
package tgt
