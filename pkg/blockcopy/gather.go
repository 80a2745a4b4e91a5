package blockcopy

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Gather copies pieces of a file, each to a place of its own: a disk image is such
// a file, and the disk in it is the target. Sizes and offsets in bytes.
type Gather struct {
	// Source and Target are open; Target for writing. What they were opened by does not
	// matter any more, and whoever opened Target sees to it that nobody else writes to it. A
	// target file has its size.
	Source, Target *os.File
	// Pieces are what the target is to consist of, in the order of their offsets. What is
	// in none of them keeps what it holds.
	Pieces []Piece
	// TargetIsZero, Limit and Progress are as in [Copy].
	TargetIsZero bool
	Limit        *Limiter
	Progress     func(Progress)
}

// Piece is a range of a target, and where its content lies in the source.
type Piece struct {
	Extent
	// Source is an offset; [Zeroes]: nowhere, because the range is zero.
	Source int64
}

// Zeroes is the offset of what is not in the source.
const Zeroes = -1

// Run copies. When it returns without an error the target is written and flushed. Errors
// are as those of [Copy.Run].
func (g Gather) Run(ctx context.Context) (Result, error) {
	result, err := g.run(ctx)
	result.Digest = ""
	if err != nil {
		return result, fmt.Errorf("cannot copy %s to %s: %w", g.Source.Name(), g.Target.Name(), err)
	}
	return result, nil
}

func (g Gather) run(ctx context.Context) (Result, error) {
	source, err := openAgain(g.Source, reading)
	if err != nil {
		return Result{}, err
	}
	defer source.close()
	target, err := openAgain(g.Target, writing)
	if err != nil {
		return Result{}, err
	}
	defer target.close()
	if source.isSame(target) {
		return Result{}, errors.New("source and target are the same")
	}
	total, err := checkPieces(g.Pieces, source.size, target.size)
	if err != nil {
		return Result{}, err
	}
	e := &engine{size: total, limit: g.Limit, take: pieceSpans(g.Pieces), flush: target.flush, progress: g.Progress}
	// To a device, which is what an image is written to, the kernel does not copy by itself.
	p := &copier{Copy: Copy{TargetIsZero: g.TargetIsZero, NoDigest: true}, reader: reader{source: source, noSum: true}, engine: e, target: target}
	p.noOffload.Store(true)
	e.work = p.work
	return e.run(ctx)
}

// openAgain opens what a file is, whatever its path leads to by now.
func openAgain(f *os.File, mode int) (*device, error) {
	d, err := openDevice(fmt.Sprintf("/proc/self/fd/%d", f.Fd()), "", mode)
	if err != nil {
		if e := new(Error); errors.As(err, &e) {
			e.Path = f.Name()
		}
		return nil, err
	}
	d.path = f.Name()
	return d, nil
}

// checkPieces returns how long the pieces are together. It is an error if they are not in order, or
// not within source and target.
func checkPieces(pieces []Piece, source, target int64) (int64, error) {
	var total, end int64
	for _, p := range pieces {
		switch {
		case p.Length <= 0 || p.Offset < end || p.Offset > target || p.Length > target-p.Offset:
			return 0, fmt.Errorf("piece at offset %d (%d bytes) is out of order, or beyond the end of the target (%d bytes)", p.Offset, p.Length, target)
		case p.Source != Zeroes && (p.Source < 0 || p.Source > source || p.Length > source-p.Source):
			return 0, fmt.Errorf("piece at offset %d (%d bytes) is beyond the end of the source (%d bytes)", p.Source, p.Length, source)
		}
		total += p.Length
		end = p.Offset + p.Length
	}
	return total, nil
}

// pieceSpans returns a function that walks over pieces, in blocks.
func pieceSpans(pieces []Piece) func() (span, bool, error) {
	at := int64(0) // in the first piece
	return func() (span, bool, error) {
		for len(pieces) > 0 && at >= pieces[0].Length {
			pieces, at = pieces[1:], 0
		}
		if len(pieces) == 0 {
			return span{}, false, nil
		}
		p := pieces[0]
		s := span{off: p.Offset + at, len: min(blockSize, p.Length-at)}
		if p.Source == Zeroes {
			s.hole, s.len = true, min(holeWindow, p.Length-at)
		} else {
			s.shift = p.Source - p.Offset
		}
		at += s.len
		return s, true, nil
	}
}
