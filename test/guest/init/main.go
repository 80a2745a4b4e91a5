//go:build linux

// Command init is PID 1 of the guest. It is built by package guest, put into
// the initial RAM file system, and useless anywhere else.
//
// As PID 1 it mounts the root file system (boot.go), starts itself again as the
// agent, and from then on only reaps and, on a signal, powers off or reboots
// (pid1.go), or it leaves its place to systemd, which starts the agent (systemd.go). The agent makes the guest a usable node (node.go) and then runs
// the host's commands (agent.go): being another process, it can wait for its
// children without PID 1 taking them away. Called as poweroff or reboot, it
// sends PID 1 the signal.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/test/guest/internal/handover"
)

func main() {
	name := filepath.Base(os.Args[0])
	if err := play(name); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

// say leaves a trace on the console, for guests that do not come up.
func say(role, stage string) { fmt.Fprintf(os.Stderr, "%s: %s\n", role, stage) }

func play(role string) error {
	switch {
	case role == agentName:
		return agent()
	case role == "poweroff":
		return syscall.Kill(1, powerOffSignal)
	case role == "reboot":
		return syscall.Kill(1, rebootSignal)
	case os.Getpid() != 1:
		return fmt.Errorf("not PID 1, and not called as %s, poweroff or reboot", agentName)
	}
	told, err := handover.Read()
	if err == nil {
		err = boot(told)
	}
	if err != nil {
		// Without this the kernel would bury the message under its panic.
		fmt.Fprintln(os.Stderr, "init:", err)
		return unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF)
	}
	if told.Systemd {
		return startSystemd(told)
	}
	return reap(told)
}
