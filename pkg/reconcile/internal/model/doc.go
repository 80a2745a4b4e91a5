// Package model is a node in memory for tests: changes are applied to its observed state as the
// kernel would, and the planner is asked again.
//
// Start reading at [NewNode] and [Node.Pass]. It is no host: nothing is parsed, and no command is
// run. It never forgives: it panics at what LVM or LIO would refuse, and at what a plan must never
// contain.
package model
