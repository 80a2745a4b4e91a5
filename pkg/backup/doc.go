// Package backup backs up a block device to a repository of restic, and restores it. It knows nothing of
// objects, plans or LVM tags: it is handed paths, sizes and extents, and never decides whether a
// device may be written to.
//
// A backup shows the device to restic as slices (package slicefs), of which restic reads those
// that changed since the parent. The layout is that of package format. The parent backup itself remembers when each
// slice changed and what its digest is; nothing is kept on the node.
//
// A restore reads a snapshot as one stream, writes what is not zero, and compares the digest of every slice
// twice: of what came from the repository, and of what is on the device in the end.
//
// Start reading at [Job.Run] and [Restore.Run]; merge.go decides what is read again, and is pure.
package backup
