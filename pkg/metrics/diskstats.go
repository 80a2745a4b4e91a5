package metrics

import (
	"strconv"
	"strings"
)

// diskstats has what /sys/block/dm-N/stat has, of all devices: reading one file is much faster than
// reading one for each volume. See Documentation/admin-guide/iostats.rst of the kernel.
const diskstats = "/proc/diskstats"

// deviceStat is what was read and written: how often, how many bytes, and how many seconds that took.
type deviceStat [6]float64

// device is the number of a block device; the zero value is none.
type device struct{ major, minor uint32 }

// deviceOf parses a number as in 253:7.
func deviceOf(text string) device {
	major, minor, _ := strings.Cut(text, ":")
	a, _ := strconv.ParseUint(major, 10, 32)
	b, _ := strconv.ParseUint(minor, 10, 32)
	return device{uint32(a), uint32(b)}
}

// deviceStats returns the statistics of the device-mapper devices. Without them the other metrics are worth
// as much.
func (c *Collector) deviceStats() map[device]deviceStat {
	data, err := c.files.ReadFile(diskstats)
	if err != nil {
		return nil
	}
	return parseDiskstats(data)
}

// parseDiskstats returns the statistics of the device-mapper devices. Lines that it does not understand are
// left out.
func parseDiskstats(data []byte) map[device]deviceStat {
	const sector = 512 // whatever the blocks of the device are
	// The fields of a line from the fourth on, and what their unit is.
	fields := [6]struct {
		at   int
		unit float64
	}{{0, 1}, {2, sector}, {3, .001}, {4, 1}, {6, sector}, {7, .001}}
	all := map[device]deviceStat{}
	for line := range strings.Lines(string(data)) {
		number, name, values, valid := splitLine(line)
		if !valid || !strings.HasPrefix(name, "dm-") {
			continue
		}
		var stat deviceStat
		for i, f := range fields {
			stat[i] = float64(values[f.at]) * f.unit
		}
		all[number] = stat
	}
	return all
}

// splitLine splits a line into the number and the name of a device, and its first statistics.
func splitLine(line string) (number device, name string, values [8]uint64, valid bool) {
	n := 0
	for word := range strings.FieldsSeq(line) {
		if n == 2 {
			name = word
			n++
			continue
		}
		value, err := strconv.ParseUint(word, 10, 64)
		if err != nil {
			return number, name, values, false
		}
		switch n {
		case 0:
			number.major = uint32(value)
		case 1:
			number.minor = uint32(value)
		default:
			values[n-3] = value
		}
		if n++; n == 3+len(values) {
			return number, name, values, true
		}
	}
	return number, name, values, false
}
