package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const vhdxMagic = "vhdxfile"

// The layout of VHDX ([MS-VHDX]). Numbers are little-endian.
const (
	vhdxHeaderSize = 4 << 10
	vhdxTableSize  = 64 << 10
	vhdxMaxEntries = 2047
	vhdxMaxDisk    = 64 << 40
)

var (
	vhdxHeaders = []uint64{64 << 10, 128 << 10}
	vhdxRegions = []uint64{192 << 10, 256 << 10}
	castagnoli  = crc32.MakeTable(crc32.Castagnoli)
)

// guid is a GUID as it is stored: the first three fields little-endian.
type guid [16]byte

func (g guid) String() string {
	le := binary.LittleEndian
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", le.Uint32(g[0:]), le.Uint16(g[4:]), le.Uint16(g[6:]), g[8:10], g[10:])
}

func makeGUID(a uint32, b, c uint16, d ...byte) (g guid) {
	le := binary.LittleEndian
	le.PutUint32(g[0:], a)
	le.PutUint16(g[4:], b)
	le.PutUint16(g[6:], c)
	copy(g[8:], d)
	return g
}

var (
	vhdxBAT      = makeGUID(0x2DC27766, 0xF623, 0x4200, 0x9D, 0x64, 0x11, 0x5E, 0x9B, 0xFD, 0x4A, 0x08)
	vhdxMetadata = makeGUID(0x8B7CA206, 0x4790, 0x4B9A, 0xB8, 0xFE, 0x57, 0x5F, 0x05, 0x0F, 0x88, 0x6E)

	vhdxFileParameters = makeGUID(0xCAA16737, 0xFA36, 0x4D43, 0xB3, 0xB6, 0x33, 0xF0, 0xAA, 0x44, 0xE7, 0x6B)
	vhdxDiskSize       = makeGUID(0x2FA54224, 0xCD1B, 0x4876, 0xB2, 0x11, 0x5D, 0xBE, 0xD8, 0x3B, 0xF4, 0xB8)
	vhdxDiskID         = makeGUID(0xBECA12AB, 0xB2E6, 0x4523, 0x93, 0xEF, 0xC3, 0x09, 0xE0, 0x00, 0xC7, 0x46)
	vhdxLogicalSector  = makeGUID(0x8141BF1D, 0xA96F, 0x4709, 0xBA, 0x47, 0xF2, 0x33, 0xA8, 0xFA, 0xAB, 0x5F)
	vhdxPhysicalSector = makeGUID(0xCDA348C7, 0x445D, 0x4471, 0x9C, 0xC9, 0xE9, 0x88, 0x52, 0x51, 0xC5, 0x56)
	vhdxParentLocator  = makeGUID(0xA8D35F2D, 0xB30B, 0x454D, 0xAB, 0xF7, 0xD3, 0xD8, 0x48, 0x34, 0xAB, 0x0C)
)

func inspectVHDX(in input) (Header, error) {
	if err := vhdxCheckHeader(in); err != nil {
		return Header{}, err
	}
	metadata, length, err := vhdxFindMetadata(in)
	if err != nil {
		return Header{}, err
	}
	return vhdxReadMetadata(in, metadata, length)
}

// vhdxValid checks the CRC-32C of a structure, which takes its own field as zero.
func vhdxValid(b []byte) bool {
	sum := binary.LittleEndian.Uint32(b[4:])
	c := bytes.Clone(b)
	clear(c[4:8])
	return crc32.Checksum(c, castagnoli) == sum
}

// vhdxCheckHeader refuses an image whose current header, the valid one with the
// higher number, speaks of a log that is to be replayed first.
func vhdxCheckHeader(in input) error {
	var current []byte
	le := binary.LittleEndian
	for _, offset := range vhdxHeaders {
		b, err := in.at("header", offset, vhdxHeaderSize)
		if err != nil {
			return err
		}
		if string(b[:4]) != "head" || !vhdxValid(b) {
			continue
		}
		if current == nil || le.Uint64(b[8:]) > le.Uint64(current[8:]) {
			current = b
		} else if le.Uint64(b[8:]) == le.Uint64(current[8:]) && !bytes.Equal(b, current) {
			return malformed("VHDX: its two headers have the same sequence number but differ")
		}
	}
	if current == nil {
		return malformed("VHDX: neither of its headers is valid")
	}
	if log, version := le.Uint16(current[64:]), le.Uint16(current[66:]); log != 0 || version != 1 {
		return refuse(ErrUnknownFeature, fmt.Sprintf("VHDX version %d, log version %d", version, log), convertAdvice)
	}
	if !bytes.Equal(current[48:64], make([]byte, 16)) {
		return refuse(ErrNotClosed, "VHDX with an unreplayed log",
			"close the image in all programs, then mount it once on Windows or run qemu-img check -r all on it")
	}
	return nil
}

