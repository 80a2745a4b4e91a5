package reconcile

import "time"

// noise notices events that mean nothing to us, as on a node whose other disks are busy, and makes
// the loop listen to events less often. It is never worse than polling.
type noise struct {
	// passes is how many passes in a row events started for nothing, and last when the last one was.
	passes int
	last   time.Time
}

// noisePasses is how many passes may be for nothing before the loop stops to listen for a while, and
// firstDeaf how long it does so at first.
const (
	noisePasses = 5
	firstDeaf   = 250 * time.Millisecond
)

// note adds a pass, with whether anything was announced before it, and whether it found nothing to
// do.
func (n *noise) note(announced, empty bool, now time.Time) {
	switch {
	case !empty:
		n.passes = 0
	case announced:
		n.passes++
		n.last = now
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
	deaf := min(longest, firstDeaf<<min(n.passes-noisePasses, 12))
	return max(0, n.last.Add(deaf).Sub(now))
}
