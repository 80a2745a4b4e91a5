// Package format is the layout of a volume in a repository of restic: names of slices, and the
// files that describe them. It is pure: it reads and writes nothing but what it is handed.
//
// A snapshot has this tree:
//
//	0000000000000000/                  a directory of up to 1024 slices, named by its offset
//	0000000000000000/0000000000400000  a slice, named by its offset in the volume
//	volume/digests                     the XXH64 of every slice, as xxhsum(1) checks them
//	volume/times                       size, size of slices, and when each slice changed last
//	volume/volume.yaml                 what the volume was, for people and for a new node
//
// A slice that is absent is all zeroes. The names sort so that restic reads digests when
// it has read all slices. docs/backup-format.md is for people who read it without this package.
//
// Start reading at [Index].
package format

import (
	"fmt"
	"strconv"
)

// Version is the version of the layout. A snapshot of another one is no parent, and cannot be restored.
const Version = 1

// Sizes in bytes.
const (
	smallSlice = 4 << 20
	largeSlice = 16 << 20
	// fromLarge is the size above which slices are large: a million of them are enough.
	fromLarge = 4 << 40
	// MaxSize is the size of the largest volume: 16 million slices, 256 TiB, which is more
	// than a thin pool can have.
	MaxSize = largeSlice << 24
)

// PerDir is the number of slices of a directory. restic keeps a directory as one JSON object with
// about 400 bytes for each entry, and writes it again when one entry changes.
const PerDir = 1024

// Names in the tree.
const (
	Dir        = "volume"
	Digests    = "digests"
	Times      = "times"
	VolumeYAML = "volume.yaml"
)

// Layout is how a volume is cut into slices.
type Layout struct {
	Size  int64 // of the volume, in bytes
	Slice int64 // of a slice; the last one may be shorter
}

// NewLayout returns the layout for a volume.
func NewLayout(size int64) (Layout, error) {
	l := Layout{Size: size, Slice: smallSlice}
	if size > fromLarge {
		l.Slice = largeSlice
	}
	return l, l.check()
}

func (l Layout) check() error {
	switch {
	case l.Size <= 0 || l.Size > MaxSize:
		return fmt.Errorf("a size of %d bytes is out of range (at most %d)", l.Size, int64(MaxSize))
	case l.Slice < 4<<10 || l.Slice > 1<<30 || l.Slice&(l.Slice-1) != 0:
		return fmt.Errorf("slices of %d bytes are unsupported", l.Slice)
	case (l.Size-1)/l.Slice >= MaxSize/largeSlice:
		return fmt.Errorf("too many slices of %d bytes in %d bytes", l.Slice, l.Size)
	}
	return nil
}

// Slices is the number of slices, absent ones included.
func (l Layout) Slices() int { return int((l.Size + l.Slice - 1) / l.Slice) }

// Offset is where a slice is in the volume.
func (l Layout) Offset(slice int) int64 { return int64(slice) * l.Slice }

// Length is the length of a slice.
func (l Layout) Length(slice int) int64 { return min(l.Slice, l.Size-l.Offset(slice)) }

// Name is the file of a slice.
func (l Layout) Name(slice int) string { return hexName(l.Offset(slice)) }

// DirName is the directory with the number dir, which has the slices from dir*PerDir on.
func (l Layout) DirName(dir int) string { return hexName(l.Offset(dir * PerDir)) }

// Path is the path of a slice.
func (l Layout) Path(slice int) string { return l.DirName(slice/PerDir) + "/" + l.Name(slice) }

// SliceOf is the slice with a name, or false.
func (l Layout) SliceOf(name string) (int, bool) {
	offset, ok := parseName(name)
	if !ok || offset >= l.Size || offset%l.Slice != 0 {
		return 0, false
	}
	return int(offset / l.Slice), true
}

// DirOf is the number of the directory with a name, or false.
func (l Layout) DirOf(name string) (int, bool) {
	slice, ok := l.SliceOf(name)
	return slice / PerDir, ok && slice%PerDir == 0
}

const nameLength = 16

func hexName(offset int64) string { return fmt.Sprintf("%0*x", nameLength, offset) }

func parseName(name string) (int64, bool) {
	if len(name) != nameLength {
		return 0, false
	}
	offset, err := strconv.ParseInt(name, 16, 64)
	return offset, err == nil && hexName(offset) == name
}
