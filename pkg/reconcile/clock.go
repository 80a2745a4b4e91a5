package reconcile

import (
	"maps"
	"time"

	"golang.org/x/sys/unix"
)

// settings tells when somebody sets the node's clock.
type settings struct {
	// boot is when the node was started by its clock as it is set now, and since, from when on what
	// is known was learnt while the agent ran.
	boot, since time.Time
}

// unset is how far a clock may go wrong until it counts as set: it is corrected little by little too.
const unset = time.Minute

// see takes in what the clock says, and for how long the node has been up, asleep or not. It
// returns by how much the clock was set ahead since it was seen last, and from when on it had been
// as it was before.
func (s *settings) see(now time.Time, up time.Duration) (ahead time.Duration, since time.Time) {
	now = now.Round(0)
	boot := now.Add(-up)
	if s.boot.IsZero() {
		s.boot, s.since = boot, now
	}
	by := boot.Sub(s.boot)
	if by.Abs() < unset {
		return 0, s.since
	}
	since, s.boot, s.since = s.since, boot, s.since.Add(by)
	return max(by, 0), since
}

// uptime is how long the node has been up, whatever its clock was set to.
func uptime() time.Duration {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) // fails on no Linux
	return time.Duration(now.Nano())
}

// SetAhead corrects what was learnt by a clock that was wrong: from since to until, when it was set
// ahead. What came into the trash in that time would otherwise have been there for years, once an
// agent is started that knows only the right time.
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
