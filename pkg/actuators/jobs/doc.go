// Package jobs changes the content of logical volumes: it fills them from other volumes
// or from images, reverts them to a snapshot, and wipes those that are abandoned. It also
// brings a staged logical volume up to date, and makes it the current one.
//
// These changes are jobs: their duration depends on the number of bytes. The only exception is
// [change.Cutover]: the volume's users wait for it, so it is short, or fails.
//
// The progress of a job is recorded in the tags of the logical volume alone. A phase says
// that the content must not be used, a checkpoint how far the job has come. The last tag
// change of the job removes the phase, when every byte is on the device: whatever happens
// before, the next attempt finds the phase and continues.
//
// It moves no bytes itself: [Blocks] and [Images] do, and LVM's actuator changes
// tags, activates and removes. It never creates, grows or shrinks anything.
//
// Start reading at [Actuator.Apply].
package jobs
