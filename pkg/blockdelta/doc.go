// Package blockdelta finds out what changed in a logical volume since a snapshot of it
// was taken, from what the kernel keeps for its own sake: the exceptions of a
// copy-on-write snapshot, and the mappings of a thin pool. No data is read for it.
//
// What it returns is never too little: whatever is in none of the ranges is the same
// in both. It may be more, in whole chunks, and where something was written that had
// been there before.
//
// It changes nothing. For a moment it makes a thin pool keep a copy of its metadata,
// see thin.go.
//
// Start reading at [Reader.Extents].
package blockdelta
