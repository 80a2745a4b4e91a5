// Package execute applies a plan through the actuators: steps that touch different parts of a node
// side by side, and long ones as jobs that outlive a pass.
//
// Start reading at [Executor.Execute]. The package never changes the order of steps in a lane,
// never applies a step whose needs did not succeed, and never retries: the next plan does.
package execute
