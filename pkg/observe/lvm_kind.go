package observe

import (
	"slices"
	"strconv"
	"strings"
)

// addStripes adds to logical volumes how they are striped. One that was extended may have
// several segments: LVM rounds by any of them.
func addStripes(vg VolumeGroup, rows []segRow) error {
	var stripes map[string]int
	p := parser{thing: "volume group " + vg.Name}
	for _, r := range rows {
		if r.DataStripes == "" || r.DataStripes == "1" || r.Type == "raid1" || r.Type == "mirror" {
			continue // copies lie side by side, too, but LVM rounds nothing for them
		}
		if stripes == nil {
			stripes = map[string]int{}
		}
		stripes[r.LV] = max(stripes[r.LV], p.number("data_stripes", r.DataStripes))
	}
	if len(stripes) == 0 {
		return p.err
	}
	for name, lv := range vg.LogicalVolumes {
		if n := stripes[lv.UUID]; n > 1 {
			lv.Stripes = n
			vg.LogicalVolumes[name] = lv
		}
	}
	return p.err
}

// addChunks adds to thin pools how large their chunks are.
func addChunks(vg VolumeGroup, rows []segRow) {
	for name, lv := range vg.LogicalVolumes {
		if lv.Type != ThinPool {
			continue
		}
		for _, r := range rows {
			if r.LV == lv.UUID {
				lv.ChunkSize = shownSize(r.ChunkSize)
				vg.LogicalVolumes[name] = lv
				break
			}
		}
	}
}

// redundant are the words of lv_layout of which each part of the data is on several
// devices. LVM activates those that begin with raid while one of them is missing, unless
// lvm.conf says otherwise (activation_mode in lvm.conf(5)), but not a mirror.
var redundant = []string{"raid1", "raid4", "raid5", "raid6", "raid10", "mirror"}

// Kinds of volumes that have words of their own, see [LogicalVolume.Kind].
const (
	KindCached      = "a cached volume"
	KindWriteCached = "a volume with a writecache"
	KindRAID1       = "a raid1 volume"
	KindMirror      = "a mirror volume"
)

// Kind says in words what a logical volume is that is no plain one: "a cached volume", "a
// raid1 volume". It is empty of linear and thin ones.
func (lv LogicalVolume) Kind() string {
	words := list(lv.Layout)
	switch {
	case lv.Type != Thick && lv.Type != OtherLV:
		return ""
	case slices.Contains(words, "pool"):
		return "an LVM pool (" + strings.Join(words, ",") + ")"
	case slices.Contains(words, "cache"):
		return KindCached
	case slices.Contains(words, "writecache"):
		return KindWriteCached
	case slices.Contains(words, "vdo"):
		return "a VDO volume"
	case lv.Type == OtherLV && len(words) == 0:
		return "not a plain volume"
	case lv.Type == OtherLV:
		return "a volume of another type (" + strings.Join(words, ",") + ")"
	}
	if level := lv.level(); level != "" {
		return "a " + level + " volume"
	}
	if lv.Stripes > 1 {
		return "a volume of " + strconv.Itoa(lv.Stripes) + " stripes"
	}
	return ""
}

// level is the word of lv_layout that says how the data lies on several devices.
func (lv LogicalVolume) level() string {
	for _, word := range list(lv.Layout) {
		if word == "raid0" || word == "raid0_meta" || word == "striped" || slices.Contains(redundant, word) {
			return word
		}
	}
	return ""
}

// HowToMakeWritable says how a read-only logical volume becomes writable.
func (lv LogicalVolume) HowToMakeWritable() string {
	if lv.ReadOnlyByList {
		return "remove it from activation/read_only_volume_list in lvm.conf, then run: lvchange --refresh " + lv.FullName()
	}
	return "lvchange -prw " + lv.FullName()
}

// IsServable reports whether initiators can use a logical volume: not a pool, which LVM keeps for
// the logical volumes in it.
func (lv LogicalVolume) IsServable() bool {
	return lv.Type != ThinPool && !slices.Contains(list(lv.Layout), "pool")
}

// Redundant reports whether its data outlives the loss of a device.
func (lv LogicalVolume) Redundant() bool {
	return lv.Type == Thick && slices.Contains(redundant, lv.level())
}

// Degraded reports whether a part of it lies on a physical volume that is missing, and LVM
// activates it all the same, because the rest holds the data.
func (lv LogicalVolume) Degraded() bool {
	return lv.Health == HealthPartial && lv.Redundant() && lv.level() != "mirror"
}
