package observe

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// reportCommand asks for all volume groups, and their visible logical volumes and the
// segments of these.
//
// fullreport is the one report in which a volume group without logical volumes
// appears too. Its last part cannot be left out, but its rows can be emptied.
func reportCommand(options ...string) []string {
	argv := append([]string{"lvm", "fullreport"}, options...)
	argv = append(argv, "--reportformat", "json", "--units", "b", "--nosuffix",
		"--configreport", "vg", "-o", fields[vgRow](),
		"--configreport", "lv", "-o", fields[lvRow](),
		"--configreport", "seg", "-o", fields[segRow](), "--configreport", "pv", "-o", fields[pvRow]())
	return append(argv, "--configreport", "pvseg", "-o-all")
}

// report is what lvm fullreport prints (lvmreport(7)). All values are strings,
// empty if the field does not apply.
type report struct {
	Report []struct {
		VG  []vgRow  `json:"vg"`
		LV  []lvRow  `json:"lv"`
		Seg []segRow `json:"seg"`
		PV  []pvRow  `json:"pv"`
	} `json:"report"`
}

// vgRow is a volume group. The fields' names, here and in lvRow, are what LVM
// is asked for.
type vgRow struct {
	Name       string `json:"vg_name"`
	UUID       string `json:"vg_uuid"`
	ExtentSize string `json:"vg_extent_size"`
	Size       string `json:"vg_size"`
	Free       string `json:"vg_free"`
	MissingPVs string `json:"vg_missing_pv_count"`
	Exported   string `json:"vg_exported"`
	Shared     string `json:"vg_shared"`
	// LVCount is the number of visible logical volumes. It shows whether a report
	// lacks one.
	LVCount string `json:"lv_count"`
	MDAFree string `json:"vg_mda_free"`
}

// lvRow is a logical volume.
type lvRow struct {
	Name            string `json:"lv_name"`
	UUID            string `json:"lv_uuid"`
	Attr            string `json:"lv_attr"`
	Layout          string `json:"lv_layout"`
	Role            string `json:"lv_role"`
	Size            string `json:"lv_size"`
	OriginSize      string `json:"origin_size"`
	Origin          string `json:"origin"`
	Pool            string `json:"pool_lv"`
	Tags            string `json:"lv_tags"`
	Active          string `json:"lv_active"`
	Open            string `json:"lv_device_open"`
	Permissions     string `json:"lv_permissions"`
	SnapshotInvalid string `json:"lv_snapshot_invalid"`
	DataPercent     string `json:"data_percent"`
	MetadataPercent string `json:"metadata_percent"`
	Health          string `json:"lv_health_status"`
	Major           string `json:"lv_kernel_major"`
	Minor           string `json:"lv_kernel_minor"`
	Time            string `json:"lv_time"`
	Merging         string `json:"lv_merging"`
	// Parent is what a part that LVM keeps for itself belongs to.
	Parent      string `json:"lv_parent"`
	CheckNeeded string `json:"lv_check_needed"`
	// SkipActivation is set if it is left out when a volume group is activated.
	SkipActivation string `json:"lv_skip_activation"`
	MetadataSize   string `json:"lv_metadata_size"`
}

// pvRow is a physical volume.
type pvRow struct {
	UUID string `json:"pv_uuid"`
	Name string `json:"pv_name"`
}

// segRow is a segment of a logical volume.
type segRow struct {
	LV          string `json:"lv_uuid"`
	Type        string `json:"segtype"`
	DataStripes string `json:"data_stripes"`
	ChunkSize   string `json:"chunk_size"`
}

// fields returns the names of a row's fields, as LVM's -o takes them.
func fields[row any]() string {
	var names []string
	for _, f := range reflect.VisibleFields(reflect.TypeFor[row]()) {
		if !f.Anonymous {
			names = append(names, f.Tag.Get("json"))
		}
	}
	return strings.Join(names, ",")
}

