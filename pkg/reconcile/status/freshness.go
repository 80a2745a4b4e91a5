package status

import (
	"context"
	"time"
)

// freshness lets whoever reads a report have it made anew.
//
// Nobody announces sessions, or how full a pool is. Where nothing else changes, a report may be as
// old as the last audit; a machine is not looked at for nobody's sake.
type freshness struct {
	// maxAge is how old a report may be; 0: nothing is done about it.
	maxAge time.Duration
	read   time.Time
	asked  chan struct{}
	// newer is closed when the machine was read again.
	newer chan struct{}
}

// freshPatience is how long the reader of a report waits for a newer one.
const freshPatience = 500 * time.Millisecond

// SetMaxAge says how old a report may be that somebody reads. It is called before the first one is.
func (s *Board) SetMaxAge(age time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fresh.maxAge = age
}

// SetRevision says which content of the spec files the present pass has read.
func (s *Board) SetRevision(revision string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.report.ObservedRevision == revision {
		return
	}
	s.report.ObservedRevision = revision
	if s.report.Generation > 0 {
		s.report.Generation++
		s.wake()
	}
}

// SetRead says when all of the machine was last read, which of its changes are announced, and how
// often some were not.
func (s *Board) SetRead(at time.Time, sources []Source, misses int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.report.Sources, s.report.AuditMisses = sources, misses
	if at.Equal(s.fresh.read) {
		return
	}
	s.fresh.read, s.report.ReadAt = at, at
	if s.fresh.newer != nil {
		close(s.fresh.newer)
		s.fresh.newer = nil
	}
}

// Asked receives when somebody waits for a newer report.
func (s *Board) Asked() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.askedChannel()
}

func (s *Board) askedChannel() chan struct{} {
	if s.fresh.asked == nil {
		s.fresh.asked = make(chan struct{}, 1)
	}
	return s.fresh.asked
}

// Freshen asks for a newer report if the last one is too old, and waits for it for a moment.
func (s *Board) Freshen(ctx context.Context) {
	newer := s.askForNewer(time.Now())
	if newer == nil {
		return
	}
	limit := time.NewTimer(freshPatience)
	defer limit.Stop()
	select {
	case <-newer:
	case <-limit.C:
	case <-ctx.Done():
	}
}

// askForNewer returns nil if the report is new enough, or none was made yet.
func (s *Board) askForNewer(now time.Time) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &s.fresh
	if f.maxAge == 0 || f.read.IsZero() || now.Sub(f.read) < f.maxAge {
		return nil
	}
	select {
	case s.askedChannel() <- struct{}{}:
	default: // somebody else has asked
	}
	if f.newer == nil {
		f.newer = make(chan struct{})
	}
	return f.newer
}
