package fakehost

import "slices"

// lvremove removes logical volumes, and what depends on them.
func (c *command) lvremove() error { return c.each(c.writableGroup, c.removeLV) }

func (c *command) removeLV(g *group, lv *LogicalVolume) error {
	sure := c.options.has("yes") || c.options.has("force")
	if (lv.Active || lv.Type == thinPool) && !sure {
		what := ""
		if lv.Active {
			what = " active"
		}
		c.warn("Do you really want to remove%s logical volume %s/%s? [y/n]: [n]", what, g.Name, lv.Name)
		return failure("Logical volume %s/%s not removed.", g.Name, lv.Name)
	}
	return c.removeWithDependants(g, lv)
}

// removeWithDependants removes a logical volume after the copy-on-write
// snapshots of it, the thin volumes that have it as external origin, snapshots of
// these included, and the thin volumes in it. Nothing is removed of an origin whose
// device or snapshots are open; of a thin pool, what comes before one that is.
func (c *command) removeWithDependants(g *group, lv *LogicalVolume) error {
	if lv.Type != thickSnapshot && len(g.snapshots(lv)) > 0 {
		if err := c.deactivate(g, lv); err != nil {
			return err
		}
	}
	if err := c.checkNotInUse(g, lv); err != nil {
		return err
	}
	for _, s := range g.snapshots(lv) {
		if err := c.removeWithDependants(g, s); err != nil {
			return err
		}
	}
	for clones := g.externalClones(lv); len(clones) > 0; clones = g.externalClones(lv) {
		if err := c.removeWithDependants(g, clones[0]); err != nil {
			return err
		}
	}
	if lv.Type == thinPool {
		if err := c.removeThin(g, lv); err != nil {
			return err
		}
	}
	switch lv.Type {
	case thick:
		g.freeExtents(lv.Size, lv.all())
	case thickSnapshot:
		g.freeExtents(lv.COWSize, lv.exceptions())
	case thinPool:
		g.freeExtents(lv.Size, []Span{{0, lv.Size, "what was in pool " + lv.Name}})
	}
	c.lvm.deactivate(lv)
	if c.uuids[lv.UUID]--; c.uuids[lv.UUID] == 0 {
		delete(c.uuids, lv.UUID)
	}
	g.drop(lv)
	if orphans := g.dependants[lv.Name]; len(orphans) > 0 {
		for _, other := range orphans {
			other.Origin = g.inheritedOrigin(lv)
		}
		g.index()
	}
	g.bumpSeqno()
	c.print("Logical volume %q successfully removed.", lv.Name)
	return nil
}

// removeThin removes the volumes in a thin pool.
func (c *command) removeThin(g *group, pool *LogicalVolume) error {
	for _, lv := range slices.Clone(g.lvs) {
		// A thin volume may have gone as the snapshot of another.
		if lv.Pool == pool.Name && g.find(lv.Name) == lv {
			if err := c.removeWithDependants(g, lv); err != nil {
				return err
			}
		}
	}
	return nil
}

// inheritedOrigin is what a thin snapshot has as origin when the one that it was taken
// of is gone: it does without, but for an external origin, which was its own as well.
func (g *group) inheritedOrigin(of *LogicalVolume) string {
	origin := g.find(of.Origin)
	if origin == nil || of.Type != thin || origin.Pool == of.Pool {
		return ""
	}
	return of.Origin
}
