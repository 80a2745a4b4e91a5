package soak

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// Unread is the content of a logical volume that was not looked into.
const Unread = "\x00"

var trashed = regexp.MustCompile(regexp.QuoteMeta(ondisk.TagDeleted) + `\S+`)

// adoptObserved takes in what cannot be foretold: the UUIDs of new logical volumes, and
// what somebody else's things look like in full.
func (m *Model) adoptObserved(n fakehost.Node) {
	for _, lv := range logicalVolumes(n) {
		for _, t := range m.things {
			if t.lv != nil && t.lv.name == lv.Name && t.lv.uuid == "" && lv.UUID != t.known {
				t.lv.uuid, t.known = lv.UUID, lv.UUID
			}
		}
		if f := m.foreign[lv.Name]; f != nil && f.line == "" {
			f.line = foreignLine(lv)
		}
	}
	for dir, lines := range m.theirs {
		if len(lines) == 0 {
			m.theirs[dir] = raw(n, dir)
		}
	}
}

// look renders what is on a node in the form of [Model.lines].
func (m *Model) look(n fakehost.Node) []string {
	var lines []string
	for _, lv := range logicalVolumes(n) {
		lines = append(lines, m.lookAt(lv)...)
	}
	tree := newTree(n)
	for _, dir := range tree.dirs("core") {
		for _, name := range tree.dirs("core/" + dir) {
			at := "core/" + dir + "/" + name
			if _, theirs := m.theirs[at]; theirs {
				lines = append(lines, raw(n, at)...)
				continue
			}
			enabled := "disabled"
			if tree.text(at+"/enable") == "1" {
				enabled = "enabled"
			}
			_, serial, _ := strings.Cut(tree.text(at+"/wwn/vpd_unit_serial"), ": ")
			lines = append(lines, fmt.Sprintf("backstore %s serial=%s %s", name, serial, enabled))
			lines = append(lines, keys(name, tree.text(at+"/"+registrations))...)
		}
	}
	for _, name := range tree.dirs("iscsi") {
		at := "iscsi/" + name
		if _, theirs := m.theirs[at]; theirs {
			lines = append(lines, raw(n, at)...)
		} else if name != "discovery_auth" {
			lines = append(lines, tree.target(name)...)
		}
	}
	slices.Sort(lines)
	return lines
}

// registrations is where a backstore has the keys that initiators registered.
const registrations = "pr/res_pr_registered_i_pts"

// registration is a line of the kernel's about a key.
var registration = regexp.MustCompile(`(?m)^iSCSI Node: ([^,\s]+),\S* Key: 0x0*([0-9a-f]+)`)

func keys(backstore, text string) (lines []string) {
	for _, m := range registration.FindAllStringSubmatch(text, -1) {
		lines = append(lines, fmt.Sprintf("backstore %s has the key 0x%s of %s", backstore, m[2], m[1]))
	}
	return lines
}

func logicalVolumes(n fakehost.Node) []fakehost.LogicalVolume {
	var lvs []fakehost.LogicalVolume
	for _, g := range n.VolumeGroups {
		lvs = append(lvs, g.LogicalVolumes...)
	}
	return lvs
}

func (m *Model) lookAt(lv fakehost.LogicalVolume) []string {
	content := fmt.Sprintf("content of %s: %q", lv.Name, lv.Content)
	if f := m.foreign[lv.Name]; f != nil {
		if lv.Content == Unread || f.content == Unread {
			content = fmt.Sprintf("content of %s: %q", lv.Name, f.content)
		}
		return []string{foreignLine(lv), content}
	}
	if lv.Name == pool0 {
		return []string{"lv " + pool0 + " of ours"}
	}
	// What initiators are shown as product depends on who created it, and on nothing else.
	tags := slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool {
		return strings.HasPrefix(t, ondisk.TagProduct) || strings.HasPrefix(t, ondisk.TagBy)
	})
	for i := range tags {
		tags[i] = trashed.ReplaceAllString(tags[i], ondisk.TagDeleted+"<time>")
	}
	slices.Sort(tags)
	active := fmt.Sprint(lv.Active)
	for _, t := range m.things {
		if t.lv != nil && t.lv.name == lv.Name {
			active = t.active(map[bool]string{true: "yes", false: "no"}[lv.Active], map[bool]string{true: "yes", false: "no"}[lv.Active])
			// A mounted one has what the file system wrote. A device that must be there can be read.
			if t.lv.content == Unread || lv.Content == Unread && (t.active("yes", "no") != "yes" || !lv.Active || t.lv.unlinked) {
				content = fmt.Sprintf("content of %s: %q", lv.Name, t.lv.content)
			}
		}
	}
	return []string{fmt.Sprintf("lv %s uuid=%s size=%d tags=%v active=%s readonly=%t", lv.Name, lv.UUID, lv.Size, tags, active, lv.ReadOnly), content}
}

