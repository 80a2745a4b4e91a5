package model

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
)

// EditTarget changes an iSCSI target.
func (m *Model) EditTarget(iqn string, f func(*observe.Target)) {
	m.EditTargetOf(observe.TargetID{Fabric: observe.ISCSI, Name: iqn}, f)
}

// EditTargetOf changes a target of any fabric.
func (m *Model) EditTargetOf(id observe.TargetID, f func(*observe.Target)) {
	t, ok := m.State.Target(id)
	if !ok {
		panic("no such target: " + id.Name)
	}
	before := maps.Clone(t.LUNs)
	f(&t)
	m.put(t)
	for n, l := range before {
		if t.LUNs[n].Device == "" {
			m.close(l)
		}
	}
}

// EditACL changes what an initiator may access.
func (m *Model) EditACL(iqn, initiator string, f func(*observe.ACL)) {
	m.EditTarget(iqn, func(t *observe.Target) {
		acl, ok := t.ACLs[initiator]
		if !ok {
			panic("no such initiator: " + initiator)
		}
		f(&acl)
		t.ACLs[initiator] = acl
	})
}

// newTarget returns what a fabric creates for a new target.
func (m *Model) newTarget(c change.Target) observe.Target {
	t := observe.Target{
		Fabric: c.Fabric, Name: c.Name, HasTPG: true, Mark: ondisk.TargetMark(c.Export),
		Portals: map[string]observe.Transport{}, LUNs: map[int]observe.TargetLUN{}, ACLs: map[string]observe.ACL{},
	}
	switch c.Fabric {
	case observe.ISCSI:
		t.Attrib = observe.TPGAttrib{Authentication: true, DemoModeWriteProtect: true, DemoModeDiscovery: true}
	case observe.FC:
		t.Mark = "" // it is on the LUNs
	case observe.NVMe:
		t.Mark = ondisk.SubsystemMark(c.Name, ondisk.SubsystemModel, ondisk.SubsystemSerial(c.Name, c.Export))
	case observe.TGTISCSI:
		for portal := range m.Listening {
			t.Portals[portal] = observe.TCP
		}
	}
	return t
}

// put stores a target, with what follows from its fields.
func (m *Model) put(t observe.Target) {
	switch t.Fabric {
	case observe.ISCSI:
	case observe.FC:
		t.Mark, _ = observe.FCMark(t.LUNs)
	case observe.NVMe:
		if t.Enabled = len(t.Portals) > 0; !t.Enabled {
			endSessions(&t)
		}
	case observe.TGTISCSI:
		t.Enabled = t.Attrib.GenerateNodeACLs || len(t.ACLs) > 0
	}
	m.State.Targets(t.Fabric)[t.Name] = t
}

// endSessions ends the sessions of all initiators, which may reconnect.
func endSessions(t *observe.Target) {
	t.DynamicSessions, t.Unattributed = nil, nil
	for name, acl := range t.ACLs {
		acl.LoggedIn = false
		t.ACLs[name] = acl
	}
}

// Listen adds a portal to tgtd, and so to all of its targets.
func (m *Model) Listen(portal string) {
	m.Listening = maps.Clone(m.Listening)
	if m.Listening == nil {
		m.Listening = map[string]bool{}
	}
	m.Listening[portal] = true
	for _, t := range m.State.TGT {
		t.Portals[portal] = observe.TCP
	}
}

// open makes a LUN of a device, which it holds open.
func (m *Model) open(c change.AddLUN) observe.TargetLUN {
	l := observe.TargetLUN{Device: c.Device}
	m.Edit(strings.TrimPrefix(c.Device, "/dev/"), func(lv *observe.LogicalVolume) {
		if c.LVUUID != "" && c.LVUUID != lv.UUID || !lv.Active {
			panic("not the logical volume that was planned for: " + c.Device)
		}
		lv.Open = true
		if l.Identity, l.Size = ondisk.NamespaceUUID(cmp.Or(c.Identity, lv.UUID)), 0; c.Fabric == observe.TGTISCSI {
			l.Identity, l.Size, l.ReadOnly = ondisk.UnitSerial(cmp.Or(c.Identity, lv.UUID)), lv.Size, c.ReadOnly
		}
	})
	return l
}

