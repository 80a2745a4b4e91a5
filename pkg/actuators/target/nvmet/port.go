package nvmet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/configfs"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// addPortal has a port serve the subsystem. A port is made, but does not listen,
// before it serves the first one.
func (a *Actuator) addPortal(ctx context.Context, c change.AddPortal) error {
	if err := a.checkOwned(c.Target); err != nil {
		return err
	}
	address, err := netip.ParseAddrPort(c.Portal)
	if err != nil {
		return err
	}
	if err := a.loadTransport(ctx, c.Transport); err != nil {
		return err
	}
	// The ports that served it over another transport are removed, with their sessions.
	ports, err := observe.ReadPortAddresses(a.host)
	if err != nil {
		return err
	}
	other := func(p observe.NVMePort) bool { return p.Portal() == c.Portal && p.Transport != c.Transport }
	replaces := slices.ContainsFunc(ports, other)
	if replaces {
		if err := a.checkIdle(c.Name, c.Idle); err != nil {
			return err
		}
	}
	linked, err := a.link(c.Name, observe.NVMePort{Transport: c.Transport, Address: address})
	if err != nil {
		return err
	}
	if !replaces {
		a.ports.Lock()
		defer a.ports.Unlock()
		return a.removeUnusedPorts(linked)
	}
	return a.unlinkPorts(c.Name, func(id string) bool {
		return slices.ContainsFunc(ports, func(p observe.NVMePort) bool { return p.ID == id && other(p) })
	})
}

// link has a port serve a subsystem, and returns which one. Of one that serves it already,
// by whatever name, the kernel says so (nvmet_port_subsys_allow_link in
// drivers/nvme/target/configfs.c): to look for it would take as long as it serves others.
func (a *Actuator) link(nqn string, want observe.NVMePort) (string, error) {
	a.ports.Lock()
	defer a.ports.Unlock()
	id, err := a.findPort(want)
	if err != nil {
		return "", err
	}
	err = a.host.Symlink(observe.SubsystemDir(nqn), path.Join(observe.PortSubsystemsDir(id), nqn))
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return "", errors.Join(explainLink(err, want), a.removeUnusedPorts(""))
	}
	return id, nil
}

// findPort returns the port that is to be linked, which it makes if there is none.
func (a *Actuator) findPort(want observe.NVMePort) (string, error) {
	ports, err := observe.ReadPortAddresses(a.host)
	if err != nil {
		return "", err
	}
	for _, p := range ports {
		if p.Transport == want.Transport && p.Address == want.Address {
			return p.ID, nil
		}
	}
	unused, err := a.unusedPorts(ports) // left behind, half made or half removed
	if err != nil {
		return "", err
	}
	var id string
	if len(unused) > 0 {
		id = unused[len(unused)-1]
	} else if id, err = a.makePort(ports); err != nil {
		return "", err
	}
	return id, a.setAddress(id, want)
}

// unusedPorts returns those ports of ours that serve nothing.
func (a *Actuator) unusedPorts(ports []observe.NVMePort) ([]string, error) {
	var unused []string
	for _, p := range ports {
		if !ondisk.IsOurNVMePort(p.ID) {
			continue
		}
		serves, err := observe.PortServes(a.host, p.ID)
		switch {
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
		case err != nil:
			return nil, err
		case !serves:
			unused = append(unused, p.ID)
		}
	}
	return unused, nil
}

func (a *Actuator) makePort(ports []observe.NVMePort) (string, error) {
	for n := ondisk.FirstNVMePort; n < 1<<16; n++ {
		id := strconv.Itoa(n)
		if !slices.ContainsFunc(ports, func(p observe.NVMePort) bool { return p.ID == id }) {
			return id, configfs.MakeDir(a.host, observe.PortDir(id))
		}
	}
	return "", errors.New("cannot create an NVMe port: all port numbers are used")
}

func (a *Actuator) setAddress(id string, p observe.NVMePort) error {
	family := "ipv4"
	if p.Address.Addr().Is6() {
		family = "ipv6"
	}
	for _, w := range []struct{ attribute, value string }{
		{"addr_trtype", string(p.Transport)},
		{"addr_adrfam", family},
		{"addr_traddr", p.Address.Addr().String()},
		{"addr_trsvcid", strconv.Itoa(int(p.Address.Port()))},
	} {
		if err := configfs.Set(a.host, path.Join(observe.PortDir(id), w.attribute), w.value); err != nil {
			return err
		}
	}
	return nil
}

func explainLink(err error, p observe.NVMePort) error {
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("cannot listen on %s: this node does not have the address: %w", p.Address, err)
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("cannot listen on %s: another process uses the address: %w", p.Address, err)
	case errors.Is(err, syscall.ENODEV):
		return fmt.Errorf("cannot listen on %s over %s: no RDMA device has the address: %w", p.Address, p.Transport, err)
	default:
		return fmt.Errorf("cannot listen on %s (see the kernel log): %w", p.Address, err)
	}
}

// loadTransport loads the module of a transport, which the kernel cannot do by
// itself in every environment.
func (a *Actuator) loadTransport(ctx context.Context, t observe.Transport) error {
	if t != observe.TCP && t != observe.RDMA {
		return fmt.Errorf("NVMe over %q is not supported", t)
	}
	a.loading.Lock()
	defer a.loading.Unlock()
	_, err := a.host.ReadDir("/sys/module/nvmet_" + string(t))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = a.host.Run(ctx, "modprobe", "nvmet-"+string(t))
	}
	return err
}

func (a *Actuator) removePortal(c change.RemovePortal) error {
	exists, err := a.ownership(c.Target)
	if err != nil || !exists {
		return err
	}
	ports, err := observe.ReadPorts(a.host)
	if err != nil {
		return err
	}
	port, serves := observe.PortalsOf(ports, c.Name)[c.Portal]
	if !serves {
		a.ports.Lock()
		defer a.ports.Unlock()
		return a.removeUnusedPorts("")
	}
	if err := a.checkIdle(c.Name, c.Idle); err != nil {
		return err
	}
	return a.unlinkPorts(c.Name, func(id string) bool { return id == port.ID })
}

// unlinkPorts has those of a subsystem's ports no longer serve it that which
// selects. That ends the sessions over them. Ports of ours that serve nothing any
// more are removed.
func (a *Actuator) unlinkPorts(nqn string, which func(id string) bool) error {
	a.ports.Lock()
	defer a.ports.Unlock()
	ports, err := observe.ReadPorts(a.host)
	if err != nil {
		return err
	}
	for _, p := range ports {
		if name, serves := p.Links[nqn]; serves && which(p.ID) {
			if err := configfs.Remove(a.host, path.Join(observe.PortSubsystemsDir(p.ID), name)); err != nil {
				return err
			}
		}
	}
	return a.removeUnusedPorts("")
}

// removeUnusedPorts removes our ports that serve nothing. The port that was linked just now is known
// to serve something.
func (a *Actuator) removeUnusedPorts(linked string) error {
	ports, err := observe.ReadPortAddresses(a.host)
	if err != nil {
		return err
	}
	ports = slices.DeleteFunc(ports, func(p observe.NVMePort) bool { return p.ID == linked })
	unused, err := a.unusedPorts(ports)
	if err != nil {
		return err
	}
	for _, id := range unused {
		if err := configfs.Remove(a.host, observe.PortDir(id)); err != nil {
			return err
		}
	}
	return nil
}
