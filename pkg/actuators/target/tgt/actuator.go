package tgt

import (
	"context"
	"fmt"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// Actuator applies the changes of tgtd. Changes of different lanes may be applied
// at the same time.
type Actuator struct {
	tgt   *tgtadm.Client
	host  host.Host
	users *observe.Users
	// path returns what tgtd opens for a device node.
	path func(device string) string
	// shared is held while targets get their IDs, or accounts are changed, which
	// are those of all targets.
	shared sync.Mutex
}

var _ change.Actuator = (*Actuator)(nil)

// New returns the actuator of a tgtd that runs on the machine. If path is not nil,
// tgtd opens what it returns for the device node of a logical volume, and not the
// device node itself.
func New(tgt *tgtadm.Client, h host.Host, path func(device string) string) *Actuator {
	if path == nil {
		path = func(device string) string { return device }
	}
	return &Actuator{tgt: tgt, host: h, users: observe.NewUsers(h), path: path}
}

// Apply makes one change true, see [change.Actuator]. Once begun, a change is
// carried through even if ctx ends; only waiting for a device ends with ctx.
func (a *Actuator) Apply(ctx context.Context, c change.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	through := context.WithoutCancel(ctx)
	switch c := c.(type) {
	case change.CreateTarget:
		return a.createTarget(through, c)
	case change.SetAttributes:
		return a.setAttributes(through, c)
	case change.EnableTarget:
		return a.enableTarget(through, c)
	case change.RemoveTarget:
		return a.removeTarget(through, c)
	case change.AddPortal:
		return a.addPortal(through, c)
	case change.AddLUN:
		return a.addLUN(ctx, c)
	case change.ResizeLUN:
		return a.resizeLUN(ctx, c)
	case change.SetWriteProtect:
		return a.setWriteProtect(through, c)
	case change.RemoveLUN:
		return a.removeLUN(through, c)
	case change.SetAccounts:
		return a.setAccounts(through, c)
	case change.AddInitiator:
		return a.addInitiator(through, c)
	case change.RemoveInitiator:
		return a.removeInitiator(through, c)
	default:
		return fmt.Errorf("unknown tgtd change %s", change.Name(c))
	}
}