func foreignLine(lv fakehost.LogicalVolume) string {
	return fmt.Sprintf("lv %s, not ours: uuid=%s type=%s size=%d tags=%v origin=%s pool=%s readonly=%t skip=%t",
		lv.Name, lv.UUID, lv.Type, lv.Size, lv.Tags, lv.Origin, lv.Pool, lv.ReadOnly, lv.SkipActivation)
}

// raw is all that is in a directory of LIO.
func raw(n fakehost.Node, dir string) []string {
	var lines []string
	for _, e := range n.ConfigFS {
		if e.Path != dir && !strings.HasPrefix(e.Path, dir+"/") {
			continue
		}
		text := ""
		if e.Text != nil {
			text = strings.TrimSpace(*e.Text)
		}
		lines = append(lines, fmt.Sprintf("not ours: %s %s %s", e.Path, text, e.Link))
	}
	return lines
}

// tree is LIO's configfs, by path.
type tree struct {
	entries  map[string]fakehost.Entry
	children map[string][]string
}

func newTree(n fakehost.Node) tree {
	t := tree{entries: map[string]fakehost.Entry{}, children: map[string][]string{}}
	for _, e := range n.ConfigFS {
		t.entries[e.Path] = e
		t.children[path.Dir(e.Path)] = append(t.children[path.Dir(e.Path)], path.Base(e.Path))
	}
	return t
}

// dirs are the names of the directories in a directory.
func (t tree) dirs(dir string) []string {
	var names []string
	for _, name := range t.children[dir] {
		if e := t.entries[dir+"/"+name]; e.Text == nil && e.Link == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (t tree) text(file string) string {
	if e := t.entries[file]; e.Text != nil && strings.TrimSpace(*e.Text) != "NULL" {
		return strings.TrimSpace(*e.Text)
	}
	return ""
}

// link is where the one symlink in a directory leads.
func (t tree) link(dir string) string {
	links := map[string]bool{}
	for _, name := range t.children[dir] {
		if e := t.entries[dir+"/"+name]; e.Link != "" {
			links[e.Link] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(links)), " and ")
}

// target renders a target in the form of [Model.exportLines].
func (t tree) target(iqn string) []string {
	target, tpg := "target "+iqn, "iscsi/"+iqn+"/tpgt_1"
	enabled, closed := "disabled", "open"
	if t.text(tpg+"/enable") == "1" {
		enabled = "enabled"
	}
	if t.text(tpg+"/attrib/authentication") == "1" && t.text(tpg+"/attrib/generate_node_acls") == "0" && t.text(tpg+"/attrib/demo_mode_write_protect") == "1" {
		closed = "closed"
	}
	lines := []string{fmt.Sprintf("%s %s, %s, mark %s", target, enabled, closed, t.text(tpg+"/auth/userid_mutual"))}
	for _, p := range t.dirs(tpg + "/np") {
		lines = append(lines, target+" portal "+p)
	}
	for _, l := range t.dirs(tpg + "/lun") {
		lines = append(lines, fmt.Sprintf("%s lun %s is %s", target, strings.TrimPrefix(l, "lun_"), path.Base(t.link(tpg+"/lun/"+l))))
	}
	for _, host := range t.dirs(tpg + "/acls") {
		acl := tpg + "/acls/" + host
		lines = append(lines, fmt.Sprintf("%s acl %s asks=%s user=%s password=%s", target, host, t.text(acl+"/attrib/authentication"), t.text(acl+"/auth/userid"), t.text(acl+"/auth/password")))
		for _, l := range t.dirs(acl) {
			if number, is := strings.CutPrefix(l, "lun_"); is {
				line := fmt.Sprintf("%s acl %s lun %s readOnly=%t", target, host, number, t.text(acl+"/"+l+"/write_protect") == "1")
				if shown := path.Base(t.link(acl + "/" + l)); shown != l {
					line += " but shows " + shown
				}
				lines = append(lines, line)
			}
		}
	}
	return lines
}
