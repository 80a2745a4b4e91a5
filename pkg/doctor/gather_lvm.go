package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// lvm reads how LVM is configured, and the metadata areas.
func (g *gatherer) lvm(ctx context.Context, n needs) {
	l := &g.facts.LVM
	config, err := readLVMConfig(ctx, g)
	if err != nil {
		g.unread("LVM's configuration", err)
	}
	l.Config = config
	// LVM removes the section from what lvmconfig(8) prints.
	l.HostTags = parseHostTags(g.text("/etc/lvm/lvm.conf")+"\n"+g.text("/etc/lvm/lvmlocal.conf"), g.text("/proc/sys/kernel/hostname"))
	if out, err := g.Run(ctx, "lvm", "vgs", "--reportformat", "json", "--units", "b", "--nosuffix", "-o", "vg_name,vg_tags,vg_mda_size,vg_mda_free,lv_count"); err != nil {
		g.unread("the metadata areas of volume groups", err)
	} else if l.Groups, err = parseGroups(out.Stdout); err != nil {
		g.unread("the metadata areas of volume groups", err)
	}
	if slices.ContainsFunc(n.groups, func(vg string) bool {
		found, there := g.facts.State.VolumeGroups[vg]
		return !there || found.MissingPVs > 0
	}) {
		g.excluded(ctx)
	}
	g.archive()
}

// readLVMConfig returns all settings of LVM, its defaults included, by their full names.
func readLVMConfig(ctx context.Context, r host.Runner) (map[string]string, error) {
	out, err := r.Run(ctx, "lvm", "lvmconfig", "--typeconfig", "full")
	if err != nil {
		return nil, err
	}
	return parseConfig(string(out.Stdout)), nil
}

// parseConfig reads what lvmconfig(8) prints: sections in braces, and a setting in each line. A list is one line.
func parseConfig(text string) map[string]string {
	config := map[string]string{}
	var section []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch name, value, isSetting := strings.Cut(line, "="); {
		case line == "}" && len(section) > 0:
			section = section[:len(section)-1]
		case strings.HasSuffix(line, "{"):
			section = append(section, strings.TrimSpace(strings.TrimSuffix(line, "{")))
		case isSetting && !strings.HasPrefix(line, "#"):
			config[strings.Join(append(slices.Clone(section), name), "/")] = value
		}
	}
	return config
}

// listOf are the texts of a setting that is a list, or of a single text.
func listOf(value string) []string {
	var list []string
	for _, item := range strings.Split(strings.Trim(value, "[]"), ",") {
		if item = strings.Trim(strings.TrimSpace(item), `"`); item != "" {
			list = append(list, item)
		}
	}
	return list
}

// parseHostTags returns the tags of a node from the text of lvm.conf(5): its name with hosttags = 1, and
// the tags in the section that have no host_list, or one with its name.
func parseHostTags(text, nodename string) []string {
	var tags []string
	var section []string
	matched := true // of the tag that is being read
	for _, token := range lvmTokens(text) {
		setting, value, isSetting := strings.Cut(token, "=")
		switch {
		case isSetting && len(section) == 0 && setting == "tags/hosttags" && value == "1":
			tags = append(tags, nodename)
		case strings.HasSuffix(token, "{"):
			section, matched = append(section, strings.TrimSuffix(token, "{")), true
		case token == "}":
			if len(section) == 2 && section[0] == "tags" && matched {
				tags = append(tags, strings.TrimPrefix(section[1], "@"))
			}
			section = section[:max(0, len(section)-1)]
		case len(section) == 1 && section[0] == "tags" && setting == "hosttags" && value == "1":
			tags = append(tags, nodename)
		case len(section) == 2 && section[0] == "tags" && setting == "host_list":
			matched = slices.Contains(listOf(value), nodename)
		}
	}
	return tags
}

// lvmTokens takes the text of an lvm.conf(5) apart into "section{", "}" and "setting=value", without
// comments and blanks.
func lvmTokens(text string) []string {
	var clean strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		clean.WriteString(line + "\n")
	}
	spaced := strings.NewReplacer("{", "{\n", "}", "\n}\n").Replace(clean.String())
	var tokens []string
	for line := range strings.Lines(spaced) {
		if line = strings.Join(strings.Fields(line), ""); line != "" {
			tokens = append(tokens, line)
		}
	}
	return tokens
}

// parseGroups reads a report of vgs(8).
func parseGroups(report []byte) (map[string]Group, error) {
	var printed struct {
		Report []struct {
			VG []struct {
				Name    string `json:"vg_name"`
				Tags    string `json:"vg_tags"`
				Size    string `json:"vg_mda_size"`
				Free    string `json:"vg_mda_free"`
				Volumes string `json:"lv_count"`
			} `json:"vg"`
		} `json:"report"`
	}
	if err := json.Unmarshal(report, &printed); err != nil {
		return nil, fmt.Errorf("lvm vgs: %w", err)
	}
	groups := map[string]Group{}
	for _, r := range printed.Report {
		for _, vg := range r.VG {
			g := Group{Tags: listOf(vg.Tags)}
			g.MetadataSize, _ = strconv.ParseUint(vg.Size, 10, 64) // 0: it has none that is known
			g.MetadataFree, _ = strconv.ParseUint(vg.Free, 10, 64)
			g.Volumes, _ = strconv.Atoi(vg.Volumes)
			groups[vg.Name] = g
		}
	}
	return groups, nil
}

// excluded asks LVM what is on the devices that its settings keep from it: --devices overrides them, see
// lvmdevices(8). LVM may print another name of a device, so their numbers are compared.
func (g *gatherer) excluded(ctx context.Context) {
	by := map[string]string{} // setting by number, as in 253:3
	argv := []string{"lvm", "pvs", "--noheadings", "-o", "pv_name,pv_major,pv_minor,vg_name"}
	for _, kept := range g.facts.State.KeptFromLVM {
		device, setting, _ := strings.Cut(kept, " ")
		if number := g.text("/sys/class/block/" + path.Base(device) + "/dev"); number != "" {
			by[number] = strings.Trim(setting, "()")
			argv = append(argv, "--devices", device)
		}
	}
	if len(by) == 0 {
		return
	}
	out, err := g.Run(ctx, argv...)
	if err != nil {
		g.unread("the devices that LVM's settings exclude", err)
	}
	for line := range strings.Lines(string(out.Stdout)) {
		fields := strings.Fields(line)
		if len(fields) != 4 { // it belongs to no volume group
			continue
		}
		if setting, is := by[fields[1]+":"+fields[2]]; is {
			g.facts.LVM.Excluded = append(g.facts.LVM.Excluded, Excluded{
				Device: fields[0], Group: fields[3], By: setting, DevicesFile: strings.HasPrefix(setting, "devices file"),
			})
		}
	}
}

// archive measures the directory of old metadata.
func (g *gatherer) archive() {
	a := &g.facts.LVM.Archive
	a.Dir = strings.Trim(g.facts.LVM.Config["backup/archive_dir"], `"`)
	if a.Dir == "" {
		return
	}
	for _, name := range g.names(a.Dir) {
		if info, err := g.Lstat(a.Dir + "/" + name); err == nil && strings.HasSuffix(name, ".vg") {
			a.Files, a.Bytes = a.Files+1, a.Bytes+uint64(info.Size())
		}
	}
}
