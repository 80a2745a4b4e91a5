// Package service tells systemd how the agent is: ready, reloading, stopping, alive (sd_notify(3)).
//
// It says nothing where no service manager listens, and never waits for one. Start reading at [New].
package service

import (
	"fmt"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Manager is the service manager. Its methods are for one goroutine, but for Stopping.
type Manager struct {
	// failed is called with the first error only: one lost message is like the next.
	failed func(error)
	// watchdog is how long the manager waits for a sign of life; 0: it does not.
	watchdog time.Duration
	// pending is true while the manager waits for READY, after the start or a reload.
	pending bool
	status  string
	erred   bool
}

// New returns the service manager that started this process, as NOTIFY_SOCKET, WATCHDOG_USEC and
// WATCHDOG_PID describe it, and an error if these are wrong: then the watchdog is not fed. failed is
// called if a message cannot be sent.
func New(failed func(error)) (*Manager, error) {
	m := &Manager{failed: failed, pending: true}
	watchdog, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return m, fmt.Errorf("cannot read how often systemd wants a sign of life: %w", err)
	}
	m.watchdog = watchdog
	return m, nil
}

// Every returns how often Alive must be called: three times in the time that the manager waits. 0: it does
// not wait.
func (m *Manager) Every() time.Duration { return m.watchdog / 3 }

// Alive is a sign of life. Before the agent is ready, and while it reloads, it also asks for more time:
// the first pass may wait for LVM longer than TimeoutStartSec.
func (m *Manager) Alive() {
	if m.watchdog == 0 {
		return
	}
	state := daemon.SdNotifyWatchdog
	if m.pending {
		state += fmt.Sprintf("\nEXTEND_TIMEOUT_USEC=%d", m.watchdog.Microseconds())
	}
	m.send(state)
}

// Passed reports the end of a pass. The first one makes the agent ready. status is shown by systemctl status.
func (m *Manager) Passed(status string) {
	state := ""
	if m.pending {
		state = daemon.SdNotifyReady
	}
	if status != m.status {
		state += "\nSTATUS=" + status
	}
	m.pending, m.status = false, status
	if state != "" {
		m.send(state)
	}
}

// Reloading reports that everything is read again. The next Passed ends that. For Type=notify-reload the
// message needs the time of the monotonic clock.
func (m *Manager) Reloading() {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		m.fail(err)
		return
	}
	m.pending = true
	m.send(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/int64(time.Microsecond)))
}

// Stopping reports that the agent ends as soon as the running commands have.
func (*Manager) Stopping() { _, _ = daemon.SdNotify(false, daemon.SdNotifyStopping) }

func (m *Manager) send(state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		m.fail(err)
	}
}

func (m *Manager) fail(err error) {
	if m.erred || m.failed == nil {
		return
	}
	m.erred = true
	m.failed(err)
}
