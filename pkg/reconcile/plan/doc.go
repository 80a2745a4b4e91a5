// Package plan decides what has to change on a node for it to be as declared.
//
// [Make] compares what is declared with what was observed and returns a [Plan]: steps, their
// reasons and dependencies, and the status of every object. Start reading at the phases in
// make.go; find.go decides whether a logical volume is ours, and guards.go whether it may be
// deleted. [Learn] and its siblings keep what has to be known of earlier passes.
//
// The package never changes anything: no I/O, no clock, no randomness. It knows the time, and what
// was known before, only from its arguments. In doubt it never decides on a deletion, and
// the status of the object says why.
package plan
