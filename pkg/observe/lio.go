package observe

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strconv"
	"strings"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// readLIO reads LIO's block backstores and iSCSI targets. A machine on which
// LIO is not loaded holds none. If anything cannot be read there is an error
// and nothing else: what is left out would look as if it did not exist.
func readLIO(h host.Files) (Targets, error) {
	backstores, err := readBackstores(h)
	if err != nil {
		return Targets{}, fmt.Errorf("reading backstores: %w", err)
	}
	targets, err := readTargets(h)
	if err != nil {
		return Targets{}, fmt.Errorf("reading iSCSI targets: %w", err)
	}
	return Targets{Backstores: backstores, ISCSI: targets}, nil
}

func readBackstores(h host.Files) (map[string]Backstore, error) {
	hbas, err := readDirIfThere(h, BackstoresDir)
	if err != nil {
		return nil, err
	}
	backstores := map[string]Backstore{}
	for _, hba := range hbas {
		if !strings.HasPrefix(hba, "iblock_") {
			continue
		}
		names, err := readDirIfThere(h, HBADir(hba))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			b, found, err := settled(h, BackstoreDir(hba, name), func() (Backstore, error) {
				return ReadBackstore(h, hba, name)
			})
			if err != nil {
				return nil, err
			}
			if found {
				backstores[b.Path()] = b
			}
		}
	}
	return backstores, nil
}

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

// ReadBackstore reads one block backstore. The error is fs.ErrNotExist if it, or
// its HBA, does not exist.
func ReadBackstore(h host.Files, hba, name string) (Backstore, error) {
	dir := BackstoreDir(hba, name)
	text, err := h.ReadFile(path.Join(dir, "info"))
	if err != nil {
		return Backstore{}, err
	}
	info, err := parseBackstoreInfo(string(text))
	if err != nil {
		return Backstore{}, fmt.Errorf("%s: %w", dir, err)
	}
	serial, err := h.ReadFile(path.Join(dir, "wwn", "vpd_unit_serial"))
	if err != nil {
		return Backstore{}, err
	}
	unmap, err := readFlag(h, path.Join(dir, "attrib", "emulate_tpu"))
	if err != nil {
		return Backstore{}, err
	}
	return Backstore{
		HBA:         hba,
		Name:        name,
		Enabled:     info.blockDevice != "",
		BlockDevice: info.blockDevice,
		Device:      info.path,
		Serial:      parseUnitSerial(string(serial)),
		ReadOnly:    info.readOnly,
		Unmap:       unmap,
	}, nil
}

// ReadTarget reads one iSCSI target. Of a target that does not carry our mark
// only that is read which shows what it uses and whether it is empty: its
// attributes, its ACLs' contents and its sessions are left out. The error is
// fs.ErrNotExist if the target does not exist, or if a part of it vanished
// while it was read.
func ReadTarget(h host.Files, iqn string) (Target, error) {
	t := Target{IQN: iqn, Sessions: -1}
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
	return t, readTPG(h, &t)
}

