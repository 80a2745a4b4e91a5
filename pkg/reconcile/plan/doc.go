// Package plan decides what has to change on a node for it to be as desired.
//
// [Make] compares what is desired with what was observed and returns a [Plan]: steps, what
// they need and why, and how each object stands. All of the package is pure: it knows the
// time, and what was known before, only as it is told.
package plan
