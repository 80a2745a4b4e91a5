package nvmet

import (
	"errors"
	"io/fs"
	"path"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/configfs"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// removeHost takes a host out of a subsystem and ends its sessions, which being
// listed is not needed for.
func (a *Actuator) removeHost(c change.RemoveInitiator) error {
	exists, err := a.ownership(c.Target)
	if err != nil || !exists {
		return err
	}
	if len(c.KeepSessions) > 0 { // which the kernel looks for in no list
		return a.dropHost(c.Name, c.Initiator)
	}
	link, err := a.linkOf(c.Name, c.Initiator)
	if err != nil {
		return err
	}
	if link != "" {
		if err := a.checkIdle(c.Name, c.Idle); err != nil {
			return err
		}
	}
	_, known, err := observe.ReadControllers(a.host, c.Name)
	if err != nil {
		return err
	}
	if !known {
		return a.removeUnseen(c.Name, c.Initiator)
	}
	if err := a.dropHost(c.Name, c.Initiator); err != nil {
		return err
	}
	// A session from before the host was unlisted continues, and cannot reconnect.
	if err := a.checkIdle(c.Name, c.Idle); err != nil {
		return err
	}
	controllers, _, err := observe.ReadControllers(a.host, c.Name)
	if err != nil {
		return err
	}
	for _, controller := range controllers {
		if controller.Host != c.Initiator {
			continue
		}
		// To the kernel it is a controller that has broken down, and is removed
		// (nvmet_ctrl_state_write in drivers/nvme/target/debugfs.c).
		err := a.host.WriteFile(path.Join(controller.Dir, "state"), []byte("fatal"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeUnseen is for kernels that do not say which hosts are connected. If anybody
// may be, the subsystem is taken off its ports while the host is removed, which
// ends all sessions with it. The other hosts connect again by themselves, and their
// I/O waits for it.
//
// The ports come first: a host that is not listed any more, but connected, could
// not be found again after a crash. A missing port can.
func (a *Actuator) removeUnseen(nqn, name string) error {
	link, err := a.linkOf(nqn, name)
	if err != nil || link == "" {
		return err
	}
	a.hosts.Lock()
	defer a.hosts.Unlock()
	a.ports.Lock()
	defer a.ports.Unlock()
	ports, err := observe.ReadPorts(a.host)
	if err != nil {
		return err
	}
	connected, err := observe.MayBeConnected(a.host, ports, nqn)
	if err != nil {
		return err
	}
	if connected {
		if err := a.detach(nqn, ports); err != nil {
			return err
		}
	}
	if err := a.unlist(nqn, name); err != nil {
		return err
	}
	if !connected {
		// It may have come in a moment before it was removed.
		if connected, err = observe.MayBeConnected(a.host, ports, nqn); err != nil || !connected {
			return err
		}
		if err := a.detach(nqn, ports); err != nil {
			return err
		}
	}
	return a.attach(nqn, ports)
}

// detach takes a subsystem off its ports.
func (a *Actuator) detach(nqn string, ports []observe.NVMePort) error {
	for _, p := range ports {
		if link, serves := p.Links[nqn]; serves {
			if err := configfs.Remove(a.host, path.Join(observe.PortSubsystemsDir(p.ID), link)); err != nil {
				return err
			}
		}
	}
	return nil
}

// attach undoes detach.
func (a *Actuator) attach(nqn string, ports []observe.NVMePort) error {
	for _, p := range ports {
		link, served := p.Links[nqn]
		if !served {
			continue
		}
		err := a.host.Symlink(observe.SubsystemDir(nqn), path.Join(observe.PortSubsystemsDir(p.ID), link))
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return explainLink(err, p)
		}
	}
	return nil
}
