package reconcile

import (
	"maps"
	"time"

	"golang.org/x/sys/unix"
)

// clockWatch notices when somebody sets the node's clock.
type clockWatch struct {
	// boot is when the node was started, by its clock as it is set now. since is from when on the
	// agent has learned by the clock as it was before.
	boot, since time.Time
}

// clockTolerance is how far a clock may drift before it is considered set: clocks are also
// corrected little by little.
const clockTolerance = time.Minute

// observe compares the clock with how long the node has been up, asleep or not. It returns by how
// much the clock was set ahead since the last call, and since when it had been as before.
func (s *clockWatch) observe(now time.Time, up time.Duration) (ahead time.Duration, since time.Time) {
	now = now.Round(0)
	boot := now.Add(-up)
	if s.boot.IsZero() {
		s.boot, s.since = boot, now
	}
	by := boot.Sub(s.boot)
	if by.Abs() < clockTolerance {
		return 0, s.since
	}
	since, s.boot, s.since = s.since, boot, s.since.Add(by)
	return max(by, 0), since
}

// uptime returns how long the node has been up, whatever its clock was set to.
func uptime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // fails on no Linux
	return time.Duration(now.Nano())
}

// SetAhead corrects the times that were learned by a wrong clock, from since to until, when it was
// set ahead. Otherwise a volume that was put into the trash in that time would seem to have been
// there for years, once an agent is started that knows only the right time.
func (m *Memory) SetAhead(by time.Duration, since, until time.Time) {
	known := maps.Clone(m.known)
	for id, identity := range m.known {
		at := identity.TrashedSince
		if at.Before(since.Truncate(time.Second)) || at.After(until) || at.IsZero() {
			continue
		}
		identity.TrashedSince = at.Add(by)
		known[id], m.stored = identity, false
	}
	m.known = known
}
