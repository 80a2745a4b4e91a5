package guest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// kernelPackage depends on the newest kernel of the repository it is taken from.
const kernelPackage = "linux-image-amd64"

var packages = []string{
	"kmod", "udev",

	"base-files", "usr-is-merged", "libc-bin", "bash", "dash", "coreutils", "findutils", "grep", "sed", "mawk", "tar", "gzip",
	"util-linux", "mount", "fdisk", "procps", "psmisc", "busybox-static", "iproute2", "netcat-openbsd",
	"less", "curl", "jq", "strace", "nftables", "ncurses-base", "debianutils",

	"lvm2", "dmsetup", "thin-provisioning-tools", "e2fsprogs", "xfsprogs", "qemu-utils", "xz-utils", "fio",

	"open-iscsi", "libiscsi-bin", "sg3-utils", "lsscsi", "nvme-cli", "rdma-core", "ibverbs-providers",
	"tgt", "targetcli-fb", "python3", "dbus-daemon", "dbus-system-bus-common",
}

// excluded are files that nothing in the guest reads: half of all.
var excluded = []string{
	"/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*",
	"/usr/share/lintian/*", "/usr/share/bash-completion/*", "/usr/share/zoneinfo/*",
	"/lib/modules/*/kernel/sound/*",
	"/lib/modules/*/kernel/drivers/gpu/*",
	"/lib/modules/*/kernel/drivers/media/*",
	"/lib/modules/*/kernel/drivers/staging/*",
	"/lib/modules/*/kernel/drivers/iio/*",
	"/lib/modules/*/kernel/drivers/net/wireless/*",
	"/lib/modules/*/kernel/drivers/net/ethernet/*",
	"/lib/modules/*/kernel/drivers/usb/*",
}

// Packages are unpacked, not installed: no maintainer script has run. What
// follows is what the guest would miss of them.

var links = map[string]string{
	"etc/mtab":      "../proc/self/mounts",
	"usr/bin/awk":   "mawk",
	"usr/bin/nc":    "nc.openbsd",
	"usr/bin/sh":    "dash",
	"usr/bin/which": "which.debianutils",
	"var/lock":      "/run/lock",
	"var/run":       "/run",
}

// etcFiles hold the users and groups that udev's rules and the daemons name.
var etcFiles = map[string]string{
	"etc/passwd": `root:x:0:0:root:/root:/bin/bash
daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin
messagebus:x:106:106:messagebus:/nonexistent:/usr/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin
`,
	"etc/group": `root:x:0:
daemon:x:1:
tty:x:5:
disk:x:6:
lp:x:7:
kmem:x:15:
dialout:x:20:
cdrom:x:24:
tape:x:26:
audio:x:29:
video:x:44:
sgx:x:101:
input:x:102:
kvm:x:103:
render:x:104:
netdev:x:105:
messagebus:x:106:
nogroup:x:65534:
`,
	"etc/nsswitch.conf": `passwd: files
group: files
shadow: files
hosts: files dns
services: files
protocols: files
`,
}

// mergeUsr makes the links of a merged /usr before anything is unpacked, as
// package usrmerge would do afterwards.
const mergeUsr = `for dir in bin sbin lib lib64; do mkdir -p "$1/usr/$dir" && ln -s "usr/$dir" "$1/$dir"; done`

// unpackedFor returns what the root of a guest with this kernel is made of:
// packages, as apt wants them named, and the repositories that have them. The
// first of sources is the release's own.
func unpackedFor(kernel Kernel, sources []source) ([]string, []source) {
	image := kernelPackage
	if kernel == Backported {
		from := backports(sources[0])
		// apt takes nothing else from backports: they rank behind the release.
		image += "/" + from.release
		sources = append(slices.Clone(sources), from)
	}
	return append([]string{image}, packages...), sources
}

func unpack(ctx context.Context, root string, kernel Kernel, sources []source) error {
	names, sources := unpackedFor(kernel, sources)
	args := []string{
		"--variant=extract", "--format=directory", "--quiet",
		"--setup-hook=" + mergeUsr,
		"--include=" + strings.Join(names, ","),
	}
	if os.Geteuid() != 0 {
		// The only way without root that leaves files which QEMU, run by the
		// same user, can read.
		args = append(args, "--mode=chrootless")
	}
	for _, pattern := range excluded {
		args = append(args, "--dpkgopt=path-exclude="+pattern)
	}
	options, err := aptOptions(ctx)
	if err != nil {
		return err
	}
	for _, option := range options {
		args = append(args, "--aptopt="+option)
	}
	args = append(args, sources[0].release, root)
	for _, s := range sources {
		args = append(args, s.String())
	}
	_, err = output(ctx, "mmdebstrap", args...)
	return err
}

func finish(ctx context.Context, root string) error {
	for name, target := range links {
		path := filepath.Join(root, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := os.Symlink(target, path); err != nil {
			return err
		}
	}
	for name, content := range etcFiles {
		if err := os.WriteFile(filepath.Join(root, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	version, err := kernelVersion(root)
	if err != nil {
		return err
	}
	if _, err := output(ctx, "depmod", "-b", root, version); err != nil {
		return err
	}
	if err := writeUncompressedKernel(ctx, root, version); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		// Programs then search the libraries' directories instead.
		return nil
	}
	_, err = output(ctx, "ldconfig", "-r", root)
	return err
}
