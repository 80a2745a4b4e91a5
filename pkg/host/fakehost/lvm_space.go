package fakehost

import (
	"fmt"
	"strconv"
	"strings"
)

// extents returns how many extents a size needs. Without an extent size, which is refused
// when a node is loaded, it is none.
func (g *group) extents(size uint64) uint64 {
	if g.ExtentSize == 0 {
		return 0
	}
	return (size + g.ExtentSize - 1) / g.ExtentSize
}

// Used returns how many extents of a volume group are allocated.
func (vg VolumeGroup) Used() uint64 {
	g := group{VolumeGroup: vg}
	for i := range vg.LogicalVolumes {
		g.lvs = append(g.lvs, &vg.LogicalVolumes[i])
	}
	g.index()
	return g.used()
}

// used returns how many extents are allocated.
func (g *group) used() uint64 {
	used := g.visible + g.spare()
	if reserved := g.ReservedExtents; reserved < 0 {
		return used - min(used, uint64(-reserved))
	}
	return used + uint64(g.ReservedExtents)
}

func (g *group) free() uint64 { return g.Extents - g.used() }

// allocated returns how many extents a logical volume has, with the hidden ones
// below it.
func (g *group) allocated(lv *LogicalVolume) uint64 {
	switch lv.Type {
	case thin:
		return 0
	case thickSnapshot:
		return g.extents(lv.COWSize)
	case thinPool:
		return g.extents(lv.Size) + g.metadata(lv)
	default:
		return g.extents(lv.Size)
	}
}

// metadata returns how many extents the metadata of a thin pool has.
func (g *group) metadata(pool *LogicalVolume) uint64 {
	if pool.MetadataSize > 0 {
		return g.extents(pool.MetadataSize)
	}
	return g.extents(defaultMetadataSize(pool.Size))
}

// spare returns how many extents lvol0_pmspare has: there is one for all thin
// pools of a volume group, as large as the largest metadata.
func (g *group) spare() uint64 {
	var spare uint64
	for _, pool := range g.pools {
		spare = max(spare, g.metadata(pool))
	}
	return spare
}

const smallestMetadata = 2 << 20

// defaultMetadataSize returns what lvcreate chooses for the metadata of a thin
// pool: 64 bytes per chunk of 64 KiB, or of as much more as it takes to stay
// below 128 MiB. The metadata itself is at least 2 MiB.
func defaultMetadataSize(data uint64) uint64 {
	return max(data/defaultChunkSize(data)*metadataPerChunk, smallestMetadata)
}

const metadataPerChunk = 64

// defaultChunkSize returns what lvcreate chooses for the chunks of a thin pool.
func defaultChunkSize(data uint64) uint64 {
	const optimal = 128 << 20
	chunk := uint64(64 << 10)
	for data/chunk*metadataPerChunk > optimal {
		chunk *= 2
	}
	return chunk
}

// metadataFree returns how much the metadata of LVM may still grow: it may take half of an area of 1 MiB less
// a header, and takes about 1 KiB, and 360 bytes for each logical volume, as in lvm2 2.03.31.
func (g *group) metadataFree() uint64 {
	const half, fixed, each = 1044480 / 2, 1 << 10, 360
	return half - min(half, fixed+each*uint64(len(g.lvs)))
}

// largestCOW returns the extents beyond which LVM makes no copy-on-write space:
// what the complete overwrite of the origin needs, in chunks of 4 KiB, with the
// header and the exceptions of 16 bytes each, of which a chunk holds 256.
func (g *group) largestCOW(origin uint64) uint64 {
	const chunk, exceptions = 4 << 10, 256
	chunks := (origin + chunk - 1) / chunk
	return g.extents((1 + chunks + chunks/exceptions + 1) * chunk)
}

// take checks that a volume group has room for some more extents, as lvcreate
// does.
func (g *group) take(extents uint64) error {
	if free := g.free(); extents > free {
		return failure("Volume group %q has insufficient free space (%d extents): %d required.", g.Name, free, extents)
	}
	return nil
}

// allocate checks it as LVM does where the need is not known beforehand.
func (g *group) allocate(extents uint64) error {
	if free := g.free(); extents > free {
		return failure("Insufficient free space: %d extents needed, but only %d available", extents, free)
	}
	return nil
}

// requestedExtents returns the extents that --size or --extents ask for, and whether they
// are to be added to what is there (+). Percentages are of the volume group, of
// what is free in it, or of an origin.
func (c *command) requestedExtents(g *group, origin *LogicalVolume) (extents uint64, more bool, err error) {
	if c.options.has("size") == c.options.has("extents") {
		if c.options.has("size") {
			return 0, false, c.misused("Please specify either size or extents (not both).")
		}
		return 0, false, c.noSuchSyntax()
	}
	if c.options.has("size") {
		extents = g.extents(c.options.size("size"))
		if extents == 0 {
			return 0, false, c.misused("Unable to create new logical volume with no extents.")
		}
		return extents, strings.HasPrefix(c.options.last("size"), "+"), nil
	}
	asked := c.options.last("extents")
	number, more := strings.CutPrefix(asked, "+")
	number, of, percent := strings.Cut(number, "%")
	n, err := strconv.ParseUint(number, 10, 32)
	var whole uint64
	switch {
	case err != nil:
	case !percent && n > 0:
		return n, more, nil
	case of == "FREE":
		whole = g.free()
	case of == "VG":
		whole = g.Extents
	case of == "ORIGIN" && origin != nil:
		whole = g.largestCOW(origin.Size)
	default:
		err = fmt.Errorf("of what?")
	}
	if err != nil {
		return 0, false, misuse("Invalid argument for --extents: %s\nError during parsing of command line.", asked)
	}
	if n = whole * n / 100; n == 0 {
		return 0, false, failure("Unable to create new logical volume with no extents.")
	}
	return n, more, nil
}

// sizeText renders a size as LVM does in messages.
func sizeText(size uint64) string {
	value, text := scale(size)
	return value + " " + text
}

// shortSize renders a size as LVM does in tables.
func shortSize(size uint64) string {
	value, unit := scale(size)
	return value + strings.ToLower(unit[:1])
}

// scale returns a size in the largest unit of which there is one.
func scale(size uint64) (value, unit string) {
	f, i := float64(size), 0
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	for ; f >= 1024 && i < len(units)-1; i++ {
		f /= 1024
	}
	return strconv.FormatFloat(f, 'f', 2, 64), units[i]
}