func readTPG(h host.Files, t *Target) (err error) {
	if t.Alias, err = readText(h, AliasFile(t.IQN)); err != nil {
		return err
	}
	if t.Enabled, err = readFlag(h, path.Join(TPGDir(t.IQN), "enable")); err != nil {
		return err
	}
	if t.Portals, err = readPortals(h, t.IQN); err != nil {
		return err
	}
	if t.LUNs, err = readLUNs(h, t.IQN); err != nil {
		return err
	}
	_, ours := t.Owner()
	if t.ACLs, err = readACLs(h, t.IQN, ours); err != nil {
		return err
	}
	if !ours {
		return nil
	}
	if t.Attrib, err = ReadTPGAttrib(h, t.IQN); err != nil {
		return err
	}
	if t.DynamicSessions, err = ReadDynamicSessions(h, t.IQN); err != nil {
		return err
	}
	t.Sessions = readSessionCount(h, t.IQN)
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

func readPortals(h host.Files, iqn string) (map[string]bool, error) {
	names, err := readNames(h, PortalsDir(iqn))
	if err != nil {
		return nil, err
	}
	portals := map[string]bool{}
	for _, name := range names {
		portals[ParsePortal(name)] = true
	}
	return portals, nil
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

func readACLs(h host.Files, iqn string, withContents bool) (map[string]ACL, error) {
	initiators, err := readNames(h, ACLsDir(iqn))
	if err != nil {
		return nil, err
	}
	acls := map[string]ACL{}
	for _, initiator := range initiators {
		if !withContents {
			acls[initiator] = ACL{Initiator: initiator}
			continue
		}
		if acls[initiator], err = readACL(h, iqn, initiator); err != nil {
			return nil, err
		}
	}
	return acls, nil
}

func readACL(h host.Files, iqn, initiator string) (ACL, error) {
	acl := ACL{Initiator: initiator, LUNs: map[int]MappedLUN{}}
	dir := ACLDir(iqn, initiator)
	var err error
	acl.Authentication, err = readText(h, path.Join(dir, "attrib", "authentication"))
	if errors.Is(err, fs.ErrNotExist) {
		// Before Linux 6.0 there is no such attribute, and the group's holds. If
		// it is the ACL that is gone, the next read says so.
		acl.Authentication = "-1"
	} else if err != nil {
		return ACL{}, err
	}
	if acl.Auth, err = readCHAP(h, path.Join(dir, "auth")); err != nil {
		return ACL{}, err
	}
	info, err := readText(h, path.Join(dir, "info"))
	if err != nil {
		return ACL{}, err
	}
	acl.LoggedIn = parseLoggedIn(info)

	entries, err := readNames(h, dir)
	if err != nil {
		return ACL{}, err
	}
	for _, name := range entries {
		if !strings.HasPrefix(name, lunPrefix) {
			continue
		}
		n, err := parseLUNName(name)
		if err != nil {
			return ACL{}, err
		}
		if acl.LUNs[n], err = ReadMappedLUN(h, path.Join(dir, name)); err != nil {
			return ACL{}, err
		}
	}
	return acl, nil
}

func readCHAP(h host.Files, dir string) (CHAP, error) {
	var c CHAP
	for _, attribute := range []struct {
		name string
		set  func(string)
	}{
		{"userid", func(v string) { c.Username = v }},
		{"password", func(v string) { c.Password = spec.NewSecret(v) }},
		{"userid_mutual", func(v string) { c.MutualUsername = v }},
		{"password_mutual", func(v string) { c.MutualPassword = spec.NewSecret(v) }},
	} {
		text, err := h.ReadFile(path.Join(dir, attribute.name))
		if err != nil {
			return CHAP{}, err
		}
		attribute.set(parseCredential(string(text)))
	}
	return c, nil
}

// ReadMappedLUN reads the LUN of an ACL in the directory dir.
func ReadMappedLUN(h host.Files, dir string) (MappedLUN, error) {
	name, target, err := readSymlink(h, dir)
	if err != nil {
		return MappedLUN{}, err
	}
	lun := MappedLUN{LUN: -1, Link: name}
	if name != "" {
		if lun.LUN, err = parseLUNLink(target); err != nil {
			return MappedLUN{}, err
		}
	}
	lun.WriteProtect, err = readFlag(h, path.Join(dir, "write_protect"))
	return lun, err
}

// readSymlink returns the one symlink in a directory, which may have any name,
// and where it leads; two empty strings if there is none.
func readSymlink(h host.Files, dir string) (name, target string, err error) {
	entries, err := h.ReadDir(dir)
	if err != nil {
		return "", "", err
	}
	for _, e := range entries {
		if e.Type()&fs.ModeSymlink != 0 {
			target, err := h.Readlink(path.Join(dir, e.Name()))
			return e.Name(), target, err
		}
	}
	return "", "", nil
}

// settled reads a directory that somebody else may be changing at this moment,
// again if something in it vanished meanwhile. It reports false if the
// directory itself is gone, which is no error.
//
// EINVAL is what the kernel answers if a signal arrives while it waits for a
// portal group (iscsit_get_tpg in drivers/target/iscsi/iscsi_target_tpg.c), and
// the Go runtime sends itself signals.
func settled[T any](h host.Files, dir string, read func() (T, error)) (T, bool, error) {
	const attempts = 3
	var value T
	var err error
	for range attempts {
		if value, err = read(); err == nil {
			return value, true, nil
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.EINVAL) {
			break
		}
		if _, gone := h.ReadDir(dir); errors.Is(gone, fs.ErrNotExist) {
			return value, false, nil
		}
	}
	return value, false, err
}

// readDirIfThere returns the names of the directories in a directory; none if
// it does not exist.
func readDirIfThere(h host.Files, dir string) ([]string, error) {
	names, err := readNames(h, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return names, err
}

// readNames returns the names of the directories in a directory, in configfs
// the objects without the attributes.
func readNames(h host.Files, dir string) ([]string, error) {
	entries, err := h.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

func readText(h host.Files, file string) (string, error) {
	text, err := h.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}

func readFlag(h host.Files, file string) (bool, error) {
	text, err := readText(h, file)
	return text == "1", err
}
