package pvscan

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
)

const (
	// labelBytes is where LVM looks for its label: four sectors (lib/label/label.h).
	labelBytes = 4 * sectorBytes
	// readBytes is what is read of a device, which is a block of any.
	readBytes   = 4096
	sectorBytes = 512
	// uuidBytes is the length of a UUID without dashes.
	uuidBytes = 32
	// labelCRC is what LVM's checksum begins with (INITIAL_CRC in lib/misc/crc.h).
	labelCRC = 0xf597a6cf
)

// pvUUID returns the UUID of the physical volume, without dashes, that the start of a
// device says it is; empty: it is none.
//
// The label is LABELONE, its sector, a checksum of what follows up to the end of the
// sector, and where in it the header of the physical volume is, which begins with the
// UUID; the type is "LVM2 001".
func pvUUID(start []byte) string {
	for sector := 0; sector*sectorBytes+sectorBytes <= min(len(start), labelBytes); sector++ {
		s := start[sector*sectorBytes:][:sectorBytes]
		if !bytes.HasPrefix(s, []byte("LABELONE")) || string(s[24:32]) != "LVM2 001" ||
			binary.LittleEndian.Uint64(s[8:]) != uint64(sector) ||
			binary.LittleEndian.Uint32(s[16:]) != ^crc32.Update(^uint32(labelCRC), crc32.IEEETable, s[20:]) {
			continue
		}
		if at := int(binary.LittleEndian.Uint32(s[20:])); at >= 32 && at+uuidBytes <= sectorBytes {
			return string(s[at : at+uuidBytes])
		}
	}
	return ""
}