// close closes the device of a LUN without a backstore.
func (m *Model) close(l observe.TargetLUN) {
	if lv, found := m.VolumeBehind(l); found {
		m.Edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Open = m.isOpen(*lv) })
	}
}

// VolumeBehind returns the logical volume that a LUN shows, if it is known: it may have another name now
// than when its device was opened.
func (m *Model) VolumeBehind(l observe.TargetLUN) (lv observe.LogicalVolume, found bool) {
	if b, linked := m.State.LIO.Backstores[l.Backstore]; linked {
		for _, lv := range m.AllLVs() {
			if plan.BoundTo(b, lv) {
				return lv, true
			}
		}
	}
	if l.Device == "" {
		return observe.LogicalVolume{}, false
	}
	if vg, name, _ := strings.Cut(strings.TrimPrefix(l.Device, "/dev/"), "/"); m.LVs(vg)[name].UUID != "" {
		return m.LVs(vg)[name], true
	}
	for _, lv := range m.AllLVs() {
		same := l.Identity == ondisk.NamespaceUUID(lv.Identity()) || l.Identity == ondisk.UnitSerial(lv.Identity())
		if same && lv.Phase() == "" {
			return lv, true
		}
	}
	return observe.LogicalVolume{}, false
}

// isTaken reports whether somebody has opened a logical volume exclusively.
func (m *Model) isTaken(lv observe.LogicalVolume) bool {
	if len(lv.HeldBy) > 0 {
		return true
	}
	for _, b := range m.State.LIO.Backstores {
		if plan.BoundTo(b, lv) {
			return true
		}
	}
	return false
}

// isOpen reports whether anybody has opened a logical volume.
func (m *Model) isOpen(lv observe.LogicalVolume) bool {
	if m.isTaken(lv) {
		return true
	}
	for _, targets := range []map[string]observe.Target{m.State.NVMe, m.State.TGT} {
		for _, t := range targets {
			for _, l := range t.LUNs {
				if behind, found := m.VolumeBehind(l); found && behind.UUID == lv.UUID {
					return true
				}
			}
		}
	}
	return false
}

