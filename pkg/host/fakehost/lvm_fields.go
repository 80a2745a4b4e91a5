package fakehost

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// major is device-mapper's.
const major = "253"

// The hidden logical volumes below thin pools, as types besides those of a
// [LogicalVolume].
const (
	poolData  = "tdata"
	poolMeta  = "tmeta"
	poolSpare = "pmspare"
)

// row is what a line of a report is about: a logical volume, or a volume group
// if lv is nil.
type row struct {
	*lvm
	g  *group
	lv *LogicalVolume
}

// field is a field of reports.
type field struct {
	name    string
	heading string
	value   func(row) string
	// size is true if the value is in bytes.
	size bool
	// list is true if the value is a list.
	list bool
}

// of returns a row's value. A volume group has none of a logical volume's.
func (f *field) of(r row) string {
	if r.lv == nil && !f.ofGroups() {
		return ""
	}
	return f.value(r)
}

// ofGroups reports whether it is a field of volume groups.
func (f *field) ofGroups() bool {
	return slices.ContainsFunc(pvFields, func(p field) bool { return p.name == f.name }) || slices.ContainsFunc(vgFields, func(v field) bool { return v.name == f.name })
}

// is reports whether a row has a value in the field, or in the list in it.
func (f *field) is(r row, value string) bool {
	has := f.of(r)
	if f.list && value != "" {
		return slices.Contains(strings.Split(has, ","), value)
	}
	return has == value
}

// segFields are those of segments.
var segFields = []field{
	{name: "segtype", heading: "Type", value: func(r row) string { return r.level() }},
	{name: "chunk_size", heading: "Chunk", size: true, value: func(r row) string {
		if r.lv.Type != thinPool {
			return "0"
		}
		return itoa(defaultChunkSize(r.lv.Size))
	}},
	{name: "data_stripes", heading: "#DStr", value: func(r row) string { return strconv.Itoa(max(r.lv.Stripes, 1)) }},
}

// level is the second of the words of a layout, as in raid,raid5,raid5_ls.
func (r row) level() string {
	words := strings.Split(r.layout(), ",")
	return words[min(1, len(words)-1)]
}

// fieldNamed returns the field of a name, which may lack its lv_ or vg_; nil if
// there is none.
func fieldNamed(name string) *field {
	for _, full := range []string{name, "lv_" + name, "vg_" + name} {
		for _, fields := range [][]field{lvFields, vgFields, segFields, pvFields} {
			if i := slices.IndexFunc(fields, func(f field) bool { return f.name == full }); i >= 0 {
				return &fields[i]
			}
		}
	}
	return nil
}

func itoa(n uint64) string { return strconv.FormatUint(n, 10) }

// nothing is the value of fields that never apply to what is emulated.
func nothing(row) string { return "" }

// pvFields are of the one physical volume that is there of each volume group.
var pvFields = []field{
	{name: "pv_uuid", heading: "PV UUID", value: func(r row) string { return makeUUID("pv", r.g.UUID) }},
	{name: "pv_name", heading: "PV", value: func(r row) string { return diskOf(r.g.Name) }},
}

// diskOf is the device node of the physical volume of a volume group.
func diskOf(vg string) string { return "/dev/disk-" + vg }

