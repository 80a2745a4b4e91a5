// Package image knows disk image files: which format a file has, how big the
// disk in it is, and whether it is safe to read.
//
// Images come from strangers. The programs that read them follow what an image
// says, and an image can say "the rest of me is in /etc/shadow": backing files
// and external data files of qcow2, extents and parents of VMDK, parents of
// VHDX. So nothing reads an image before the strict parsers here have read its
// header, and whatever they do not know is refused. Every refusal is a
// [Refusal], and says what to do.
//
// Start with [Open] and [File.Inspect]. The packages below do the rest:
//
//   - qemuimg has qemu-img confirm what was found here, copies images to devices
//     and devices to images;
//   - fetch downloads them;
//   - unpack decompresses them;
//   - cache keeps one verified copy for many users.
//
// None of them knows anything of volumes, specs or the agent's loop.
package image

import (
	"fmt"
	"io"
	"math"
)

// Format is the format of an image file, by the name that qemu-img has for it.
type Format string

// The formats that are read. [Detect] asks for the one that the file's magic
// numbers say; it is pinned from then on, and nothing probes again.
const (
	Detect Format = ""
	Raw    Format = "raw"
	QCOW2  Format = "qcow2"
	VMDK   Format = "vmdk"
	VHDX   Format = "vhdx"
)

// ParseFormat reads the name of a format. The empty string is [Detect].
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case Detect, Raw, QCOW2, VMDK, VHDX:
		return f, nil
	}
	return "", fmt.Errorf("unknown image format %q: use raw, qcow2, vmdk or vhdx", s)
}

// Header is what the header of an image says, after everything in it that could
// do harm was refused.
type Header struct {
	// Format is never [Detect].
	Format Format
	// VirtualSize is the size of the disk in the image, in bytes; a multiple of
	// 512. A raw file's last, incomplete sector counts as a whole one.
	VirtualSize int64
	// BlockSize is that of the logical blocks of the disk in the image, in bytes; 0: the format
	// does not say.
	BlockSize int64
	// Variant is the subformat: streamOptimized or monolithicSparse of VMDK.
	Variant string
}

// CheckFits refuses an image whose disk is larger than a volume of the given
// bytes, with [ErrTooLarge].
func (h Header) CheckFits(volume int64) error {
	if h.VirtualSize <= volume {
		return nil
	}
	return refuse(ErrTooLarge, fmt.Sprintf("its disk has %d bytes, but the volume has %d", h.VirtualSize, volume),
		fmt.Sprintf("set spec.size to at least %d", h.VirtualSize))
}

// sector is the unit in which disks are counted.
const sector = 512

// Inspect reads the header of an image of size bytes. It reads a bounded number of
// bytes (a few hundred KiB for VHDX, a few KiB for the others) and trusts none of
// them. wanted is what the user says the format is; another one is refused with
// [ErrFormatMismatch].
//
// All errors but those of reading are a [Refusal].
func Inspect(r io.ReaderAt, size int64, wanted Format) (Header, error) {
	if _, err := ParseFormat(string(wanted)); err != nil {
		return Header{}, err
	}
	if size <= 0 {
		return Header{}, refuse(ErrMalformed, "the file is empty", "use a file that contains an image")
	}
	in := input{r: r, size: size}
	found, err := detect(in)
	if err != nil {
		return Header{}, err
	}
	if wanted == Detect && found.format == Detect {
		return Header{}, refuse(ErrUnsupportedFormat, "it is "+found.name, found.advice+
			"; format: raw copies any file byte for byte")
	}
	if wanted == Detect {
		wanted = found.format
	}
	if found.format == Detect && wanted == found.family {
		return Header{}, refuse(ErrUnsupportedFormat, "it is "+found.name, found.advice)
	}
	// A format that has its own name must be called by it: for a qcow2 file that is
	// declared as raw, either reading differs from what somebody expects. The
	// containers that have no name here can be used as raw.
	if known := found.format != Detect; wanted != found.format && (known || wanted != Raw) {
		return Header{}, refuse(ErrFormatMismatch, fmt.Sprintf("spec.source.image.format is %s, but it is %s", wanted, found.name),
			"correct the format, or leave it out for detection")
	}
	var h Header
	switch wanted {
	case Raw:
		if size > math.MaxInt64-sector {
			return Header{}, malformed("raw: a size of %d bytes is not plausible", size)
		}
		h.VirtualSize = (size + sector - 1) / sector * sector
	case QCOW2:
		h, err = inspectQCOW2(in)
	case VMDK:
		h, err = inspectVMDK(in)
	case VHDX:
		h, err = inspectVHDX(in)
	default:
		err = fmt.Errorf("no parser for %s", wanted)
	}
	if err != nil {
		return Header{}, err
	}
	h.Format = wanted
	if err := plausible(h.VirtualSize); err != nil {
		return Header{}, err
	}
	return h, nil
}

// maxVirtual is the largest disk that is believed: LVM's largest volume has 8 EiB,
// and no disk that fits into an image has a thousandth of it.
const maxVirtual = 1 << 53

func plausible(virtual int64) error {
	if virtual <= 0 || virtual > maxVirtual || virtual%sector != 0 {
		return malformed("a disk of %d bytes is not plausible", virtual)
	}
	return nil
}

// input is a file of a known size that is read with bounds.
type input struct {
	r    io.ReaderAt
	size int64
}

// at reads exactly n bytes at an offset. Beyond the end of the file is
// [ErrMalformed]: the image is cut off, or lies.
func (in input) at(what string, offset uint64, n int) ([]byte, error) {
	if offset > math.MaxInt64 || int64(offset) > in.size || int64(n) > in.size-int64(offset) {
		return nil, malformed("its %s (%d bytes at offset %d) is beyond the end of the file (%d bytes): the file is truncated or forged",
			what, n, offset, in.size)
	}
	b := make([]byte, n)
	if _, err := in.r.ReadAt(b, int64(offset)); err != nil {
		return nil, fmt.Errorf("cannot read its %s: %w", what, err)
	}
	return b, nil
}

// upTo reads at most n bytes at an offset, fewer at the end of the file.
func (in input) upTo(what string, offset int64, n int) ([]byte, error) {
	if offset < 0 || offset >= in.size {
		return nil, nil
	}
	return in.at(what, uint64(offset), int(min(int64(n), in.size-offset)))
}