// parseReport returns the volume groups that lvm fullreport printed. One that
// cannot be understood is left out, and is in the error for groups; the other
// error means that nothing could be understood.
func parseReport(data []byte) (all map[string]VolumeGroup, groups, err error) {
	var r report
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, nil, err
	}
	if r.Report == nil {
		return nil, nil, fmt.Errorf("the report is missing")
	}
	all = map[string]VolumeGroup{}
	uuids := map[string][]string{}
	for _, part := range r.Report {
		// A node without any volume group gives one part without rows.
		if len(part.VG) == 0 && len(part.LV) == 0 {
			continue
		}
		if len(part.VG) != 1 {
			return nil, nil, fmt.Errorf("the report has %d volume groups in one part", len(part.VG))
		}
		vg, err := parseGroup(part.VG[0], part.LV)
		if err == nil {
			addChunks(vg, part.Seg)
			err = addStripes(vg, part.Seg)
		}
		for _, pv := range part.PV {
			if pv.UUID != "" {
				vg.pvs = append(vg.pvs, pv.UUID)
			}
			if strings.HasPrefix(pv.Name, "/") { // not "[unknown]", which is missing
				vg.PhysicalVolumes = append(vg.PhysicalVolumes, pv.Name)
			}
		}
		name := part.VG[0].Name
		if err == nil && part.VG[0].Exported == "exported" {
			err = exportedError(name)
		}
		if err != nil && name != "" {
			err = groupError(name, err)
		}
		if err != nil {
			groups = errors.Join(groups, err)
		}
		if uuids[name] = append(uuids[name], part.VG[0].UUID); len(uuids[name]) == 1 && err == nil {
			all[name] = vg
		}
	}
	for _, name := range slices.Sorted(maps.Keys(uuids)) {
		if len(uuids[name]) > 1 {
			groups = errors.Join(groups, sameName(name, uuids[name]))
			delete(all, name)
		}
	}
	return all, groups, nil
}

// parseGroup returns a volume group with its visible logical volumes.
func parseGroup(group vgRow, rows []lvRow) (VolumeGroup, error) {
	vg, err := group.parse()
	if err != nil {
		return VolumeGroup{}, err
	}
	for _, row := range rows {
		if row.isHidden() {
			continue
		}
		lv, err := row.parse(vg.Name)
		if err != nil {
			return VolumeGroup{}, err
		}
		vg.LogicalVolumes[lv.Name] = lv
	}
	if have := strconv.Itoa(len(vg.LogicalVolumes)); have != group.LVCount {
		return VolumeGroup{}, fmt.Errorf("volume group %s: the report has %s of %s logical volumes", vg.Name, have, group.LVCount)
	}
	addDependants(vg, rows)
	return vg, nil
}

// singleRow is a logical volume that is asked for alone, with what else is asked of its
// volume group.
type singleRow struct {
	lvRow
	MissingPVs string `json:"vg_missing_pv_count"`
}

func (r vgRow) parse() (VolumeGroup, error) {
	p := parser{thing: "volume group " + r.Name}
	vg := VolumeGroup{
		Name:           p.needed("vg_name", r.Name),
		UUID:           p.needed("vg_uuid", r.UUID),
		ExtentSize:     p.size("vg_extent_size", r.ExtentSize),
		Size:           p.size("vg_size", r.Size),
		Free:           p.size("vg_free", r.Free),
		MissingPVs:     p.number("vg_missing_pv_count", r.MissingPVs),
		Shared:         r.Shared == "shared",
		MDAFree:        shownSize(r.MDAFree),
		LogicalVolumes: map[string]LogicalVolume{},
	}
	return vg, p.err
}

// isHidden reports whether LVM keeps the logical volume for itself.
func (r lvRow) isHidden() bool { return strings.HasPrefix(r.Name, "[") }

func (r lvRow) parse(vg string) (LogicalVolume, error) {
	p := parser{thing: "logical volume " + vg + "/" + r.Name}
	lv := LogicalVolume{
		VolumeGroup:     vg,
		Name:            p.needed("lv_name", r.Name),
		UUID:            p.needed("lv_uuid", r.UUID),
		Type:            r.lvType(),
		Size:            p.size("lv_size", r.Size),
		Origin:          r.Origin,
		Pool:            r.Pool,
		Tags:            list(r.Tags),
		Active:          p.flag("lv_active", r.Active, "active"),
		SnapshotInvalid: r.SnapshotInvalid == "snapshot invalid",
		DataPercent:     p.percent("data_percent", r.DataPercent),
		MetadataPercent: p.percent("metadata_percent", r.MetadataPercent),
		Health:          r.health(),
		CheckNeeded:     r.CheckNeeded == "check needed",
		SkipActivation:  r.SkipActivation == "skip activation",
		TakesAlong:      r.takesAlong(),
		Major:           p.number("lv_kernel_major", r.Major),
		Minor:           p.number("lv_kernel_minor", r.Minor),
		Created:         parseTime(r.Time),
		MetadataSize:    shownSize(r.MetadataSize),
	}
	// "Newly-allocated data blocks are overwritten with blocks of zeroes" (lvs(8)).
	lv.ReadsZero = lv.Type == Thin && len(r.Attr) > 7 && r.Attr[7] == 'z'
	lv.ReadOnly, lv.ReadOnlyByList = r.readOnly(&p), r.Permissions == "read-only-override"
	if lv.Type == OtherLV || lv.Type == Thick && r.Layout != "linear" {
		lv.Layout = r.Layout
	}
	if lv.Type == OtherLV {
		lv.Origin, lv.Pool = "", ""               // they are parts of it
		lv.DataPercent, lv.MetadataPercent = 0, 0 // they are those of a cache, or of a pool below it
	}
	if lv.Active {
		// Of an inactive one LVM calls this unknown.
		lv.Open = p.flag("lv_device_open", r.Open, "open")
	}
	if lv.Type == ThickSnapshot {
		// Its lv_size is that of the copy-on-write space; its device is as large
		// as the origin was.
		lv.COWSize, lv.Size = lv.Size, p.size("origin_size", r.OriginSize)
	}
	return lv, p.err
}

