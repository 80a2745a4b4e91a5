package nvmet

import (
	"context"
	"fmt"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/configfs"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Actuator applies the changes of nvmet. Changes of different lanes may be applied
// at the same time.
type Actuator struct {
	host  host.Host
	users *observe.Users
	// loading keeps changes that find a module not loaded from all loading it.
	loading sync.Mutex
	// ports and hosts are held while one of them is looked for, made, linked or
	// removed: all subsystems share them. Who holds both took hosts first.
	ports, hosts sync.Mutex
}

var _ change.Actuator = (*Actuator)(nil)

// New returns the actuator of the machine's nvmet.
func New(h host.Host) *Actuator { return &Actuator{host: h, users: observe.NewUsers(h)} }

// Apply makes one change true, see [change.Actuator]. Once begun, a change is
// carried through even if ctx ends: it takes milliseconds, and half of it would
// only have to be completed by the next pass. Only waiting for a device ends
// with ctx.
func (a *Actuator) Apply(ctx context.Context, c change.Change) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	switch c := c.(type) {
	case change.CreateTarget:
		return a.createSubsystem(ctx, c)
	case change.SetAttributes:
		return a.setAttributes(c)
	case change.RemoveTarget:
		return a.removeSubsystem(c)
	case change.AddPortal:
		return a.addPortal(ctx, c)
	case change.RemovePortal:
		return a.removePortal(c)
	case change.AddLUN:
		return a.addNamespace(ctx, c)
	case change.ResizeLUN:
		return a.resizeNamespace(c)
	case change.RemoveLUN:
		return a.removeNamespace(c)
	case change.AddInitiator:
		return a.admit(c.Target, c.Initiator, c.Auth)
	case change.SetAuth:
		return a.admit(c.Target, c.Initiator, c.Auth)
	case change.RemoveInitiator:
		return a.removeHost(c)
	default:
		return fmt.Errorf("unknown nvmet change %s", change.Name(c))
	}
}

// load loads the module that makes a directory, unless it is there.
func (a *Actuator) load(ctx context.Context, dir, module string) error {
	a.loading.Lock()
	defer a.loading.Unlock()
	return configfs.Load(ctx, a.host, dir, module)
}
