package fakehost

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// backstore is what the info attribute of a block backstore tells.
type backstore struct {
	minor    int // of the device that it is bound to; -1: none
	path     string
	readOnly uint64
	exported bool
}

// String is the text of the info attribute (transport_dump_dev_state in
// drivers/target/target_core_transport.c, iblock_show_configfs_dev_params in
// target_core_iblock.c).
func (b backstore) String() string {
	var s strings.Builder
	s.WriteString(status(b.exported))
	if b.minor >= 0 {
		s.WriteString("  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 4294967288\n        ")
		fmt.Fprintf(&s, "iBlock device: dm-%d", b.minor)
	} else {
		s.WriteString("  Max Queue Depth: 0  SectorSize: 0  HwMaxSectors: 0\n        ")
	}
	if b.path != "" {
		s.WriteString("  UDEV PATH: " + b.path)
	}
	fmt.Fprintf(&s, "  readonly: %d\n        ", b.readOnly)
	if b.minor >= 0 {
		fmt.Fprintf(&s, "Major: %d Minor: %d  CLAIMED: IBLOCK\n", dmMajor, b.minor)
	} else {
		s.WriteString("Major: 0 Minor: 0\n")
	}
	return s.String()
}

func status(exported bool) string {
	if exported {
		return "Status: ACTIVATED"
	}
	return "Status: DEACTIVATED"
}

// parseBackstore reads the info attribute. It reports false if it is not that
// of a block backstore.
func parseBackstore(info string) (backstore, bool) {
	b := backstore{minor: -1, exported: strings.HasPrefix(info, status(true))}
	before, after, ok := strings.Cut(info, "  readonly: ")
	if !ok {
		return b, false
	}
	if _, err := fmt.Sscanf(after, "%d", &b.readOnly); err != nil {
		return b, false
	}
	before, b.path, _ = strings.Cut(before, "  UDEV PATH: ")
	if _, device, ok := strings.Cut(before, "iBlock device: dm-"); ok {
		if _, err := fmt.Sscanf(device, "%d", &b.minor); err != nil {
			return b, false
		}
	}
	return b, true
}

// setExported changes a backstore's status, whatever its driver.
func setExported(n *node, exported bool) {
	if rest, ok := strings.CutPrefix(n.textOf("info"), status(!exported)); ok {
		n.setText("info", status(exported)+rest)
	}
}

const serialPrefix = "T10 VPD Unit Serial Number: "

func serialText(serial string) string { return serialPrefix + serial + "\n" }

// storeSerial follows target_wwn_vpd_unit_serial_store in
// drivers/target/target_core_configfs.c.
func storeSerial(_ *configfs, n *node, value string) (string, error) {
	switch {
	case len(value) >= 254: // INQUIRY_VPD_SERIAL_LEN
		return "", syscall.EOVERFLOW
	case n.ancestor(2).links > 0:
		return "", syscall.EINVAL
	}
	return serialText(strings.TrimSpace(value)), nil
}

// storeProduct follows target_wwn_product_id_store.
func storeProduct(_ *configfs, n *node, value string) (string, error) {
	product := strings.TrimSpace(value)
	switch {
	case len(product) > 16: // INQUIRY_MODEL_LEN
		return "", syscall.EOVERFLOW
	case n.ancestor(2).links > 0, strings.ContainsFunc(product, func(r rune) bool { return r < ' ' || r > '~' }):
		return "", syscall.EINVAL
	}
	return product + "\n", nil
}

func storeAlias(_ *configfs, _ *node, value string) (string, error) {
	if len(value) > 511 { // SE_DEV_ALIAS_LEN, less one
		return "", syscall.EINVAL
	}
	return strings.TrimSuffix(value, "\n") + "\n", nil
}

func storeUdevPath(_ *configfs, _ *node, value string) (string, error) {
	if len(value) > 511 { // SE_UDEV_PATH_LEN, less one
		return "", syscall.EINVAL
	}
	return strings.TrimSuffix(value, "\n") + "\n", nil
}

// storeControl follows iblock_set_configfs_dev_params.
func storeControl(_ *configfs, n *node, value string) (string, error) {
	b, ok := parseBackstore(n.parent.textOf("info"))
	if !ok {
		return "", syscall.EINVAL
	}
	for option := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ',' || r == '\n' }) {
		if device, ok := strings.CutPrefix(option, "udev_path="); ok {
			switch {
			case b.minor >= 0:
				return "", syscall.EEXIST
			case device == "":
				return "", syscall.EINVAL
			}
			b.path = device
		}
		if number, ok := strings.CutPrefix(option, "readonly="); ok {
			var err error
			if b.readOnly, err = parseUint(number, 32); err != nil {
				return "", err
			}
		}
	}
	n.parent.setText("info", b.String())
	return "", nil
}

// storeEnable binds a backstore to its device, which nobody else may hold
// (target_configure_device, iblock_configure_device, blkdev_get_by_path).
func storeEnable(c *configfs, n *node, value string) (string, error) {
	b, ok := parseBackstore(n.parent.textOf("info"))
	switch {
	case !ok, !strings.Contains(value, "1"):
		return "", syscall.EINVAL
	case b.minor >= 0:
		return "", syscall.EEXIST
	case b.path == "":
		return "", syscall.EINVAL
	}
	lv := c.device(b.path)
	switch {
	case lv == nil:
		return "", syscall.ENOENT
	case c.isHeld(lv):
		return "", syscall.EBUSY
	case lv.ReadOnly && b.readOnly == 0:
		return "", syscall.EACCES
	}
	b.minor = lv.Minor
	c.open(lv.Minor)
	n.parent.setText("info", b.String())
	if n.parent.textOf("wwn/product_id") == "\n" {
		n.parent.setText("wwn/product_id", "IBLOCK\n")
	}
	if vg, _ := c.lvm.byMinor(lv.Minor); lv.Type != thickSnapshot && len(c.lvm.group(vg).snapshots(lv)) == 0 {
		// All other devices take discards.
		n.parent.setText("attrib/max_unmap_block_desc_count", "1\n")
	}
	return flagText(true), nil
}

// device returns the logical volume behind a device node, nil if there is none.
func (c *configfs) device(name string) *LogicalVolume {
	var minor int
	if _, err := fmt.Sscanf(name, "/dev/dm-%d", &minor); err == nil {
		_, lv := c.lvm.byMinor(minor)
		return lv
	}
	return c.lvm.byPath(name)
}

// isHeld reports whether somebody has a device open for himself.
func (c *configfs) isHeld(lv *LogicalVolume) bool {
	return len(lv.HeldBy) > 0 ||
		slices.ContainsFunc(c.mounts, func(m mount) bool { return m.minor == lv.Minor }) ||
		c.bound[lv.Minor] > 0
}

// bind opens the devices of the backstores that are there.
func (c *configfs) bind() {
	if c.root == nil {
		return
	}
	for _, hba := range c.root.children["core"].children {
		for _, n := range hba.children {
			if b, ok := parseBackstore(n.textOf("info")); n.isOf(aBackstore) && ok && b.minor >= 0 {
				c.open(b.minor)
			}
		}
	}
}

// open opens the device of a backstore.
func (c *configfs) open(minor int) {
	c.lvm.hold(minor)
	c.bound[minor]++
}

// storeEmulateTPU is for devices that take discards, and they are known once
// the backstore is bound.
func storeEmulateTPU(_ *configfs, n *node, value string) (string, error) {
	on, err := parseBool(value)
	if err == nil && on && n.parent.textOf("max_unmap_block_desc_count") == "0\n" {
		err = syscall.ENOSYS
	}
	return flagText(on), err
}
