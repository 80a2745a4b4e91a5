// Package reconcile decides what has to change and sees to it that it does.
//
// [Diff] is pure: it compares what is desired with what was observed and
// returns a [Plan]. [Executor] applies a plan through the actuators. [Loop] is
// the main loop: load, observe, diff, execute, publish, wait.
//
// Start reading at [Loop.Run], then [Diff].
package reconcile