var vgFields = []field{
	{name: "vg_name", heading: "VG", value: func(r row) string { return r.g.Name }},
	{name: "vg_uuid", heading: "VG UUID", value: func(r row) string { return r.g.UUID }},
	{name: "vg_attr", heading: "Attr", value: func(r row) string { return r.vgAttr() }},
	{name: "vg_extent_size", heading: "Ext", size: true, value: func(r row) string { return itoa(r.g.ExtentSize) }},
	{name: "vg_extent_count", heading: "#Ext", value: func(r row) string { return itoa(r.g.Extents) }},
	{name: "vg_free_count", heading: "Free", value: func(r row) string { return itoa(r.g.free()) }},
	{name: "vg_size", heading: "VSize", size: true, value: func(r row) string { return itoa(r.g.Extents * r.g.ExtentSize) }},
	{name: "vg_free", heading: "VFree", size: true, value: func(r row) string { return itoa(r.g.free() * r.g.ExtentSize) }},
	{name: "vg_mda_free", heading: "VMdaFree", size: true, value: func(r row) string { return itoa(r.g.metadataFree()) }},
	{name: "vg_missing_pv_count", heading: "#PV Missing", value: func(r row) string { return strconv.Itoa(r.g.MissingPVs) }},
	{name: "vg_seqno", heading: "Seq", value: func(r row) string { return itoa(r.g.Seqno) }},
	{name: "vg_systemid", heading: "System ID", value: func(r row) string { return r.g.SystemID }},
	{name: "vg_exported", heading: "Exported", value: func(r row) string { return r.only(r.g.Exported, "exported") }},
	{name: "vg_shared", heading: "Shared", value: func(r row) string { return r.only(r.g.Shared, "shared") }},
	{name: "vg_tags", heading: "VG Tags", list: true, value: nothing},
	{name: "pv_count", heading: "#PV", value: func(r row) string { return strconv.Itoa(1 + r.g.MissingPVs) }},
	{name: "lv_count", heading: "#LV", value: func(r row) string { return strconv.Itoa(len(r.g.lvs)) }},
	{name: "snap_count", heading: "#SN", value: func(r row) string { return strconv.Itoa(r.count(thickSnapshot)) }},
}

// lvFields are empty of a volume group.
var lvFields = []field{
	{name: "lv_name", heading: "LV", value: func(r row) string { return r.lv.Name }},
	{name: "lv_uuid", heading: "LV UUID", value: func(r row) string { return r.lv.UUID }},
	{name: "lv_full_name", heading: "LV", value: func(r row) string { return r.g.Name + "/" + r.lv.Name }},
	{name: "lv_path", heading: "Path", value: func(r row) string { return r.visible("/dev/" + r.g.Name + "/" + r.lv.Name) }},
	{name: "lv_dm_path", heading: "DMPath", value: func(r row) string {
		return "/dev/mapper/" + deviceName(r.g.Name, strings.Trim(r.lv.Name, "[]"))
	}},
	{name: "lv_attr", heading: "Attr", value: row.attr},
	{name: "lv_layout", heading: "Layout", list: true, value: row.layout},
	{name: "lv_role", heading: "Role", list: true, value: row.role},
	{name: "lv_size", heading: "LSize", size: true, value: row.size},
	{name: "lv_metadata_size", heading: "MSize", size: true, value: func(r row) string {
		return r.only(r.lv.Type == thinPool, itoa(r.g.metadata(r.lv)*r.g.ExtentSize))
	}},
	{name: "origin_size", heading: "OSize", size: true, value: func(r row) string {
		return r.only(r.lv.Type == thickSnapshot || r.thickOrigin(), itoa(r.lv.Size))
	}},
	{name: "origin", heading: "Origin", value: func(r row) string { return r.lv.Origin }},
	{name: "pool_lv", heading: "Pool", value: func(r row) string { return r.lv.Pool }},
	{name: "lv_tags", heading: "LV Tags", list: true, value: func(r row) string {
		return strings.Join(slices.Sorted(slices.Values(r.lv.Tags)), ",")
	}},
	{name: "lv_active", heading: "Active", value: func(r row) string { return r.only(r.lv.Active, "active") }},
	{name: "lv_device_open", heading: "DevOpen", value: func(r row) string {
		return r.known(r.only(r.deviceOpen(r.g, r.lv), "open"))
	}},
	{name: "lv_attr", heading: "Attr", value: func(r row) string { return attrs[r.lv.Type] }},
	{name: "lv_permissions", heading: "LPerms", value: row.permissions},
	{name: "lv_snapshot_invalid", heading: "SnapInvalid", value: func(r row) string {
		if r.lv.Type != thickSnapshot {
			return "unknown"
		}
		return r.known(r.only(r.lv.Invalid, "snapshot invalid"))
	}},
	{name: "lv_merging", heading: "Merging", value: nothing},
	{name: "lv_parent", heading: "Parent", value: nothing},
	{name: "lv_skip_activation", heading: "SkipAct", value: func(r row) string { return r.only(r.lv.SkipActivation, "skip activation") }},
	{name: "lv_when_full", heading: "WhenFull", value: func(r row) string { return r.only(r.lv.Type == thinPool, "queue") }},
	{name: "data_percent", heading: "Data%", value: row.dataPercent},
	{name: "snap_percent", heading: "Snap%", value: func(r row) string { return r.only(r.lv.Type == thickSnapshot, row.dataPercent(r)) }},
	{name: "metadata_percent", heading: "Meta%", value: func(r row) string {
		return r.only(r.lv.Type == thinPool && r.isRunning(), percent(r.lv.MetaPercent))
	}},
	{name: "lv_health_status", heading: "Health", value: func(r row) string { return r.lv.Health }},
	{name: "lv_check_needed", heading: "CheckNeeded", value: func(r row) string {
		return r.only(r.lv.Type != thinPool || !r.isRunning(), "unknown")
	}},
	{name: "lv_kernel_major", heading: "KMaj", value: func(r row) string {
		if !r.lv.Active {
			return "-1"
		}
		return major
	}},
	{name: "lv_kernel_minor", heading: "KMin", value: func(r row) string {
		if !r.lv.Active {
			return "-1"
		}
		return strconv.Itoa(r.lv.Minor)
	}},
	// In the form that the agent's commands ask for.
	{name: "lv_time", heading: "CTime", value: func(r row) string { return r.only(!r.lv.Created.IsZero(), strconv.FormatInt(r.lv.Created.Unix(), 10)) }},
	{name: "move_pv", heading: "Move", value: nothing},
	{name: "mirror_log", heading: "Log", value: nothing},
	{name: "copy_percent", heading: "Cpy%Sync", value: nothing},
	{name: "convert_lv", heading: "Convert", value: nothing},
}

