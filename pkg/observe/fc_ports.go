package observe

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// FCDriver is a kernel module that serves Fibre Channel targets for LIO.
type FCDriver struct {
	// Dir holds its targets.
	Dir string
	// Module is its name.
	Module string
}

// FCDrivers are the drivers that are known. What they serve differs in the name of
// their directory, and in that the second one has attributes.
var FCDrivers = []FCDriver{
	{LIODir + "/fc", "tcm_fc"}, // ports of libfc: FCoE above all
	{LIODir + "/qla2xxx", "tcm_qla2xxx"},
}

// Target is the directory of a target that the driver serves.
func (d FCDriver) Target(wwpn string) TargetDir {
	return TargetDir{TargetID{FC, normalWWPN(wwpn)}, path.Join(d.Dir, colonWWPN(wwpn))}
}

// FCPort is a Fibre Channel port of this machine.
type FCPort struct {
	// WWPN is its name in the form of spec.
	WWPN string
	// Driver is the name of its low-level driver, as in fcoe or qla2xxx; empty if
	// it does not say so.
	Driver string
	// host is its number, as in host7.
	host string
}

// Where the kernel shows Fibre Channel (drivers/scsi/scsi_transport_fc.c).
const (
	fcHostsDir       = "/sys/class/fc_host"
	scsiHostsDir     = "/sys/class/scsi_host"
	fcRemotePortsDir = "/sys/class/fc_remote_ports"
)

// ReadFCPorts returns the Fibre Channel ports of this machine. One that disappears
// while it is read is left out.
func ReadFCPorts(h host.Files) ([]FCPort, error) {
	hosts, err := readLinks(h, fcHostsDir)
	if err != nil {
		return nil, err
	}
	var ports []FCPort
	for _, name := range hosts {
		wwpn, err := readText(h, path.Join(fcHostsDir, name, "port_name"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, err
		}
		// Not all drivers say who they are.
		driver, err := readText(h, path.Join(scsiHostsDir, name, "proc_name"))
		if err != nil || driver == "(null)" || driver == "<NULL>" {
			driver = ""
		}
		ports = append(ports, FCPort{WWPN: normalWWPN(wwpn), Driver: driver, host: strings.TrimPrefix(name, "host")})
	}
	return ports, nil
}

// remotePort is a port that a port of this machine is connected to.
type remotePort struct {
	local, wwpn string
	// id is its address in the fabric.
	id string
}

// readRemotePorts returns the remote ports that are connected to this machine, or were
// a moment ago and may return: those the kernel calls blocked.
func readRemotePorts(h host.Files) ([]remotePort, error) {
	local, err := ReadFCPorts(h)
	if err != nil || len(local) == 0 {
		return nil, err
	}
	names, err := readLinks(h, fcRemotePortsDir)
	if err != nil {
		return nil, err
	}
	var ports []remotePort
	for _, name := range names {
		dir := path.Join(fcRemotePortsDir, name)
		wwpn, err := readText(h, path.Join(dir, "port_name"))
		state, stateErr := readText(h, path.Join(dir, "port_state"))
		id, idErr := readText(h, path.Join(dir, "port_id"))
		if err := errors.Join(err, stateErr, idErr); errors.Is(err, fs.ErrNotExist) {
			continue // it has gone
		} else if err != nil {
			return nil, err
		}
		// rport-<host>:<channel>-<number>
		host, _, _ := strings.Cut(strings.TrimPrefix(name, "rport-"), ":")
		for _, l := range local {
			if l.host == host && (state == "Online" || state == "Blocked") {
				ports = append(ports, remotePort{local: l.WWPN, wwpn: normalWWPN(wwpn), id: id})
			}
		}
	}
	return ports, nil
}

// readLinks returns the names of what is in a directory of /sys/class; none if it
// is not there.
func readLinks(h host.Files, dir string) ([]string, error) {
	entries, err := h.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, err
}
