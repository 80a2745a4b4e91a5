package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/pvscan"
)

func checkGroups(f Facts) []Finding {
	var all []Finding
	for _, name := range needsOf(f.Set).groups {
		vg, there, err := f.State.Group(name)
		if there && vg.MissingPVs == 0 || f.excludedOf(name) {
			continue
		}
		found := Finding{
			Severity: Error, Subject: name, Text: fmt.Sprintf("there is no volume group %s", name),
			Consequence: "no Pool, Volume or Snapshot in it can be created or changed",
			Command:     "connect its disks, or correct spec.volumeGroup; look: vgs --foreign --shared; only if it never existed: vgcreate " + name + " DEVICE",
		}
		switch {
		case there:
			found.Text = fmt.Sprintf("volume group %s lacks %d of its physical volumes", name, vg.MissingPVs)
			found.Command = "connect the disks; look: pvs -o pv_name,pv_uuid,vg_name"
		case err != nil:
			found.Text, found.Command = err.Error(), "see the text; look: vgs "+name
		}
		all = append(all, found)
	}
	return all
}

// excludedOf reports whether LVM's settings keep a disk of the volume group from it.
func (f Facts) excludedOf(group string) bool {
	return slices.ContainsFunc(f.LVM.Excluded, func(e Excluded) bool { return e.Group == group })
}

func checkExcluded(f Facts) []Finding {
	var all []Finding
	groups := needsOf(f.Set).groups
	for _, e := range f.LVM.Excluded {
		if !slices.Contains(groups, e.Group) {
			continue
		}
		found := Finding{
			Severity: Error, Subject: e.Device, Text: fmt.Sprintf("holds a physical volume of volume group %s and is excluded by %s", e.Group, e.By),
			Consequence: fmt.Sprintf("LVM does not see volume group %s, or only a part of it", e.Group),
			Command:     "change devices/filter or devices/global_filter in /etc/lvm/lvm.conf so that they accept " + e.Device,
		}
		if e.DevicesFile {
			found.Text = fmt.Sprintf("holds a physical volume of volume group %s and is not in LVM's devices file", e.Group)
			found.Command = "lvm lvmdevices --adddev " + e.Device
		}
		all = append(all, found)
	}
	return all
}

// anyHostTag is the entry of volume_list for the tags of the node, lvm.conf(5).
const anyHostTag = "@*"

// isListed reports whether a list such as activation/volume_list selects a logical volume. A tag of our own
// may be on any volume, so it selects all.
func isListed(list, hostTags, groupTags []string, group, volume string) bool {
	return slices.ContainsFunc(list, func(entry string) bool {
		tag, isTag := strings.CutPrefix(entry, "@")
		switch {
		case entry == anyHostTag:
			return slices.ContainsFunc(hostTags, func(t string) bool { return slices.Contains(groupTags, t) })
		case isTag:
			return strings.HasPrefix(tag, "volreconciler/") || slices.Contains(groupTags, tag)
		default:
			return entry == group || entry == group+"/"+volume
		}
	})
}

// unlisted returns the declared volumes of a volume group that a list does not select.
func (f Facts) unlisted(list []string, group string, volumes []string) []string {
	var left []string
	for _, v := range volumes {
		if !isListed(list, f.LVM.HostTags, f.LVM.Groups[group].Tags, group, v) {
			left = append(left, group+"/"+v)
		}
	}
	slices.Sort(left)
	return left
}

func checkVolumeList(f Facts) []Finding {
	value, set := f.LVM.Config["activation/volume_list"]
	list, by := listOf(value), "activation/volume_list = "+value
	if !set && len(f.LVM.HostTags) > 0 {
		list, set, by = []string{anyHostTag}, true, "the host tags of lvm.conf ("+some(f.LVM.HostTags)+") and no volume_list"
	}
	if !set {
		return nil
	}
	n := needsOf(f.Set)
	var all []Finding
	for _, group := range n.groups {
		if left := f.unlisted(list, group, n.volumes[group]); len(left) > 0 {
			all = append(all, Finding{
				Severity: Error, Subject: group, Text: fmt.Sprintf("LVM may not activate %s: %s", some(left), by),
				Consequence: "these volumes remain inactive and cannot be created, filled or exported",
				Command:     fmt.Sprintf("add %q to activation/volume_list in /etc/lvm/lvm.conf", group),
			})
		}
	}
	return all
}

