package fakehost

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/host"
)

const (
	configDir = "/sys/kernel/config"
	targetDir = configDir + "/target"
)

// The kernel modules that matter.
const (
	coreModule   = "target_core_mod"
	iblockModule = "target_core_iblock"
	iscsiModule  = "iscsi_target_mod"
	iserModule   = "ib_isert"
	fcModule     = "tcm_fc"
	qlaModule    = "tcm_qla2xxx"
)

// configfs plays the kernel: configfs, and what else the agent reads of /dev,
// /proc and /sys.
//
// What LIO holds is the text of its attributes, as the kernel shows it. So a
// captured machine goes on where it was captured, and one that is stored is
// what it was.
type configfs struct {
	lvm       *lvm
	modules   map[string]bool
	missing   []string
	unmounted bool
	// root is /sys/kernel/config/target; nil while LIO is not loaded. nvmet is
	// /sys/kernel/config/nvmet.
	root, nvmet *node
	mounts      []mount
	listeners   []string
	// rdma are the addresses that an RDMA device serves.
	rdma []string
	// fcPorts are the machine's Fibre Channel ports.
	fcPorts []FCPort
	// sockets are those on which LIO listens, in the order in which they were
	// opened, and portals says which portal uses which.
	sockets []*socket
	portals map[*node]*socket

	// withoutNVMeAuth, nvmeDebugFS and missingAddresses are those of Node.
	withoutNVMeAuth, nvmeDebugFS bool
	missingAddresses             []string
	// namespaces are the minor numbers of the devices that NVMe namespaces serve.
	namespaces   map[*node]int
	nvmeSessions []NVMeSession
	// discovered are the NVMe subsystems that a host has seen.
	discovered map[*node]bool
}

// mount is a mounted logical volume. It is known by its device, which stays the
// same when the logical volume is renamed.
type mount struct {
	Mount
	minor int // -1: not active
}

// load takes over what a node holds. l must have done so before.
func (c *configfs) load(n Node, l *lvm) error {
	*c = configfs{
		lvm:       l,
		modules:   map[string]bool{},
		missing:   slices.Clone(n.MissingModules),
		unmounted: n.ConfigFSUnmounted,
		listeners: slices.Clone(n.Listeners),
		rdma:      slices.Clone(n.RDMA),
		fcPorts:   clonePorts(n.FCPorts),
		portals:   map[*node]*socket{},

		withoutNVMeAuth: n.WithoutNVMeAuth, nvmeDebugFS: n.NVMeDebugFS,
		missingAddresses: slices.Clone(n.MissingAddresses),
		namespaces:       map[*node]int{}, discovered: map[*node]bool{},
	}
	for _, address := range n.Listeners {
		if _, err := netip.ParseAddrPort(address); err != nil {
			return fmt.Errorf("listeners: %w", err)
		}
	}
	for _, address := range n.Sockets {
		parsed, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("sockets: %w", err)
		}
		c.sockets = append(c.sockets, &socket{address: parsed})
	}
	for _, m := range n.Mounts {
		minor := -1
		if lv := l.byPath("/dev/" + m.LV); lv != nil {
			minor = lv.Minor
		}
		c.mounts = append(c.mounts, mount{Mount: m, minor: minor})
	}
	for _, name := range n.Modules {
		c.modules[name] = true
	}
	if len(n.ConfigFS) > 0 || c.modules[iblockModule] || c.modules[iscsiModule] {
		c.modules[coreModule] = true
	}
	c.register()
	if err := loadTree(c.root, n.ConfigFS, []string{"core"}); err != nil {
		return fmt.Errorf("configfs: %w", err)
	}
	for _, minor := range c.bound() {
		c.lvm.hold(minor)
	}
	c.loadPortals()
	if err := c.loadNVMet(n); err != nil {
		return fmt.Errorf("nvmet: %w", err)
	}
	return nil
}

// loadTree makes what is below a root in configfs. What is not among the entries
// does not exist, but for some defaults that come with the root: that kernel did
// not have it, or nobody may know it.
func loadTree(root *node, entries []Entry, defaults []string) error {
	for _, e := range entries {
		if e.Path == "." || slices.Contains(defaults, e.Path) {
			continue
		}
		parent, err := root.walk(path.Dir(e.Path))
		if err != nil || !parent.isDir() {
			return fmt.Errorf("%s: its directory is not there", e.Path)
		}
		n := parent.loadChild(path.Base(e.Path))
		switch {
		case e.Link != "":
			n.target = &node{} // until all directories are there
		case e.Text != nil:
			n.text = *e.Text
		default:
			n.children = map[string]*node{}
		}
	}
	for _, e := range entries {
		if e.Link == "" {
			continue
		}
		to, err := root.walk(e.Link)
		if err != nil || !to.isDir() {
			return fmt.Errorf("%s: %s is not there", e.Path, e.Link)
		}
		from, err := root.walk(path.Dir(e.Path))
		if err != nil {
			return err
		}
		from.children[path.Base(e.Path)].target = to
		to.links++
	}
	return nil
}

