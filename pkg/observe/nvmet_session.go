package observe

import (
	"errors"
	"io/fs"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// sessions reads who is connected to a subsystem. The kernel says it where it has
// debugfs for it, see nvmetDebugDir, and else only who is connected to its ports
// by TCP: not which host that is, nor to which of the port's subsystems, and
// nothing of RDMA.
func (r *subsystemReader) sessions(t *Target) error {
	controllers, known, err := ReadControllers(r.host, t.Name)
	if err != nil {
		return err
	}
	if !known {
		t.Unattributed, err = r.peers(t.Name)
		return err
	}
	t.Sessions = len(controllers)
	for _, c := range controllers {
		if acl, listed := t.ACLs[c.Host]; listed {
			acl.LoggedIn = true
			t.ACLs[c.Host] = acl
		} else {
			t.DynamicSessions = append(t.DynamicSessions, c.Host)
		}
	}
	return nil
}

// NVMeController is a live session of a host with a subsystem.
type NVMeController struct {
	// Host is the host's NQN.
	Host string
	// Dir is the controller's directory in debugfs.
	Dir string
}

// ReadControllers returns the live sessions of a subsystem. It reports false if the
// kernel does not say, or not to anybody, because it is locked down.
func ReadControllers(h host.Files, nqn string) ([]NVMeController, bool, error) {
	dir := path.Join(nvmetDebugDir, nqn)
	names, err := readNames(h, dir)
	if isGone(err) || errors.Is(err, fs.ErrPermission) {
		return nil, false, nil
	} else if err != nil {
		return nil, false, err
	}
	var all []NVMeController
	for _, name := range names {
		if !strings.HasPrefix(name, "ctrl") {
			continue
		}
		c := NVMeController{Dir: path.Join(dir, name)}
		c.Host, err = readText(h, path.Join(c.Dir, "hostnqn"))
		switch {
		case isGone(err):
			continue // it ended
		case errors.Is(err, fs.ErrPermission):
			return nil, false, nil
		case err != nil:
			return nil, false, err
		}
		all = append(all, c)
	}
	return all, true, nil
}

// peers returns who is connected to the ports of a subsystem by TCP.
func (r *subsystemReader) peers(nqn string) ([]string, error) {
	var own []NVMePort
	for _, p := range r.ports {
		if _, serves := p.Links[nqn]; serves && p.Transport == TCP && p.Address.IsValid() {
			own = append(own, p)
		}
	}
	if len(own) == 0 {
		return nil, nil
	}
	if r.sockets == nil {
		sockets, err := ReadSockets(r.host, SocketEstablished)
		if err != nil {
			return nil, err
		}
		r.sockets = append([]Socket{}, sockets...)
	}
	return peersOf(own, r.sockets), nil
}

// peersOf returns the addresses from which there are sessions with ports. A host
// has a connection per queue with a subsystem, one of them for its administration,
// so that it has two at least. A single one is with the discovery subsystem, which
// serves no namespaces.
func peersOf(ports []NVMePort, sockets []Socket) []string {
	type path struct {
		local netip.AddrPort
		peer  netip.Addr
	}
	connections := map[path]int{}
	for _, s := range sockets {
		if slices.ContainsFunc(ports, func(p NVMePort) bool { return accepts(p.Address, s.Local) }) {
			connections[path{s.Local, s.Remote.Addr().Unmap()}]++
		}
	}
	peers := map[string]bool{}
	for p, n := range connections {
		if n > 1 {
			peers[p.peer.String()] = true
		}
	}
	return slices.Sorted(maps.Keys(peers))
}

// MayBeConnected reports whether anybody is connected to the ports of a subsystem,
// for whatever purpose, as far as it can be seen: over anything but TCP it cannot.
func MayBeConnected(h host.Files, ports []NVMePort, nqn string) (bool, error) {
	var own []NVMePort
	for _, p := range ports {
		if _, serves := p.Links[nqn]; !serves {
			continue
		}
		if p.Transport != TCP || !p.Address.IsValid() {
			return true, nil
		}
		own = append(own, p)
	}
	if len(own) == 0 {
		return false, nil
	}
	sockets, err := ReadSockets(h, SocketEstablished)
	return slices.ContainsFunc(sockets, func(s Socket) bool {
		return slices.ContainsFunc(own, func(p NVMePort) bool { return accepts(p.Address, s.Local) })
	}), err
}

// accepts reports whether a port on one address has connections to the other.
func accepts(port, local netip.AddrPort) bool {
	return port.Port() == local.Port() &&
		(port.Addr().IsUnspecified() || port.Addr().WithZone("") == local.Addr().Unmap())
}