// only returns a value that applies if cond is true.
func (r row) only(cond bool, value string) string {
	if !cond {
		return ""
	}
	return value
}

// known returns what is known of active logical volumes alone.
func (r row) known(value string) string {
	if !r.lv.Active {
		return "unknown"
	}
	return value
}

// visible returns what only visible logical volumes have.
func (r row) visible(value string) string { return r.only(!strings.HasPrefix(r.lv.Name, "["), value) }

func (r row) count(kind string) int {
	n := 0
	for _, lv := range r.g.lvs {
		if lv.Type == kind {
			n++
		}
	}
	return n
}

func (r row) thickOrigin() bool { return r.lv.Type != thickSnapshot && len(r.g.snapshots(r.lv)) > 0 }

// thinOrigin reports whether there are thin snapshots of it.
func (r row) thinOrigin() bool {
	return slices.ContainsFunc(r.g.dependants[r.lv.Name], func(lv *LogicalVolume) bool {
		return lv.Type == thin && lv.Pool == r.lv.Pool
	})
}

// external reports whether thin volumes of other thin pools, or of any if it is in
// none, have it as origin.
func (r row) external() bool { return len(r.g.externalClones(r.lv)) > 0 }

// isRunning reports whether the kernel knows how full it is: of a thin pool
// also if only volumes in it are active.
func (r row) isRunning() bool {
	return r.lv.Active || r.lv.Type == thinPool && r.g.hasActiveThin(r.lv)
}

func percent(p float64) string { return strconv.FormatFloat(p, 'f', 2, 64) }

func (r row) dataPercent() string {
	full := slices.Contains([]string{thickSnapshot, thin, thinPool}, r.lv.Type)
	return r.only(full && r.isRunning(), percent(r.lv.DataPercent))
}

// size is, of a copy-on-write snapshot, that of its space.
func (r row) size() string {
	if r.lv.Type == thickSnapshot {
		return itoa(r.lv.COWSize)
	}
	return itoa(r.lv.Size)
}

func (r row) permissions() string {
	if r.lv.ReadOnly {
		return r.known("read-only")
	}
	return r.known("writeable")
}

