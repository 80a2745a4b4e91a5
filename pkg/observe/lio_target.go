package observe

import (
	"errors"
	"io/fs"
	"path"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

func readTargets(h host.Files) (map[string]Target, error) {
	iqns, err := readDirIfThere(h, ISCSIDir)
	if err != nil {
		return nil, err
	}
	targets := map[string]Target{}
	for _, iqn := range iqns {
		if iqn == "discovery_auth" {
			continue
		}
		t, found, err := settled(h, TargetDir(iqn), func() (Target, error) {
			return ReadTarget(h, iqn)
		})
		if err != nil {
			return nil, err
		}
		if found {
			targets[iqn] = t
		}
	}
	return targets, nil
}

// ReadTarget reads one iSCSI target. Of a target that does not carry our mark
// only that is read which shows what it uses and whether it is empty: its
// attributes, its ACLs' contents and its sessions are left out. The error is
// fs.ErrNotExist if the target does not exist, or if a part of it vanished
// while it was read.
func ReadTarget(h host.Files, iqn string) (Target, error) {
	t := Target{Fabric: ISCSI, Name: iqn, Sessions: -1}
	entries, err := readNames(h, TargetDir(iqn))
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
	err = readTPG(h, &t)
	return t, err
}

func readTPG(h host.Files, t *Target) (err error) {
	if t.Alias, err = readText(h, AliasFile(t.Name)); err != nil {
		return err
	}
	if t.Enabled, err = readFlag(h, path.Join(TPGDir(t.Name), "enable")); err != nil {
		return err
	}
	if t.Portals, err = readPortals(h, t.Name); err != nil {
		return err
	}
	if t.LUNs, err = readLUNs(h, t.Name); err != nil {
		return err
	}
	_, ours := t.Owner()
	if t.ACLs, err = readACLs(h, t.Name, ours); err != nil {
		return err
	}
	if !ours {
		return nil
	}
	if t.Attrib, err = ReadTPGAttrib(h, t.Name); err != nil {
		return err
	}
	if t.DynamicSessions, err = ReadDynamicSessions(h, t.Name); err != nil {
		return err
	}
	t.Sessions = readSessionCount(h, t.Name)
	return nil
}

// ReadTPGAttrib reads the attributes of a target's first portal group.
func ReadTPGAttrib(h host.Files, iqn string) (TPGAttrib, error) {
	var a TPGAttrib
	for _, attribute := range []struct {
		name  string
		value *bool
	}{
		{"authentication", &a.Authentication},
		{"generate_node_acls", &a.GenerateNodeACLs},
		{"cache_dynamic_acls", &a.CacheDynamicACLs},
		{"demo_mode_write_protect", &a.DemoModeWriteProtect},
		{"demo_mode_discovery", &a.DemoModeDiscovery},
		{"prod_mode_write_protect", &a.ProdModeWriteProtect},
	} {
		var err error
		if *attribute.value, err = readFlag(h, path.Join(TPGDir(iqn), "attrib", attribute.name)); err != nil {
			return TPGAttrib{}, err
		}
	}
	return a, nil
}

// ReadDynamicSessions returns the initiators that are logged in without an ACL.
// The kernel names as many as fit into a page.
func ReadDynamicSessions(h host.Files, iqn string) ([]string, error) {
	text, err := h.ReadFile(path.Join(TPGDir(iqn), "dynamic_sessions"))
	return parseDynamicSessions(string(text)), err
}

// readSessionCount returns the number of a target's live sessions, -1 if it
// cannot be read: it is a statistic, and a kernel without it can still be used.
func readSessionCount(h host.Files, iqn string) int {
	text, err := readText(h, path.Join(TargetDir(iqn), "fabric_statistics", "iscsi_instance", "sessions"))
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		return -1
	}
	return n
}

func readPortals(h host.Files, iqn string) (map[string]Transport, error) {
	names, err := readNames(h, PortalsDir(iqn))
	if err != nil {
		return nil, err
	}
	portals := map[string]Transport{}
	for _, name := range names {
		if portals[ParsePortal(name)], err = readTransport(h, path.Join(PortalsDir(iqn), name)); err != nil {
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

func readLUNs(h host.Files, iqn string) (map[int]TargetLUN, error) {
	names, err := readNames(h, LUNsDir(iqn))
	if err != nil {
		return nil, err
	}
	luns := map[int]TargetLUN{}
	for _, name := range names {
		n, err := parseLUNName(name)
		if err != nil {
			return nil, err
		}
		if luns[n], err = ReadLUN(h, path.Join(LUNsDir(iqn), name)); err != nil {
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
