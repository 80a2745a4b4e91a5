package fakehost

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// lvcreate creates a logical volume. A thin pool and a volume in it take two
// commands; LVM could do it with one.
func (c *command) lvcreate() error {
	vg, arg, name, err := c.target()
	if err != nil {
		return err
	}
	g, err := c.writableGroup(vg)
	if err != nil {
		return err
	}
	o, kind := c.options, c.options.last("type")
	if !slices.Contains([]string{"", "linear", "striped", "thin", "thin-pool", "snapshot"}, kind) {
		return misuse("Invalid argument for --type: %s\nError during parsing of command line.", kind)
	}
	pool := o.last("thinpool")
	pool = pool[strings.LastIndex(pool, "/")+1:]
	isThin := pool != "" || o.has("thin") || kind == "thin" || kind == "thin-pool"
	if isThin && pool == "" {
		pool = arg
	}
	create := c.createThick
	switch {
	case o.has("snapshot") || kind == "snapshot":
		create = func(g *group, lv *LogicalVolume) error { return c.createSnapshot(g, lv, arg, pool) }
	case isThin && o.has("virtualsize"):
		create = func(g *group, lv *LogicalVolume) error { return c.createThin(g, lv, pool) }
	case kind != "thin" && isThin:
		create = c.createThinPool
		if name == "" {
			name = pool
		}
	case isThin || arg != "" || o.has("virtualsize"):
		return c.noSuchSyntax()
	}
	if name == "" {
		name = g.unusedName()
	}
	if err := c.checkNewName(g, name); err != nil {
		return err
	}
	lv := &LogicalVolume{Name: name, Tags: c.newTags(), ReadOnly: o.last("permission") == "r"}
	if c.clock != nil {
		lv.Created = c.clock().UTC().Truncate(time.Second)
	}
	err = create(g, lv)
	if err != nil {
		return err
	}
	c.print("Logical volume %q created.", lv.Name)
	return nil
}

// target returns what lvcreate's arguments name: the volume group, a logical
// volume in it (an origin or a thin pool) if one is named, and the new name.
func (c *command) target() (vg, lv, name string, err error) {
	name = c.options.last("name")
	if v, n, ok := strings.Cut(strings.TrimPrefix(name, "/dev/"), "/"); ok {
		vg, name = v, n
	}
	if v, _, ok := strings.Cut(c.options.last("thinpool"), "/"); ok && vg == "" {
		vg = v
	}
	if len(c.args) > 1 || len(c.args) == 0 && vg == "" {
		return "", "", "", c.noSuchSyntax()
	}
	if len(c.args) == 0 {
		return vg, "", name, nil
	}
	v, lv, err := splitName(c.args[0])
	if err == nil && vg != "" && v != vg {
		err = c.misused("Please use a single volume group name (%q or %q).", vg, v)
	}
	return v, lv, name, err
}

// unusedName returns the name of a logical volume that was given none.
func (g *group) unusedName() string {
	for n := 0; ; n++ {
		if name := fmt.Sprintf("lvol%d", n); g.find(name) == nil {
			return name
		}
	}
}

func (c *command) newTags() []string {
	var tags []string
	for _, t := range c.options["addtag"] {
		tags = addTag(tags, t)
	}
	return tags
}

// add adds a new logical volume, and activates it unless it is not to be.
func (c *command) add(g *group, lv *LogicalVolume, active bool) {
	lv.UUID = c.newUUID()
	if active {
		c.lvm.activate(g, lv)
	}
	g.insert(lv)
	g.bumpSeqno()
}

// mustActivate reports whether a new logical volume is to be activated.
func (c *command) mustActivate(lv *LogicalVolume) bool {
	return c.options.last("activate") != "n" && (!lv.SkipActivation || c.options.has("ignoreactivationskip"))
}

func (c *command) createThick(g *group, lv *LogicalVolume) error {
	extents, _, err := c.requestedExtents(g, nil)
	if err == nil {
		err = g.checkNameFree(lv.Name)
	}
	if err == nil {
		err = g.take(extents)
	}
	if err != nil {
		return err
	}
	lv.Type, lv.Size = thick, extents*g.ExtentSize
	lv.SkipActivation = c.options.last("setactivationskip") == "y"
	lv.write(0, lv.Size, g.takeExtents(lv.Size))
	if c.mustActivate(lv) && c.options.last("zero") != "n" {
		lv.write(0, start, nil)
	}
	c.add(g, lv, c.mustActivate(lv))
	return nil
}

func (c *command) createThinPool(g *group, lv *LogicalVolume) error {
	extents, _, err := c.requestedExtents(g, nil)
	if err != nil {
		return err
	}
	if g.find(lv.Name) != nil {
		return failure("Logical volume %s already exists in Volume group %s.", lv.Name, g.Name)
	}
	if err := g.take(extents); err != nil {
		return err
	}
	lv.Type, lv.Size = thinPool, extents*g.ExtentSize
	lv.MetadataSize = defaultMetadataSize(lv.Size)
	if c.options.has("poolmetadatasize") {
		lv.MetadataSize = max(c.options.size("poolmetadatasize"), smallestMetadata)
	}
	lv.MetadataSize = g.extents(lv.MetadataSize) * g.ExtentSize
	metadata := g.metadata(lv)
	spare := max(g.spare(), metadata) - g.spare()
	if err := g.allocate(extents + metadata + spare); err != nil {
		return err
	}
	g.takeExtents(lv.Size) // -Zy: nothing of it is ever read
	c.add(g, lv, c.mustActivate(lv))
	return nil
}

