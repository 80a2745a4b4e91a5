// Package blockdelta is changed-block tracking: it finds the ranges of a logical volume
// that changed since a snapshot was taken. It uses metadata that exists anyway: the
// exceptions of a copy-on-write snapshot, and the mappings of a thin pool. It reads no data.
//
// It never returns too little: outside of the ranges both are equal. It may return more:
// whole chunks, and ranges that were overwritten with the same data.
//
// It changes nothing. For a moment it makes a thin pool keep a snapshot of its metadata,
// see thin.go.
//
// Start reading at [Reader.Extents]; [Reader.Mapped] returns what a thin volume has at all.
package blockdelta
