//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/test/guest/internal/handover"
)

// moduleList names the module files of the initial RAM file system, in the
// order in which they have to be loaded.
const moduleList = "/modules/list"

type mount struct {
	source, target, fstype string
	flags                  uintptr
	options                string
}

func (m mount) do() error {
	if err := os.MkdirAll(m.target, 0o755); err != nil {
		return err
	}
	if err := unix.Mount(m.source, m.target, m.fstype, m.flags, m.options); err != nil {
		return fmt.Errorf("mount %s on %s: %w", m.source, m.target, err)
	}
	return nil
}

func mountAll(mounts []mount) error {
	for _, m := range mounts {
		if err := m.do(); err != nil {
			return err
		}
	}
	return nil
}

// boot goes from the initial RAM file system to a root that is the cached user space
// below, the kernel's folder over it, and a file system in memory or on a disk above, so that
// guests share what is cached and never change it.
func boot(told handover.Guest) error {
	err := mountAll([]mount{
		{source: "proc", target: "/proc", fstype: "proc"},
		{source: "sysfs", target: "/sys", fstype: "sysfs"},
		{source: "devtmpfs", target: "/dev", fstype: "devtmpfs"},
	})
	if err != nil {
		return err
	}
	say("init", "loading modules")
	if err := loadModules(); err != nil {
		return err
	}
	say("init", "mounting the root")
	err = mountAll([]mount{
		folder(told.Machine, "root", told.Root, "/lower/root", "cache=loose"),
		folder(told.Machine, "kernel", told.Kernel, "/lower/kernel", "cache=loose"),
		upper(told),
	})
	if err != nil {
		return err
	}
	for _, dir := range []string{"/upper/upper", "/upper/work"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	err = mountAll([]mount{
		{"overlay", "/new", "overlay", 0, "lowerdir=/lower/kernel:/lower/root,upperdir=/upper/upper,workdir=/upper/work"},
		{source: "/proc", target: "/new/proc", flags: unix.MS_MOVE},
		{source: "/sys", target: "/new/sys", flags: unix.MS_MOVE},
		{source: "/dev", target: "/new/dev", flags: unix.MS_MOVE},
	})
	if err != nil {
		return err
	}
	return switchRoot("/new")
}

// upper is what keeps the changes of the root.
func upper(told handover.Guest) mount {
	if told.RootDisk == 0 {
		return mount{source: "tmpfs", target: "/upper", fstype: "tmpfs"}
	}
	prefix := "/dev/vd"
	if told.Machine == handover.UserMode {
		prefix = "/dev/ubd"
	}
	return mount{source: prefix + string(rune('a'+told.RootDisk-1)), target: "/upper", fstype: "ext4"}
}

// folder is a folder of the host: a path for User-mode Linux, a tag for others.
func folder(machine, tag, path, target, cache string) mount {
	if machine == handover.UserMode {
		return mount{source: path, target: target, fstype: "hostfs", options: path}
	}
	return mount{source: tag, target: target, fstype: "9p", options: "trans=virtio,version=9p2000.L,msize=524288," + cache}
}

// switchRoot makes dir the root. The old one stays beneath, out of sight: it
// still holds the mounts that the overlay consists of.
func switchRoot(dir string) error {
	if err := unix.Chdir(dir); err != nil {
		return err
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move the root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return err
	}
	return unix.Chdir("/")
}

func loadModules() error {
	list, err := os.ReadFile(moduleList)
	if err != nil {
		return err
	}
	for name := range strings.FieldsSeq(string(list)) {
		if err := loadModule(filepath.Join(filepath.Dir(moduleList), name)); err != nil {
			return fmt.Errorf("load %s: %w", name, err)
		}
	}
	return nil
}

func loadModule(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	flags := 0
	if filepath.Ext(path) != ".ko" {
		flags = unix.MODULE_INIT_COMPRESSED_FILE
	}
	return unix.FinitModule(int(f.Fd()), "", flags)
}
