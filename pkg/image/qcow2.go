package image

import (
	"encoding/binary"
	"fmt"
)

const qcowMagic = "QFI\xfb"

// The header of qcow2, as in QEMU's docs/interop/qcow2.txt. Numbers are
// big-endian.
const (
	qcow2HeaderV2 = 72
	qcow2HeaderV3 = 104

	// Incompatible feature bits. A program that does not know one must not open
	// the image.
	qcow2Dirty       = 1 << 0
	qcow2Corrupt     = 1 << 1
	qcow2DataFile    = 1 << 2
	qcow2Compression = 1 << 3
	qcow2ExtendedL2  = 1 << 4

	// Header extensions.
	qcow2ExtEnd      = 0
	qcow2ExtDataFile = 0x44415441
	qcow2ExtCrypto   = 0x0537be77

	// QEMU's own limits (block/qcow2.h), so that what is accepted here is what it
	// accepts.
	qcow2MaxL1            = 32 << 20
	qcow2MaxRefcountTable = 8 << 20
	qcow2MaxSnapshots     = 65536
)

func inspectQCOW2(in input) (Header, error) {
	b, err := in.at("header", 0, qcow2HeaderV2)
	if err != nil {
		return Header{}, err
	}
	be := binary.BigEndian
	version := be.Uint32(b[4:])
	var incompatible uint64
	headerLength := uint32(qcow2HeaderV2)
	switch version {
	case 2:
	case 3:
		if b, err = in.at("header", 0, qcow2HeaderV3); err != nil {
			return Header{}, err
		}
		incompatible, headerLength = be.Uint64(b[72:]), be.Uint32(b[100:])
	default:
		return Header{}, refuse(ErrUnknownFeature, fmt.Sprintf("qcow2 version %d", version), "convert it to version 2 or 3")
	}
	if err := qcow2Features(b, incompatible); err != nil {
		return Header{}, err
	}

	clusterBits := be.Uint32(b[20:])
	if clusterBits < 9 || clusterBits > 21 {
		return Header{}, malformed("qcow2: clusters of 2^%d bytes", clusterBits)
	}
	cluster := uint64(1) << clusterBits
	if headerLength < uint32(len(b)) || uint64(headerLength) > cluster || headerLength%8 != 0 {
		return Header{}, malformed("qcow2: a header of %d bytes, in clusters of %d", headerLength, cluster)
	}
	if err := qcow2Extensions(in, headerLength, cluster); err != nil {
		return Header{}, err
	}
	if err := qcow2Tables(in, b, cluster, incompatible&qcow2ExtendedL2 != 0); err != nil {
		return Header{}, err
	}
	size := be.Uint64(b[24:])
	if size > maxVirtual {
		return Header{}, malformed("qcow2: a disk of %d bytes", size)
	}
	return Header{VirtualSize: int64(size)}, nil
}

// qcow2Features refuses what the header announces. The order is that of
// harm: a forged image is refused for the reason that matters.
func qcow2Features(b []byte, incompatible uint64) error {
	be := binary.BigEndian
	if offset, n := be.Uint64(b[8:]), be.Uint32(b[16:]); offset != 0 || n != 0 {
		return refuse(ErrBackingFile, "qcow2 with a backing file", "join both files: qemu-img convert -O qcow2")
	}
	if incompatible&qcow2DataFile != 0 {
		return refuse(ErrDataFile, "qcow2 with an external data file", "join both files: qemu-img convert -O qcow2")
	}
	if method := be.Uint32(b[32:]); method != 0 {
		return refuse(ErrEncrypted, fmt.Sprintf("qcow2, encryption method %d", method), "decrypt it first")
	}
	const known = qcow2Dirty | qcow2Corrupt | qcow2DataFile | qcow2Compression | qcow2ExtendedL2
	if unknown := incompatible &^ known; unknown != 0 {
		return refuse(ErrUnknownFeature, fmt.Sprintf("qcow2, incompatible feature bits %#x", unknown),
			"convert it to a plain qcow2 with the QEMU that created it")
	}
	if incompatible&(qcow2Dirty|qcow2Corrupt) != 0 {
		return refuse(ErrNotClosed, fmt.Sprintf("qcow2, incompatible feature bits %#x (1: dirty, 2: corrupt)", incompatible&3),
			"close the image in all programs, then run qemu-img check -r all on it")
	}
	if incompatible&qcow2Compression != 0 && len(b) < qcow2HeaderV3 {
		return malformed("qcow2: a compression type without a field for it")
	}
	return nil
}

