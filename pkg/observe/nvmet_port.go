package observe

import (
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"slices"
	"strconv"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// NVMePort is a port of nvmet. All subsystems that listen on an address share one.
type NVMePort struct {
	// ID is the name of its directory.
	ID string
	// Transport is what the kernel calls it: besides ours fc, loop or pci; empty:
	// not set yet.
	Transport Transport
	// Address is where it listens; invalid if it is not set, or none of IP.
	Address netip.AddrPort
	// Links are the subsystems that it serves, each with the name of the symlink.
	Links map[string]string
}

// Portal is the name of the port as a portal. Of one that no spec can ask for it
// is a name that no spec has.
func (p NVMePort) Portal() string {
	if !p.Address.IsValid() || p.Transport != TCP && p.Transport != RDMA {
		return string(p.Transport) + " port " + p.ID
	}
	return p.Address.String()
}

// ReadPorts reads all ports, ordered by their number.
func ReadPorts(h host.Files) ([]NVMePort, error) { return readPorts(h, readPort) }

// ReadPortAddresses reads all ports like [ReadPorts], but not which subsystems they serve:
// that may be thousands.
func ReadPortAddresses(h host.Files) ([]NVMePort, error) { return readPorts(h, readPortAddress) }

// PortServes reports whether a port serves any subsystem.
func PortServes(h host.Files, id string) (bool, error) {
	entries, err := h.ReadDir(PortSubsystemsDir(id))
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Type()&fs.ModeSymlink != 0 }), err
}

func readPorts(h host.Files, read func(h host.Files, id string) (NVMePort, error)) ([]NVMePort, error) {
	ids, err := readDirIfThere(h, PortsDir)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(ids, func(a, b string) int { return portNumber(a) - portNumber(b) })
	var ports []NVMePort
	for _, id := range ids {
		p, found, err := settled(h, PortDir(id), func() (NVMePort, error) { return read(h, id) })
		if err != nil {
			return nil, err
		}
		if found {
			ports = append(ports, p)
		}
	}
	return ports, nil
}

// portNumber is what the kernel makes of a port's name; -1: nothing.
func portNumber(id string) int {
	n, err := strconv.ParseUint(id, 0, 16)
	if err != nil {
		return -1
	}
	return int(n)
}

func readPort(h host.Files, id string) (NVMePort, error) {
	links, err := ReadLinks(h, PortSubsystemsDir(id))
	if err != nil {
		return NVMePort{}, err
	}
	p, err := readPortAddress(h, id)
	p.Links = links
	return p, err
}

func readPortAddress(h host.Files, id string) (NVMePort, error) {
	p := NVMePort{ID: id}
	transport, err := readText(h, path.Join(PortDir(id), "addr_trtype"))
	if err != nil {
		return NVMePort{}, err
	}
	p.Transport = Transport(transport)
	address, err := readText(h, path.Join(PortDir(id), "addr_traddr"))
	if err != nil {
		return NVMePort{}, err
	}
	service, err := readText(h, path.Join(PortDir(id), "addr_trsvcid"))
	if err != nil {
		return NVMePort{}, err
	}
	ip, noIP := netip.ParseAddr(address)
	number, noPort := strconv.ParseUint(service, 10, 16)
	if noIP == nil && noPort == nil {
		p.Address = netip.AddrPortFrom(ip, uint16(number))
	}
	return p, nil
}

// PortalsOf returns the ports that serve a subsystem, by what they are called as
// its portals. Of two on one address, which differ in their transport, the second
// has a name that no spec has.
func PortalsOf(ports []NVMePort, nqn string) map[string]NVMePort {
	portals := map[string]NVMePort{}
	for _, p := range ports {
		if _, serves := p.Links[nqn]; !serves {
			continue
		}
		name := p.Portal()
		if _, taken := portals[name]; taken {
			name += " (" + string(p.Transport) + " port " + p.ID + ")"
		}
		portals[name] = p
	}
	return portals
}

// isGone reports whether what was to be read does not exist.
func isGone(err error) bool { return errors.Is(err, fs.ErrNotExist) }
