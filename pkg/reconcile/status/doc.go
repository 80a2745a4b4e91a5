// Package status holds what is shown of a node: its objects with phases and reasons, the
// findings in files, the progress of jobs, and what a pass cost.
package status