// ChangeTarget makes one change of a target.
func (m *Model) ChangeTarget(c change.Change) {
	id := c.(interface{ ID() observe.TargetID }).ID()
	t, ok := m.State.Target(id)
	if !ok {
		panic("no such target: " + id.Name)
	}
	if _, ours := t.Owner(); !ours && (id.Fabric != observe.FC || !t.Empty()) {
		panic("not ours: " + id.Name)
	}
	switch c := c.(type) {
	case change.SetAttributes:
		if id.Fabric == observe.NVMe && c.Attrib.GenerateNodeACLs && len(t.ACLs) > 0 {
			panic("cannot be opened while hosts are listed: " + id.Name)
		}
		t.Attrib = c.Attrib
	case change.SetParameter:
		t.Attributes = withAttribute(t.Attributes, c.Attribute, c.Value)
	case change.AddPortal:
		if id.Fabric == observe.TGTISCSI {
			m.Listen(c.Portal)
			break
		}
		t.Portals[c.Portal] = c.Transport
	case change.RemovePortal:
		delete(t.Portals, c.Portal)
	case change.AddLUN:
		if c.Backstore == "" {
			if have := t.LUNs[c.LUN]; have.Device != "" {
				panic("LUN is taken")
			}
			t.LUNs[c.LUN] = m.open(c)
			break
		}
		if b, ok := m.State.LIO.Backstores[c.Backstore]; !ok || !b.Enabled {
			panic("no such backstore: " + c.Backstore)
		}
		if have := t.LUNs[c.LUN]; have.Backstore != "" {
			panic("LUN is taken")
		}
		t.LUNs[c.LUN] = observe.TargetLUN{Backstore: c.Backstore}
		if id.Fabric == observe.FC { // where the mark is
			t.LUNs[c.LUN] = observe.TargetLUN{Backstore: c.Backstore, Link: ondisk.TargetMark(c.Export)}
		}
	case change.ResizeLUN:
		l := t.LUNs[c.LUN]
		m.Edit(strings.TrimPrefix(c.Device, "/dev/"), func(lv *observe.LogicalVolume) {
			if l.Size != 0 {
				l.Size = lv.Size
			}
		})
		t.LUNs[c.LUN] = l
		m.Resized = append(m.Resized, c)
	case change.RemoveLUN:
		l := t.LUNs[c.LUN]
		delete(t.LUNs, c.LUN)
		m.close(l)
		for _, acl := range t.ACLs {
			maps.DeleteFunc(acl.LUNs, func(_ int, l observe.MappedLUN) bool { return l.LUN == c.LUN })
		}
	case change.AddInitiator:
		if _, there := t.ACLs[c.Initiator]; there {
			panic("exists: " + c.Initiator)
		}
		if c.Fabric == observe.TGTISCSI && c.Auth.Needed() && len(t.Accounts) == 0 {
			panic("admitted without a password: " + c.Initiator)
		}
		if c.Fabric == observe.NVMe && t.Attrib.GenerateNodeACLs {
			panic("cannot be listed where any host is let in: " + c.Initiator)
		}
		t.ACLs[c.Initiator] = observe.ACL{Initiator: c.Initiator, Authentication: authentication(c.Auth), Auth: CHAP(c.Auth), LUNs: map[int]observe.MappedLUN{}}
	case change.SetAccounts:
		t.Accounts, t.OwnAccount, t.AuthMark = nil, c.Auth.Own.Username, ""
		if c.Auth.Needed() {
			t.Accounts = append([]string{ondisk.GuardAccount}, c.Auth.Usernames()...)
			t.AuthMark, _ = c.Auth.NewMark()
		}
	case change.SetAuth:
		acl, there := t.ACLs[c.Initiator]
		if !there {
			panic("no such initiator: " + c.Initiator)
		}
		acl.Authentication, acl.Auth = authentication(c.Auth), CHAP(c.Auth)
		t.ACLs[c.Initiator] = acl
	case change.RemoveInitiator:
		loggedIn := t.ACLs[c.Initiator].LoggedIn
		delete(t.ACLs, c.Initiator)
		if len(c.KeepSessions) > 0 {
			if loggedIn {
				t.DynamicSessions = append(slices.Clone(t.DynamicSessions), c.Initiator)
			}
			break
		}
		t.DynamicSessions = slices.DeleteFunc(slices.Clone(t.DynamicSessions), func(name string) bool { return name == c.Initiator })
	case change.MapLUN:
		mapped, there := t.ACLs[c.Initiator].LUNs[c.LUN]
		if t.LUNs[c.LUN].Backstore == "" || there && mapped.LUN >= 0 {
			panic(fmt.Sprintf("cannot be mapped: LUN %d of %s", c.LUN, id.Name))
		}
		t.ACLs[c.Initiator].LUNs[c.LUN] = observe.MappedLUN{LUN: c.LUN, WriteProtect: c.ReadOnly}
	case change.UnmapLUN:
		delete(t.ACLs[c.Initiator].LUNs, c.LUN)
	case change.SetWriteProtect:
		if c.Initiator == "" {
			l := t.LUNs[c.LUN]
			l.ReadOnly = c.ReadOnly
			t.LUNs[c.LUN] = l
			break
		}
		l, there := t.ACLs[c.Initiator].LUNs[c.LUN]
		if !there {
			panic("not mapped")
		}
		l.WriteProtect = c.ReadOnly
		t.ACLs[c.Initiator].LUNs[c.LUN] = l
	case change.MoveMark:
		if c.Fabric != observe.ISCSI {
			panic("no alias: " + c.Name)
		}
		t.MarkInAlias = false
	case change.EnableTarget:
		t.Enabled, t.Offline = true, false
	case change.DisableTarget:
		t.Enabled = false
		endSessions(&t)
	default:
		panic("unknown change " + change.Name(c))
	}
	m.put(t)
}

// withAttribute returns attributes with one of them set; a plan made before keeps its own.
func withAttribute(attributes map[string]string, name, value string) map[string]string {
	set := maps.Clone(attributes)
	if set == nil {
		set = map[string]string{}
	}
	set[name] = value
	return set
}

func authentication(a change.Auth) string {
	if a.Needed() {
		return "1"
	}
	return "0"
}

// CHAP is what the kernel holds of credentials.
func CHAP(a change.Auth) observe.CHAP {
	return observe.CHAP{Username: a.Username, Password: a.Password, MutualUsername: a.MutualUsername, MutualPassword: a.MutualPassword}
}
