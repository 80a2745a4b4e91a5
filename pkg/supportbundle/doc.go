// Package supportbundle writes an archive of what somebody who helps with a node has to know: a tar file with
// an entry for each part. A part that cannot be read, or takes too long, is a line of its errors.txt; it never
// keeps the others out.
//
// It knows neither volumes nor the agent: parts are handed in. It is for strangers' eyes, so every part that
// others wrote passes through a function of redact.go, which leaves out what may be a password.
//
// Start reading at [Write].
package supportbundle
