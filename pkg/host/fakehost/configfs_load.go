package fakehost

import (
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// load reads LIO and nvmet of a node. l must have been loaded before.
func (c *configfs) load(n Node, l *lvm) error {
	*c = configfs{
		lvm:       l,
		boots:     n.Boots,
		modules:   map[string]bool{},
		missing:   slices.Clone(n.MissingModules),
		unmounted: n.ConfigFSUnmounted,
		listeners: slices.Clone(n.Listeners),
		rdma:      slices.Clone(n.RDMA),
		fcPorts:   clonePorts(n.FCPorts),
		portals:   map[*node]*socket{},
		bound:     map[int]int{},

		atomicWrites: n.AtomicWrites, withoutNVMeAuth: n.WithoutNVMeAuth, nvmeDebugFS: n.NVMeDebugFS,
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
	if len(n.ConfigFS) > 0 && !slices.ContainsFunc(n.ConfigFS, func(e Entry) bool { return e.Path == "dbroot" }) {
		delete(c.root.children, "dbroot") // it was not recorded
	}
	if err := loadTree(c.root, n.ConfigFS, []string{"core"}); err != nil {
		return fmt.Errorf("configfs: %w", err)
	}
	c.bind()
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
	n.Boots = c.boots
	n.Modules = slices.Sorted(maps.Keys(c.modules))
	n.MissingModules = slices.Clone(c.missing)
	n.Listeners = slices.Clone(c.listeners)
	n.RDMA = slices.Clone(c.rdma)
	n.FCPorts = clonePorts(c.fcPorts)
	n.ConfigFSUnmounted = c.unmounted
	n.AtomicWrites = c.atomicWrites
	n.Sockets = nil
	for _, s := range c.sockets {
		n.Sockets = append(n.Sockets, s.address.String())
	}
	n.Mounts = nil
	for _, m := range c.mounts {
		n.Mounts = append(n.Mounts, c.current(m))
	}
	n.ConfigFS = entriesOf(c.root)
	c.storeNVMet(n)
}

// entriesOf is the opposite of loadTree.
func entriesOf(root *node) []Entry {
	if root == nil {
		return nil
	}
	n, files := root.count()
	entries, texts := make([]Entry, 0, n), make([]string, 0, files)
	var add func(at *node, name string)
	add = func(at *node, name string) {
		e := Entry{Path: name}
		switch {
		case at.target != nil:
			e.Link = at.target.path()
		case !at.isDir():
			texts = append(texts, at.text)
			e.Text = &texts[len(texts)-1]
		}
		entries = append(entries, e)
		for _, child := range at.children {
			below := child.name
			if at != root {
				below = name + "/" + below
			}
			add(child, below)
		}
	}
	add(root, root.path())
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
