// Package nodespec describes a node as it is in specs: its volume groups, logical volumes and
// iSCSI targets, which nobody manages yet.
//
// It never reads or changes a node: what was observed is handed in. Start reading at [Describe]. It
// makes a [Draft]; [Draft.Prove] plans with what was written, and leaves out every object that would
// change more than a tag or a mark.
package nodespec
