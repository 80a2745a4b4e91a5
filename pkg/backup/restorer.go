package backup

import (
	"context"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

const (
	// window is what is read and written at once.
	window = 1 << 20
	// windows is how many there are: 8 MiB of memory.
	windows = 8
	// writers write side by side: a device that is not busy all the time takes no longer for it, and others do.
	writers = 3
	// defaultChunk is the smallest chunk of a thin pool.
	defaultChunk = 64 << 10
)

// piece is a part of a slice that is to be written.
type piece struct {
	memory []byte // a whole buffer
	length int
	offset int64
}

// restorer writes a backup. One goroutine reads restic's stream and hashes; writers write.
type restorer struct {
	Restore
	index  *format.Index
	target *blockcopy.Access
	chunk  int

	free   chan []byte
	pieces chan piece
	under  sync.WaitGroup // pieces that are not written yet

	read, written, skipped atomic.Int64

	mu     sync.Mutex
	failed error
	stop   context.CancelFunc

	frontier       int64 // everything before it was handed to the writers; of the reading goroutine
	reported       time.Time
	checkpointAt   int64
	checkpointedOn time.Time
}

func newRestorer(r Restore, index *format.Index, target *blockcopy.Access) *restorer {
	chunk := r.Chunk
	if chunk <= 0 {
		chunk = defaultChunk
	}
	if r.CheckpointEvery <= 0 {
		r.CheckpointEvery = blockcopy.CheckpointEvery
	}
	return &restorer{Restore: r, index: index, target: target, chunk: int(min(chunk, window))}
}

func (w *restorer) result(done Restored) Restored {
	done.Read, done.Written, done.Skipped = w.read.Load(), w.written.Load(), w.skipped.Load()
	return done
}

func (w *restorer) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.failed == nil {
		w.failed = err
	}
	w.stop()
}

func (w *restorer) err() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failed
}

// write writes everything from From on, and flushes it.
func (w *restorer) write(ctx context.Context) error {
	if w.From == w.index.Size {
		return nil
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	w.stop = stop
	w.free, w.pieces = make(chan []byte, windows), make(chan piece, windows)
	for range windows {
		memory, release, err := blockcopy.Memory(window)
		if err != nil {
			return err
		}
		defer release()
		w.free <- memory
	}
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for p := range w.pieces {
				w.writePiece(p)
			}
		})
	}
	err := w.stream(running)
	close(w.pieces)
	group.Wait()
	if failed := w.err(); failed != nil {
		return failed
	}
	if err != nil {
		return err
	}
	if err := w.target.Flush(); err != nil {
		return err
	}
	if w.Checkpoint != nil && !w.NoVerify {
		return w.Checkpoint(w.index.Size)
	}
	return nil
}

// stream reads the slices from From on, and hands them to the writers.
func (w *restorer) stream(ctx context.Context) error {
	// Everything before the first slice that is to be read is done.
	first := int(w.From / w.index.Slice)
	w.frontier, w.checkpointAt, w.checkpointedOn = w.index.Offset(first), w.From, time.Now()
	position, _ := w.index.Position(first)
	for _, d := range dumps(w.index, position) {
		s := &sliceStream{index: w.index, next: d.first}
		s.slice = func(position int, content io.Reader) error { return w.slice(ctx, position, content) }
		if err := dump(ctx, w.Repository, w.Snapshot, d.path, func(r io.Reader) error { return s.read(r, d.end) }); err != nil {
			return err
		}
	}
	end := w.target.Size()
	if err := w.zeroUntil(ctx, end); err != nil {
		return err
	}
	w.progress(w.index.Size, false)
	return nil
}

// dumped is a path of the snapshot that is read, and the positions of the slices in it.
type dumped struct {
	path       string
	first, end int
}

// startCost is how many bytes restic reads in the time that it needs to start: to derive a key, and to load
// its index.
const startCost = 1 << 30

// dumps are the paths that have all slices from a position on. A tree that has been read in part is read from its
// beginning, unless it is cheaper to start restic for each of the directories that are left.
func dumps(x *format.Index, from int) []dumped {
	if from >= len(x.Present) {
		return nil
	}
	dirs := x.Dirs()
	var left []dumped
	for _, d := range dirs {
		if first, end := x.Range(d); end > from {
			left = append(left, dumped{"/" + x.DirName(d), first, end})
		}
	}
	if skipped := int64(left[0].first) * x.Slice; skipped <= int64(len(left))*startCost {
		return []dumped{{"/", 0, len(x.Present)}}
	}
	return left
}

