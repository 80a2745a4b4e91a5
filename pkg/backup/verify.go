package backup

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// verify reads back the whole device, past the page cache, and compares: slices with their digests, all
// else with zeroes.
func (w *restorer) verify(ctx context.Context) error {
	running, stop := context.WithCancel(ctx)
	defer stop()
	w.stop = stop
	var next, done atomic.Int64
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			memory, release, err := blockcopy.Memory(window)
			if err != nil {
				w.fail(err)
				return
			}
			defer release()
			for {
				slice := int(next.Add(1) - 1)
				if slice >= w.index.Slices() || running.Err() != nil {
					return
				}
				if err := w.verifySlice(running, memory, slice); err != nil {
					w.fail(err)
					return
				}
				w.verified(done.Add(w.index.Length(slice)))
			}
		})
	}
	group.Wait()
	if err := w.err(); err != nil {
		return err
	}
	return ctx.Err()
}

// verified reports how far the verification is.
func (w *restorer) verified(done int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if now := time.Now(); now.Sub(w.reported) >= reportEvery {
		w.reported = now
		w.progress(done, true)
	}
}

func (w *restorer) verifySlice(ctx context.Context, memory []byte, slice int) error {
	position, present := w.index.Position(slice)
	offset, length := w.index.Offset(slice), w.index.Length(slice)
	hash := newHash()
	for at := int64(0); at < length; at += window {
		n := int(min(window, length-at))
		if err := w.Limiter.Wait(ctx, int64(n)); err != nil {
			return err
		}
		if err := w.target.Read(memory, n, offset+at); err != nil {
			return err
		}
		if present {
			_, _ = hash.Write(memory[:n])
		} else if !blockcopy.IsZero(memory[:n]) {
			return fmt.Errorf("the device is not zero at offset %d, where the backup has nothing: %w", offset+at, ErrDamaged)
		}
	}
	if present && hash.Sum64() != w.index.Digests[position] {
		return errSlice(w.index, position, "on the device")
	}
	return nil
}
