package observe

// MaxCOWSize returns how much copy-on-write space the complete overwrite of an
// origin needs, in bytes. LVM makes no snapshot's space larger than that, rounded
// up to extents (cow_max_extents in its lib/metadata/snapshot_manip.c).
//
// The space is made of chunks: a header, the data, and one of metadata for every
// 256 of data, with one more to end the list. 4 KiB is the size that lvcreate
// chooses.
func MaxCOWSize(originSize uint64) uint64 {
	const chunk, perMetadataChunk = 4096, 256
	data := (originSize + chunk - 1) / chunk
	metadata := data/perMetadataChunk + 1
	return (1 + data + metadata) * chunk
}
