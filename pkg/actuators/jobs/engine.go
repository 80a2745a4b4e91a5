package jobs

import (
	"context"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/blockdelta"
	"github.com/volreconciler/volreconciler/pkg/host"
)

// Engine is [Blocks] on this machine.
type Engine struct{ changed *blockdelta.Reader }

var _ Blocks = (*Engine)(nil)

// NewEngine returns an Engine. run is where it asks device-mapper and LVM.
func NewEngine(run host.Runner) *Engine { return &Engine{changed: blockdelta.New(run)} }

// Copy copies, see [Blocks].
func (*Engine) Copy(ctx context.Context, c blockcopy.Copy) (blockcopy.Result, error) {
	return c.Run(ctx)
}

// Clear clears, see [Blocks].
func (*Engine) Clear(ctx context.Context, c blockcopy.Clear) (blockcopy.Result, error) {
	return c.Run(ctx)
}

// Changed says what changed, see [Blocks].
func (e *Engine) Changed(ctx context.Context, since, now string) ([]blockcopy.Extent, error) {
	return e.changed.Extents(ctx, since, now)
}

// Mapped returns where a thin volume, vg/lv, may hold something else than zeroes.
func (e *Engine) Mapped(ctx context.Context, lv string) ([]blockcopy.Extent, error) {
	return e.changed.Mapped(ctx, lv)
}

// BlockSize asks for the size of a device's blocks, see [Blocks].
func (*Engine) BlockSize(path string) (int64, error) { return blockcopy.LogicalBlockSize(path) }

// Claim opens a device exclusively, see [Blocks].
func (*Engine) Claim(path, uuid string) (release func(), err error) {
	return blockcopy.Claim(path, uuid)
}
