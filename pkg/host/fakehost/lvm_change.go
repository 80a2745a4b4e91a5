package fakehost

import (
	"fmt"
	"slices"
	"strings"
)

// lvchange changes permissions, tags and activation. LVM says that a logical
// volume changed for all but the last.
func (c *command) lvchange() error {
	o := c.options
	metadata := o.has("addtag") || o.has("deltag") || o.has("permission") || o.has("setactivationskip")
	if !metadata && !o.has("activate") {
		return c.noSuchSyntax()
	}
	use := c.readableGroup
	if metadata {
		use = c.writableGroup
	}
	return c.each(use, func(g *group, lv *LogicalVolume) error {
		if metadata {
			if err := c.changeMetadata(g, lv); err != nil {
				return err
			}
		}
		switch o.last("activate") {
		case "y":
			return c.activate(g, lv)
		case "n":
			return c.deactivate(g, lv)
		default:
			return nil
		}
	})
}

func (c *command) changeMetadata(g *group, lv *LogicalVolume) error {
	name := g.Name + "/" + lv.Name
	if c.options.has("permission") {
		readOnly := c.options.last("permission") == "r"
		switch {
		case lv.Type == thinPool:
			return failure("Operation not permitted on LV %s type thinpool.", name)
		case readOnly && lv.ReadOnly:
			return failure("Logical volume %q is already read only.", name)
		case !readOnly && !lv.ReadOnly:
			return failure("Logical volume %s is already writable.", name)
		}
		lv.ReadOnly = readOnly
	}
	if c.options.has("setactivationskip") {
		lv.SkipActivation = c.options.last("setactivationskip") == "y"
	}
	for _, t := range c.options["addtag"] {
		lv.Tags = addTag(lv.Tags, t)
	}
	for _, t := range c.options["deltag"] {
		t = strings.TrimPrefix(t, "@")
		lv.Tags = slices.DeleteFunc(lv.Tags, func(has string) bool { return has == t })
	}
	if len(lv.Tags) == 0 {
		lv.Tags = nil
	}
	g.bumpSeqno()
	c.print("Logical volume %s changed.", name)
	return nil
}

func addTag(tags []string, tag string) []string {
	tag = strings.TrimPrefix(tag, "@")
	if slices.Contains(tags, tag) {
		return tags
	}
	return append(tags, tag)
}

// activate activates a logical volume. Copy-on-write snapshots and their origin
// are active together.
func (c *command) activate(g *group, lv *LogicalVolume) error {
	if lv.Type == thickSnapshot {
		lv = g.find(lv.Origin)
	}
	if lv.SkipActivation && !c.options.has("ignoreactivationskip") {
		return nil
	}
	if pool := g.find(lv.Pool); pool != nil && pool.Damage != "" {
		return failure("%s", pool.Damage)
	}
	if lv.Damage != "" {
		return failure("%s", lv.Damage)
	}
	if lv.Health == "partial" && !lv.isRedundant() {
		return failure("Refusing activation of partial LV %s/%s.  Use '--activationmode partial' to override.", g.Name, lv.Name)
	}
	for _, each := range append([]*LogicalVolume{lv}, g.snapshots(lv)...) {
		if !each.Active {
			c.lvm.activate(g, each)
		}
	}
	return nil
}

// isRedundant reports whether LVM activates it while a device is missing, if that is one.
func (lv *LogicalVolume) isRedundant() bool {
	return strings.HasPrefix(lv.Layout, "raid,") && !strings.HasPrefix(lv.Layout, "raid,raid0")
}

// deactivate deactivates a logical volume and, if it is an origin, its
// copy-on-write snapshots. To deactivate a snapshot is to deactivate its
// origin, about which LVM asks.
func (c *command) deactivate(g *group, lv *LogicalVolume) error {
	if lv.Type == thickSnapshot {
		origin := g.find(lv.Origin)
		if origin.Active && !c.options.has("yes") {
			others := ""
			if n := len(g.snapshots(origin)) - 1; n > 0 {
				others = fmt.Sprintf(" and %d other snapshot(s)", n)
			}
			c.warn("Change of snapshot %s/%s will also change its origin %s/%s%s. Proceed? [y/n]: [n]",
				g.Name, lv.Name, g.Name, origin.Name, others)
			return failure("Logical volume %s/%s not changed.", g.Name, lv.Name)
		}
		lv = origin
	}
	if err := c.checkNotInUse(g, lv); err != nil {
		return err
	}
	all, open := append([]*LogicalVolume{lv}, g.snapshots(lv)...), 0
	for _, s := range all[1:] {
		if c.checkNotInUse(g, s) != nil {
			open++
		}
	}
	if open > 0 {
		return failure("LV %s/%s has open %d snapshot(s), not deactivating.", g.Name, lv.Name, open)
	}
	for _, each := range all {
		c.lvm.deactivate(each)
	}
	return nil
}

