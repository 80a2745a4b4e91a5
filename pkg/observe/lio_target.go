package observe

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

func readISCSI(h host.Files) (map[string]Target, error) {
	iqns, err := readDirIfThere(h, ISCSIDir)
	if err != nil {
		return nil, err
	}
	iqns = slices.DeleteFunc(iqns, func(iqn string) bool { return iqn == discoveryAuth })
	return readEach(iqns, func(iqn string) (Target, bool, error) {
		dir := ISCSITarget(iqn)
		return remembered(h, dir.Path, func() (Target, bool, error) {
			return settled(h, dir.Path, func() (Target, error) { return readTarget(h, dir) })
		})
	})
}

// ReadTarget reads one target of LIO. Of a target that does not carry our mark
// only that is read which shows what it uses and whether it is empty: its
// attributes, its ACLs' contents and its sessions are left out, unless it is to be adopted, see
// [Observer.Adopt]. The error is fs.ErrNotExist if the target does not exist, or if a part of it vanished
// while it was read.
func ReadTarget(h host.Files, dir TargetDir) (Target, error) {
	t, err := readTarget(h, dir)
	if err != nil || dir.Fabric != FC {
		return t, err
	}
	remote, err := readRemotePorts(h)
	return t.withRemotePorts(remote), err
}

func readTarget(h host.Files, dir TargetDir) (Target, error) {
	t := Target{Fabric: dir.Fabric, Name: dir.Name, Sessions: -1}
	entries, err := readNames(h, dir.Path)
	if err != nil {
		return Target{}, err
	}
	for _, name := range entries {
		switch {
		case name == tpgName:
			t.HasTPG = true
		case strings.HasPrefix(name, tpgPrefix):
			t.OtherTPGs++
		}
	}
	if !t.HasTPG {
		return t, nil
	}
	err = readTPG(h, dir, &t)
	return t, err
}

func readTPG(h host.Files, dir TargetDir, t *Target) (err error) {
	if dir.Fabric == ISCSI {
		if t.Mark, t.MarkInAlias, err = ReadMark(h, dir); err != nil {
			return err
		}
		if t.Portals, err = readPortals(h, dir); err != nil {
			return err
		}
	}
	if t.Enabled, err = readEnabled(h, dir); err != nil {
		return err
	}
	if t.LUNs, err = ReadLUNs(h, dir); err != nil {
		return err
	}
	if dir.Fabric == FC {
		t.Mark, _ = FCMark(t.LUNs)
	}
	// A Fibre Channel target without LUNs may be ours, and has no secrets.
	_, ours := t.Owner()
	adopted := !ours && dir.Fabric == ISCSI && isAdopted(h, dir.Name)
	if adopted {
		if t.GroupAuth, err = HasGroupAuth(h, dir); err != nil {
			return err
		}
	}
	ours = ours || adopted || dir.Fabric == FC && t.Empty()
	if t.ACLs, t.Connections, err = readACLs(h, dir, ours); err != nil {
		return err
	}
	if !ours {
		return nil
	}
	if dir.Fabric == ISCSI {
		if t.Attributes, err = readTargetAttributes(h, dir); err != nil {
			return err
		}
	}
	if t.Attrib, err = ReadTPGAttrib(h, dir); err != nil {
		return err
	}
	if t.DynamicSessions, err = ReadDynamicSessions(h, dir); err != nil {
		return err
	}
	if dir.Fabric == ISCSI {
		t.Sessions = readSessionCount(h, dir)
	}
	for _, name := range t.DynamicSessions {
		t.Connections = append(t.Connections, Session{Initiator: name})
	}
	return nil
}

// HasGroupAuth reports whether a portal group has credentials of its own, for initiators without an
// ACL. The agent's mark would be one of them.
func HasGroupAuth(h host.Files, dir TargetDir) (bool, error) {
	c, err := readCHAP(h, path.Join(dir.TPG(), "auth"))
	if errors.Is(err, fs.ErrNotExist) { // an older version captured the node
		return false, nil
	}
	return c != CHAP{}, err
}

