//go:build linux

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/test/guest/internal/handover"
)

const (
	hostName  = "guest"
	initiator = "iqn.1993-08.org.debian:guest"
	hostID    = "5a1f9c5e-3c0b-4c39-9d0f-6f7d1a1e0001"

	udevTimeout = time.Minute
)

var files = map[string]string{
	"/etc/hostname":                  hostName + "\n",
	"/etc/hosts":                     "127.0.0.1 localhost " + hostName + "\n::1 localhost " + hostName + "\n",
	"/etc/iscsi/initiatorname.iscsi": "InitiatorName=" + initiator + "\n",
	"/etc/nvme/hostid":               hostID + "\n",
	"/etc/nvme/hostnqn":              "nqn.2014-08.org.nvmexpress:uuid:" + hostID + "\n",
}

func environment() []string {
	return []string{
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME=/root",
		"LC_ALL=C.UTF-8",
		"TERM=dumb",
	}
}

// prepareNode does what an init system would have done before somebody logs in, or the rest of it if
// that is systemd.
func prepareNode(told handover.Guest) error {
	if !told.Systemd {
		err := mountAll([]mount{
			{source: "tmpfs", target: "/run", fstype: "tmpfs", options: "mode=755"},
			{source: "devpts", target: "/dev/pts", fstype: "devpts", options: "gid=5,mode=620"},
			{source: "tmpfs", target: "/dev/shm", fstype: "tmpfs"},
		})
		if err != nil {
			return err
		}
	}
	for _, dir := range []string{"/run/lock/iscsi", "/run/lock/lvm", "/run/lvm", "/run/dbus", "/etc/nvme"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	for path, content := range files {
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	ends := "/proc/1/exe"
	if told.Systemd {
		ends = "/usr/bin/systemctl"
	}
	for _, name := range []string{"poweroff", "reboot"} {
		if err := link(ends, filepath.Join("/usr/sbin", name)); err != nil {
			return err
		}
	}
	if err := unix.Sethostname([]byte(hostName)); err != nil {
		return err
	}
	if err := setUp("lo"); err != nil {
		return err
	}
	if told.Share != "" {
		// Nothing of it is cached: the host changes it as well.
		if err := folder(told.Machine, "host", told.Share, "/host", "cache=none").do(); err != nil {
			return err
		}
	}
	if told.Systemd {
		if err := announceDisks(told); err != nil {
			return err
		}
		return do("iscsid")
	}
	if err := (mount{source: "configfs", target: "/sys/kernel/config", fstype: "configfs"}).do(); err != nil {
		return err
	}
	return startDaemons(told)
}

// startDaemons starts them side by side.
func startDaemons(told handover.Guest) error {
	var group errgroup.Group
	group.Go(func() error {
		if err := do("/usr/lib/systemd/systemd-udevd", "--daemon"); err != nil {
			return err
		}
		return announceDisks(told)
	})
	group.Go(func() error { return do("iscsid") })
	// targetcli asks on D-Bus for backstores in user space.
	group.Go(func() error { return do("dbus-daemon", "--system", "--fork") })
	return group.Wait()
}

func do(argv ...string) error {
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w", cmd, err)
	}
	return nil
}

// announceDisks has udevd look at the disks, which were there before it, and
// waits until it has. No other device needs that, and "udevadm trigger" with
// "udevadm settle" would take a second where this takes a tenth.
func announceDisks(told handover.Guest) error {
	if err := nameDisks(told); err != nil {
		return err
	}
	disks, err := filepath.Glob("/sys/class/block/[uv][bd]*") // vda or ubda, and their partitions
	if err != nil {
		return err
	}
	timeout := time.After(udevTimeout)
	for _, disk := range disks {
		if err := announce(disk, timeout); err != nil {
			return err
		}
	}
	return nil
}

// announce has udevd look at a disk and waits until it has. An event may be lost: udevd of
// systemd 262 is not always ready to hear of one when it has become a daemon.
func announce(disk string, timeout <-chan time.Time) error {
	number, err := os.ReadFile(filepath.Join(disk, "dev"))
	if err != nil {
		return err
	}
	// What udevd writes last.
	record := "/run/udev/data/b" + strings.TrimSpace(string(number))
	poll := time.NewTicker(10 * time.Millisecond)
	defer poll.Stop()
	for n := 0; !exists(record); n++ {
		if n%100 == 0 {
			if err := os.WriteFile(filepath.Join(disk, "uevent"), []byte("add"), 0); err != nil {
				return err
			}
		}
		select {
		case <-poll.C:
		case <-timeout:
			return fmt.Errorf("udevd has not handled %s after %s", disk, udevTimeout)
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func setUp(iface string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	request, err := unix.NewIfreq(iface)
	if err != nil {
		return err
	}
	request.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		return fmt.Errorf("set %s up: %w", iface, err)
	}
	return nil
}

// nameDisks gives the disks of User-mode Linux, which has names of its own for them,
// those that they have elsewhere.
func nameDisks(told handover.Guest) error {
	if told.Machine != handover.UserMode {
		return nil
	}
	if err := os.MkdirAll("/dev/disk/by-id", 0o755); err != nil {
		return err
	}
	for i, serial := range told.Serials {
		letter := string(rune('a' + i))
		for link, to := range map[string]string{
			"/dev/vd" + letter:                 "ubd" + letter,
			"/dev/disk/by-id/virtio-" + serial: "../../ubd" + letter,
		} {
			if err := os.Symlink(to, link); err != nil {
				return err
			}
		}
	}
	return nil
}

// unmountDisks unmounts every file system that lies on a block device, the last
// one first, so that a clean end of the guest is one for them as well.
func unmountDisks() {
	table, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return
	}
	lines := strings.Split(strings.TrimSpace(string(table)), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		fields := strings.Fields(lines[i])
		if len(fields) > 1 && strings.HasPrefix(fields[0], "/dev/") {
			_ = unix.Unmount(fields[1], 0)
		}
	}
}
