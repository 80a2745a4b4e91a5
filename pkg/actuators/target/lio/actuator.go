package lio

import (
	"context"
	"fmt"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Actuator applies the changes of LIO. Changes of different lanes may be
// applied at the same time.
type Actuator struct {
	host  host.Host
	users *observe.Users
	// loading keeps changes that find LIO not loaded from all loading it.
	loading sync.Mutex
	// portals is held while a portal is added or removed, or a target disabled.
	// All targets that listen on an address share one socket. Disabling one of
	// them, or taking the address from it, restarts the socket's thread, and
	// adding the address in that moment opens a second socket, which cannot be
	// bound (iscsit_get_np in drivers/target/iscsi/iscsi_target_login.c).
	portals sync.Mutex
}

var _ change.Actuator = (*Actuator)(nil)

// New returns the actuator of the machine's LIO.
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
	case change.CreateBackstore:
		return a.createBackstore(ctx, c)
	case change.AdoptBackstore:
		return a.adoptBackstore(ctx, c)
	case change.SetUnmap:
		return a.setUnmap(c)
	case change.SetBackstoreAttribute:
		return a.setBackstoreAttribute(c)
	case change.RemoveBackstore:
		return a.removeBackstore(c)
	case change.SetDiscoveryAuth:
		return a.setDiscoveryAuth(ctx, c)
	case change.CreateTarget:
		return a.createTarget(ctx, c)
	case change.AdoptTarget:
		return a.adoptTarget(c)
	case change.MoveMark:
		return a.moveMark(c)
	case change.SetAttributes:
		return a.setAttributes(c)
	case change.SetParameter:
		return a.setParameter(c)
	case change.EnableTarget:
		return a.enableTarget(c)
	case change.DisableTarget:
		return a.disableTarget(c)
	case change.RemoveTarget:
		return a.removeTarget(c)
	case change.AddPortal:
		return a.addPortal(ctx, c)
	case change.RemovePortal:
		return a.removePortal(c)
	case change.AddLUN:
		return a.addLUN(c)
	case change.RemoveLUN:
		return a.removeLUN(c)
	case change.AddInitiator:
		return a.addInitiator(c)
	case change.SetAuth:
		return a.setAuth(c)
	case change.RemoveInitiator:
		return a.removeInitiator(c)
	case change.MapLUN:
		return a.mapLUN(c)
	case change.UnmapLUN:
		return a.unmapLUN(c)
	case change.SetWriteProtect:
		return a.setWriteProtect(c)
	default:
		return fmt.Errorf("unknown LIO change %s", change.Name(c))
	}
}
