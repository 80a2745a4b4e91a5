package fakehost

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// What is reported if nothing is asked for.
const (
	lvsFields = "lv_name,lv_attr,lv_size,pool_lv,origin,data_percent,metadata_percent,move_pv,mirror_log,copy_percent,convert_lv"
	vgsFields = "vg_name,pv_count,lv_count,snap_count,vg_attr,vg_size,vg_free"
)

// part is a part of a report: what it is called, its fields, and its rows.
type part struct {
	name   string
	fields []*field
	rows   []row
	// other rows, already rendered, of the parts that are not played.
	other []string
}

func (c *command) lvs() error {
	fields, err := c.fields("lv", strings.Replace(lvsFields, ",", ",vg_name,", 1))
	if err != nil {
		return c.noReport(err)
	}
	p := part{name: "lv", fields: fields}
	p.rows, err = c.namedLVs()
	c.write([][]part{{p}})
	return err
}

// namedLVs returns the logical volumes that the arguments name and --select
// selects, without arguments all.
func (c *command) namedLVs() ([]row, error) {
	var rows []row
	args := c.args
	for _, g := range c.groups {
		if len(c.args) == 0 {
			args = append(args, g.Name)
		}
	}
	for _, arg := range args {
		vg, name, err := splitName(arg)
		if err != nil {
			return nil, err
		}
		g, err := c.readableGroup(vg)
		switch {
		case err != nil:
			c.fail(err)
		case name == "":
			rows = append(rows, c.rows(g)...)
		case g.find(name) == nil:
			c.fail(failure("Failed to find logical volume %q", vg+"/"+name))
		default:
			if r := (row{c.lvm, g, g.find(name)}); c.where.holds(r) {
				rows = append(rows, r)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b row) int { return cmp.Compare(a.g.Name, b.g.Name) })
	return slices.CompactFunc(rows, func(a, b row) bool { return a.lv == b.lv }), nil
}

// rows returns the logical volumes of a volume group that --select selects, by
// name; with --all the hidden ones too.
func (c *command) rows(g *group) []row {
	lvs := slices.Clone(g.lvs)
	if c.options.has("all") {
		lvs = append(lvs, g.hidden()...)
	}
	slices.SortFunc(lvs, func(a, b *LogicalVolume) int {
		return cmp.Compare(strings.Trim(a.Name, "[]"), strings.Trim(b.Name, "[]"))
	})
	var rows []row
	for _, lv := range lvs {
		if r := (row{c.lvm, g, lv}); c.where.holds(r) {
			rows = append(rows, r)
		}
	}
	return rows
}

func (c *command) vgs() error {
	fields, err := c.fields("vg", vgsFields)
	if err != nil {
		return c.noReport(err)
	}
	p := part{name: "vg", fields: fields}
	args := c.args
	for _, g := range c.groups {
		if len(c.args) == 0 {
			args = append(args, g.Name)
		}
	}
	for _, arg := range args {
		g, err := c.readableGroup(strings.TrimPrefix(arg, "/dev/"))
		if err != nil {
			c.fail(err)
			continue
		}
		if r := (row{c.lvm, g, nil}); c.where.holds(r) {
			p.rows = append(p.rows, r)
		}
	}
	slices.SortFunc(p.rows, func(a, b row) int { return cmp.Compare(a.g.Name, b.g.Name) })
	c.write([][]part{{p}})
	return nil
}

// fullreport reports a volume group after the other. A volume group that cannot
// be read is left out, and the command fails.
func (c *command) fullreport() error {
	vgFields, err := c.fields("vg", vgsFields)
	if err != nil {
		return c.noReport(err)
	}
	lvFields, err := c.fields("lv", lvsFields)
	if err != nil {
		return c.noReport(err)
	}
	// What this holds is not played, so nothing can be asked of it.
	if fields, err := c.fields("pvseg", ""); err != nil || len(fields) > 0 {
		return c.noReport(failure("Unrecognised field: %s", c.options.last("options")))
	}
	pvFields, err := c.fields("pv", "")
	if err != nil {
		return c.noReport(err)
	}
	segFields, err := c.fields("seg", "")
	if err != nil {
		return c.noReport(err)
	}
	args := c.args
	for _, g := range c.groups {
		switch {
		case len(c.args) > 0, g.Shared: // which is not reported
		case g.SystemID != "":
			c.warn("Cannot access VG %s with system ID %s with unknown local system ID.", g.Name, g.SystemID)
		default:
			args = append(args, g.Name)
		}
	}
	var report [][]part
	for _, arg := range args {
		g, err := c.readableGroup(arg)
		if err != nil {
			c.fail(err)
			continue
		}
		report = append(report, []part{
			{name: "vg", fields: vgFields, rows: []row{{c.lvm, g, nil}}},
			{name: "pv", fields: pvFields, rows: []row{{c.lvm, g, nil}}},
			{name: "lv", fields: lvFields, rows: c.rows(g)},
			{name: "pvseg", other: g.pvsegs()},
			c.segPart(g, segFields),
		})
	}
	c.write(report)
	return nil
}

// segPart is what a report says of the segments of a volume group, without fields only the
// keys by which LVM sorts. Each logical volume has one.
func (c *command) segPart(g *group, fields []*field) part {
	if len(fields) == 0 {
		return part{name: "seg", other: g.segs()}
	}
	p := part{name: "seg", fields: fields}
	for _, lv := range g.lvs {
		p.rows = append(p.rows, row{c.lvm, g, lv})
	}
	slices.SortFunc(p.rows, func(a, b row) int { return cmp.Compare(a.lv.UUID, b.lv.UUID) })
	return p
}

// pvsegs and segs are rows of which only the keys by which LVM sorts are left.
func (g *group) pvsegs() []string {
	pv := makeUUID("pv", g.UUID)
	var rows []string
	for _, lv := range append(slices.Clone(g.lvs), g.hidden()...) {
		if lv.Type != thin && lv.Type != thinPool {
			rows = append(rows, fmt.Sprintf(`{"pv_uuid":%q, "lv_uuid":%q}`, pv, lv.UUID))
		}
	}
	if g.free() > 0 {
		rows = append(rows, fmt.Sprintf(`{"pv_uuid":%q, "lv_uuid":""}`, pv))
	}
	return rows
}

func (g *group) segs() []string {
	var rows []string
	for _, lv := range g.lvs {
		rows = append(rows, fmt.Sprintf(`{"lv_uuid":%q}`, lv.UUID))
	}
	slices.Sort(rows)
	return rows
}

// fields returns the fields that -o asks for in a part of the report: a list,
// one after + that is added to those before, or -all.
func (c *command) fields(name, all string) ([]*field, error) {
	names := strings.Split(all, ",")
	if all == "" {
		names = nil
	}
	for _, o := range c.options["options"] {
		of, list, _ := strings.Cut(o, ":")
		if of != name && c.name == "fullreport" {
			continue
		}
		switch {
		case strings.HasPrefix(list, "+"):
			names = append(names, strings.Split(list[1:], ",")...)
		case list == "-all":
			names = nil
		default:
			names = strings.Split(list, ",")
		}
	}
	var fields []*field
	for _, n := range names {
		f := fieldNamed(n)
		if f == nil || name == "vg" && !f.ofGroups() {
			return nil, failure("Unrecognised field: %s", n)
		}
		fields = append(fields, f)
	}
	return fields, nil
}

// noReport prints what LVM prints where it does not know what to report.
func (c *command) noReport(err error) error {
	c.write(nil)
	return err
}

func (c *command) json() bool { return c.options.last("reportformat") == "json" }

// write prints a report in LVM's own layout: JSON, or a table.
func (c *command) write(report [][]part) {
	if !c.json() {
		for _, parts := range report {
			for _, p := range parts {
				c.writeTable(p)
			}
		}
		return
	}
	line := func(depth int, format string, args ...any) {
		fmt.Fprintf(&c.stdout, "  "+strings.Repeat("    ", depth)+format+"\n", args...)
	}
	line(0, "{")
	line(1, `"report": [`)
	for i, parts := range report {
		if i > 0 {
			line(2, ",")
		}
		line(2, "{")
		for j, p := range parts {
			if j > 0 {
				line(3, ",")
			}
			line(3, "%q: [", p.name)
			rows := p.other
			for _, r := range p.rows {
				rows = append(rows, c.jsonRow(p.fields, r))
			}
			if len(rows) > 0 {
				line(4, "%s", strings.Join(rows, ",\n"+strings.Repeat(" ", 18)))
			}
			line(3, "]")
		}
		line(2, "}")
	}
	line(1, "]")
	line(0, "}")
}

func (c *command) jsonRow(fields []*field, r row) string {
	var cells []string
	for _, f := range fields {
		value, err := json.Marshal(c.cell(f, r))
		if err != nil {
			value = []byte(`""`) // strings cannot fail
		}
		cells = append(cells, fmt.Sprintf("%q:%s", f.name, value))
	}
	return "{" + strings.Join(cells, ", ") + "}"
}

// cell renders a value in the units that are asked for.
func (c *command) cell(f *field, r row) string {
	value := f.of(r)
	if !f.size || value == "" {
		return value
	}
	if strings.EqualFold(c.options.last("units"), "b") {
		if c.options.has("nosuffix") {
			return value
		}
		return value + "B"
	}
	n, err := parseSize(value + "b")
	if err != nil {
		return value
	}
	return shortSize(n)
}

func (c *command) writeTable(p part) {
	var lines [][]string
	if !c.options.has("noheadings") && len(p.rows) > 0 {
		var heading []string
		for _, f := range p.fields {
			heading = append(heading, f.heading)
		}
		lines = append(lines, heading)
	}
	for _, r := range p.rows {
		var cells []string
		for _, f := range p.fields {
			cells = append(cells, c.cell(f, r))
		}
		lines = append(lines, cells)
	}
	widths := make([]int, len(p.fields))
	for _, cells := range lines {
		for i, cell := range cells {
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, cells := range lines {
		var b strings.Builder
		for i, cell := range cells {
			if separator := c.options.last("separator"); separator != "" {
				if i > 0 {
					b.WriteString(separator)
				}
				b.WriteString(cell)
				continue
			}
			fmt.Fprintf(&b, "%-*s ", widths[i], cell)
		}
		fmt.Fprintf(&c.stdout, "  %s\n", strings.TrimRight(b.String(), " "))
	}
}
