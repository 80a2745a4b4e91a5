// Package reconcile is the main loop: load, observe, plan, execute, publish, wait.
//
// Start reading at [Loop.Run] and [Loop.Pass]. The package plan decides, execute applies the plan,
// and status holds what users see of it. This package keeps what outlives a pass: the [Memory] of
// what was there, the identifier of this [Installation], and the back-off of what failed.
//
// It never decides what is changed, never runs a command itself, and never acts on a plan of an
// earlier pass: every pass compares everything again.
package reconcile
