package blockcopy

import (
	"context"
	"sync"
	"time"
)

// burst is how long a limiter saves up what nobody used.
const burst = 100 * time.Millisecond

// Limiter holds all copies that share it to a number of bytes per second. It limits the
// bytes that move through this machine: every byte that is read from a
// source, and every zero that has to be written; not holes, and not what a device
// zeroes or discards by itself. A nil Limiter limits nothing.
type Limiter struct {
	now   func() time.Time
	sleep func(ctx context.Context, d time.Duration, wake <-chan struct{})

	mu      sync.Mutex
	rate    int64   // bytes per second; 0: no limit
	tokens  float64 // bytes that may go at once; below zero: a debt
	filled  time.Time
	changed chan struct{} // closed when the rate changes
}

// NewLimiter returns a limiter of so many bytes per second; 0 or less is no limit.
func NewLimiter(bytesPerSecond int64) *Limiter {
	l := &Limiter{now: time.Now, sleep: sleep, changed: make(chan struct{})}
	l.Set(bytesPerSecond)
	return l
}

// Set changes the rate, also for copies that are waiting at this moment.
func (l *Limiter) Set(bytesPerSecond int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	l.rate = max(bytesPerSecond, 0)
	close(l.changed)
	l.changed = make(chan struct{})
}

// limited reports whether there is a limit now.
func (l *Limiter) limited() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rate > 0
}

// wait returns when n bytes may be read, or with the context's error. A request may be
// bigger than what is saved up: it may start as soon as there is no debt, and leaves
// a debt for the next to wait for.
func (l *Limiter) wait(ctx context.Context, n int64) error {
	if l == nil {
		return ctx.Err()
	}
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		d, wake := l.take(n)
		if d <= 0 {
			return nil
		}
		l.sleep(ctx, d, wake)
	}
}

// take takes n bytes and returns 0, or says how long to wait before the next try.
func (l *Limiter) take(n int64) (time.Duration, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fill()
	if l.rate == 0 {
		return 0, nil
	}
	if l.tokens >= 0 {
		l.tokens -= float64(n)
		return 0, nil
	}
	seconds := -l.tokens / float64(l.rate)
	return max(time.Duration(seconds*float64(time.Second)), time.Millisecond), l.changed
}

// fill adds what has become free since the last call.
func (l *Limiter) fill() {
	now := l.now()
	if l.rate == 0 {
		l.tokens = 0
	} else {
		l.tokens += now.Sub(l.filled).Seconds() * float64(l.rate)
		l.tokens = min(l.tokens, burst.Seconds()*float64(l.rate))
	}
	l.filled = now
}

// sleep returns after d, when ctx ends or when wake is closed.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-wake:
	case <-ctx.Done():
	}
}
