// Package status holds what is shown of a node: its objects with phases and reasons, the
// findings in files, the progress of jobs, and what a pass cost.
//
// Start reading at [Object]. All reasons are in object.go; package plan decides which one an
// object has, and package reconcile which one it has after a change failed.
package status
