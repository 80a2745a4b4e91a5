package observe

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// readNVMet reads nvmet's subsystems. A machine on which nvmet is not loaded holds
// none. If anything cannot be read there is an error and nothing else: what is
// left out would look as if it did not exist.
func readNVMet(h host.Files) (map[string]Target, error) {
	nqns, err := readNames(h, SubsystemsDir)
	if errors.Is(err, fs.ErrNotExist) {
		return map[string]Target{}, checkNVMetVisible(h)
	} else if err != nil {
		return nil, err
	}
	all := map[string]Target{}
	if len(nqns) == 0 {
		return all, nil
	}
	ports, err := ReadPorts(h)
	if err != nil {
		return nil, fmt.Errorf("cannot read NVMe ports: %w", err)
	}
	r := subsystemReader{host: h, ports: ports}
	for _, nqn := range nqns {
		t, found, err := settled(h, SubsystemDir(nqn), func() (Target, error) { return r.read(nqn) })
		if err != nil {
			return nil, fmt.Errorf("cannot read NVMe subsystems: %w", err)
		}
		if found {
			all[nqn] = t
		}
	}
	return all, nil
}

// checkNVMetVisible is an error if nvmet is loaded but cannot be seen, and so may
// serve what looks as if it did not exist.
func checkNVMetVisible(h host.Files) error {
	if _, notLoaded := h.ReadDir(nvmetModuleDir); errors.Is(notLoaded, fs.ErrNotExist) {
		return nil
	}
	if _, err := h.ReadDir(NVMetDir); !errors.Is(err, fs.ErrNotExist) {
		return err // it was loaded in this moment
	}
	return fmt.Errorf("nvmet is loaded, but configfs is not mounted on %s: %w", ConfigFS, fs.ErrNotExist)
}

// ReadSubsystem reads one NVMe subsystem, like [ReadTarget]. ports are those of the
// machine.
func ReadSubsystem(h host.Files, ports []NVMePort, nqn string) (Target, error) {
	r := subsystemReader{host: h, ports: ports}
	return r.read(nqn)
}

// subsystemReader reads subsystems, and what they share once only.
type subsystemReader struct {
	host  host.Files
	ports []NVMePort
	// auth is what hosts have to prove who they are with, as far as it was read.
	auth map[string]CHAP
	// sockets are the established TCP connections; nil: not read yet.
	sockets []Socket
}

func (r *subsystemReader) read(nqn string) (Target, error) {
	t := Target{Fabric: NVMe, Name: nqn, HasTPG: true, Sessions: -1, Portals: map[string]Transport{}}
	var err error
	if t.Mark, err = ReadSubsystemMark(r.host, nqn); err != nil {
		return Target{}, err
	}
	for name, p := range PortalsOf(r.ports, nqn) {
		t.Portals[name] = p.Transport
	}
	t.Enabled = len(t.Portals) > 0
	if t.LUNs, err = readNamespaces(r.host, nqn); err != nil {
		return Target{}, err
	}
	_, ours := t.Owner()
	if t.ACLs, err = r.allowedHosts(nqn, ours); err != nil {
		return Target{}, err
	}
	if !ours {
		return t, nil
	}
	if t.Attrib.GenerateNodeACLs, err = readFlag(r.host, path.Join(SubsystemDir(nqn), "attr_allow_any_host")); err != nil {
		return Target{}, err
	}
	return t, r.sessions(&t)
}

// ReadSubsystemMark returns the mark of a subsystem's owner, see [ondisk.SubsystemMark]
// and [State.WithOwners].
func ReadSubsystemMark(h host.Files, nqn string) (string, error) {
	model, err := readText(h, path.Join(SubsystemDir(nqn), "attr_model"))
	if err != nil || model != ondisk.SubsystemModel {
		return "", err
	}
	serial, err := readText(h, path.Join(SubsystemDir(nqn), "attr_serial"))
	if err != nil {
		return "", err
	}
	return ondisk.SubsystemMark(nqn, model, serial), nil
}

func readNamespaces(h host.Files, nqn string) (map[int]TargetLUN, error) {
	names, err := readNames(h, NamespacesDir(nqn))
	if err != nil {
		return nil, err
	}
	luns := map[int]TargetLUN{}
	for _, name := range names {
		// The kernel takes any notation of C, but tools write decimal.
		id, err := strconv.ParseUint(name, 0, 31)
		if err != nil || id == 0 {
			return nil, fmt.Errorf("%q is not the identifier of a namespace", name)
		}
		if luns[int(id)-1], err = ReadNamespace(h, path.Join(NamespacesDir(nqn), name)); err != nil {
			return nil, err
		}
	}
	return luns, nil
}

// ReadNamespace reads the namespace in the directory dir. Of one that is not
// enabled the device is left out: it is not used.
func ReadNamespace(h host.Files, dir string) (TargetLUN, error) {
	enabled, err := readFlag(h, path.Join(dir, "enable"))
	if err != nil {
		return TargetLUN{}, err
	}
	var lun TargetLUN
	if lun.Identity, err = readText(h, path.Join(dir, "device_uuid")); err != nil {
		return TargetLUN{}, err
	}
	nguid, err := readText(h, path.Join(dir, "device_nguid"))
	if err != nil {
		return TargetLUN{}, err
	}
	if nguid != lun.Identity {
		// Initiators may tell it by either, so that it is none of ours.
		lun.Identity += " nguid " + nguid
	}
	if enabled {
		lun.Device, err = readText(h, path.Join(dir, "device_path"))
	}
	return lun, err
}

// allowedHosts returns the hosts that are admitted to a subsystem.
func (r *subsystemReader) allowedHosts(nqn string, withContents bool) (map[string]ACL, error) {
	links, err := ReadLinks(r.host, AllowedHostsDir(nqn))
	if err != nil {
		return nil, err
	}
	acls := map[string]ACL{}
	for name := range links {
		acl := ACL{Initiator: name}
		if withContents {
			if acl.Auth, err = r.authOf(name); err != nil {
				return nil, err
			}
			acl.Authentication = "0"
			if acl.Auth.Password != (CHAP{}).Password {
				acl.Authentication = "1"
			}
		}
		acls[name] = acl
	}
	return acls, nil
}

func (r *subsystemReader) authOf(name string) (CHAP, error) {
	if auth, known := r.auth[name]; known {
		return auth, nil
	}
	auth, err := ReadHostAuth(r.host, name)
	if err != nil {
		return CHAP{}, err
	}
	if r.auth == nil {
		r.auth = map[string]CHAP{}
	}
	r.auth[name] = auth
	return auth, nil
}

// ReadLinks returns the symlinks in a directory by the name of what they lead to,
// each with its own name, which is for its creator to choose.
func ReadLinks(h host.Files, dir string) (map[string]string, error) {
	entries, err := h.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	links := map[string]string{}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink == 0 {
			continue
		}
		target, err := h.Readlink(path.Join(dir, e.Name()))
		if err != nil {
			return nil, err
		}
		links[path.Base(target)] = e.Name()
	}
	return links, nil
}
