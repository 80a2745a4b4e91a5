//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/test/guest/internal/handover"
)

const (
	powerOffSignal = syscall.SIGUSR2
	rebootSignal   = syscall.SIGTERM

	// termGrace is how long processes have between SIGTERM and SIGKILL when
	// the guest goes down.
	termGrace = 2 * time.Second
)

// reap starts the agent and waits for every process that ends, until the agent
// does or a signal asks for the guest's end.
func reap(told handover.Guest) error {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, powerOffSignal, rebootSignal)

	// The agent does not see the file that this was read from any more.
	text, err := told.Text()
	if err != nil {
		return err
	}
	pid, err := syscall.ForkExec("/proc/self/exe", []string{agentName}, &syscall.ProcAttr{
		Env:   append(environment(), toldVariable+"="+string(text)),
		Files: []uintptr{0, 1, 2},
	})
	if err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	agentEnded := make(chan syscall.WaitStatus, 1)
	childless := make(chan struct{})
	go func() {
		defer close(childless)
		for {
			var status syscall.WaitStatus
			switch ended, err := syscall.Wait4(-1, &status, 0, nil); {
			case errors.Is(err, syscall.EINTR):
			case err != nil:
				return
			case ended == pid:
				agentEnded <- status
			}
		}
	}()

	action := unix.LINUX_REBOOT_CMD_POWER_OFF
	select {
	case s := <-signals:
		// An emulator ends then. User-mode Linux would start itself again.
		if s == rebootSignal && told.Machine == handover.Emulated {
			action = unix.LINUX_REBOOT_CMD_RESTART
		}
	case status := <-agentEnded:
		fmt.Fprintf(os.Stderr, "init: the agent ended (%#x), powering off\n", uint32(status))
	}
	stopProcesses(childless)
	unmountDisks()
	unix.Sync()
	return unix.Reboot(action)
}

// stopProcesses ends all other processes. Those that the kernel holds are left
// behind after a while: a guest that goes down must not wait for them for ever.
func stopProcesses(childless <-chan struct{}) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		_ = syscall.Kill(-1, s)
		select {
		case <-childless:
			return
		case <-time.After(termGrace):
		}
	}
}