func checkAutoactivation(f Facts) []Finding {
	n := needsOf(f.Set)
	found := Finding{
		Severity: Note, Subject: "lvm.conf", Text: "global/event_activation = 0: LVM activates nothing at boot",
		Consequence: "the agent activates what the specs need after it has started; other services may wait for it",
	}
	if len(n.groups) > 0 && f.LVM.Config["global/event_activation"] == "0" {
		return []Finding{found}
	}
	value, set := f.LVM.Config["activation/auto_activation_volume_list"]
	if !set {
		return nil
	}
	for _, group := range n.groups {
		if left := f.unlisted(listOf(value), group, n.volumes[group]); len(left) > 0 {
			found.Text = fmt.Sprintf("activation/auto_activation_volume_list does not include %s", some(left))
			return []Finding{found}
		}
	}
	return nil
}

// checkScanLVs: with devices/scan_lvs LVM looks for physical volumes inside of logical volumes, finds those
// that initiators have made in theirs, and activates what is in them on the node as well. Two machines then
// write to one file system. A filter that rejects our volumes prevents that.
func checkScanLVs(f Facts) []Finding {
	value := f.LVM.Config["devices/scan_lvs"]
	if value == "" || value == "0" {
		return nil
	}
	groups := needsOf(f.Set).groups
	if len(groups) == 0 {
		groups = []string{"vg"}
	}
	reached := slices.ContainsFunc(groups, func(group string) bool {
		names := []string{"/dev/" + group + "/volume", "/dev/mapper/" + group + "-volume", "/dev/dm-0"}
		accepted, err := pvscan.Accepts(names, f.LVM.Config["devices/filter"], f.LVM.Config["devices/global_filter"])
		return accepted || err != nil
	})
	if !reached {
		return nil
	}
	return []Finding{{
		Severity: Error, Subject: "lvm.conf", Text: "lvm.conf has devices/scan_lvs = " + value,
		Consequence: "LVM activates volume groups that initiators created on exported volumes, which corrupts them",
		Command:     "set it to 0; if this node has a volume group on logical volumes, set devices/global_filter instead",
	}}
}

// volumeMetadata is about how many bytes the metadata of a logical volume takes: measured 461 with lvm2
// 2.03.31, one segment and five tags of ours.
const volumeMetadata = 512

// checkMetadataArea compares what is free with what the declared volumes that do not exist yet will take.
func checkMetadataArea(f Facts) []Finding {
	n := needsOf(f.Set)
	var all []Finding
	for _, name := range n.groups {
		g, known := f.LVM.Groups[name]
		if !known || g.MetadataSize == 0 {
			continue
		}
		each, used := uint64(volumeMetadata), g.MetadataSize/2-min(g.MetadataFree, g.MetadataSize/2)
		if g.Volumes >= 50 {
			each = max(1, used/uint64(g.Volumes))
		}
		room, missing := int(g.MetadataFree/each), missingIn(f.State.VolumeGroups[name], n.volumes[name])
		found := Finding{
			Subject: name, Text: fmt.Sprintf("LVM's metadata area of %s has room for about %d more logical volumes", name, room),
			Consequence: "LVM can neither create nor change a logical volume in it once the area is full",
			Command: fmt.Sprintf("add two disks with larger areas, so that a second copy of the metadata remains, and then ignore the others: "+
				"pvcreate --metadatasize 64m DEVICE DEVICE2; vgextend %s DEVICE DEVICE2; pvchange --metadataignore y OTHERS; vgcfgbackup", name),
		}
		switch {
		case missing > room:
			found.Severity, found.Text = Error, fmt.Sprintf("%s; %d of the declared volumes do not exist yet", found.Text, missing)
		case g.MetadataFree < g.MetadataSize/2/10:
			found.Severity = Warning
		default:
			continue
		}
		all = append(all, found)
	}
	return all
}

