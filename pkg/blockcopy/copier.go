package blockcopy

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"golang.org/x/sys/unix"
)

// reader reads a source, block by block.
type reader struct {
	source *device
	noSum  bool // no hashes are wanted
}

// read returns a block's content, or nil if it is all zeroes.
func (r *reader) read(ctx context.Context, e *engine, m *buffers, s span) (outcome, []byte, error) {
	if s.hole {
		return outcome{sum: zeroSum}, nil, nil
	}
	if err := e.limit.wait(ctx, s.len); err != nil {
		return outcome{}, nil, err
	}
	if err := m.get(); err != nil {
		return outcome{}, nil, err
	}
	if err := r.source.readFull(m.a, int(s.len), s.off+s.shift); err != nil {
		return outcome{}, nil, err
	}
	buf := m.a[:s.len]
	out := outcome{read: s.len}
	zero := isZero(buf)
	switch {
	case r.noSum:
	case zero && s.len == blockSize:
		out.sum = zeroSum
	default:
		out.sum = xxhash.Sum64(buf)
	}
	if zero {
		return out, nil, nil
	}
	return out, buf, nil
}

// copier writes what is read.
type copier struct {
	Copy
	reader
	engine    *engine
	target    *device
	noOffload atomic.Bool // the kernel does not copy between these two files
}

func (p *copier) work(ctx context.Context, m *buffers, s span) (outcome, error) {
	if p.NoDigest && !s.hole && p.mayOffload() {
		if done, err := p.offload(ctx, s); done || err != nil {
			return outcome{read: s.len, written: s.len}, err
		}
	}
	out, data, err := p.read(ctx, p.engine, m, s)
	if err != nil {
		return out, err
	}
	switch {
	case p.OnlyDifferent:
		err = p.writeDifferent(ctx, m, s, data, &out)
	case data == nil && p.TargetIsZero:
		out.skipped = s.len
	case data == nil:
		err = p.writeZeroes(ctx, m, s, &out)
	case p.TargetIsZero:
		err = p.writeRuns(data, s.off, grain, &out, func(part []byte, _ int) bool { return isZero(part) })
	default:
		out.written = s.len
		err = p.target.writeFull(data, s.off)
	}
	return out, err
}

// writeZeroes makes a span of the target zero.
func (p *copier) writeZeroes(ctx context.Context, m *buffers, s span, out *outcome) error {
	// The kernel zeroes one range of a device at a time. Where it has to write
	// the zeroes, workers that write at the same time are faster; for a long hole
	// it is as good.
	if p.target.block && !p.target.zeroes {
		if s.hole {
			if err := p.engine.limit.wait(ctx, s.len); err != nil {
				return err
			}
		} else {
			out.written = s.len
			return p.target.writeFull(m.a[:s.len], s.off)
		}
	}
	out.zeroed = s.len
	return p.target.writeZeroes(s.off, s.len)
}

// writeDifferent writes what differs on the target; data is nil for zeroes.
func (p *copier) writeDifferent(ctx context.Context, m *buffers, s span, data []byte, out *outcome) error {
	if s.hole {
		if err := p.engine.limit.wait(ctx, s.len); err != nil {
			return err
		}
	}
	if err := m.get(); err != nil {
		return err
	}
	if err := p.target.readFull(m.b, int(s.len), s.off); err != nil {
		return err
	}
	buf := m.b[:s.len]
	if data == nil {
		data = m.a[:s.len]
		clear(data)
	}
	return p.writeRuns(data, s.off, fine, out, func(part []byte, at int) bool {
		return bytes.Equal(part, buf[at:at+len(part)])
	})
}

// writeRuns writes the steps of a block that are not to be skipped, neighbours
// together.
func (p *copier) writeRuns(data []byte, off int64, step int, out *outcome, skip func(part []byte, at int) bool) error {
	start := -1 // of the run, if there is one
	for at := 0; ; at += step {
		end := at >= len(data)
		if end || skip(data[at:min(at+step, len(data))], at) {
			if start >= 0 {
				run := data[start:min(at, len(data))]
				if err := p.target.writeFull(run, off+int64(start)); err != nil {
					return err
				}
				out.written += int64(len(run))
				start = -1
			}
			if end {
				out.skipped = int64(len(data)) - out.written
				return nil
			}
		} else if start < 0 {
			start = at
		}
	}
}

// mayOffload reports whether the kernel may copy by itself.
func (p *copier) mayOffload() bool {
	return !p.source.block && !p.target.block && !p.OnlyDifferent && !p.noOffload.Load()
}

// offload lets the kernel copy a span, and reports whether it did.
func (p *copier) offload(ctx context.Context, s span) (bool, error) {
	if err := p.engine.limit.wait(ctx, s.len); err != nil {
		return false, err
	}
	for in, out, end := s.off, s.off, s.off+s.len; in < end; {
		n, err := unix.CopyFileRange(p.source.fd, &in, p.target.fd, &out, int(end-in), 0)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS):
			p.noOffload.Store(true)
			return false, nil
		case err != nil:
			return false, &Error{Op: "write", Path: p.target.path, Offset: out, Length: end - out, Err: err}
		case n == 0:
			// The end of the file, or a file system that says so: reading tells.
			return false, nil
		}
	}
	return true, nil
}

// isZero reports whether b is all zeroes. Data shows itself early, so the cost is
// that of reading zeroes.
func isZero(b []byte) bool {
	for len(b) > grain {
		if !bytes.Equal(b[:grain], zeroes[:]) {
			return false
		}
		b = b[grain:]
	}
	return bytes.Equal(b, zeroes[:len(b)])
}
