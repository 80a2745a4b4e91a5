package schedule

import (
	"strconv"
	"time"

	"github.com/cespare/xxhash/v2"
)

// clockSlack is how far the last run may be ahead of the clock before it is taken for one of a wrong
// clock. Clocks that go back by an hour do not make a moment run twice.
const clockSlack = 2 * time.Hour

// State is what has to be remembered of a schedule between calls of Due, and across restarts.
type State struct {
	// Since is when the schedule was first seen. No moment up to it is run.
	Since time.Time
	// Done is the last moment that was run: the moment itself, without jitter, and not the time of the
	// run. Zero: none.
	Done time.Time
	// Ahead is what Since or Done was when the clock was found to be behind it. It counts again once the
	// clock has passed it: a machine that starts in 1970, and learns the time later, runs nothing twice.
	Ahead time.Time
}

// settled returns the state as the clock makes it, and up to which moment nothing is to be run.
func (s State) settled(now time.Time) (State, time.Time) {
	last := later(s.Since, s.Done)
	if last.After(now.Add(clockSlack)) {
		return State{Since: now, Ahead: last}, now
	}
	if !s.Ahead.After(now) {
		s.Done, s.Ahead = later(s.Done, s.Ahead), time.Time{}
	}
	return s, later(s.Since, s.Done)
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Timing is what Due decides.
type Timing struct {
	Run  time.Time // the moment to run now, without jitter. Zero: none
	Wake time.Time // when to ask again at the latest. Zero: never due again
	// State is to be remembered instead of the one given. After the run, its Done is to be set to Run.
	State State
}

// Due decides whether a schedule is to be run now. Of any number of missed moments only the last is run.
// Each moment is delayed by up to jitter, see Jitter.
//
// After the clock was ahead by more than two hours and was set back, the schedule continues with the next
// moment, as if it were new. If it was ahead by less, it continues after the last run.
func Due(s Schedule, jitter time.Duration, name string, state State, now time.Time) Timing {
	state, after := state.settled(now)
	timing := Timing{State: state}
	moment := s.Latest(now)
	for moment.After(after) && moment.Add(Jitter(name, moment, jitter)).After(now) {
		moment = s.Latest(moment.Add(-1))
	}
	if moment.After(after) {
		timing.Run, after = moment, moment
	}
	timing.Wake = wake(s, jitter, name, after, now)
	return timing
}

// wake returns when the first of the moments after the given one is due. If jitter is longer than the time
// between moments, that need not be the earliest of them.
func wake(s Schedule, jitter time.Duration, name string, after, now time.Time) time.Time {
	var earliest time.Time
	for {
		moment := s.Next(after)
		if moment.IsZero() || !earliest.IsZero() && !moment.Before(earliest) {
			return earliest
		}
		if at := moment.Add(Jitter(name, moment, jitter)); at.After(now) && (earliest.IsZero() || at.Before(earliest)) {
			earliest = at
		}
		after = moment
	}
}

// Jitter returns by how much a moment of an object is delayed: whole seconds from 0 up to and with most.
// It depends on the name and the moment only, so that it is the same after a restart.
func Jitter(name string, moment time.Time, most time.Duration) time.Duration {
	if most < time.Second {
		return 0
	}
	hash := xxhash.Sum64String(name + "\x00" + strconv.FormatInt(moment.Unix(), 10))
	return time.Duration(hash%uint64(most/time.Second+1)) * time.Second
}
