package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"
	"regexp"
	"strings"
)

const vmdkMagic = "KDMV"

// The sparse extent header of VMDK ("Virtual Disk Format 5.0", VMware), which begins
// both subformats that are read. Numbers are little-endian; offsets count sectors.
const (
	vmdkHeader = 79

	// QEMU looks for the descriptor of a sparse extent here and nowhere else, whatever
	// the header says (vmdk_open_sparse), and in that many bytes.
	vmdkDescriptorSector = 1
	vmdkDescriptorRead   = 20 * sector

	vmdkMaxDescriptor = 64 << 10 / sector
	// vmdkAtEnd as the offset of the grain directory: it is in a footer.
	vmdkAtEnd = 1<<64 - 1
	// The footer's marker, the footer and the end-of-stream marker.
	vmdkFooter = 3 * sector

	vmdkCompressed = 1 << 16
	vmdkMarkers    = 1 << 17
)

// vmdkGeometry is what QEMU computes its tables from.
type vmdkGeometry struct {
	flags                     uint32
	capacity, grain           uint64
	descOffset, descSize      uint64
	perTable                  uint32
	grainDirectory, overHead  uint64
	uncleanShutdown, newlines string
	compression               uint16
}

func parseVMDK(b []byte) vmdkGeometry {
	le := binary.LittleEndian
	return vmdkGeometry{
		flags:    le.Uint32(b[8:]),
		capacity: le.Uint64(b[12:]), grain: le.Uint64(b[20:]),
		descOffset: le.Uint64(b[28:]), descSize: le.Uint64(b[36:]),
		perTable:       le.Uint32(b[44:]),
		grainDirectory: le.Uint64(b[56:]), overHead: le.Uint64(b[64:]),
		uncleanShutdown: string(b[72:73]), newlines: string(b[73:77]),
		compression: le.Uint16(b[77:]),
	}
}

func inspectVMDK(in input) (Header, error) {
	b, err := in.at("header", 0, vmdkHeader)
	if err != nil {
		return Header{}, err
	}
	if v := binary.LittleEndian.Uint32(b[4:]); v < 1 || v > 3 {
		return Header{}, refuse(ErrUnknownFeature, fmt.Sprintf("VMDK sparse extent of version %d", v), convertAdvice)
	}
	g := parseVMDK(b)
	if err := g.check(in); err != nil {
		return Header{}, err
	}
	variant, err := vmdkDescriptor(in, g)
	if err != nil {
		return Header{}, err
	}
	if variant != vmdkStreamOptimized && g.flags&(vmdkCompressed|vmdkMarkers) != 0 {
		return Header{}, malformed("VMDK: %s with compressed grains", variant)
	}
	if g.grainDirectory == vmdkAtEnd {
		if err := vmdkCheckFooter(in, g); err != nil {
			return Header{}, err
		}
	}
	return Header{VirtualSize: int64(g.capacity) * sector, Variant: variant}, nil
}

// check refuses a header with impossible figures.
func (g vmdkGeometry) check(in input) error {
	// With a capacity of 0 QEMU takes the descriptor for one that lists extents in
	// other files, and opens them.
	if g.capacity == 0 {
		return refuse(ErrDataFile, "VMDK with only an embedded descriptor", convertAdvice)
	}
	if g.capacity > maxVirtual/sector {
		return malformed("VMDK: a disk of %d sectors", g.capacity)
	}
	if g.newlines != "\n \r\n" {
		return malformed("VMDK: the newline test in its header fails: it was transferred as text")
	}
	if g.uncleanShutdown != "\x00" {
		return refuse(ErrNotClosed, "VMDK, unclean shutdown", "close the image in all programs, then open it once with VMware, or "+convertAdvice)
	}
	if g.grain < 1 || g.grain > 128<<10 || bits.OnesCount64(g.grain) != 1 {
		return malformed("VMDK: grains of %d sectors", g.grain)
	}
	if g.perTable != 512 {
		return malformed("VMDK: %d entries in a grain table", g.perTable)
	}
	if g.compression > 1 {
		return refuse(ErrUnknownFeature, fmt.Sprintf("VMDK, compression %d", g.compression), convertAdvice)
	}
	if g.descOffset != vmdkDescriptorSector || g.descSize < 1 || g.descSize > vmdkMaxDescriptor {
		return malformed("VMDK: a descriptor of %d sectors at sector %d", g.descSize, g.descOffset)
	}
	if g.grainDirectory != vmdkAtEnd && g.grainDirectory >= uint64(in.size)/sector {
		return malformed("VMDK: its grain directory is beyond the end of the file: the file is truncated or forged")
	}
	return nil
}

