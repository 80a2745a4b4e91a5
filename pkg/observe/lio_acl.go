package observe

import (
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// readACLs reads a target's ACLs, and the sessions of their initiators.
func readACLs(h host.Files, dir TargetDir, withContents bool) (map[string]ACL, []Session, error) {
	names, err := readNames(h, dir.ACLs())
	if err != nil {
		return nil, nil, err
	}
	var sessions []Session
	acls := map[string]ACL{}
	for _, initiator := range names {
		if dir.Fabric == FC {
			initiator = normalWWPN(initiator)
		}
		if !withContents {
			acls[initiator] = ACL{Initiator: initiator}
			continue
		}
		acl, connected, err := readACL(h, dir, initiator)
		if err != nil {
			return nil, nil, err
		}
		acls[initiator] = acl
		sessions = append(sessions, connected...)
	}
	slices.SortFunc(sessions, byInitiator)
	return acls, sessions, nil
}

func readACL(h host.Files, target TargetDir, initiator string) (acl ACL, sessions []Session, err error) {
	acl = ACL{Initiator: initiator, Authentication: "-1"}
	dir := target.ACL(initiator)
	if target.Fabric == ISCSI {
		if sessions, err = readLogin(h, dir, &acl); err != nil {
			return ACL{}, nil, err
		}
	}
	acl.LUNs, err = readMappedLUNs(h, dir)
	return acl, sessions, err
}

// readLogin reads what an iSCSI initiator needs to log in, and whether it is: the
// kernel tells of the last of its sessions.
func readLogin(h host.Files, dir string, acl *ACL) ([]Session, error) {
	authentication, err := readText(h, path.Join(dir, "attrib", "authentication"))
	// Before Linux 6.0 there is no such attribute, and the group's holds. If it is
	// the ACL that is gone, the next read says so.
	if err == nil {
		acl.Authentication = authentication
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if acl.Auth, err = readCHAP(h, path.Join(dir, "auth")); err != nil {
		return nil, err
	}
	info, err := readText(h, path.Join(dir, "info"))
	acl.LoggedIn = parseLoggedIn(info)
	return parseConnections(info, acl.Initiator), err
}

func readMappedLUNs(h host.Files, acl string) (map[int]MappedLUN, error) {
	entries, err := readNames(h, acl)
	if err != nil {
		return nil, err
	}
	luns := map[int]MappedLUN{}
	for _, name := range entries {
		if !strings.HasPrefix(name, lunPrefix) {
			continue
		}
		n, err := parseLUNName(name)
		if err != nil {
			return nil, err
		}
		if luns[n], err = ReadMappedLUN(h, path.Join(acl, name)); err != nil {
			return nil, err
		}
	}
	return luns, nil
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
