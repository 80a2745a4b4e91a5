package qemuimg

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// A map of a GiB of the usual clusters, every other one empty, has 2 MB.
const mapOutput = 8 << 20

// directAlign is what offsets are multiples of, for all of a piece to be read without the page cache.
const directAlign = 4096

// mapped is an entry of what `qemu-img map --output=json` says.
type mapped struct {
	Start      int64  `json:"start"`
	Length     int64  `json:"length"`
	Depth      int    `json:"depth"`
	Zero       bool   `json:"zero"`
	Data       bool   `json:"data"`
	Compressed bool   `json:"compressed"`
	Offset     *int64 `json:"offset"`
}

// pieces asks where in the file a window of the disk lies, and returns false if it cannot be copied
// from there.
func (t Tool) pieces(ctx context.Context, s Source, from, to int64) ([]blockcopy.Piece, bool) {
	out, err := t.ask(ctx, s.file.File, mapOutput, "map", "--output=json", "--start-offset="+strconv.FormatInt(from, 10),
		"--max-length="+strconv.FormatInt(to-from, 10), jsonName(sourceNode(s.header.Format, true)))
	var entries []mapped
	if err != nil || json.Unmarshal(out, &entries) != nil {
		return nil, false
	}
	return toPieces(entries, s.file.Size(), from, to)
}

// toPieces returns the pieces of a window by its map. It returns false if the map does not have all of
// the window, in order, or if anything else than what is in the file, as it is, is to be copied.
func toPieces(entries []mapped, file, from, to int64) ([]blockcopy.Piece, bool) {
	pieces := make([]blockcopy.Piece, 0, len(entries))
	at := from
	for _, m := range entries {
		if m.Start != at || m.Length <= 0 || m.Length > to-at || m.Depth != 0 {
			return nil, false
		}
		p := blockcopy.Piece{Extent: blockcopy.Extent{Offset: at, Length: m.Length}, Source: blockcopy.Zeroes}
		if !m.Zero {
			if !m.Data || m.Compressed || m.Offset == nil {
				return nil, false
			}
			p.Source = *m.Offset
			if p.Source < 0 || p.Source > file || m.Length > file-p.Source || p.Source%directAlign != 0 || at%directAlign != 0 {
				return nil, false
			}
		}
		pieces = append(pieces, p)
		at += m.Length
	}
	return pieces, at == to
}

// gather copies the pieces of a window.
func gather(ctx context.Context, c Conversion, target *os.File, pieces []blockcopy.Piece, total int64) error {
	g := blockcopy.Gather{Source: c.Source.file.File, Target: target, Pieces: pieces, TargetIsZero: c.TargetIsZero, Limit: c.Limiter}
	if c.Progress != nil {
		var last int64
		g.Progress = func(p blockcopy.Progress) {
			if p.Done > last {
				last = p.Done
				c.Progress(p.Done, total)
			}
		}
	}
	_, err := g.Run(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return fmt.Errorf("cannot copy %s to %s: stopped: %w", c.Source.file.Path(), c.Target, cause)
	}
	return err
}
