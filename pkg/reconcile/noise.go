package reconcile

import "time"

// noise notices events that mean nothing to us, as on a node whose other disks are busy. It makes
// the loop listen to events less often: at first so that it works a tenth of the time at most, and
// after a while more and more rarely. It is never worse than polling.
type noise struct {
	// passes is how many passes in a row events started for nothing, last when the last one was, and
	// cost how long it took.
	passes int
	last   time.Time
	cost   time.Duration
}

const (
	// noisePasses is how many passes may be for nothing before the loop stops to listen for a while.
	noisePasses = 5
	// noiseLasts is how many make it listen more and more rarely.
	noiseLasts = 50
	// restFor is how many times as long as a pass took the loop does not listen after it.
	restFor = 9
)

// note adds a pass, with whether anything was announced before it, whether it changed nothing, and how
// long it took. A step that waits, or a job that runs for hours, changes nothing.
func (n *noise) note(announced, idle bool, cost time.Duration, now time.Time) {
	switch {
	case !idle:
		n.passes = 0
	case announced:
		n.passes++
		n.last, n.cost = now, cost
	}
}

// deafFor returns how long events are not listened to; 0: they are. longest limits it.
func (n *noise) deafFor(now time.Time, longest time.Duration) time.Duration {
	if n.passes > 0 && now.Sub(n.last) > longest {
		n.passes = 0
	}
	if n.passes < noisePasses {
		return 0
	}
	deaf := min(longest, restFor*n.cost<<min(max(0, n.passes-noiseLasts), 16))
	return max(0, n.last.Add(deaf).Sub(now))
}