func (c *command) createThin(g *group, lv *LogicalVolume, pool string) error {
	p := g.find(pool)
	switch {
	case c.options.has("size") || c.options.has("extents"):
		return c.misused("Please create the thin pool first: one command for both is not played.")
	case p == nil:
		return failure("Pool %s not found in Volume group %s.", pool, g.Name)
	case p.Type != thinPool:
		return failure("Logical volume %s/%s is not a thin pool.", g.Name, pool)
	}
	lv.Type, lv.Pool, lv.Size = thin, pool, g.extents(c.options.size("virtualsize"))*g.ExtentSize
	if lv.Size == 0 {
		return c.misused("Unable to create new logical volume with no extents.")
	}
	lv.SkipActivation = c.options.last("setactivationskip") == "y"
	if err := g.checkRoom(lv.Name, p); err != nil {
		return err
	}
	c.add(g, lv, c.mustActivate(lv))
	return nil
}

// checkRoom checks that a thin volume can be created in a thin pool.
func (g *group) checkRoom(name string, pool *LogicalVolume) error {
	if err := g.checkNameFree(name); err != nil {
		return err
	}
	if pool.Damage != "" {
		return failure("%s", pool.Damage)
	}
	if pool.DataPercent >= 100 || pool.MetaPercent >= 100 {
		return failure("Cannot create new thin volume, free space in thin pool %s/%s reached threshold.", g.Name, pool.Name)
	}
	return nil
}

// createSnapshot creates a thin snapshot of a thin volume if no size is given,
// and else one with copy-on-write space.
func (c *command) createSnapshot(g *group, lv *LogicalVolume, origin, pool string) error {
	if origin == "" {
		return c.noSuchSyntax()
	}
	o := g.find(origin)
	sized := c.options.has("size") || c.options.has("extents")
	switch {
	case o == nil:
		return failure("Snapshot origin LV %s not found in Volume group %s.", origin, g.Name)
	case o.Type == thickSnapshot:
		return failure("Snapshots of snapshots are not supported.")
	case o.Type == thinPool:
		return failure("Snapshots of thin pools are not supported.")
	case o.Type == otherLV:
		return failure("Snapshots of %s/%s are not supported.", g.Name, origin)
	case o.Type == thin && !sized && (pool == "" || pool == o.Pool):
		return c.createThinSnapshot(g, lv, o)
	case pool != "" && !sized:
		return c.createExternalClone(g, lv, o, pool)
	case !sized:
		return c.misused("Please specify either size or extents with snapshots.")
	}
	extents, _, err := c.requestedExtents(g, o)
	if err == nil {
		err = g.checkNameFree(lv.Name)
	}
	if err != nil {
		return err
	}
	if most := g.largestCOW(o.Size); extents > most {
		c.print("Reducing COW size %s down to maximum usable size %s.", sizeText(extents*g.ExtentSize), sizeText(most*g.ExtentSize))
		extents = most
	}
	if err := g.take(extents); err != nil {
		return err
	}
	lv.Type, lv.Origin, lv.Size, lv.COWSize = thickSnapshot, origin, o.Size, extents*g.ExtentSize
	lv.write(0, lv.Size, o.all())
	g.takeExtents(lv.COWSize)
	c.add(g, lv, o.Active)
	return nil
}

// createThinSnapshot flags the snapshot to be skipped at activation, unless -kn
// says not to, and does not activate it then.
func (c *command) createThinSnapshot(g *group, lv *LogicalVolume, origin *LogicalVolume) error {
	if err := g.checkRoom(lv.Name, g.find(origin.Pool)); err != nil {
		return err
	}
	lv.Type, lv.Origin, lv.Pool, lv.Size = thin, origin.Name, origin.Pool, origin.Size
	lv.write(0, lv.Size, origin.all())
	lv.DataPercent = origin.DataPercent
	lv.SkipActivation = c.options.last("setactivationskip") != "n"
	c.add(g, lv, c.mustActivate(lv))
	return nil
}

// createExternalClone creates a thin volume that reads what was never written to it
// from a logical volume outside of its thin pool.
func (c *command) createExternalClone(g *group, lv, origin *LogicalVolume, pool string) error {
	p := g.find(pool)
	switch {
	case p == nil:
		return failure("Pool %s not found in Volume group %s.", pool, g.Name)
	case p.Type != thinPool:
		return failure("Logical volume %s/%s is not a thin pool.", g.Name, pool)
	case !origin.ReadOnly:
		return failure("Cannot use writable LV as the external origin.")
	case origin.Active:
		return failure("Cannot use active LV for the external origin.")
	}
	if err := g.checkRoom(lv.Name, p); err != nil {
		return err
	}
	lv.Type, lv.Origin, lv.Pool, lv.Size = thin, origin.Name, pool, origin.Size
	lv.write(0, lv.Size, origin.all())
	c.add(g, lv, c.mustActivate(lv))
	return nil
}
