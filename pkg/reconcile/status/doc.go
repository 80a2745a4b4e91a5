// Package status holds what users see of a node: its objects with phases and reasons, the findings
// in files, the progress of jobs, and the cost of a pass.
//
// Start reading at [Report], which is what `get` prints and the socket serves; [Board] holds the
// current one. The fields are a contract with the users' scripts. The package never decides
// anything: the package plan sets phases and reasons.
package status
