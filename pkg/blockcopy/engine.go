package blockcopy

import (
	"context"
	"sync"
	"time"
)

const (
	// workerCount is how many workers a run has: 4 to 8 were equally fast on 2 cores and
	// one disk.
	workerCount = 6
	// maxAhead is how many spans may be finished or under way, with the oldest one that
	// is not finished: it bounds what is remembered when one request hangs.
	maxAhead = 4 * workerCount
)

// outcome is what became of a span.
type outcome struct {
	read, written, zeroed, skipped int64
	sum                            uint64 // of each block in the span
}

// unit is a span under way.
type unit struct {
	span
	outcome
	done bool
}

// engine lets workers work on spans side by side, and counts what they have done
// in the order of the offsets.
type engine struct {
	size, from int64
	limit      *Limiter
	// take returns the next span, or false at the end. It is called by one worker
	// at a time.
	take func() (span, bool, error)
	// work processes a span.
	work func(context.Context, *buffers, span) (outcome, error)
	// flush makes what was written permanent. nil: nothing is written.
	flush   func() error
	workers int // 0: workerCount

	progress        func(Progress)
	checkpoint      func(int64) error
	checkpointEvery int64 // 0: CheckpointEvery

	mu       sync.Mutex
	wake     *sync.Cond // the oldest span is done, or the run is over
	failed   error      // the first error
	ahead    []*unit    // in the order of the offsets; the first one is not done
	frontier int64      // everything before it is done
	result   Result
	digest   *digest
	meter    meter

	reporting    bool // a worker is in a callback
	checkpointAt int64
	checkpointOn time.Time
	stopSiblings context.CancelFunc
}

// run works until everything is done, the context ends or something fails. All
// workers have ended when it returns.
func (e *engine) run(ctx context.Context) (Result, error) {
	now := time.Now()
	e.wake = sync.NewCond(&e.mu)
	e.frontier, e.checkpointAt, e.checkpointOn = e.from, e.from, now
	if e.checkpointEvery <= 0 {
		e.checkpointEvery = CheckpointEvery
	}
	e.digest = newDigest()
	e.meter = meter{total: e.size, at: now, done: e.from}
	if e.workers == 0 {
		e.workers = workerCount
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	e.stopSiblings = stop

	var group sync.WaitGroup
	for range int(min(int64(e.workers), 1+(e.size-e.from)/blockSize)) {
		group.Go(func() { e.loop(running) })
	}
	group.Wait()

	if e.failed == nil && e.frontier < e.size {
		e.failed = ctx.Err()
	}
	if e.failed == nil && e.flush != nil {
		e.failed = e.flush()
	}
	if e.failed != nil {
		return e.result, e.failed
	}
	if e.from == 0 {
		e.result.Digest = e.digest.text(e.size)
	}
	if e.progress != nil {
		e.progress(e.meter.read(time.Now(), e.size, e.result.Written+e.result.Zeroed))
	}
	return e.result, nil
}

// loop is one worker.
func (e *engine) loop(ctx context.Context) {
	m := &buffers{}
	defer m.free()
	for {
		u := e.next(ctx)
		if u == nil {
			return
		}
		out, err := e.work(ctx, m, u.span)
		if err != nil {
			e.fail(err)
			return
		}
		e.finish(u, out)
	}
}

// next returns the next span to work on, or nil if there is none.
func (e *engine) next(ctx context.Context) *unit {
	e.mu.Lock()
	defer e.mu.Unlock()
	for len(e.ahead) >= maxAhead && e.failed == nil {
		e.wake.Wait()
	}
	if e.failed != nil || ctx.Err() != nil {
		return nil
	}
	s, ok, err := e.take()
	if err != nil {
		e.failLocked(err)
		return nil
	}
	if !ok {
		return nil
	}
	u := &unit{span: s}
	e.ahead = append(e.ahead, u)
	return u
}

func (e *engine) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.failLocked(err)
}

func (e *engine) failLocked(err error) {
	if e.failed == nil {
		e.failed = err
	}
	e.stopSiblings()
	e.wake.Broadcast()
}

// finish counts what is done without a gap, and reports it when it is time.
func (e *engine) finish(u *unit, out outcome) {
	e.mu.Lock()
	defer e.mu.Unlock()
	u.outcome, u.done = out, true
	n := 0
	for ; n < len(e.ahead) && e.ahead[n].done; n++ {
		u := e.ahead[n]
		e.frontier += u.len
		e.result.add(u.outcome)
		e.digest.add(u.sum, max(u.len/blockSize, 1))
	}
	if n == 0 {
		return
	}
	e.ahead = append(e.ahead[:0], e.ahead[n:]...)
	e.wake.Broadcast()
	if !e.reporting && e.failed == nil {
		e.reporting = true
		e.report()
		e.reporting = false
	}
}

// report calls the callbacks that are due, without the lock: the other workers
// continue. The offset is taken before the flush, so all that the flush must cover has
// been written.
func (e *engine) report() {
	now := time.Now()
	if e.progress != nil && e.meter.due(now) {
		p := e.meter.read(now, e.frontier, e.result.Written+e.result.Zeroed)
		e.mu.Unlock()
		e.progress(p)
		e.mu.Lock()
	}
	if e.checkpoint == nil || e.frontier >= e.size ||
		e.frontier-e.checkpointAt < e.checkpointEvery && now.Sub(e.checkpointOn) < checkpointAfter {
		return
	}
	offset := e.frontier
	e.mu.Unlock()
	err := e.flush()
	if err == nil {
		err = e.checkpoint(offset)
	}
	e.mu.Lock()
	e.checkpointAt, e.checkpointOn = offset, time.Now()
	if err != nil {
		e.failLocked(err)
	}
}
