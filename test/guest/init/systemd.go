//go:build linux

package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/test/guest/internal/handover"
)

const (
	systemd      = "/usr/lib/systemd/systemd"
	systemdUnits = "/etc/systemd/system"

	// agentProgram is this program in the root file system, and agentTold its [toldVariable].
	agentProgram = "/usr/local/lib/guest/agent"
	agentTold    = "/etc/guest-agent.env"
)

// systemdFiles have systemd start the agent. It is no part of the shutdown of others: the host's
// commands may wait for that.
var systemdFiles = map[string]string{
	// A machine without an ID counts as booted for the first time.
	"/etc/machine-id": "5a1f9c5e3c0b4c399d0f6f7d1a1e0001\n",
	systemdUnits + "/guest-agent.service": `[Unit]
Description=runs the commands of the host
After=local-fs.target dbus.socket
[Service]
EnvironmentFile=` + agentTold + `
Environment=HOME=/root LC_ALL=C.UTF-8 TERM=dumb
ExecStart=` + agentProgram + `
StandardOutput=journal+console
StandardError=journal+console
KillMode=process
OOMScoreAdjust=-1000
`,
}

// systemdLinks are units that are started, or with /dev/null not. Packages are only unpacked, so that
// none is enabled that does not come so.
var systemdLinks = map[string]string{
	systemdUnits + "/default.target":                                "/usr/lib/systemd/system/multi-user.target",
	systemdUnits + "/multi-user.target.wants/guest-agent.service":   "../guest-agent.service",
	systemdUnits + "/getty.target":                                  "/dev/null", // one would take the line to the host
	systemdUnits + "/systemd-firstboot.service":                     "/dev/null",
	systemdUnits + "/systemd-logind.service":                        "/dev/null", // it fails without users who could log in
	systemdUnits + "/systemd-hwdb-update.service":                   "/dev/null", // nobody asks for the names of vendors
	systemdUnits + "/dbus.socket":                                   "/dev/null", // nobody answers there
	systemdUnits + "/ldconfig.service":                              "/dev/null",
	systemdUnits + "/lvm2-monitor.service":                          "/usr/lib/systemd/system/lvm2-monitor.service",
	systemdUnits + "/sysinit.target.wants/lvm2-monitor.service":     "/usr/lib/systemd/system/lvm2-monitor.service",
	systemdUnits + "/sysinit.target.wants/blk-availability.service": "/usr/lib/systemd/system/blk-availability.service",
}

// startSystemd leaves PID 1 to systemd.
func startSystemd(told handover.Guest) error {
	program, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	text, err := told.Text()
	if err != nil {
		return err
	}
	if err := writeFile(agentProgram, program, 0o755); err != nil {
		return err
	}
	if err := writeFile(agentTold, []byte(toldVariable+"='"+string(text)+"'\n"), 0o644); err != nil {
		return err
	}
	for path, content := range systemdFiles {
		if err := writeFile(path, []byte(content), 0o644); err != nil {
			return err
		}
	}
	for path, to := range systemdLinks {
		if err := link(to, path); err != nil {
			return err
		}
	}
	say("init", "starting systemd")
	return unix.Exec(systemd, []string{systemd}, environment())
}

func writeFile(path string, content []byte, mode fs.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, content, mode)
}

// link makes a symbolic link in the place of what is there.
func link(to, path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(to, path)
}
