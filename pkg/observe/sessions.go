package observe

import (
	"errors"
	"io/fs"
	"path"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// ReadSessions reads who is logged in to a LIO target: all, or else of those who have an access list
// only these. Nothing else is read of it, so that it can be asked before every change. A target that
// is not enabled, or not there, has no sessions: when it is disabled they end.
func ReadSessions(h host.Files, dir TargetDir, all bool, initiators []string) (Target, error) {
	t := Target{Fabric: dir.Fabric, Name: dir.Name, Sessions: -1, ACLs: map[string]ACL{}}
	enabled, err := readEnabled(h, dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !enabled {
		return t, nil
	} else if err != nil {
		return t, err
	}
	if all {
		if dir.Fabric == ISCSI {
			t.Sessions = readSessionCount(h, dir)
		}
		if initiators, err = readNames(h, dir.ACLs()); err != nil {
			return t, err
		}
	}
	for _, name := range initiators {
		acl := ACL{Initiator: name}
		if dir.Fabric == FC {
			acl.Initiator = normalWWPN(name)
		} else {
			info, err := readText(h, path.Join(dir.ACL(name), "info"))
			if errors.Is(err, fs.ErrNotExist) {
				continue // it is among those without an access list, if at all
			} else if err != nil {
				return t, err
			}
			acl.LoggedIn = parseLoggedIn(info)
		}
		t.ACLs[acl.Initiator] = acl
	}
	if t.DynamicSessions, err = ReadDynamicSessions(h, dir); err != nil || dir.Fabric != FC {
		return t, err
	}
	remote, err := readRemotePorts(h)
	return t.withRemotePorts(remote), err
}

// ReadSubsystemSessions reads who is connected to an NVMe subsystem, as far as the kernel tells, see
// [Target.Unattributed]. Nothing else is read of it. One that no port serves has no sessions: when
// the last one does not serve it any more they end.
func ReadSubsystemSessions(h host.Files, nqn string) (Target, error) {
	t := Target{Fabric: NVMe, Name: nqn, Sessions: -1, ACLs: map[string]ACL{}}
	controllers, known, err := ReadControllers(h, nqn)
	if err != nil || known && len(controllers) == 0 {
		return t, err
	}
	ports, err := portsServing(h, nqn)
	if err != nil || len(ports) == 0 {
		return t, err
	}
	r := subsystemReader{host: h, ports: ports}
	if known {
		links, err := ReadLinks(h, AllowedHostsDir(nqn))
		if err != nil && !isGone(err) {
			return t, err
		}
		for name := range links {
			t.ACLs[name] = ACL{Initiator: name}
		}
	}
	return t, r.sessions(&t)
}

// portsServing returns the ports that serve a subsystem. What else they serve, which may be
// thousands of others, is looked at only if none of them does by the name of the link that we give.
func portsServing(h host.Files, nqn string) ([]NVMePort, error) {
	addresses, err := ReadPortAddresses(h)
	if err != nil {
		return nil, err
	}
	var serving []NVMePort
	for _, p := range addresses {
		if _, err := h.Readlink(path.Join(PortSubsystemsDir(p.ID), nqn)); err == nil {
			p.Links = map[string]string{nqn: nqn}
			serving = append(serving, p)
		} else if !isGone(err) {
			return nil, err
		}
	}
	if len(serving) > 0 {
		return serving, nil
	}
	all, err := ReadPorts(h)
	return slices.DeleteFunc(all, func(p NVMePort) bool { _, serves := p.Links[nqn]; return !serves }), err
}
