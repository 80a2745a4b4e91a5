package plan_test

import (
	"maps"
	"slices"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// marked puts a mark on a target, as its fabric has it; empty: somebody else's, or none.
func marked(t *observe.Target, export string) {
	mark := ""
	if export != "" {
		mark = ondisk.TargetMark(export)
	}
	switch {
	case t.Fabric == observe.FC:
		if mark == "" {
			mark = "9afeecee37"
		}
		for n, l := range t.LUNs {
			if l.Backstore != "" {
				l.Link = mark
				t.LUNs[n] = l
			}
		}
		return // the target's is that
	case t.Fabric == observe.NVMe && export != "":
		mark = ondisk.SubsystemMark(t.Name, ondisk.SubsystemModel, ondisk.SubsystemSerial(t.Name, export))
	}
	t.Mark = mark
}

func (s *scenario) foreignTarget(t *rapid.T) {
	fabrics := []observe.Fabric{observe.ISCSI, observe.ISCSI, observe.ISCSI, observe.NVMe, observe.NVMe, observe.FC}
	if s.input.TGT {
		fabrics = append(fabrics, observe.TGTISCSI, observe.TGTISCSI)
	}
	id := observe.TargetID{Fabric: pick(t, "fabric", fabrics...)}
	names := namesOf[id.Fabric]
	id.Name = pick(t, "name", append(slices.Clone(names.targets), names.targets[2]+"0")...)
	if _, taken := s.State.Target(id); taken {
		return
	}
	target := observe.Target{
		Fabric: id.Fabric, Name: id.Name, HasTPG: true,
		Portals: map[string]observe.Transport{}, LUNs: map[int]observe.TargetLUN{}, ACLs: map[string]observe.ACL{},
	}
	s.State.Targets(id.Fabric)[id.Name] = target
	s.EditTargetOf(id, func(target *observe.Target) {
		if isLIO := id.Fabric.System() == observe.LIO; isLIO {
			target.HasTPG = !oneIn(t, 3, "no portal group")
			target.OtherTPGs = pick(t, "other groups", 0, 0, 1)
		}
		if !target.HasTPG {
			return
		}
		enabled := oneIn(t, 2, "enabled")
		if enabled {
			target.Enabled = true
			s.addLUN(t, target, 0)
			if id.Fabric == observe.ISCSI || id.Fabric == observe.NVMe {
				target.Portals[names.portals[0]] = observe.TCP
			}
		}
		switch id.Fabric {
		case observe.ISCSI:
			target.Mark = pick(t, "alias", "", "LIO Target", "theirs", ondisk.TargetMark("gone"), ondisk.TargetMark("e"))
			target.Attrib = genAttrib(t)
		default:
			marked(target, pick(t, "mark", "", "", "gone", "e"))
			if enabled {
				name := pick(t, "initiator", names.initiators...)
				target.ACLs[name] = observe.ACL{Initiator: name, LUNs: map[int]observe.MappedLUN{}}
			}
		}
		if id.Fabric == observe.TGTISCSI {
			for portal := range s.Listening {
				target.Portals[portal] = observe.TCP
			}
		}
	})
}

func genAttrib(t *rapid.T) observe.TPGAttrib {
	return observe.TPGAttrib{
		Authentication: !oneIn(t, 2, "authentication"), GenerateNodeACLs: oneIn(t, 2, "generate"), CacheDynamicACLs: oneIn(t, 2, "cache"),
		DemoModeWriteProtect: !oneIn(t, 2, "protect"), DemoModeDiscovery: oneIn(t, 2, "discovery"),
	}
}

// toTargets are what may happen to a target of a fabric.
var toTargets = map[observe.Fabric][]string{
	observe.ISCSI: {
		"acl", "acl", "acl", "lun", "lun", "session", "session", "disabled", "attributes", "no portal", "portal", "mark",
		"mark in the alias", "other group", "shell",
	},
	observe.FC:       {"acl", "acl", "lun", "lun", "session", "session", "disabled", "mark", "other group", "shell"},
	observe.NVMe:     {"acl", "acl", "lun", "lun", "session", "session", "attributes", "no portal", "portal", "mark", "shell"},
	observe.TGTISCSI: {"acl", "acl", "lun", "lun", "session", "session", "attributes", "no portal", "portal", "mark", "accounts", "offline", "shell"},
}

func (s *scenario) mutateTarget(t *rapid.T, id observe.TargetID) {
	names := namesOf[id.Fabric]
	s.EditTargetOf(id, func(target *observe.Target) {
		switch pick(t, "to the target", toTargets[id.Fabric]...) {
		case "acl":
			if target.HasTPG {
				s.mutateACL(t, target)
			}
		case "lun":
			if target.HasTPG {
				s.mutateLUN(t, target)
			}
		case "session":
			mutateSessions(t, target)
		case "disabled":
			target.Enabled = false
			noSessions(target)
		case "attributes":
			switch {
			case id.Fabric == observe.ISCSI:
				target.Attrib = genAttrib(t)
			case id.Fabric != observe.NVMe || len(target.ACLs) == 0: // which the kernel refuses else
				target.Attrib.GenerateNodeACLs = !target.Attrib.GenerateNodeACLs
			}
		case "no portal":
			if clear(target.Portals); id.Fabric == observe.TGTISCSI {
				s.Listening = nil
				for _, other := range s.State.TGT {
					clear(other.Portals)
				}
			}
		case "portal":
			portal := pick(t, "portal", names.portals...)
			if target.Portals[portal] = observe.TCP; id.Fabric == observe.TGTISCSI {
				s.Listen(portal)
			}
		case "mark":
			marked(target, pick(t, "mark", "e", "f", "gone", ""))
		case "mark in the alias":
			_, target.MarkInAlias = target.Owner()
		case "other group":
			target.OtherTPGs = 1
		case "accounts":
			target.Accounts, target.OwnAccount = pick(t, "accounts", nil, []string{ondisk.GuardAccount}, []string{ondisk.GuardAccount, "u"}, []string{"u"}), pick(t, "own", "", "m")
			if oneIn(t, 2, "no mark") {
				target.AuthMark = ""
			}
		case "offline":
			target.Offline = true
		case "shell":
			s.emptied(t, target)
		}
	})
}

// emptied leaves of a target what a crash in the midst of its creation or removal does.
func (s *scenario) emptied(t *rapid.T, target *observe.Target) {
	*target = observe.Target{
		Fabric: target.Fabric, Name: target.Name, HasTPG: target.Fabric.System() != observe.LIO,
		Portals: map[string]observe.Transport{}, LUNs: map[int]observe.TargetLUN{}, ACLs: map[string]observe.ACL{},
	}
	switch target.Fabric {
	case observe.ISCSI:
		if target.HasTPG = oneIn(t, 2, "portal group"); target.HasTPG {
			target.Mark = pick(t, "alias", "LIO Target", ondisk.TargetMark("e"), ondisk.TargetMark("f"))
		}
	case observe.FC:
		target.HasTPG = oneIn(t, 2, "portal group")
	default:
		marked(target, pick(t, "mark", "", "e", "f"))
	}
	if target.Fabric == observe.TGTISCSI {
		for portal := range s.Listening {
			target.Portals[portal] = observe.TCP
		}
	}
}

func noSessions(target *observe.Target) {
	target.DynamicSessions, target.Unattributed = nil, nil
	for name, acl := range target.ACLs {
		acl.LoggedIn = false
		target.ACLs[name] = acl
	}
}

// mutateSessions lets initiators log in or out, as far as the fabric's observation shows them.
func mutateSessions(t *rapid.T, target *observe.Target) {
	_, ours := target.Owner()
	switch {
	case target.Fabric != observe.TGTISCSI && !target.Enabled:
		return
	case target.Fabric == observe.NVMe && !ours: // not looked at
		return
	case target.Fabric == observe.NVMe && oneIn(t, 2, "not said who"):
		noSessions(target)
		target.Unattributed = []string{"10.0.0.7"}
		return
	case target.Fabric == observe.TGTISCSI && oneIn(t, 6, "not read who"):
		target.Unattributed = []string{"an initiator with an unreadable name"}
		return
	}
	if target.Fabric == observe.NVMe {
		target.Unattributed = nil // either all have names or none
	}
	if target.Fabric != observe.FC && (target.Attrib.GenerateNodeACLs || len(target.ACLs) == 0 || oneIn(t, 4, "dynamic")) {
		name := pick(t, "initiator", namesOf[target.Fabric].initiators...)
		if _, listed := target.ACLs[name]; !listed && !slices.Contains(target.DynamicSessions, name) {
			target.DynamicSessions = append(slices.Clone(target.DynamicSessions), name)
		}
		return
	}
	for _, name := range slices.Sorted(maps.Keys(target.ACLs)) {
		acl := target.ACLs[name]
		acl.LoggedIn = !oneIn(t, 3, "logged out")
		target.ACLs[name] = acl
	}
}

func (s *scenario) mutateACL(t *rapid.T, target *observe.Target) {
	name := pick(t, "initiator", namesOf[target.Fabric].initiators...)
	acl, there := target.ACLs[name]
	if !there {
		if target.Fabric == observe.NVMe && target.Attrib.GenerateNodeACLs {
			return // which the kernel refuses
		}
		acl = observe.ACL{Initiator: name, LUNs: map[int]observe.MappedLUN{}}
		without := slices.DeleteFunc(slices.Clone(target.DynamicSessions), func(other string) bool { return other == name })
		acl.LoggedIn = target.Fabric != observe.ISCSI && len(without) < len(target.DynamicSessions)
		target.DynamicSessions = without
	}
	changes := []string{"there", "gone"}
	switch target.Fabric {
	case observe.NVMe:
		changes = append(changes, "key")
	case observe.ISCSI:
		changes = []string{"authentication", "password", "mapped", "mapped", "unmapped", "gone", "write protect", "unlinked"}
	case observe.FC:
		changes = append(changes, "mapped", "mapped", "unmapped", "write protect", "unlinked")
	case observe.TGTISCSI:
	}
	switch pick(t, "to the acl", changes...) {
	case "there":
	case "authentication":
		acl.Authentication = pick(t, "authentication", "0", "1", "-1")
	case "password":
		acl.Auth = pick(t, "password", observe.CHAP{}, observe.CHAP{Username: "u", Password: spec.NewSecret("other")})
	case "key":
		acl.Authentication, acl.Auth = "0", observe.CHAP{}
		if oneIn(t, 2, "some") {
			acl.Authentication, acl.Auth = "1", observe.CHAP{Password: spec.NewSecret("other")}
		}
	case "mapped":
		if all := slices.Sorted(maps.Keys(target.LUNs)); len(all) > 0 {
			acl.LUNs[rapid.IntRange(0, 5).Draw(t, "number")] = observe.MappedLUN{LUN: rapid.SampledFrom(all).Draw(t, "lun")}
		}
	case "unmapped":
		clear(acl.LUNs)
	case "gone":
		if delete(target.ACLs, name); target.Fabric == observe.NVMe || target.Fabric == observe.TGTISCSI { // which ends no session
			if acl.LoggedIn {
				target.DynamicSessions = append(slices.Clone(target.DynamicSessions), name)
			}
		}
		return
	case "write protect":
		for n, l := range acl.LUNs {
			l.WriteProtect = !l.WriteProtect
			acl.LUNs[n] = l
		}
	case "unlinked":
		acl.LUNs[rapid.IntRange(0, 5).Draw(t, "number")] = observe.MappedLUN{LUN: -1}
	}
	target.ACLs[name] = acl
}

func (s *scenario) mutateLUN(t *rapid.T, target *observe.Target) {
	n := rapid.IntRange(0, 5).Draw(t, "number")
	for _, acl := range target.ACLs {
		maps.DeleteFunc(acl.LUNs, func(_ int, l observe.MappedLUN) bool { return l.LUN == n })
	}
	switch {
	case oneIn(t, 3, "gone"):
		delete(target.LUNs, n)
	case oneIn(t, 3, "unlinked"):
		target.LUNs[n] = observe.TargetLUN{}
	default:
		s.addLUN(t, target, n)
	}
}

// addLUN has a target show something under a number; nothing if there is nothing to show.
func (s *scenario) addLUN(t *rapid.T, target *observe.Target, n int) {
	if target.Fabric.System() == observe.LIO {
		l := observe.TargetLUN{}
		if all := s.Linkable(); len(all) > 0 {
			l.Backstore = rapid.SampledFrom(all).Draw(t, "backstore")
		}
		if target.Fabric == observe.FC && l.Backstore != "" {
			l.Link = pick(t, "link", target.Mark, target.Mark, "9afeecee37")
			if l.Link == "" {
				l.Link = "9afeecee37"
			}
		}
		target.LUNs[n] = l
		return
	}
	all := slices.DeleteFunc(s.AllLVs(), func(lv observe.LogicalVolume) bool { return !lv.Active || lv.Type == observe.ThinPool })
	if len(all) == 0 {
		target.LUNs[n] = observe.TargetLUN{}
		return
	}
	lv := rapid.SampledFrom(all).Draw(t, "device")
	l := observe.TargetLUN{Device: lv.Path(), Identity: ondisk.NamespaceUUID(lv.Identity())}
	if target.Fabric == observe.TGTISCSI {
		l.Identity, l.Size, l.ReadOnly = ondisk.UnitSerial(lv.Identity()), lv.Size, oneIn(t, 3, "read only")
	}
	if oneIn(t, 3, "other identity") {
		l.Identity = "theirs"
	}
	target.LUNs[n] = l
}
