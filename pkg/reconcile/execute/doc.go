// Package execute carries a plan out through the actuators: steps that touch different parts
// of a node at the same time, and those that take long as jobs that outlive a pass.
//
// Start reading at [Executor.Execute].
package execute