func missingIn(vg observe.VolumeGroup, names []string) int {
	missing := 0
	for _, name := range names {
		if _, there := vg.LogicalVolumes[name]; !there {
			missing++
		}
	}
	return missing
}

// Each change of LVM reads the directory of archives, and adds a file as large as the metadata.
const (
	manyArchives  = 10_000
	largeArchives = 1 << 30
)

func checkArchive(f Facts) []Finding {
	c, a := f.LVM.Config, f.LVM.Archive
	switch {
	case len(needsOf(f.Set).groups) == 0 || c == nil:
		return nil
	case c["backup/archive"] == "0" || c["backup/backup"] == "0":
		return []Finding{{
			Severity: Note, Subject: "lvm.conf", Text: "LVM keeps no copies of its metadata (backup/archive or backup/backup is 0)",
			Consequence: "vgcfgrestore(8) cannot restore a volume group after a mistake",
		}}
	case a.Files >= manyArchives || a.Bytes >= largeArchives:
		return []Finding{{
			Severity: Warning, Subject: a.Dir, Text: fmt.Sprintf("holds %d old copies of LVM's metadata, %s; each is kept for %s days", a.Files, size(a.Bytes), c["backup/retain_days"]),
			Consequence: "each change of LVM becomes slower, and the file system may become full",
			Command:     "set backup/retain_days = 3 in /etc/lvm/lvm.conf; the next change removes what is older",
		}}
	}
	return nil
}

// checkAutoextend: the thresholds are 100 by default, which is never.
func checkAutoextend(f Facts) []Finding {
	n := needsOf(f.Set)
	var all []Finding
	for _, of := range []struct {
		declared  bool
		key, what string
	}{
		{n.thinPools, "activation/thin_pool_autoextend_threshold", "thin pools"},
		{n.thickSnapshots, "activation/snapshot_autoextend_threshold", "snapshots"},
	} {
		threshold, err := strconv.Atoi(f.LVM.Config[of.key])
		if !of.declared || err != nil || threshold >= 100 {
			continue
		}
		found := Finding{
			Severity: Note, Subject: "lvm.conf", Text: fmt.Sprintf("%s = %d: dmeventd grows %s by itself", of.key, threshold, of.what),
			Consequence: "they become larger than their specs say, and take space of the volume group that other Volumes may need",
		}
		if f.LVM.Config["activation/monitoring"] == "0" || !f.Programs[dmeventd(f.LVM.Config)] {
			found = Finding{
				Severity: Warning, Subject: "lvm.conf", Text: fmt.Sprintf("%s = %d, but dmeventd is not installed, or activation/monitoring is 0", of.key, threshold),
				Consequence: fmt.Sprintf("%s do not grow although they are configured to, and may become full", of.what),
				Command:     "set activation/monitoring = 1 in /etc/lvm/lvm.conf, or install dmeventd: apt install dmeventd",
			}
		}
		all = append(all, found)
	}
	return all
}

// dmeventd is where LVM looks for the program.
func dmeventd(config map[string]string) string {
	return strings.Trim(config["dmeventd/executable"], `"`)
}

func checkSilent(f Facts) []Finding {
	var all []Finding
	for _, device := range f.State.SilentDevices {
		all = append(all, Finding{
			Severity: Warning, Subject: strings.Fields(device)[0], Text: device,
			Consequence: "volume groups on it cannot be read; LVM commands other than the agent's wait for it without a limit",
			Command:     "look: dmesg; connect or remove the device",
		})
	}
	return all
}
