package fakehost

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// dmMajor is the major number of device-mapper's devices.
const dmMajor = 253

// find returns what is at a path, behind the last symlink of configfs.
func (c *configfs) find(name string) (*node, error) {
	n, err := c.findSelf(name)
	switch {
	case err != nil:
		return nil, err
	case n.target != nil:
		return n.target, nil
	case n.isLink():
		return nil, syscall.ENOENT // a device node: nobody reads it
	}
	return n, nil
}

// findSelf returns what is at a path, a symlink itself if it is one. All but
// configfs is made at this moment, of what LVM holds.
func (c *configfs) findSelf(name string) (*node, error) {
	name = path.Clean(name)
	switch name {
	case "/proc/self/mountinfo":
		return &node{name: "mountinfo", text: c.mountinfo()}, nil
	case "/proc/sys/kernel/random/boot_id":
		return &node{name: "boot_id", text: fmt.Sprintf("00000000-0000-4000-8000-%012d\n", c.boots)}, nil
	case "/proc/net/tcp", "/proc/net/tcp6":
		base := path.Base(name)
		return &node{name: base, text: c.tcpTable(base == "tcp6")}, nil
	}
	if isBelow(name, "/proc") {
		return c.processes().walk(below(name, "/proc"))
	}
	if isBelow(name, targetDir) && c.root != nil && !c.unmounted {
		return c.root.walk(below(name, targetDir)) // most of what is asked for
	}
	if isBelow(name, configDir) {
		return c.configDir().walk(below(name, configDir))
	}
	if isBelow(name, nvmeDebugDir) && c.nvmeDebugFS && c.nvmet != nil {
		return c.debugFS().walk(below(name, nvmeDebugDir))
	}
	for _, dir := range []string{"/sys/class/fc_host", "/sys/class/scsi_host", "/sys/class/fc_remote_ports", "/sys/module/qla2xxx"} {
		if isBelow(name, dir) {
			return c.fcSys(name)
		}
	}
	if isBelow(name, "/sys/module") {
		dir := newDir("module", nil)
		for module := range c.modules {
			dir.add(newDir(module, nil))
		}
		return dir.walk(below(name, "/sys/module"))
	}
	for _, dir := range []string{"/sys/class/block", "/sys/block", "/sys/dev/block"} {
		device, rest, _ := strings.Cut(below(name, dir), "/")
		if minor, ok := parseDevice(device); isBelow(name, dir) && ok {
			return c.blockDevice(minor, rest)
		}
	}
	if isBelow(name, "/dev") && strings.Count(name, "/") == 3 {
		if lv := c.lvm.byPath(name); lv != nil {
			return &node{name: path.Base(name), link: fmt.Sprintf("../dm-%d", lv.Minor)}, nil
		}
	}
	return nil, syscall.ENOENT
}

// below returns the rest of a path below a directory.
func below(name, dir string) string {
	return strings.TrimPrefix(strings.TrimPrefix(name, dir), "/")
}

// configDir is where configfs is mounted, if it is.
func (c *configfs) configDir() *node {
	dir := newDir("config", nil)
	if c.root != nil && !c.unmounted {
		// Its paths begin with itself, so it does not know what it is in.
		dir.children["target"] = c.root
	}
	if c.nvmet != nil && !c.unmounted {
		dir.children["nvmet"] = c.nvmet
	}
	return dir
}

// add puts something into a directory.
func (n *node) add(child *node) *node {
	child.parent = n
	n.children[child.name] = child
	return n
}

// parseDevice reads dm-5 or 253:5.
func parseDevice(name string) (minor int, ok bool) {
	for _, prefix := range []string{"dm-", strconv.Itoa(dmMajor) + ":"} {
		if number, found := strings.CutPrefix(name, prefix); found {
			n, err := strconv.Atoi(number)
			return n, err == nil
		}
	}
	return 0, false
}

