// Package scenario holds histories of a node: what its files declare, what people do
// to it by hand, and which phases and reasons its objects must have after that.
//
// The same histories run on a machine in memory, where the agent is killed at
// every call that it makes, and on a real kernel. Both must hold the same afterwards,
// so that neither the agent nor the fake can be wrong alone.
//
// Start reading at [Scenario]; list.go has the histories, fake.go the agent on
// the machine in memory.
package scenario
