// Package plan decides what has to change on a node for it to be as declared.
//
// [Make] compares what is declared with what was observed and returns a [Plan]: steps, what
// they need and why, and the status of each object. All of the package is pure: it knows the
// time, and what was known before, only from its arguments.
//
// Start reading at [Make]; phases in make.go lists the parts of a plan, and most of them have a file
// of their own, as volume.go and export.go. What permits a removal is in guards.go, and what
// tells the kernel's targets apart in fabric.go.
package plan