// blockDevice returns what is at a path below the directory of a device of
// device-mapper in /sys.
func (c *configfs) blockDevice(minor int, rest string) (*node, error) {
	file := func(name, text string) *node { return &node{name: name, text: text + "\n"} }
	dir := newDir(fmt.Sprintf("dm-%d", minor), nil)
	holders, dm := newDir("holders", nil), newDir("dm", nil)
	dir.add(file("dev", fmt.Sprintf("%d:%d", dmMajor, minor))).add(holders).add(dm)

	if vg, lv := c.lvm.byMinor(minor); lv != nil {
		dm.add(file("name", mapperName(vg, lv.Name)))
		dm.add(file("uuid", "LVM-"+undashed(c.lvm.group(vg).UUID)+undashed(lv.UUID)))
		var uppers []string
		if len(lv.HeldBy) > 0 {
			uppers = c.devicesAbove()
		}
		for _, name := range lv.HeldBy {
			holder := fmt.Sprintf("dm-%d", firstUpper+slices.Index(uppers, name))
			holders.add(&node{name: holder, link: "../../" + holder})
		}
	} else {
		i, uppers := minor-firstUpper, c.devicesAbove()
		if i < 0 || i >= len(uppers) {
			return nil, syscall.ENOENT
		}
		dm.add(file("name", uppers[i]))
	}
	return dir.walk(rest)
}

// firstUpper is the lowest minor number of the devices on top of logical
// volumes, of which only the names are known.
const firstUpper = 100000

// devicesAbove are the names of the devices on top of logical volumes.
func (c *configfs) devicesAbove() []string {
	var all []string
	for _, g := range c.lvm.groups {
		for _, lv := range g.lvs {
			all = append(all, lv.HeldBy...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// mapperName is the name of a logical volume's device: dashes in the two names
// are doubled.
func mapperName(vg, lv string) string {
	return strings.ReplaceAll(vg, "-", "--") + "-" + strings.ReplaceAll(lv, "-", "--")
}

func undashed(uuid string) string { return strings.ReplaceAll(uuid, "-", "") }

// mountinfo is /proc/self/mountinfo, see proc_pid_mountinfo(5).
func (c *configfs) mountinfo() string {
	escape := strings.NewReplacer(" ", `\040`, "\t", `\011`, "\n", `\012`, `\`, `\134`)
	var b strings.Builder
	b.WriteString("21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n")
	for i, m := range c.mounts {
		if m.minor < 0 {
			continue
		}
		vg, lv, _ := strings.Cut(c.current(m).LV, "/")
		fmt.Fprintf(&b, "%d 21 %d:%d / %s rw,relatime shared:%d - ext4 /dev/mapper/%s rw\n",
			100+i, dmMajor, m.minor, escape.Replace(m.Dir), 100+i, mapperName(vg, lv))
	}
	return b.String()
}

// processes is /proc, with those processes that have logical volumes open.
func (c *configfs) processes() *node {
	dir := newDir("proc", nil)
	for _, p := range c.lvm.processes {
		vg, name, _ := strings.Cut(p.LV, "/")
		lv := c.lvm.find(vg, name)
		if lv == nil || !lv.Active {
			continue
		}
		process, fds, ns := newDir(strconv.Itoa(p.PID), nil), newDir("fd", nil), newDir("ns", nil)
		dir.add(process.add(&node{name: "comm", text: p.Command + "\n"}).add(fds).add(ns))
		namespace := "mnt:[1]"
		if p.Mounted == "" {
			fds.add(&node{name: "3", link: fmt.Sprintf("/dev/dm-%d", lv.Minor)})
		} else {
			namespace = fmt.Sprintf("mnt:[%d]", p.PID)
			process.add(&node{name: "mountinfo", text: fmt.Sprintf("30 29 %d:%d / %s rw - ext4 /dev/mapper/%s rw\n", dmMajor, lv.Minor, p.Mounted, mapperName(vg, name))})
		}
		ns.add(&node{name: "mnt", link: namespace})
	}
	ns := newDir("ns", nil).add(&node{name: "mnt", link: "mnt:[1]"})
	return dir.add(newDir("self", nil).add(ns))
}
