// Package reconcile is the main loop: load, observe, plan, execute, publish, wait.
//
// Start reading at [Loop.Run]. The plan is made in the package plan, which is
// pure, and done in the package execute; what came of it is shown by the package status.
// Here is what outlives a pass: the memory of what was there, and the back-off of what
// failed.
package reconcile
