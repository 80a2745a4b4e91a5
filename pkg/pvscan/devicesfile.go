package pvscan

import (
	"slices"
	"strconv"
	"strings"
)

// entry is a line of LVM's devices file (lvmdevices(8)).
type entry struct {
	idType, idName, devName string
	// pvid is the UUID of the physical volume without dashes; empty: not known.
	pvid string
	part int
}

// parseDevicesFile returns the entries, each a line such as
//
//	IDTYPE=sys_wwid IDNAME=naa.5000c500 DEVNAME=/dev/sdb2 PVID=AQomec… PART=2
func parseDevicesFile(text string) []entry {
	var entries []entry
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "IDTYPE=") {
			continue
		}
		var e entry
		for _, word := range strings.Fields(line) {
			key, value, _ := strings.Cut(word, "=")
			if value == "." {
				continue
			}
			switch key {
			case "IDTYPE":
				e.idType = value
			case "IDNAME":
				e.idName = value
			case "DEVNAME":
				e.devName = value
			case "PVID":
				e.pvid = value
			case "PART":
				e.part, _ = strconv.Atoi(value) // what is no number is no partition
			}
		}
		entries = append(entries, e)
	}
	return entries
}

// names reports whether an entry is about a device. Where the kernel does not show the
// identity that the entry has, the device's name is compared, together with the label,
// see [entry.confirms].
func (e entry) names(d device) bool {
	if e.part != d.partition {
		return false
	}
	if id, known := d.ids[e.idType]; known && e.idName != "" {
		return inLVMsForm(id) == inLVMsForm(e.idName)
	}
	return slices.Contains(d.names, e.devName)
}

// isConfirmedBy reports whether the label of a device agrees with the entry that names it.
func (e entry) isConfirmedBy(d device, pvid string) bool {
	_, certain := d.ids[e.idType]
	return certain || e.pvid == "" || pvid == "" || e.pvid == pvid
}

// inLVMsForm makes identities comparable: LVM writes underscores for the spaces and
// other characters in them.
func inLVMsForm(id string) string {
	var b strings.Builder
	for _, r := range strings.TrimSpace(id) {
		if r <= ' ' || r == '_' || r == '"' || r > '~' {
			if !strings.HasSuffix(b.String(), "_") {
				b.WriteByte('_')
			}
			continue
		}
		b.WriteRune(r)
	}
	return strings.Trim(b.String(), "_")
}