// readEnabled reads whether initiators may log in, which a target that has no
// switch for it cannot forbid.
func readEnabled(h host.Files, dir TargetDir) (bool, error) {
	enabled, err := readFlag(h, dir.Enable())
	if dir.Fabric == FC && errors.Is(err, fs.ErrNotExist) {
		_, err := h.ReadDir(dir.TPG())
		return err == nil, err
	}
	return enabled, err
}

// ReadTPGAttrib reads the attributes of a target's first portal group. Of a Fibre
// Channel target these are the ones that decide whether an initiator needs an ACL,
// as far as its driver has them: tcm_fc always asks for one. What such an initiator
// might do besides is not looked at.
func ReadTPGAttrib(h host.Files, dir TargetDir) (TPGAttrib, error) {
	var a TPGAttrib
	for _, attribute := range []struct {
		name  string
		value *bool
		fc    bool
	}{
		{"authentication", &a.Authentication, false},
		{"generate_node_acls", &a.GenerateNodeACLs, true},
		{"cache_dynamic_acls", &a.CacheDynamicACLs, true},
		{"demo_mode_write_protect", &a.DemoModeWriteProtect, false},
		{"demo_mode_discovery", &a.DemoModeDiscovery, false},
		{"prod_mode_write_protect", &a.ProdModeWriteProtect, true},
	} {
		if dir.Fabric == FC && !attribute.fc {
			continue
		}
		var err error
		*attribute.value, err = readFlag(h, path.Join(dir.Attrib(), attribute.name))
		if dir.Fabric == FC && errors.Is(err, fs.ErrNotExist) {
			_, err = h.ReadDir(dir.Attrib())
		}
		if err != nil {
			return TPGAttrib{}, err
		}
	}
	return a, nil
}

// ReadDynamicSessions returns the initiators that are logged in without an ACL.
// The kernel names as many as fit into a page.
func ReadDynamicSessions(h host.Files, dir TargetDir) ([]string, error) {
	text, err := h.ReadFile(path.Join(dir.TPG(), "dynamic_sessions"))
	if dir.Fabric == FC && errors.Is(err, fs.ErrNotExist) {
		return nil, nil // tcm_fc lets nobody in without one
	}
	return parseDynamicSessions(string(text)), err
}

// readSessionCount returns the number of a target's live sessions, -1 if it
// cannot be read: it is a statistic, and a kernel without it can still be used.
func readSessionCount(h host.Files, dir TargetDir) int {
	text, err := readText(h, path.Join(dir.Path, "fabric_statistics", "iscsi_instance", "sessions"))
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

func readPortals(h host.Files, dir TargetDir) (map[string]Transport, error) {
	names, err := readNames(h, dir.Portals())
	if err != nil {
		return nil, err
	}
	portals := map[string]Transport{}
	for _, name := range names {
		if portals[ParsePortal(name)], err = readTransport(h, path.Join(dir.Portals(), name)); err != nil {
			return nil, err
		}
	}
	return portals, nil
}

// readTransport reads whether the portal in a directory serves iSER, too. A
// kernel that was built without it has no such attribute.
func readTransport(h host.Files, dir string) (Transport, error) {
	iser, err := readFlag(h, path.Join(dir, "iser"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		_, err := h.ReadDir(dir)
		return TCP, err
	case iser:
		return RDMA, err
	default:
		return TCP, err
	}
}

// ReadLUNs reads the LUNs of a target's first portal group.
func ReadLUNs(h host.Files, dir TargetDir) (map[int]TargetLUN, error) {
	names, err := readNames(h, dir.LUNs())
	if err != nil {
		return nil, err
	}
	luns := map[int]TargetLUN{}
	for _, name := range names {
		n, err := parseLUNName(name)
		if err != nil {
			return nil, err
		}
		if luns[n], err = ReadLUN(h, path.Join(dir.LUNs(), name)); err != nil {
			return nil, err
		}
	}
	return luns, nil
}

// ReadLUN reads the LUN of a portal group in the directory dir.
func ReadLUN(h host.Files, dir string) (TargetLUN, error) {
	name, target, err := readSymlink(h, dir)
	if err != nil {
		return TargetLUN{}, err
	}
	return TargetLUN{Backstore: parseBackstoreLink(target), Link: name}, nil
}
