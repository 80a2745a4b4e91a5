package observe

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

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
