package debian

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

var packages = []string{
	"kmod", "udev", "systemd", "dpkg", "diffutils", "init-system-helpers",

	"base-files", "usr-is-merged", "libc-bin", "bash", "dash", "coreutils", "findutils", "grep", "sed", "mawk", "tar", "gzip",
	"util-linux", "mount", "fdisk", "procps", "psmisc", "busybox-static", "iproute2", "netcat-openbsd",
	"less", "curl", "jq", "strace", "nftables", "ncurses-base", "debianutils",

	"lvm2", "dmsetup", "thin-provisioning-tools", "restic", "e2fsprogs", "xfsprogs", "qemu-utils", "xz-utils", "fio",

	"open-iscsi", "libiscsi-bin", "sg3-utils", "lsscsi", "nvme-cli", "rdma-core", "ibverbs-providers",
	"tgt", "targetcli-fb", "multipath-tools", "qemu-block-extra", "python3", "dbus-daemon", "dbus-system-bus-common",

	"ansible-core", "apt", "python3-apt", "openssh-client", "openssh-server",
}

// newer are packages that Debian 12 does not have, or that are used with one release only.
var newer = []string{"vdo", "rpm", "podman", "crun"}

// excluded are files that nothing in the guest reads: half of all.
var excluded = []string{
	"/usr/share/doc/*", "/usr/share/man/*", "/usr/share/info/*", "/usr/share/locale/*",
	"/usr/lib/cni/*", "/usr/libexec/podman/podman-testing", "/usr/share/lintian/*", "/usr/share/bash-completion/*", "/usr/share/zoneinfo/*",
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

// mergeUsrHook makes the links of a merged /usr before anything is unpacked, as
// package usrmerge would do afterwards.
const mergeUsrHook = `for dir in bin sbin lib lib64; do mkdir -p "$1/usr/$dir" && ln -s "usr/$dir" "$1/$dir"; done`

// installedHook tells dpkg of the packages, so that a guest can install one that depends on them. An
// empty list of files per package keeps it from complaining of each.
const installedHook = `for deb in "$1"/var/cache/apt/archives/*.deb; do
	dpkg-deb -f "$deb"; echo "Status: install ok installed"; echo
	: >"$1/var/lib/dpkg/info/$(dpkg-deb -f "$deb" Package).list"
	: >"$1/var/lib/dpkg/info/$(dpkg-deb -f "$deb" Package):$(dpkg-deb -f "$deb" Architecture).list"
done >"$1/var/lib/dpkg/status"`

// Root returns the directory with the user space of a suite and makes it if it is
// not in the cache, which takes half a minute or more. It is shared by all guests of
// this machine: do not change it.
func Root(ctx context.Context, suite Suite) (string, error) {
	key, err := rootKey(suite)
	if err != nil {
		return "", err
	}
	dir, err := made(ctx, "root-"+string(suite)+"-"+key, "fetching the user space of Debian "+string(suite)+": about a minute", func(dir string) error {
		if err := unpack(ctx, dir, suite); err != nil {
			return err
		}
		return finish(ctx, dir)
	})
	if err != nil {
		return "", fmt.Errorf("make the user space of Debian %s: %w", suite, err)
	}
	return dir, nil
}

func rootKey(suite Suite) (string, error) { return keyOf([]string{"recipe.go"}, string(suite)) }

func unpack(ctx context.Context, root string, suite Suite) error {
	sources, err := sourcesOf(ctx, suite)
	if err != nil {
		return err
	}
	include := slices.Clone(packages)
	if suite != Bookworm {
		include = append(include, newer...)
	}
	args := []string{
		"--variant=extract", "--format=directory", "--quiet",
		"--setup-hook=" + mergeUsrHook, "--extract-hook=" + installedHook,
		"--include=" + strings.Join(include, ","),
	}
	if os.Geteuid() != 0 {
		// The only way without root that leaves files which a guest, run by the
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
	if os.Geteuid() != 0 {
		// Programs then search the libraries' directories instead.
		return nil
	}
	_, err := output(ctx, "ldconfig", "-r", root)
	return err
}
