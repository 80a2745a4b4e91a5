package scenario

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// trashed is the time at which something was thrown away.
var trashed = regexp.MustCompile(regexp.QuoteMeta(ondisk.TagDeleted) + `\S+`)

// minor is the number of a device, which is the smallest that was free.
var minor = regexp.MustCompile(`Minor: \d+`)

// maxSectors is how much the device below takes at once, as a backstore shows it.
var maxSectors = regexp.MustCompile(`HwMaxSectors: \d+`)

// newerLine is what newer kernels say of a backstore besides: that it has its device
// for itself, as all have.
var newerLine = regexp.MustCompile(`\n\s*exclusive: 1`)

// unusedAttribute is what newer kernels no longer have. It never had an effect.
const unusedAttribute = "netif_timeout"

// Portrait renders what a node holds, without what differs each time:
// UUIDs and what derives from them, device numbers, times. Two machines on which
// the same happened look the same.
func Portrait(n fakehost.Node) []string {
	var lines, names []string
	name := func(from, to string) {
		if from != "" {
			names = append(names, from, to)
		}
	}
	for _, vg := range n.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			full := vg.Name + "/" + lv.Name
			name(lv.UUID, "<UUID of "+full+">")
			identity := observe.LogicalVolume{UUID: lv.UUID, Tags: lv.Tags}.Identity()
			name(identity, "<identity of "+full+">") // if it is another one
			name(ondisk.UnitSerial(identity), "<serial of "+full+">")
			name(ondisk.NamespaceUUID(identity), "<NVMe UUID of "+full+">")
			if lv.Active {
				name(fmt.Sprintf("dm-%d ", lv.Minor), "<device of "+full+"> ")
			}
			tags := slices.Sorted(slices.Values(lv.Tags))
			line := fmt.Sprintf("lv %s type=%s size=%d cow=%d metadata=%d origin=%s pool=%s tags=%v active=%t skip=%t readonly=%t invalid=%t",
				full, lv.Type, lv.Size, lv.COWSize, lv.MetadataSize, lv.Origin, lv.Pool, tags, lv.Active, lv.SkipActivation, lv.ReadOnly, lv.Invalid)
			lines = append(lines, trashed.ReplaceAllString(line, ondisk.TagDeleted+"<time>"))
		}
	}
	hbas := ownHBAs(n)
	for hba := range hbas {
		name(hba+"/", "core/<HBA>/")
	}
	for _, e := range slices.Concat(n.ConfigFS, n.NVMet) {
		if hbas[e.Path] || hbas[path.Dir(e.Path)] && path.Base(e.Path) == "hba_info" || followsDevice(e) || unlisted(n, e) || path.Base(e.Path) == unusedAttribute {
			continue
		}
		switch {
		case e.Link != "":
			lines = append(lines, "link "+e.Path+" -> "+e.Link)
		case e.Text != nil && strings.HasPrefix(path.Base(e.Path), "dhchap_") && strings.TrimSpace(*e.Text) == "":
			// A kernel that knows no keys of hosts does not have these at all.
		case e.Text != nil:
			lines = append(lines, "file "+e.Path+": "+text(e))
		default:
			lines = append(lines, "dir "+e.Path)
		}
	}
	replace := strings.NewReplacer(names...)
	for i := range lines {
		lines[i] = replace.Replace(lines[i])
	}
	slices.Sort(lines)
	return lines
}

// ownHBAs returns the directories of our backstores. Which of them one is in depends on what
// was there when it was made.
func ownHBAs(n fakehost.Node) map[string]bool {
	hbas := map[string]bool{}
	for _, e := range n.ConfigFS {
		hba, backstore := path.Split(e.Path)
		if _, ours := ondisk.BackstoreOwner(backstore); ours && path.Dir(path.Clean(hba)) == "core" {
			hbas[path.Clean(hba)] = true
		}
	}
	return hbas
}

// followsDevice reports whether an entry is an attribute of a backstore that the
// kernel takes from the device, which is another one everywhere. (Whether the origin
// of a thick snapshot took discards when it was bound, even depends on which of the
// two was there first.) Whether discards have to come by WRITE SAME as well, follows
// from the kernel.
func followsDevice(e fakehost.Entry) bool {
	name := path.Base(e.Path)
	attribute, known := spec.Attributes[name]
	others := []string{"max_unmap_block_desc_count", "emulate_tpws", "atomic_max_len"}
	return path.Base(path.Dir(e.Path)) == "attrib" && (known && attribute.Default == "" || slices.Contains(others, name))
}

// unlisted reports whether an entry is of an NVMe host that no subsystem lists.
// It grants no access. The kernel removes a host only once it is unlisted, and nothing on
// it says whose it was, so a host is left over if the agent dies in between.
func unlisted(n fakehost.Node, e fakehost.Entry) bool {
	rest, isHost := strings.CutPrefix(e.Path, "hosts/")
	host, _, _ := strings.Cut(rest, "/")
	return isHost && !slices.ContainsFunc(n.NVMet, func(e fakehost.Entry) bool {
		return e.Link != "" && strings.HasSuffix(e.Path, "/allowed_hosts/"+host)
	})
}

// text is an attribute's, without what the kernel adds. An unset credential has
// two faces.
func text(e fakehost.Entry) string {
	text := minor.ReplaceAllString(strings.TrimSpace(*e.Text), "Minor: <minor>")
	text = newerLine.ReplaceAllString(maxSectors.ReplaceAllString(text, "HwMaxSectors: <number>"), "")
	if path.Base(e.Path) == "info" && strings.Contains(e.Path, "/acls/") && !strings.HasPrefix(text, "No active") {
		return "a session" // with its numbers
	}
	if text == "NULL" && path.Base(path.Dir(e.Path)) == "auth" {
		return ""
	}
	return text
}

// Contents returns what is in the logical volumes, by vg/lv, where it is known.
func Contents(n fakehost.Node) map[string]string {
	contents := map[string]string{}
	for _, vg := range n.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			contents[vg.Name+"/"+lv.Name] = lv.Content
		}
	}
	return contents
}
