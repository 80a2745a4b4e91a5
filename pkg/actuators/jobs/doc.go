// Package jobs changes what is in logical volumes: it fills them from others or
// from images, reverts them to what a snapshot holds, and destroys what is in
// those that are abandoned. It also brings a staged logical volume up to date, and makes it
// the current one. These changes are jobs: they take
// as long as the bytes take. Only the last of them, [change.Cutover], is none: who
// uses the volume waits for it, so it takes a short time, or fails.
//
// What is done and what is not is in the tags of the logical volume alone. A phase
// says that its content is not to be used, a checkpoint how far a job has come. The
// phase is removed by the last tag change of the job, when every byte is on the
// device: whatever happens before, the next attempt finds the phase and continues.
//
// It moves no bytes itself: [Blocks] and [Images] do, and LVM's actuator changes
// tags, activates and removes. It never creates, grows or shrinks anything.
//
// Start reading at [Actuator.Apply].
package jobs
