package pvscan

import (
	"errors"
	"path"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// memory is what is known of a device.
type memory struct {
	key string
	// read is true if pvid is what is on it, as it was at that time, when so much had
	// been written to it.
	read   bool
	pvid   string
	writes string
	at     time.Time
	// pending is a read that has not returned; nil: none.
	pending chan label
	// silentSince is when that read timed out; zero: the device answers.
	silentSince time.Time
	// failures is how often reading has failed, and next when it is tried again.
	failures int
	next     time.Time
	// cannot is true if nothing is there to read it with.
	cannot bool
	// vain is how often it was read again, because it was written to, without a
	// physical volume having appeared.
	vain int
}

// label is what reading a device came to.
type label struct {
	pvid, writes string
	err          error
}

// read reads the devices that need it, all at once, and takes in what earlier reads came
// to. It waits no longer than the limit.
func (s *Scanner) read(devices []device, again bool) {
	there := map[string]*memory{}
	for _, d := range devices {
		m := s.known[d.name]
		if m == nil || m.key != d.key {
			m = &memory{key: d.key}
		}
		there[d.name] = m
		if m.pending != nil {
			select {
			case l := <-m.pending:
				m.store(l, s.now())
			default:
			}
		}
		if m.pending == nil && m.needsReading(d, s.now(), again) {
			m.pending = make(chan label, 1)
			go func(done chan<- label) {
				start, err := s.machine.ReadStart(d.path, readBytes)
				done <- label{pvUUID(start), d.writes, err}
			}(m.pending)
		}
	}
	s.known = there
	limit := time.NewTimer(s.limit)
	defer limit.Stop()
	late := false
	for _, m := range there {
		if m.pending == nil || !m.silentSince.IsZero() {
			continue
		}
		if !late {
			select {
			case l := <-m.pending:
				m.store(l, s.now())
				continue
			case <-limit.C:
				late = true
			}
		}
		select {
		case l := <-m.pending:
			m.store(l, s.now())
		default:
			m.silentSince = s.now()
		}
	}
}

// needsReading reports whether a device has to be read again. A physical volume is read
// once: LVM notices if it is none any more.
func (m *memory) needsReading(d device, now time.Time, again bool) bool {
	switch {
	case now.Before(m.next):
		return false
	case !m.read, d.troubled:
		return true
	case m.pvid != "":
		return again
	default:
		pause := unlabelledAge
		if m.writes != d.writes {
			pause = m.retryAfter()
		}
		return now.Sub(m.at) >= pause
	}
}

// retryAfter is how long what was read is used although the device was written to. A device
// that is written to all the time has some other use.
func (m *memory) retryAfter() time.Duration {
	if m.vain == 0 {
		return 0
	}
	return min(firstRetry<<min(m.vain, 20), unlabelledAge)
}

// store stores the result of a read. A read that failed, unlike one that hangs, blocks
// nothing: what was known of the device remains known.
func (m *memory) store(l label, now time.Time) {
	m.pending, m.silentSince = nil, time.Time{}
	if l.err != nil {
		m.cannot = errors.Is(l.err, host.ErrCannotRead)
		m.next = now.Add(min(firstRetry<<min(m.failures, 20), lastRetry))
		m.failures++
		return
	}
	if m.read && l.pvid == "" && l.writes != m.writes {
		m.vain++
	}
	m.read, m.pvid, m.writes, m.at, m.failures, m.next, m.cannot = true, l.pvid, l.writes, now, 0, time.Time{}, false
}

// targetDirs are where the kernel has its targets, by fabric.
var targetDirs = map[string]string{"iscsi": "/sys/kernel/config/target/iscsi", "nvmet": "/sys/kernel/config/nvmet/subsystems"}

// target is whether this machine has a target. The kernel may be busy with removing one
// and not answer.
type target struct {
	pending chan bool
	// late is true if it was waited for in vain.
	late bool
}

// isOwn reports whether this machine has a target. While that is unknown, it is true.
func (s *Scanner) isOwn(fabric, name string) bool {
	if slices.Contains(s.more, name) {
		return true
	}
	key := fabric + " " + name
	t := s.exported[key]
	if t == nil {
		t = &target{pending: make(chan bool, 1)}
		s.exported[key] = t
		go func() {
			_, err := s.machine.ReadDir(path.Join(targetDirs[fabric], name))
			t.pending <- err == nil
		}()
	}
	limit := s.limit
	if t.late {
		limit = 0
	}
	select {
	case own := <-t.pending:
		delete(s.exported, key)
		return own
	case <-time.After(limit):
		t.late = true
		return true
	}
}
