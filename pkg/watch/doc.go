// Package watch reports that something on the machine has changed, as soon as the kernel says so,
// and who did it.
//
// It only reads. An event says what is stale, not what it is now: whoever takes it reads the
// machine again. An event that was lost costs time, never correctness. Start reading at [Event].
package watch
