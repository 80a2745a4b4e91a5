package observe

import (
	"errors"
	"io/fs"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// readFC reads the Fibre Channel targets of all drivers; nil if there are none.
func readFC(h host.Files) (map[string]Target, error) {
	var targets map[string]Target
	for _, driver := range FCDrivers {
		names, err := readDirIfThere(h, driver.Dir)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if name == discoveryAuth {
				continue
			}
			dir := driver.Target(name)
			t, found, err := settled(h, dir.Path, func() (Target, error) { return readTarget(h, dir) })
			if err != nil {
				return nil, err
			}
			if !found {
				continue
			}
			if targets == nil {
				targets = map[string]Target{}
			}
			if _, twice := targets[dir.Name]; twice {
				// tcm_fc takes any name, that of a port of another driver too.
				t.OtherTPGs++
			}
			targets[dir.Name] = t
		}
	}
	if len(targets) == 0 {
		return targets, nil
	}
	remote, err := readRemotePorts(h)
	for name, t := range targets {
		targets[name] = t.withRemotePorts(remote)
	}
	return targets, err
}

// LIOTarget is the directory of a LIO target, whether it exists or not. Which
// driver's it is, of a Fibre Channel target, is seen by where it exists.
func LIOTarget(h host.Files, id TargetID) (TargetDir, error) {
	if id.Fabric != FC {
		return ISCSITarget(id.Name), nil
	}
	found := FCDrivers[0].Target(id.Name)
	for _, driver := range FCDrivers {
		dir := driver.Target(id.Name)
		_, err := h.ReadDir(dir.Path)
		switch {
		case err == nil:
			found = dir
		case !errors.Is(err, fs.ErrNotExist):
			return TargetDir{}, err
		}
	}
	return found, nil
}

// FCMark returns the mark that the LUNs of a Fibre Channel target carry, which has
// no place of its own for one: the name of their symlinks. It is empty unless all
// of them carry the same one, and it is ours. marked is false if there is no LUN
// that could carry one.
func FCMark(luns map[int]TargetLUN) (mark string, marked bool) {
	for _, l := range luns {
		if l.Link == "" {
			continue // linked to nothing, it serves nothing
		}
		if marked && l.Link != mark || !ondisk.IsTargetMark(l.Link) {
			return "", true
		}
		mark, marked = l.Link, true
	}
	return mark, marked
}

// withRemotePorts returns a Fibre Channel target with what the ports say that are
// connected to it. LIO itself does not tell who is logged in.
func (t Target) withRemotePorts(remote []remotePort) Target {
	for _, r := range remote {
		if acl, listed := t.ACLs[r.wwpn]; listed && r.local == t.Name {
			acl.LoggedIn = true
			t.ACLs[r.wwpn] = acl
			t.Connections = append(t.Connections, Session{Initiator: r.wwpn, Address: r.id, Transport: OverFC})
		}
	}
	slices.SortFunc(t.Connections, byInitiator)
	return t
}
