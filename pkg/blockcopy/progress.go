package blockcopy

import "time"

// Progress is how far a run is. Sizes in bytes.
type Progress struct {
	Done  int64         // everything before this offset is done; Total at the end
	Total int64         // the size that was asked for
	Rate  int64         // bytes written or zeroed per second, of late
	Left  time.Duration // until the end at the pace of late; -1: not known yet
}

const (
	reportEvery = 250 * time.Millisecond
	// smoothing is the time in which an old rate has lost most of its weight.
	smoothing = 5 * time.Second
)

// meter makes a Progress of counters.
type meter struct {
	total         int64
	at            time.Time
	done, written int64
	pace, rate    float64 // bytes per second, smoothed
	known         bool
}

// due reports whether it is time for the next reading.
func (m *meter) due(now time.Time) bool { return now.Sub(m.at) >= reportEvery }

// read takes a reading.
func (m *meter) read(now time.Time, done, written int64) Progress {
	if dt := now.Sub(m.at).Seconds(); dt > 0 {
		weight := min(dt/smoothing.Seconds(), 1)
		if !m.known {
			weight, m.known = 1, true
		}
		m.pace += weight * (float64(done-m.done)/dt - m.pace)
		m.rate += weight * (float64(written-m.written)/dt - m.rate)
	}
	m.at, m.done, m.written = now, done, written
	p := Progress{Done: done, Total: m.total, Rate: int64(m.rate), Left: -1}
	switch {
	case done >= m.total:
		p.Left = 0
	case m.pace >= 1:
		// Beyond a year the number says nothing, and may not fit.
		if seconds := float64(m.total-done) / m.pace; seconds < 365*24*3600 {
			p.Left = time.Duration(seconds * float64(time.Second)).Round(time.Second)
		}
	}
	return p
}
