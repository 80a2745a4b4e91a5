package fakehost

// lvconvert splits the copy-on-write space of a snapshot off from its origin.
// It keeps the snapshot's name, UUID and tags, and remains active; the origin may be
// open meanwhile. In it are the header and the exceptions of the snapshot.
func (c *command) lvconvert() error {
	if len(c.args) != 1 || !c.options.has("splitsnapshot") {
		return c.noSuchSyntax()
	}
	vg, name, err := splitName(c.args[0])
	if err != nil {
		return err
	}
	g, err := c.writableGroup(vg)
	if err != nil {
		return err
	}
	lv := g.find(name)
	switch {
	case lv == nil:
		return failure("Failed to find logical volume %q", vg+"/"+name)
	case lv.Type != thickSnapshot:
		return failure("Command on LV %s/%s does not accept LV type %s.\nCommand not permitted on LV %s/%s.", vg, name, (row{c.lvm, g, lv}).layout(), vg, name)
	}
	if err := c.checkNotInUse(g, lv); err != nil {
		return err
	}
	left := lv.exceptions()
	lv.Type, lv.Origin, lv.Size, lv.COWSize, lv.Invalid, lv.DataPercent = thick, "", lv.COWSize, 0, false, 0
	lv.Written = nil
	g.index()
	lv.write(0, lv.Size, left)
	g.bumpSeqno()
	c.print("Logical Volume %s/%s split from its origin.", vg, name)
	return nil
}