// slice takes in a slice of the stream.
func (w *restorer) slice(ctx context.Context, position int, content io.Reader) error {
	slice := int(w.index.Present[position])
	offset, length := w.index.Offset(slice), w.index.Length(slice)
	if offset < w.frontier {
		_, err := io.Copy(io.Discard, content) // it was written before
		return err
	}
	if err := w.zeroUntil(ctx, offset); err != nil {
		return err
	}
	hash := newHash()
	for at := int64(0); at < length; at += window {
		p := piece{offset: offset + at, length: int(min(window, length-at))}
		if err := w.Limiter.Wait(ctx, int64(p.length)); err != nil {
			return err
		}
		select {
		case p.memory = <-w.free:
		case <-ctx.Done():
			return ctx.Err()
		}
		if _, err := io.ReadFull(content, p.memory[:p.length]); err != nil {
			w.free <- p.memory
			return fmt.Errorf("%w: %s: %w", ErrFormat, w.index.Path(slice), err)
		}
		w.read.Add(int64(p.length))
		_, _ = hash.Write(p.memory[:p.length])
		w.under.Add(1)
		w.pieces <- p
	}
	if hash.Sum64() != w.index.Digests[position] {
		return errSlice(w.index, position, "in the repository")
	}
	return w.advance(offset + length)
}

// advance moves the frontier, and reports it when it is time.
func (w *restorer) advance(to int64) error {
	w.frontier = to
	now := time.Now()
	if now.Sub(w.reported) >= reportEvery {
		w.progress(to, false)
		w.reported = now
	}
	if w.Checkpoint == nil || to >= w.index.Size ||
		to-w.checkpointAt < w.CheckpointEvery && now.Sub(w.checkpointedOn) < checkpointAfter {
		return nil
	}
	w.under.Wait()
	if err := w.err(); err != nil {
		return err
	}
	if err := w.target.Flush(); err != nil {
		return err
	}
	w.checkpointAt, w.checkpointedOn = to, now
	return w.Checkpoint(to)
}

func (w *restorer) progress(done int64, verifying bool) {
	if w.Progress != nil {
		w.Progress(Progress{Done: min(done, w.index.Size), Total: w.index.Size, Verifying: verifying})
	}
}

// zeroStep is how much is zeroed in one request: a context that ends is noticed between two.
const zeroStep = 64 << 20

// zeroUntil makes the device zero from the frontier on.
func (w *restorer) zeroUntil(ctx context.Context, end int64) error {
	if w.TargetIsZero {
		w.skipped.Add(max(min(end, w.index.Size)-w.frontier, 0))
		w.frontier = max(w.frontier, end)
		return nil
	}
	for w.frontier < end {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(zeroStep, end-w.frontier)
		if err := w.target.WriteZeroes(w.frontier, n); err != nil {
			return err
		}
		w.written.Add(n)
		if err := w.advance(w.frontier + n); err != nil {
			return err
		}
	}
	return nil
}

// writePiece writes what is not to be skipped of a piece, neighbours together.
func (w *restorer) writePiece(p piece) {
	defer func() {
		w.free <- p.memory
		w.under.Done()
	}()
	if w.err() != nil {
		return
	}
	data := p.memory[:p.length]
	for start := 0; start < len(data); {
		end := start
		skip := w.skips(data, start)
		for end < len(data) && w.skips(data, end) == skip {
			end = min(end+w.chunk, len(data))
		}
		if skip {
			w.skipped.Add(int64(end - start))
		} else if err := w.target.Write(data[start:end], p.offset+int64(start)); err != nil {
			w.fail(err)
			return
		} else {
			w.written.Add(int64(end - start))
		}
		start = end
	}
}

// skips reports whether the chunk at a place is not written.
func (w *restorer) skips(data []byte, at int) bool {
	return w.TargetIsZero && blockcopy.IsZero(data[at:min(at+w.chunk, len(data))])
}
