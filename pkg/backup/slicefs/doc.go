// Package slicefs shows a volume to restic as a tree of read-only files: its slices, and what describes
// them (package format). It is a file system in user space (FUSE) that only this user can read.
//
// A slice is read from the device with one direct read when it is opened, hashed, and served from memory. What
// restic decides by (type, size, mtime, ctime, inode) is the same for a slice that has not changed,
// so that restic does not open it.
//
// The file digests can only be read to its end when every slice that changed has been hashed: a read of
// it waits. restic reads files in the order of names, and names sort so that digests
// comes after all slices; with several readers, others still read slices while one waits. If a
// slice cannot be read, so can digests: a snapshot without that file is incomplete.
//
// Start reading at [Mount]. tree.go answers questions about names and attributes, reading.go reads.
package slicefs
