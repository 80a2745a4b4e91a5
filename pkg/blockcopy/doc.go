// Package blockcopy copies, wipes and reads block devices and regular files. It
// knows nothing of volumes: it is given paths, and it never decides whether a device
// may be written to.
//
// Start reading at [Copy] and [Copy.Run]; [Clear] and [Reading] run on the same engine
// (engine.go). Workers take spans in the order of their offsets and process them
// concurrently. Finished spans are recorded in order again, so that a checkpoint is
// always one offset before which everything is on the medium.
//
// # Memory
//
// A run has at most 6 workers with 2 MiB each, one block to read into and one to
// compare with: 12 MiB, whatever the size. Buffers are mapped for a run and
// unmapped at its end, so that they are no burden to the garbage collector. I/O is
// direct where the file or device supports it, so that the page cache neither grows
// nor loses what others need.
//
// # What the kernel does
//
//   - BLKZEROOUT (block/blk-lib.c, blkdev_issue_zeroout) sends WRITE ZEROES to a
//     device that knows it (SCSI WRITE SAME, NVMe Write Zeroes, loop devices as
//     fallocate) and otherwise writes zero pages by itself, with many requests in
//     flight. The blocks read as zeroes afterwards in both cases, and remain
//     allocated: the ioctl never unmaps. device-mapper passes WRITE ZEROES on
//     where every device below knows it; a thin volume does not, so zeroing one
//     allocates it all.
//   - BLKDISCARD only tells the device that the blocks are not needed. What is
//     read afterwards is up to the device: zeroes, the old data, or anything
//     else. The kernel refuses it with EOPNOTSUPP where the device has no
//     discard. Parts of a granule (a thin pool's chunk) are ignored.
//   - fallocate with FALLOC_FL_PUNCH_HOLE frees a range of a regular file, which
//     reads as zeroes from then on.
//   - SEEK_DATA and SEEK_HOLE work on regular files. Block devices have no such
//     thing; there the content is compared with zeroes.
//   - copy_file_range shares or copies extents between regular files without
//     moving bytes through this process; there is nothing of the kind for block
//     devices.
package blockcopy
