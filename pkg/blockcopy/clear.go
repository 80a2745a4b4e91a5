package blockcopy

import (
	"context"
	"fmt"
	"time"
)

// The windows of a Clear: it starts with the first, and takes bigger ones up to
// the second while the device is quick. A request can not be interrupted, so one
// should take about a second.
const (
	firstWindow = 32 << 20
	lastWindow  = 1 << 30
)

// Clear overwrites or discards the content of a block device (a regular file
// too: its blocks are freed). Sizes and offsets in bytes.
type Clear struct {
	// Device is its path. UUID is as TargetUUID in [Copy].
	Device, UUID string
	// Size is how much of it, from the start; From is where an interrupted run
	// continues: an offset that Checkpoint was called with.
	Size, From int64
	// Discard tells the device that the blocks are not needed, instead of making
	// them zero. What they read as afterwards is up to the device. It is refused
	// (EOPNOTSUPP) where the device has no discard.
	Discard bool
	// Shared, Limit, Progress, Checkpoint and CheckpointEvery are as in [Copy].
	Shared          bool
	Limit           *Limiter
	Progress        func(Progress)
	Checkpoint      func(offset int64) error
	CheckpointEvery int64
}

// Run clears. Errors are as those of [Copy.Run].
func (c Clear) Run(ctx context.Context) (Result, error) {
	result, err := c.run(ctx)
	result.Digest = ""
	if err != nil {
		return result, fmt.Errorf("cannot wipe %s: %w", c.Device, err)
	}
	return result, nil
}

func (c Clear) run(ctx context.Context) (Result, error) {
	if err := checkRange(c.Size, c.From); err != nil {
		return Result{}, err
	}
	target, err := openTarget(c.Device, c.UUID, c.Shared, c.Size)
	if err != nil {
		return Result{}, err
	}
	defer target.close()
	from := c.From &^ (blockSize - 1)
	w := &windows{off: from, size: c.Size, next: firstWindow, limit: c.Limit}
	e := &engine{
		size: c.Size, from: from, limit: c.Limit,
		// The kernel works on one such request for a device at a time, and splits
		// it into as many as the device can take.
		workers: 1,
		take:    w.take,
		work: func(ctx context.Context, _ *buffers, s span) (outcome, error) {
			start := time.Now()
			out, err := c.window(ctx, target, s)
			w.adapt(time.Since(start))
			return out, err
		},
		flush:    target.flush,
		progress: c.Progress, checkpoint: c.Checkpoint, checkpointEvery: c.CheckpointEvery,
	}
	return e.run(ctx)
}

// window clears one window.
func (c Clear) window(ctx context.Context, target *device, s span) (outcome, error) {
	if c.Discard {
		return outcome{zeroed: s.len}, target.discard(s.off, s.len)
	}
	if target.block && !target.zeroes {
		if err := c.Limit.wait(ctx, s.len); err != nil {
			return outcome{}, err
		}
	}
	return outcome{zeroed: s.len}, target.writeZeroes(s.off, s.len)
}

// windows cuts a device into windows. Used by one worker.
type windows struct {
	off, size, next int64
	limit           *Limiter
}

func (w *windows) take() (span, bool, error) {
	if w.off >= w.size {
		return span{}, false, nil
	}
	if w.limit.limited() {
		// A big request at once is not what the limit asks for.
		w.next = firstWindow
	}
	s := span{off: w.off, len: min(w.next, w.size-w.off)}
	w.off += s.len
	return s, true, nil
}

// adapt adapts the next window to what the last one adapt.
func (w *windows) adapt(d time.Duration) {
	switch {
	case d < 500*time.Millisecond:
		w.next = min(w.next*2, lastWindow)
	case d > 2*time.Second:
		w.next = max(w.next/2, firstWindow)
	}
}
