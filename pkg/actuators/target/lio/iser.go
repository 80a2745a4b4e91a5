package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// iserModule is what serves iSCSI over RDMA.
const iserModule = "ib_isert"

// setISER makes a portal serve iSER besides TCP. It is read back: what the kernel
// says has failed must not be taken for done.
func (a *Actuator) setISER(ctx context.Context, dir observe.TargetDir, name string, portal netip.AddrPort) error {
	file := path.Join(dir.Portals(), name, "iser")
	if have, err := a.text(file); err == nil && have == flag(true) {
		return nil
	}
	err := a.writeISER(file)
	if errors.Is(err, syscall.EINVAL) {
		// No transport of that name: the kernel could not load the module by
		// itself (iscsit_get_transport in drivers/target/iscsi/iscsi_target_transport.c).
		if _, err := a.host.Run(ctx, "modprobe", iserModule); err != nil {
			return fmt.Errorf("%w: iSER needs the module %s: %w", change.ErrUnsupported, iserModule, err)
		}
		err = a.writeISER(file)
	}
	switch {
	case errors.Is(err, syscall.ENODEV), errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%w: no RDMA device has address %s (list devices with rdma link; without hardware: "+
			"modprobe rdma_rxe; rdma link add rxe0 type rxe netdev <the interface of that address>): %w", change.ErrUnsupported, portal.Addr(), err)
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: the iSCSI target of this kernel does not support iSER: %w", change.ErrUnsupported, err)
	case errors.Is(err, syscall.EADDRINUSE):
		// iscsit_add_np in drivers/target/iscsi/iscsi_target_login.c gives an address back
		// in no way if its thread cannot be made, as when who asks for it is killed.
		return fmt.Errorf("cannot serve iSER on %s: the address is in use (see rdma resource show cm_id). If the kernel log has "+
			"\"Unable to create kthread: iscsi_np\", reboot: an agent was killed while it created this portal: %w", portal, err)
	case err != nil:
		return fmt.Errorf("cannot serve iSER on %s (see the kernel log): %w", portal, err)
	}
	have, err := a.text(file)
	if err == nil && have != flag(true) {
		return fmt.Errorf("the kernel does not serve iSER on %s (see the kernel log)", portal)
	}
	return err
}

func (a *Actuator) writeISER(file string) error {
	a.portals.Lock()
	defer a.portals.Unlock()
	return a.host.WriteFile(file, []byte(flag(true)))
}

// dropWithoutISER removes a portal that does not serve iSER, so that it does not
// look as if it did. It is kept if it was there before and somebody may be logged in
// through it.
func (a *Actuator) dropWithoutISER(dir observe.TargetDir, name string, made bool) error {
	if !made {
		t, err := observe.ReadTarget(a.host, dir)
		if err != nil || (change.Idle{All: true}).Check(t) != nil {
			return err
		}
	}
	return a.dropPortal(dir, name)
}

// setTCP makes a portal serve TCP alone.
func (a *Actuator) setTCP(dir observe.TargetDir, name string) error {
	a.portals.Lock()
	defer a.portals.Unlock()
	err := a.set(path.Join(dir.Portals(), name, "iser"), flag(false))
	if errors.Is(err, fs.ErrNotExist) {
		return nil // this kernel has no iSER
	}
	return err
}