func (r row) layout() string {
	switch r.lv.Type {
	case thin:
		return "thin,sparse"
	case thinPool:
		return "thin,pool"
	case otherLV:
		return cmp.Or(r.lv.Layout, "cache,pool")
	default:
		return cmp.Or(r.lv.Layout, "linear")
	}
}

func (r row) role() string {
	switch r.lv.Type {
	case thinPool:
		return "private"
	case otherLV:
		if strings.Contains(r.layout(), "pool") {
			return "private"
		}
	case poolData:
		return "private,thin,pool,data"
	case poolMeta:
		return "private,thin,pool,metadata"
	case poolSpare:
		return "private,pool,spare"
	}
	roles := []string{"public"}
	if r.thickOrigin() {
		roles = append(roles, "origin", "thickorigin")
	}
	if r.external() {
		roles = append(roles, "origin", "extthinorigin")
	}
	switch r.lv.Type {
	case thickSnapshot:
		roles = append(roles, "snapshot", "thicksnapshot")
	case thin:
		if r.thinOrigin() {
			roles = append(roles, "origin", "thinorigin")
		}
		if r.lv.Origin != "" {
			roles = append(roles, "snapshot", "thinsnapshot")
		}
	}
	return strings.Join(roles, ",")
}

// attr returns the ten characters of lv_attr (lvs(8)).
func (r row) attr() string {
	a := []byte("-wi-------")
	kind := map[string]byte{thickSnapshot: 's', thin: 'V', thinPool: 't', otherLV: 'C', poolData: 'T', poolMeta: 'e', poolSpare: 'e'}
	if k, ok := kind[r.lv.Type]; ok {
		a[0] = k
	} else if r.thickOrigin() {
		a[0] = 'o'
	}
	if r.external() {
		a[0] = 'o'
	}
	set := func(at int, c byte, cond bool) {
		if cond {
			a[at] = c
		}
	}
	isThin := r.lv.Type == thin || r.lv.Type == thinPool
	set(1, 'r', r.lv.ReadOnly)
	set(4, 'a', r.lv.Active)
	set(4, 'I', r.lv.Active && r.lv.Invalid)
	set(5, 'o', r.deviceOpen(r.g, r.lv))
	set(6, 's', r.lv.Type == thickSnapshot || r.thickOrigin())
	set(6, 't', isThin)
	set(7, 'z', isThin)
	set(8, 'p', r.lv.Health == "partial")
	set(8, 'D', r.lv.Health == "out_of_data")
	set(8, 'F', r.lv.Health == "failed")
	set(8, 'M', r.lv.Health == "metadata_read_only")
	set(9, 'k', r.lv.SkipActivation)
	return string(a)
}

// vgAttr returns the six characters of vg_attr (vgs(8)).
func (r row) vgAttr() string {
	if r.g.MissingPVs > 0 {
		return "wz-pn-"
	}
	return "wz--n-"
}

// hidden returns the logical volumes that LVM keeps below thin pools. Their
// UUIDs follow from those of what they belong to.
func (g *group) hidden() []*LogicalVolume {
	var h []*LogicalVolume
	add := func(name, kind, owner string, size uint64) {
		h = append(h, &LogicalVolume{Name: "[" + name + "]", Type: kind, UUID: makeUUID(kind, owner), Size: size})
	}
	if spare := g.spare(); spare > 0 {
		add("lvol0_pmspare", poolSpare, g.UUID, spare*g.ExtentSize)
	}
	for _, lv := range g.pools {
		add(lv.Name+"_tdata", poolData, lv.UUID, lv.Size)
		add(lv.Name+"_tmeta", poolMeta, lv.UUID, g.metadata(lv)*g.ExtentSize)
	}
	return h
}

// attrs are the bits of lv_attr that do not change with the state of a logical
// volume. Thin pools here clear what they hand out.
var attrs = map[string]string{
	thick: "-wi-------", thickSnapshot: "swi---s---", thin: "Vwi---tz--", thinPool: "twi---tz--",
}