// lvType tells what a logical volume is by the words of lv_layout and lv_role.
// Only what is known to be nothing else is given a type of ours.
func (r lvRow) lvType() LVType {
	layout, role := list(r.Layout), list(r.Role)
	is := func(words ...string) bool {
		return !slices.ContainsFunc(layout, func(w string) bool { return !slices.Contains(words, w) })
	}
	switch {
	case slices.Contains(role, "thicksnapshot"):
		return ThickSnapshot
	case len(layout) == 0:
		return OtherLV
	case is("thin", "sparse"):
		return Thin
	case is("thin", "pool"):
		return ThinPool
	case layout[0] == "raid", is("linear"), is("striped"), is("mirror"):
		return Thick
	default:
		return OtherLV
	}
}

func (r lvRow) readOnly(p *parser) bool {
	switch r.Permissions {
	case "writeable", "unknown":
		return false
	case "read-only", "read-only-override":
		return true
	default:
		p.fail("lv_permissions", fmt.Errorf("%q", r.Permissions))
		return false
	}
}

// health leaves out what LVM says of inactive logical volumes.
func (r lvRow) health() string {
	if r.Health == "unknown" {
		return ""
	}
	return r.Health
}

// list splits a field that holds a list.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// parser parses the values of one thing's fields and keeps the first error.
type parser struct {
	thing string
	err   error
}

func (p *parser) fail(field string, err error) {
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("%s: %s: %w", p.thing, field, err)
	}
}

func (p *parser) needed(field, value string) string {
	if value == "" {
		p.fail(field, fmt.Errorf("missing"))
	}
	return value
}

// size parses bytes.
func (p *parser) size(field, value string) uint64 {
	n, err := strconv.ParseUint(value, 10, 64)
	p.fail(field, err)
	return n
}

// shownSize parses bytes that are only shown. What cannot be understood is 0: it must not keep the agent from
// a volume group.
func shownSize(value string) uint64 {
	n, _ := strconv.ParseUint(value, 10, 64)
	return n
}

func (p *parser) number(field, value string) int {
	n, err := strconv.Atoi(value)
	p.fail(field, err)
	return n
}

// parseTime parses a time: seconds since 1970, as the agent's setting of
// report/time_format asks for, or as LVM writes it without that. It is only shown, and what
// cannot be understood, or is missing in the metadata, is no time.
func parseTime(value string) time.Time {
	if seconds, err := strconv.ParseInt(value, 10, 64); err == nil {
		if seconds <= 0 || seconds > lastTime {
			return time.Time{}
		}
		return time.Unix(seconds, 0).UTC()
	}
	t, err := time.Parse("2006-01-02 15:04:05 -0700", value)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// lastTime is the end of the year 9999, the last that RFC 3339 can write.
const lastTime = 253402300799

// percent parses a fullness in per cent; empty: 0.
func (p *parser) percent(field, value string) float64 {
	if value == "" {
		return 0
	}
	f, err := strconv.ParseFloat(value, 64)
	if err == nil && !(f >= 0) {
		err = fmt.Errorf("%q", value)
	}
	p.fail(field, err)
	return f
}

// flag parses a field that holds a word or nothing.
func (p *parser) flag(field, value, word string) bool {
	if value != "" && value != word {
		p.fail(field, fmt.Errorf("%q", value))
	}
	return value == word
}