// vmdkCheckFooter checks the copy of the header at the end of the file: QEMU uses the
// footer, so a footer that differs from the header would bypass the checks.
func vmdkCheckFooter(in input, g vmdkGeometry) error {
	if in.size < vmdkFooter+sector {
		return malformed("VMDK: no room for a footer")
	}
	b, err := in.at("footer", uint64(in.size-vmdkFooter), vmdkFooter)
	if err != nil {
		return err
	}
	header := b[sector:]
	if !bytes.HasPrefix(header, []byte(vmdkMagic)) {
		return malformed("VMDK: it has no footer: the file is truncated")
	}
	f := parseVMDK(header)
	if f.grainDirectory == vmdkAtEnd || f.grainDirectory >= uint64(in.size)/sector {
		return malformed("VMDK: its grain directory is beyond the end of the file")
	}
	f.grainDirectory = g.grainDirectory
	// Where the overhead ends is no one's business, and tools differ.
	f.overHead = g.overHead
	if f != g {
		return malformed("VMDK: its footer contradicts its header")
	}
	return nil
}

const (
	vmdkStreamOptimized  = "streamOptimized"
	vmdkMonolithicSparse = "monolithicSparse"
)

// An extent's line: access, sectors, type, file, offset.
var vmdkExtent = regexp.MustCompile(`(?i)^(RW|RDONLY|NOACCESS)\s+([0-9]+)\s+([A-Z0-9]+)(?:\s+"([^"]*)")?(?:\s+[0-9]+)?$`)

// vmdkDescriptor reads the embedded descriptor and returns the subformat.
func vmdkDescriptor(in input, g vmdkGeometry) (string, error) {
	area, err := in.upTo("descriptor", vmdkDescriptorSector*sector, max(int(g.descSize)*sector, vmdkDescriptorRead))
	if err != nil {
		return "", err
	}
	// QEMU searches all of this text for the name, so it may occur nowhere except with an
	// empty value.
	if err := vmdkNoParent(area); err != nil {
		return "", err
	}
	text := area[:min(len(area), int(g.descSize)*sector)]
	if i := bytes.IndexByte(text, 0); i >= 0 {
		text = text[:i]
	}
	var variant, parent string
	extents := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		if key, value, ok := strings.Cut(line, "="); ok {
			value = strings.Trim(strings.TrimSpace(value), `"`)
			switch strings.ToLower(strings.TrimSpace(key)) {
			case "createtype":
				if variant != "" && variant != value {
					return "", malformed("VMDK: it has two types, %q and %q", variant, value)
				}
				variant = value
			case "parentcid":
				if parent != "" && parent != value {
					return "", malformed("VMDK: it has two parentCID")
				}
				parent = value
			}
			continue
		}
		m := vmdkExtent.FindStringSubmatch(line)
		if m == nil {
			return "", malformed("VMDK: unknown line %.80q in its descriptor", line)
		}
		if extents++; extents > 1 {
			return "", refuse(ErrDataFile, "VMDK with more than one extent", convertAdvice)
		}
		// The name is the one that the file had when it was made, so it cannot be
		// compared with the one it has now.
		if !strings.EqualFold(m[3], "SPARSE") || m[4] == "" || strings.ContainsAny(m[4], `/\:`) || m[4] == ".." {
			return "", refuse(ErrDataFile, fmt.Sprintf("VMDK with the extent %.80q", line), convertAdvice)
		}
	}
	if variant != vmdkStreamOptimized && variant != vmdkMonolithicSparse {
		return "", refuse(ErrUnsupportedFormat, fmt.Sprintf("VMDK of type %.40q; supported are %s and %s", variant,
			vmdkStreamOptimized, vmdkMonolithicSparse), convertAdvice)
	}
	if parent != "" && !strings.EqualFold(parent, "ffffffff") {
		return "", refuse(ErrBackingFile, "VMDK with a parent (parentCID)", convertAdvice)
	}
	if extents != 1 {
		return "", malformed("VMDK: its descriptor lists no extent")
	}
	return variant, nil
}

func vmdkNoParent(area []byte) error {
	const key = "parentfilenamehint"
	lower := bytes.ToLower(area)
	for {
		i := bytes.Index(lower, []byte(key))
		if i < 0 {
			return nil
		}
		lower = lower[i+len(key):]
		if !bytes.HasPrefix(lower, []byte(`=""`)) {
			return refuse(ErrBackingFile, "VMDK with a parent (parentFileNameHint)", convertAdvice)
		}
	}
}