func (c *configfs) store(n *Node) {
	n.Modules = slices.Sorted(maps.Keys(c.modules))
	n.MissingModules = slices.Clone(c.missing)
	n.Listeners = slices.Clone(c.listeners)
	n.RDMA = slices.Clone(c.rdma)
	n.FCPorts = clonePorts(c.fcPorts)
	n.ConfigFSUnmounted = c.unmounted
	n.Sockets = nil
	for _, s := range c.sockets {
		n.Sockets = append(n.Sockets, s.address.String())
	}
	n.Mounts = nil
	for _, m := range c.mounts {
		n.Mounts = append(n.Mounts, c.current(m))
	}
	n.ConfigFS = entriesOf(c.all())
	c.storeNVMet(n)
}

// entriesOf is the opposite of loadTree.
func entriesOf(all func(yield func(*node) bool)) []Entry {
	var entries []Entry
	for at := range all {
		e := Entry{Path: at.path()}
		switch {
		case at.target != nil:
			e.Link = at.target.path()
		case !at.isDir():
			text := at.text
			e.Text = &text
		}
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
	return entries
}

// current returns a mount with the name that its logical volume has now.
func (c *configfs) current(m mount) Mount {
	if vg, lv := c.lvm.byMinor(m.minor); lv != nil {
		m.LV = vg + "/" + lv.Name
	}
	return m.Mount
}

// all returns everything below /sys/kernel/config/target, parents first.
func (c *configfs) all() func(yield func(*node) bool) {
	return func(yield func(*node) bool) {
		if c.root != nil {
			c.root.each(yield)
		}
	}
}

// modprobe plays modprobe(8).
func (c *configfs) modprobe(argv []string) (host.Output, error) {
	for _, name := range argv[1:] {
		if strings.HasPrefix(name, "-") {
			continue
		}
		if !c.insert(strings.ReplaceAll(name, "-", "_")) {
			out := host.Output{Stderr: "modprobe: FATAL: Module " + name + " not found in directory /lib/modules/6.1.0\n"}
			return out, &host.CommandError{Argv: argv, ExitCode: 1, Stderr: out.Stderr}
		}
	}
	c.register()
	return host.Output{}, nil
}

// register makes the directories of LIO and nvmet in configfs, once they are
// loaded.
func (c *configfs) register() {
	if c.root == nil && c.modules[coreModule] {
		c.root = newDir("target", rootType)
	}
	if c.nvmet == nil && c.modules[nvmetModule] {
		c.nvmet = newDir("nvmet", nvmetType)
	}
}

// insert loads a module and those that it needs. It reports false if the
// machine does not have it.
func (c *configfs) insert(name string) bool {
	if slices.Contains(c.missing, name) {
		return false
	}
	switch name {
	case coreModule, nvmetModule:
	case iblockModule, iscsiModule, fcModule, qlaModule:
		if !c.insert(coreModule) {
			return false
		}
	case nvmetTCPModule, nvmetRDMAModule:
		if !c.insert(nvmetModule) {
			return false
		}
	case iserModule:
		if !c.insert(iscsiModule) {
			return false
		}
	default:
		return false
	}
	c.modules[name] = true
	return true
}

func (c *configfs) readFile(name string) ([]byte, error) {
	n, err := c.find(name)
	switch {
	case err != nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	case n.isDir():
		return nil, &fs.PathError{Op: "read", Path: name, Err: syscall.EISDIR}
	case n.attribute != nil && n.attribute.writeOnly:
		return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	}
	return []byte(n.text), nil
}

func (c *configfs) readDir(name string) ([]fs.DirEntry, error) {
	n, err := c.find(name)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	if !n.isDir() {
		return nil, &fs.PathError{Op: "readdirent", Path: name, Err: syscall.ENOTDIR}
	}
	var entries []fs.DirEntry
	for _, child := range slices.Sorted(maps.Keys(n.children)) {
		entries = append(entries, dirEntry{n.children[child]})
	}
	return entries, nil
}

func (c *configfs) readlink(name string) (string, error) {
	n, err := c.findSelf(name)
	if err == nil && !n.isLink() {
		err = syscall.EINVAL
	}
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return n.readlink(), nil
}

func (c *configfs) writeFile(name string, data []byte) error {
	n, err := c.find(name)
	switch {
	case err != nil:
		return &fs.PathError{Op: "open", Path: name, Err: err}
	case n.isDir():
		return &fs.PathError{Op: "open", Path: name, Err: syscall.EISDIR}
	case isBelow(name, nvmeDebugDir):
		if err := c.breakController(n, string(data)); err != nil {
			return &fs.PathError{Op: "write", Path: name, Err: err}
		}
		return nil
	case !isKernelObject(name), n.attribute != nil && n.attribute.store == nil:
		return &fs.PathError{Op: "open", Path: name, Err: syscall.EACCES}
	}
	// The kernel sees a string.
	value, _, _ := strings.Cut(string(data), "\x00")
	if n.attribute == nil {
		n.text = strings.TrimSuffix(value, "\n") + "\n" // nothing is known of it
		return nil
	}
	text, err := n.attribute.store(c, n, value)
	if err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	n.text = text
	return nil
}

func (c *configfs) mkdir(name string) error {
	if err := c.makeDir(path.Clean(name)); err != nil {
		return &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return nil
}

// makeDir follows configfs_mkdir in fs/configfs/dir.c.
func (c *configfs) makeDir(name string) error {
	parent, err := c.find(path.Dir(name))
	if err != nil {
		return err
	}
	base := path.Base(name)
	switch {
	case !parent.isDir():
		return syscall.ENOTDIR
	case parent.children[base] != nil:
		return syscall.EEXIST
	case parent.kind == nil || parent.kind.members == nil:
		return syscall.EPERM
	}
	if err := parent.kind.check(c, parent, base); err != nil {
		return err
	}
	n := newDir(base, parent.kind.member(base))
	n.parent, n.made = parent, true
	if n.kind.make != nil {
		if err := n.kind.make(c, n); err != nil {
			return err
		}
	}
	parent.children[base] = n
	return nil
}

func (c *configfs) remove(name string) error {
	if err := c.removeNode(name); err != nil {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}

// removeNode follows configfs_unlink and configfs_rmdir. It returns what
// [os.Remove] makes of their errors.
func (c *configfs) removeNode(name string) error {
	n, err := c.findSelf(name)
	switch {
	case err != nil:
		return err
	case n.parent == nil, !n.isDir() && n.target == nil, n.isDir() && !n.made:
		return syscall.EPERM
	}
	if n.target != nil {
		if unlink := n.parent.kind.unlink; unlink != nil {
			unlink(c, n.parent, n.target)
		}
		n.target.links--
	} else {
		if err := n.removable(); err != nil {
			return err
		}
		if drop := n.kind.drop; drop != nil {
			drop(c, n)
		}
	}
	delete(n.parent.children, n.name)
	return nil
}

func (c *configfs) symlink(target, link string) error {
	if err := c.makeLink(target, path.Clean(link)); err != nil {
		return &os.LinkError{Op: "symlink", Old: target, New: link, Err: err}
	}
	return nil
}

// makeLink follows configfs_symlink in fs/configfs/symlink.c: what the symlink
// leads to has to be there, and takes part.
func (c *configfs) makeLink(target, link string) error {
	from, err := c.find(path.Dir(link))
	if err != nil {
		return err
	}
	base := path.Base(link)
	switch {
	case !from.isDir():
		return syscall.ENOTDIR
	case from.children[base] != nil:
		return syscall.EEXIST
	case from.kind == nil || from.kind.link == nil:
		return syscall.EPERM
	}
	to, err := c.find(target)
	switch {
	case err != nil:
		return err
	case !to.isDir():
		return syscall.ENOTDIR
	case !isKernelObject(target):
		return syscall.EPERM
	}
	if err := from.kind.link(c, from, to); err != nil {
		return err
	}
	from.children[base] = &node{name: base, parent: from, target: to}
	to.links++
	return nil
}

// isKernelObject reports whether a path is in what LIO or nvmet have in configfs.
func isKernelObject(name string) bool { return isBelow(name, targetDir) || isBelow(name, nvmetDir) }

// isBelow reports whether a path is a directory or in it.
func isBelow(name, dir string) bool {
	name = path.Clean(name)
	return name == dir || strings.HasPrefix(name, dir+"/")
}

// Reboot restarts the machine, as after a power cut. What is in configfs and
// mounted is gone. LVM has activated what it activates by itself: the logical
// volumes of complete volume groups, but for those with the flag that says
// otherwise. None of them has the minor number that it had.
func (h *Host) Reboot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	var n Node
	h.lvm.store(&n)
	h.tree.store(&n)
	n.Modules, n.ConfigFS, n.Sockets, n.Mounts = nil, nil, nil, nil
	n.NVMet, n.NVMeDevices, n.NVMeSessions = nil, nil, nil
	next := 0
	for i := range n.VolumeGroups {
		vg := &n.VolumeGroups[i]
		vg.LogicalVolumes = slices.Clone(vg.LogicalVolumes)
		for j := len(vg.LogicalVolumes) - 1; j >= 0; j-- {
			activate(&vg.LogicalVolumes[j], vg.MissingPVs == 0 && vg.Unusable == "", &next)
		}
	}
	var (
		l lvm
		c configfs
	)
	if err := errors.Join(l.load(n), c.load(n, &l)); err != nil {
		//nolint:forbidigo // this cannot be, and nobody could handle it
		panic(fmt.Sprintf("fakehost: what a machine held before a reboot cannot be loaded: %v", err))
	}
	h.lvm, h.tree = l, c
	h.tree.lvm = &h.lvm
}

// activate gives a logical volume the state that it has after a boot.
func activate(lv *LogicalVolume, complete bool, next *int) {
	lv.HeldBy = nil
	before, wasActive := lv.Minor, lv.Active
	lv.Active, lv.Minor = complete && !lv.SkipActivation, 0
	if !lv.Active {
		return
	}
	if wasActive && *next == before {
		*next++
	}
	lv.Minor = *next
	*next++
}
