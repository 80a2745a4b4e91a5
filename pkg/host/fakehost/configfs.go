package fakehost

import (
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
)

const (
	configDir = "/sys/kernel/config"
	targetDir = configDir + "/target"
)

// configfs plays the kernel: configfs, and what else the agent reads of /dev,
// /proc and /sys.
//
// What LIO holds is the text of its attributes, as the kernel shows it. So a
// captured machine continues from where it was captured, and storing and loading
// one changes nothing.
type configfs struct {
	lvm       *lvm
	boots     uint64
	files     files
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
	// bound are the minor numbers of the devices that backstores are bound to, and how
	// many are.
	bound map[int]int

	// These are those of Node.
	atomicWrites, withoutNVMeAuth, nvmeDebugFS bool
	missingAddresses                           []string
	// namespaces are the minor numbers of the devices that NVMe namespaces serve.
	namespaces   map[*node]int
	nvmeSessions []NVMeSession
	// discovered are the NVMe subsystems that a host has seen.
	discovered map[*node]bool
}

// mount is a mounted logical volume. It is known by its device, which does not
// change when the logical volume is renamed.
type mount struct {
	Mount
	minor int // -1: not active
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
		if err := n.checkRemovable(); err != nil {
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
