package tgt

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// addPortal makes tgtd listen on an address, for all of its targets. The portal is kept
// when no target needs it any more, because it is not known who else uses it.
func (a *Actuator) addPortal(ctx context.Context, c change.AddPortal) error {
	if _, err := a.findOwned(ctx, c.Target); err != nil {
		return err
	}
	if c.Transport != observe.TCP {
		return fmt.Errorf("%w: tgtd supports %s over TCP only", change.ErrUnsupported, c.Portal)
	}
	want, err := netip.ParseAddrPort(c.Portal)
	if err != nil {
		return err
	}
	have, err := a.tgt.Portals(ctx)
	if err != nil {
		return err
	}
	for _, p := range have {
		if observe.TGTServes(p, want) {
			return nil
		}
	}
	err = a.tgt.NewPortal(ctx, want)
	if errors.Is(err, tgtadm.ErrInvalid) {
		return fmt.Errorf("tgtd cannot listen on %s: another process uses the address, or this node does not have it: %w", want, err)
	}
	return err
}
