// Package data changes what is in logical volumes: it fills them from others or
// from images, puts them back to what a snapshot holds, and destroys what is in
// those that are given up. It also brings a logical volume up to date that is to
// come in the place of another, and puts it there. These changes are jobs: they take
// as long as the bytes take. Only the last of them, [change.TakeOver], is none: who
// uses the volume waits for it, so it takes a short time, or gives up.
//
// What is done and what is not is in the tags of the logical volume alone. A phase
// says that its content is not to be used, a checkpoint how far a job has come. The
// phase goes with the last tag change of the job, when every byte is on the
// device: whatever happens before, the next attempt finds the phase and goes on.
//
// It moves no bytes itself: [Blocks] and [Images] do, and LVM's actuator changes
// tags, activates and removes. It never creates, grows or shrinks anything.
//
// Start reading at [Actuator.Apply].
package data