// lvrename takes vg/old and vg/new, or vg, old and new. A device that is open
// remains open under its new name.
func (c *command) lvrename() error {
	args := c.args
	if len(args) == 3 {
		args = []string{args[0] + "/" + args[1], args[2]}
	}
	if len(args) != 2 {
		return c.noSuchSyntax()
	}
	vg, name, err := splitName(args[0])
	if err != nil {
		return err
	}
	to := strings.TrimPrefix(strings.TrimPrefix(args[1], "/dev/"), vg+"/")
	if name == to {
		return c.misused("Old and new logical volume names must differ")
	}
	g, err := c.writableGroup(vg)
	if err != nil {
		return err
	}
	if err := c.checkNewName(g, to); err != nil {
		return err
	}
	lv := g.find(name)
	if lv == nil {
		return failure("Existing logical volume %q not found in volume group %q", name, vg)
	}
	if err := g.checkNameFree(to); err != nil {
		return err
	}
	lv.Name = to
	for _, other := range g.lvs {
		if other.Origin == name {
			other.Origin = to
		}
		if other.Pool == name {
			other.Pool = to
		}
	}
	g.index()
	for i := range c.mounts {
		if c.mounts[i].LV == vg+"/"+name {
			c.mounts[i].LV = vg + "/" + to
		}
	}
	g.bumpSeqno()
	c.print("Renamed %q to %q in volume group %q", name, to, vg)
	return nil
}

// lvextend extends one logical volume: of a copy-on-write snapshot the space,
// of a thin pool the data.
func (c *command) lvextend() error {
	if len(c.args) != 1 {
		return c.noSuchSyntax()
	}
	vg, name, err := splitName(c.args[0])
	if err != nil {
		return err
	}
	if name == "" {
		return c.misused("Please provide the logical volume name.")
	}
	g, err := c.writableGroup(vg)
	if err != nil {
		return err
	}
	lv := g.find(name)
	if lv == nil {
		return failure("Logical volume %s not found in volume group %s.", name, vg)
	}
	to, more, err := c.requestedExtents(g, nil)
	if err != nil {
		return err
	}
	return c.extend(g, lv, to, more)
}

// extend extends a logical volume to a size in extents, or by it.
func (c *command) extend(g *group, lv *LogicalVolume, to uint64, more bool) error {
	size := &lv.Size
	if lv.Type == thickSnapshot {
		size = &lv.COWSize
	}
	from := g.extents(*size)
	if more {
		to += from
	}
	if lv.Type == thickSnapshot {
		if most := g.largestCOW(lv.Size); to > most {
			c.print("Reached maximum COW size %s (%d extents).", sizeText(most*g.ExtentSize), most)
			to = most
		}
	}
	if lv.Stripes > 1 && to > from {
		unit := uint64(lv.Stripes)
		to = from + (to-from+unit-1)/unit*unit
	}
	switch {
	case lv.Type == otherLV:
		return failure("Operation not permitted on LV %s/%s type other.", g.Name, lv.Name)
	case to == from:
		return failure("New size (%d extents) matches existing size (%d extents).", to, from)
	case to < from:
		return failure("New size given (%d extents) not larger than existing size (%d extents)", to, from)
	case lv.Active && len(g.snapshots(lv)) > 0:
		return failure("Snapshot origin volumes can be resized only while inactive: try lvchange -an.")
	}
	if lv.Type != thin {
		if err := g.allocate(to - from); err != nil {
			return err
		}
	}
	if lv.Type == thinPool || lv.Type == thickSnapshot {
		// What was full is so no more.
		lv.DataPercent *= float64(from) / float64(to)
		if lv.Type == thinPool && lv.Health == "out_of_data" {
			lv.Health = ""
		}
	}
	g.visible -= g.allocated(lv)
	if lv.Type == thinPool && lv.MetadataSize == 0 {
		lv.MetadataSize = g.metadata(lv) * g.ExtentSize // it does not grow along
	}
	c.print("Size of logical volume %s/%s changed from %s (%d extents) to %s (%d extents).",
		g.Name, lv.Name, sizeText(*size), from, sizeText(to*g.ExtentSize), to)
	was := *size
	*size = to * g.ExtentSize
	g.visible += g.allocated(lv)
	switch lv.Type {
	case thick:
		lv.write(was, *size, move(g.takeExtents(*size-was), 0, was))
	case thickSnapshot, thinPool:
		g.takeExtents(*size - was)
	}
	g.bumpSeqno()
	c.print("Logical volume %s/%s successfully resized.", g.Name, lv.Name)
	return nil
}