// vhdxFindMetadata returns where the metadata is. Two region tables must agree.
func vhdxFindMetadata(in input) (offset uint64, length uint32, err error) {
	var first []byte
	for _, at := range vhdxRegions {
		b, err := in.at("region table", at, vhdxTableSize)
		if err != nil {
			return 0, 0, err
		}
		if string(b[:4]) != "regi" || !vhdxValid(b) {
			continue
		}
		if first != nil {
			if !bytes.Equal(first, b) {
				return 0, 0, malformed("VHDX: its two region tables differ")
			}
			continue
		}
		first = b
		if offset, length, err = vhdxRegionTable(in, b); err != nil {
			return 0, 0, err
		}
	}
	if first == nil {
		return 0, 0, malformed("VHDX: neither of its region tables is valid")
	}
	return offset, length, nil
}

func vhdxRegionTable(in input, b []byte) (offset uint64, length uint32, err error) {
	le := binary.LittleEndian
	n := le.Uint32(b[8:])
	if n > vhdxMaxEntries {
		return 0, 0, malformed("VHDX: %d regions", n)
	}
	seen := map[guid]bool{}
	for i := range n {
		e := b[16+32*i:]
		id, at, size := guid(e[:16]), le.Uint64(e[16:]), le.Uint32(e[24:])
		if seen[id] {
			return 0, 0, malformed("VHDX: the region %s occurs twice", id)
		}
		seen[id] = true
		switch id {
		case vhdxBAT, vhdxMetadata:
			if at < 1<<20 || at%(1<<20) != 0 || at >= uint64(in.size) || uint64(size) > uint64(in.size)-at {
				return 0, 0, malformed("VHDX: a region of %d bytes at %d is not within the file: it is truncated or forged", size, at)
			}
			if id == vhdxMetadata {
				offset, length = at, size
			}
		default:
			if le.Uint32(e[28:])&1 != 0 {
				return 0, 0, refuse(ErrUnknownFeature, "VHDX, required region "+id.String(), convertAdvice)
			}
		}
	}
	if !seen[vhdxBAT] || !seen[vhdxMetadata] {
		return 0, 0, malformed("VHDX: it lacks a block table or metadata")
	}
	return offset, length, nil
}

// vhdxReadMetadata returns the size of the disk and of its sectors. It refuses a disk that
// is not usable by itself.
func vhdxReadMetadata(in input, at uint64, length uint32) (Header, error) {
	if length < vhdxTableSize {
		return Header{}, malformed("VHDX: metadata of %d bytes", length)
	}
	b, err := in.at("metadata table", at, vhdxTableSize)
	if err != nil {
		return Header{}, err
	}
	le := binary.LittleEndian
	n := int(le.Uint16(b[10:]))
	if string(b[:8]) != "metadata" || n > vhdxMaxEntries {
		return Header{}, malformed("VHDX: the metadata is not at its expected offset")
	}
	var (
		seen   = map[guid]bool{}
		size   uint64
		sector uint32
	)
	for i := range n {
		e := b[32+32*i:]
		id, offset, itemLength, flags := guid(e[:16]), le.Uint32(e[16:]), le.Uint32(e[20:]), le.Uint32(e[24:])
		const user, required = 1, 4
		if flags&user != 0 {
			if flags&required != 0 {
				return Header{}, refuse(ErrUnknownFeature, "VHDX, required user metadata "+id.String(), convertAdvice)
			}
			continue
		}
		if seen[id] {
			return Header{}, malformed("VHDX: the metadata %s occurs twice", id)
		}
		seen[id] = true
		var want uint32
		switch id {
		case vhdxParentLocator:
			return Header{}, refuse(ErrBackingFile, "differencing VHDX (parent locator)", "merge it with its parent: Merge-VHD, or "+convertAdvice)
		case vhdxFileParameters, vhdxDiskSize:
			want = 8
		case vhdxLogicalSector, vhdxPhysicalSector:
			want = 4
		case vhdxDiskID:
			want = 16
		default:
			if flags&required != 0 {
				return Header{}, refuse(ErrUnknownFeature, "VHDX, required metadata "+id.String(), convertAdvice)
			}
			continue
		}
		if itemLength != want || offset < vhdxTableSize || offset > length-want {
			return Header{}, malformed("VHDX: the metadata %s (%d bytes at %d) is not at its expected offset", id, itemLength, offset)
		}
		value, err := in.at("metadata", at+uint64(offset), int(want))
		if err != nil {
			return Header{}, err
		}
		switch id {
		case vhdxFileParameters:
			if le.Uint32(value[4:])&2 != 0 {
				return Header{}, refuse(ErrBackingFile, "differencing VHDX", "merge it with its parent: Merge-VHD, or "+convertAdvice)
			}
			if block := le.Uint32(value); block < 1<<20 || block > 256<<20 || block&(block-1) != 0 {
				return Header{}, malformed("VHDX: blocks of %d bytes", block)
			}
		case vhdxDiskSize:
			size = le.Uint64(value)
		case vhdxLogicalSector:
			if sector = le.Uint32(value); sector != 512 && sector != 4096 {
				return Header{}, malformed("VHDX: sectors of %d bytes", sector)
			}
		}
	}
	if !seen[vhdxFileParameters] || !seen[vhdxDiskSize] || !seen[vhdxLogicalSector] {
		return Header{}, malformed("VHDX: it lacks required metadata")
	}
	if size == 0 || size > vhdxMaxDisk {
		return Header{}, malformed("VHDX: a disk of %d bytes", size)
	}
	return Header{VirtualSize: int64(size), BlockSize: int64(sector)}, nil
}
