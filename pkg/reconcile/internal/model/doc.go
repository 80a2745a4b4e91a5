// Package model is a node in memory for tests: changes are applied to what is observed of
// it as the kernel would, and the planner is asked again. It is no host: nothing is parsed,
// and no command is run.
//
// Start reading at [Node]; model.go does the changes to LVM, target.go those to targets, and edits.go
// is what people do: to their specs, and by hand.
package model