// qcow2Extensions walks the header extensions, which lie between the header and
// the end of its cluster.
func qcow2Extensions(in input, offset uint32, cluster uint64) error {
	area, err := in.upTo("header extensions", 0, int(cluster))
	if err != nil {
		return err
	}
	at := uint64(offset)
	for at+8 <= uint64(len(area)) {
		kind, n := binary.BigEndian.Uint32(area[at:]), uint64(binary.BigEndian.Uint32(area[at+4:]))
		at += 8
		if n > uint64(len(area))-at {
			return malformed("qcow2: a header extension (%#x) of %d bytes does not fit", kind, n)
		}
		switch kind {
		case qcow2ExtEnd:
			return nil
		case qcow2ExtDataFile:
			return refuse(ErrDataFile, "qcow2 that names an external data file", "join both files: qemu-img convert -O qcow2")
		case qcow2ExtCrypto:
			return refuse(ErrEncrypted, "qcow2 with an encryption header", "decrypt it first")
		}
		at += (n + 7) &^ 7
	}
	return nil
}

// qcow2Tables checks that the tables the header points to are in the file, on
// clusters of their own, and large enough for the disk.
func qcow2Tables(in input, b []byte, cluster uint64, extendedL2 bool) error {
	be := binary.BigEndian
	size, l1Entries := be.Uint64(b[24:]), uint64(be.Uint32(b[36:]))
	entry := uint64(8)
	if extendedL2 {
		entry = 16
	}
	if l1Entries*8 > qcow2MaxL1 {
		return malformed("qcow2: an L1 table of %d entries", l1Entries)
	}
	if perL1 := cluster / entry * cluster; size > maxVirtual || (size+perL1-1)/perL1 > l1Entries {
		return malformed("qcow2: an L1 table of %d entries is too small for %d bytes", l1Entries, size)
	}
	if n := be.Uint32(b[60:]); n > qcow2MaxSnapshots {
		return malformed("qcow2: %d internal snapshots", n)
	}
	refcountClusters := uint64(be.Uint32(b[56:]))
	if refcountClusters == 0 || refcountClusters*cluster > qcow2MaxRefcountTable {
		return malformed("qcow2: a refcount table of %d clusters", refcountClusters)
	}
	tables := []struct {
		name        string
		offset, len uint64
	}{
		{"header", 0, cluster},
		{"L1 table", be.Uint64(b[40:]), l1Entries * 8},
		{"refcount table", be.Uint64(b[48:]), refcountClusters * cluster},
	}
	for i, t := range tables {
		if i == 0 || t.len == 0 {
			continue
		}
		// The file may end within the last cluster of a table, as a sparse one does.
		if t.offset%cluster != 0 || t.offset >= uint64(in.size) || t.len > uint64(in.size)-t.offset+cluster {
			return malformed("qcow2: its %s (%d bytes at offset %d) is not within the file (%d bytes): the file is truncated or forged",
				t.name, t.len, t.offset, in.size)
		}
		for _, other := range tables[:i] {
			if other.len != 0 && t.offset < other.offset+other.len && other.offset < t.offset+t.len {
				return malformed("qcow2: its %s overlaps its %s", t.name, other.name)
			}
		}
	}
	return nil
}
