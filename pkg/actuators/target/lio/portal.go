package lio

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// addPortal makes the target listen. An address that the machine does not have
// (yet) is no error: the kernel binds to it all the same.
func (a *Actuator) addPortal(ctx context.Context, c change.AddPortal) error {
	dir, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	portal, err := netip.ParseAddrPort(c.Portal)
	if err != nil {
		return err
	}
	name, err := a.portalName(dir, c.Portal)
	if err != nil {
		return err
	}
	made := name == ""
	if made {
		name = c.Portal
		if err := a.makePortal(dir, portal); err != nil {
			return err
		}
	}
	if err := a.checkServed(dir, name, portal); err != nil {
		return err
	}
	if c.Transport != observe.RDMA {
		return a.setTCP(dir, name)
	}
	if err := a.setISER(ctx, dir, name, portal); err != nil {
		return errors.Join(err, a.dropWithoutISER(dir, name, made))
	}
	return nil
}

func (a *Actuator) makePortal(dir observe.TargetDir, portal netip.AddrPort) error {
	a.portals.Lock()
	err := a.makeDir(path.Join(dir.Portals(), portal.String()))
	a.portals.Unlock()
	if !errors.Is(err, syscall.EINVAL) {
		return err
	}
	// target_fabric_make_np in drivers/target/target_core_fabric_configfs.c
	// turns every error into this one.
	listeners, _ := a.listeners()
	for _, l := range listeners {
		if overlaps(l, portal) {
			return fmt.Errorf("cannot listen on %s: another process listens on %s: %w", portal, l, err)
		}
	}
	return fmt.Errorf("cannot listen on %s (see the kernel log): %w", portal, err)
}

// checkServed removes a portal for which no socket listens, and says so.
//
// The kernel compares addresses without their family (iscsit_check_np_match in
// drivers/target/iscsi/iscsi_target_login.c): it takes 0.0.0.0 for any IPv6
// address, and [::] for any IPv4 address, on which a target listens with that
// port. The portal then shares that socket, seems to be there, and nobody
// reaches it.
func (a *Actuator) checkServed(dir observe.TargetDir, name string, portal netip.AddrPort) error {
	listeners, err := a.listeners()
	if err != nil {
		return err
	}
	for _, l := range listeners {
		if serves(l, portal) {
			return nil
		}
	}
	return errors.Join(
		fmt.Errorf("cannot listen on %s: a target has a wildcard portal of the other IP version on port %d", portal, portal.Port()),
		a.dropPortal(dir, name),
	)
}

func (a *Actuator) removePortal(c change.RemovePortal) error {
	dir, exists, err := a.findTarget(c.Target)
	if err != nil || !exists {
		return err
	}
	name, err := a.portalName(dir, c.Portal)
	if err != nil || name == "" {
		return err
	}
	if err := a.checkIdle(dir, c.Idle); err != nil {
		return err
	}
	return a.dropPortal(dir, name)
}

func (a *Actuator) dropPortal(dir observe.TargetDir, name string) error {
	a.portals.Lock()
	defer a.portals.Unlock()
	return a.remove(path.Join(dir.Portals(), name))
}

// portalName returns the name of the portal's directory, which need not be
// written as we write it: [::0]:3260 is [::]:3260. It is empty if there is none.
func (a *Actuator) portalName(dir observe.TargetDir, portal string) (string, error) {
	names, err := a.children(dir.Portals())
	for _, name := range names {
		if observe.ParsePortal(name) == portal {
			return name, err
		}
	}
	return "", err
}
