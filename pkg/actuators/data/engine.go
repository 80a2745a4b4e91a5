package data

import (
	"context"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// Engine is [Blocks] on this machine.
type Engine struct{}

var _ Blocks = Engine{}

// Copy copies, see [Blocks].
func (Engine) Copy(ctx context.Context, c blockcopy.Copy) (blockcopy.Result, error) {
	return c.Run(ctx)
}

// Clear clears, see [Blocks].
func (Engine) Clear(ctx context.Context, c blockcopy.Clear) (blockcopy.Result, error) {
	return c.Run(ctx)
}
