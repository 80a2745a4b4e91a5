// Package scenario holds histories of a node: what its files say, what people do
// to it by hand, and how its objects must stand after that.
//
// The same histories run on a machine in memory, where the agent is killed at
// every call that it makes, and on a real kernel, where what is there afterwards
// must be what is there in memory. So neither the agent nor the fake can be wrong
// alone.
//
// Start reading at [Scenario]; list.go has the histories, fake.go the agent on
// the machine in memory.
package scenario
