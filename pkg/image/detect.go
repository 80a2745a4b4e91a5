package image

import (
	"bytes"
	"encoding/binary"
)

// kind is what the magic numbers of a file say.
type kind struct {
	// format is [Detect] for what is known and not read here.
	format Format
	name   string
	advice string
	// family is the format that a user would call it by.
	family Format
}

const convertAdvice = "convert it to qcow2 first (qemu-img convert -O qcow2)"

// The magic numbers of what is not read here, at their offsets. Without this list
// these would be copied into volumes as if they were disks.
var foreign = []struct {
	offset int
	magic  string
	kind   kind
}{
	{0, "COWD", kind{name: "a VMDK of the ESX 2 kind (COWD)", advice: convertAdvice, family: VMDK}},
	{0, "# Disk DescriptorFile", kind{name: "a VMDK descriptor with its data in other files", advice: convertAdvice, family: VMDK}},
	{0, "conectix", kind{name: "a VHD", advice: convertAdvice}},
	{0, "QED\x00", kind{name: "a QED image", advice: convertAdvice}},
	{0, "WithoutFreeSpace", kind{name: "a Parallels image", advice: convertAdvice}},
	{0, "WithouFreSpacExt", kind{name: "a Parallels image", advice: convertAdvice}},
	{0, "Bochs Virtual HD Image", kind{name: "a Bochs image", advice: convertAdvice}},
	{0, "LUKS\xba\xbe", kind{name: "a LUKS container", advice: "decrypt it first"}},
	{64, "\x7f\x10\xda\xbe", kind{name: "a VDI", advice: convertAdvice}},
	{0, "\x1f\x8b\x08", kind{name: "compressed with gzip", advice: "decompress it first (only one layer of compression is supported)"}},
	{0, "\xfd7zXZ\x00", kind{name: "compressed with xz", advice: "decompress it first (only one layer of compression is supported)"}},
	{0, "\x28\xb5\x2f\xfd", kind{name: "compressed with zstd", advice: "decompress it first (only one layer of compression is supported)"}},
	{0, "BZh", kind{name: "compressed with bzip2", advice: "decompress it first"}},
	{0, "PK\x03\x04", kind{name: "a zip archive", advice: "extract the image first"}},
	{0, "7z\xbc\xaf\x27\x1c", kind{name: "a 7z archive", advice: "extract the image first"}},
	{257, "ustar", kind{name: "a tar archive (an OVA is one)", advice: "extract the image first"}},
}

// Footers that are in the last sector.
var foreignFooters = map[string]kind{
	"conectix": {name: "a VHD", advice: convertAdvice},
	"koly":     {name: "an Apple disk image", advice: convertAdvice},
}

// detect says what a file is by its magic numbers. What has none is raw, such as
// a disk with a partition table, a file system, or an ISO image.
func detect(in input) (kind, error) {
	head, err := in.upTo("beginning", 0, sector)
	if err != nil {
		return kind{}, err
	}
	switch {
	case bytes.HasPrefix(head, []byte(qcowMagic)):
		if len(head) >= 8 && binary.BigEndian.Uint32(head[4:]) == 1 {
			return kind{name: "a qcow image of version 1", advice: convertAdvice, family: QCOW2}, nil
		}
		return kind{format: QCOW2, name: "qcow2"}, nil
	case bytes.HasPrefix(head, []byte(vmdkMagic)):
		return kind{format: VMDK, name: "vmdk"}, nil
	case bytes.HasPrefix(head, []byte(vhdxMagic)):
		return kind{format: VHDX, name: "vhdx"}, nil
	}
	for _, f := range foreign {
		if len(head) > f.offset && bytes.HasPrefix(head[f.offset:], []byte(f.magic)) {
			return f.kind, nil
		}
	}
	// A descriptor may begin with comments or empty lines; qemu skips them.
	if bytes.Contains(bytes.ToLower(head), []byte("# disk descriptorfile")) {
		return kind{name: "a VMDK descriptor with its data in other files", advice: convertAdvice, family: VMDK}, nil
	}
	tail, err := in.upTo("end", in.size-sector, sector)
	if err != nil {
		return kind{}, err
	}
	for magic, k := range foreignFooters {
		if bytes.HasPrefix(tail, []byte(magic)) {
			return k, nil
		}
	}
	return kind{format: Raw, name: "raw (no magic number of any other format)"}, nil
}
