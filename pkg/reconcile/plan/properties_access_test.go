package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// view is what an initiator can reach.
type view struct {
	initiator string
	target    observe.TargetID
	// of is the backstore, or the device, and uuid the logical volume behind it.
	of, uuid string
	write    bool
}

const anybody = "*"

// views returns all that any initiator can reach, and where: the number is that
// which the initiator sees.
func views(m *Model) map[view][]int {
	all := map[view][]int{}
	for _, target := range targetsOf(m.State) {
		if !target.Enabled {
			continue
		}
		add := func(initiator string, seen, lun int, write bool) {
			l := target.LUNs[lun]
			b, linked := m.State.LIO.Backstores[l.Backstore]
			if !linked && l.Device == "" {
				return
			}
			lv, _ := m.VolumeBehind(l)
			v := view{initiator: initiator, target: idOf(target), of: l.Backstore + l.Device, uuid: lv.UUID, write: write && !b.ReadOnly && !l.ReadOnly}
			all[v] = append(all[v], seen)
		}
		if target.Attrib.GenerateNodeACLs {
			for n := range target.LUNs {
				add(anybody, n, n, !target.Attrib.DemoModeWriteProtect)
			}
		}
		for name, acl := range target.ACLs {
			if !hasMaps(target.Fabric) {
				for n := range target.LUNs {
					add(name, n, n, true)
				}
			}
			for n, mapped := range acl.LUNs {
				if mapped.LUN >= 0 {
					add(name, n, mapped.LUN, !mapped.WriteProtect)
				}
			}
		}
	}
	return all
}

// had reports whether somebody could reach the same already.
func had(old map[view][]int, v view) bool {
	for _, who := range []string{v.initiator, anybody} {
		for _, write := range []bool{v.write, true} {
			was := v
			was.initiator, was.write = who, write
			if len(old[was]) > 0 {
				return true
			}
		}
	}
	return false
}

// allows reports whether the spec lets an initiator see a LUN.
func allows(in Input, v view, number int, owner spec.ID) bool {
	for _, e := range in.Declared.Exports {
		if servedAs(in, e) != v.target {
			continue
		}
		i := slices.IndexFunc(e.Spec.Initiators, func(i spec.Initiator) bool { return i.Name == v.initiator })
		if i < 0 && !e.Spec.AllowAnyInitiator || i >= 0 && !e.Spec.Initiators[i].Sees(number) {
			return interrupted(in, v, number, owner)
		}
		for _, l := range e.Spec.LUNs {
			readOnly := l.ReadOnly || i >= 0 && e.Spec.Initiators[i].ReadOnly
			if *l.Number == number && l.Backing() == owner && (!readOnly || !v.write) {
				return true
			}
		}
	}
	return interrupted(in, v, number, owner)
}

// interrupted reports whether a cutover took a LUN from an initiator: that is given back even if
// the Export is invalid or suspended by now.
func interrupted(in Input, v view, number int, owner spec.ID) bool {
	for _, known := range in.Known {
		for _, i := range known.Interrupted {
			readOnly, shown := i.Initiators[v.initiator][number]
			if i.Fabric == v.target.Fabric && i.Target == v.target.Name && i.Offered[number] == owner.String() && (shown && (!readOnly || !v.write) || i.Anyone) {
				return true
			}
		}
	}
	return false
}

// shown returns whose a view is, and reports whether it is whole: not what is being filled, or
// comes in the place of another one, or did. As long as nothing is written, what is to be
// reverted is. What is in a volume group that cannot be seen was
// so before, and is told by what is remembered of it.
func shown(m *Model, in Input, v view) (owner spec.ID, whole bool) {
	whole = v.uuid == ""
	for _, lv := range m.AllLVs() {
		if lv.UUID == v.uuid {
			owner, whole = ownerByNow(in, lv), lv.Phase() == "" || lv.Phase() == ondisk.Reverting && lv.Tag(ondisk.TagCheckpoint) == ""
		}
	}
	if b, linked := m.State.LIO.Backstores[v.of]; linked {
		owner, _ = b.Owner()
	} else if v.uuid == "" {
		target, _ := m.State.Target(v.target)
		for _, l := range target.LUNs {
			for id, known := range in.Known {
				if l.Device == v.of && known.UUID != "" && (l.Identity == ondisk.NamespaceUUID(known.UUID) || l.Identity == ondisk.UnitSerial(known.UUID)) {
					owner = id
				}
			}
		}
	}
	return owner, whole
}

// ownerByNow returns whose a logical volume is, or will be when a step that nobody waits for
// has put the tags on it.
func ownerByNow(in Input, lv observe.LogicalVolume) spec.ID {
	if owner, owned := lv.Owner(); owned || !mayChange(in, lv) {
		return owner
	}
	for name, v := range in.Declared.Volumes {
		if v.Spec.LVName == lv.Name && in.Declared.Pools[v.Spec.Pool].Spec.VolumeGroup == lv.VolumeGroup {
			return VolumeID(name)
		}
	}
	return SnapshotID(lv.Name)
}

func TestPropertiesNoInstantIsMoreOpenThanBeforeOrAfter(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		m, in := s.again(), s.input
		was := s.input // before this plan interrupts anything
		old := views(m)
		p := pass(m, &in)
		broken := map[StepID]bool{}
		for _, step := range p.Steps {
			broken[step.ID] = oneIn(t, 12, "fails")
		}
		check := func() {
			now := views(m)
			for v, numbers := range now {
				if had(old, v) {
					continue
				}
				owner, whole := shown(m, in, v)
				for _, n := range numbers {
					if !whole {
						t.Fatalf("%+v is LUN %d, and is not whole:\n%s", v, n, strings.Join(ChangesIn(p), "\n"))
					}
					if !allows(was, v, n, owner) {
						t.Fatalf("%+v can be reached as LUN %d, and should not:\n%s", v, n, strings.Join(ChangesIn(p), "\n"))
					}
				}
			}
			for v, numbers := range now {
				if len(numbers) > 1 && len(old[v]) < 2 {
					t.Fatalf("%+v is there several times: %v\n%s", v, numbers, strings.Join(ChangesIn(p), "\n"))
				}
			}
			authenticated(t, in, m, p)
		}
		// With steps that fail, others may find what no plan would ask of the
		// machine; actuators refuse it then.
		func() {
			defer func() {
				if r := recover(); r != nil && !slices.Contains(slices.Collect(maps.Values(broken)), true) {
					panic(r)
				}
			}()
			carryOut(t, m, p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "lane") }, func(id StepID) bool { return broken[id] }, check)
		}()
	})
}

// authenticated fails if an initiator gets in without the password that the spec
// asks of it, and did not before.
func authenticated(t *rapid.T, in Input, m *Model, p Plan) {
	for _, e := range in.Declared.Exports {
		target, _ := m.State.Target(servedAs(in, e))
		before, _ := in.Observed.Target(servedAs(in, e))
		if _, ours := target.Owner(); !target.Enabled || !ours || !target.OwnedBy(e.Metadata.Name) {
			continue
		}
		if target.Fabric == observe.TGTISCSI {
			want := TargetAuth(e.Spec)
			unchanged := before.Enabled && target.AuthMark == before.AuthMark && slices.Equal(target.Accounts, before.Accounts)
			if want.Needed() && !unchanged && !target.HasAuth(want) {
				t.Fatalf("initiators of %s get in without their passwords:\n%s", e.Spec.Target, strings.Join(ChangesIn(p), "\n"))
			}
			continue
		}
		for _, i := range e.Spec.Initiators {
			want := AuthOf(i.Auth)
			acl, there := target.ACLs[i.Name]
			was, wasThere := before.ACLs[i.Name]
			asked := func(acl observe.ACL, group observe.TPGAttrib) bool {
				return acl.Authentication == "1" || acl.Authentication == "-1" && group.Authentication
			}
			// With the credentials of before, to be asked for them is no more open.
			unchanged := wasThere && before.Enabled && acl.Auth == was.Auth && (asked(acl, target.Attrib) || !asked(was, before.Attrib))
			if there && want.Needed() && !unchanged && (!asked(acl, target.Attrib) || acl.Auth != CHAP(want)) {
				t.Fatalf("%s of %s gets in without its password:\n%s", i.Name, e.Spec.Target, strings.Join(ChangesIn(p), "\n"))
			}
		}
	}
}

func TestPropertiesSessionsKeepTheirVolumes(t *testing.T) {
	type number struct {
		target    observe.TargetID
		initiator string
		lun       int
	}
	// what is behind the numbers that live sessions see
	behind := func(m *Model) map[number]string {
		all := map[number]string{}
		add := func(target observe.Target, initiator string, seen, lun int) {
			l := target.LUNs[lun]
			device := m.State.LIO.Backstores[l.Backstore].BlockDevice
			if l.Device != "" {
				device = l.Device + " " + l.Identity
			}
			if device != "" {
				all[number{idOf(target), initiator, seen}] = device
			}
		}
		for _, target := range targetsOf(m.State) {
			for n := range target.LUNs {
				for _, name := range slices.Concat(target.DynamicSessions, target.Unattributed) {
					add(target, name, n, n)
				}
			}
			for name, acl := range target.ACLs {
				for n := range target.LUNs {
					if acl.LoggedIn && !hasMaps(target.Fabric) {
						add(target, name, n, n)
					}
				}
				for n, mapped := range acl.LUNs {
					if acl.LoggedIn {
						add(target, name, n, mapped.LUN)
					}
				}
			}
		}
		return all
	}
	properties(t, func(t *rapid.T, s scenario) {
		m, in := s.again(), s.input
		old := behind(m)
		p := pass(m, &in)
		carryOut(t, m, p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "lane") }, never, func() {
			for n, device := range behind(m) {
				if old[n] != "" && old[n] != device {
					t.Fatalf("%+v was %s and is %s:\n%s", n, old[n], device, strings.Join(ChangesIn(p), "\n"))
				}
			}
		})
	})
}

// tgtd keeps a cache of what it serves, which nobody else sees.
func TestPropertiesTgtdSharesNothing(t *testing.T) {
	shared := func(m *Model) map[string]bool {
		byTGT, all := map[string]bool{}, map[string]bool{}
		for _, target := range m.State.TGT {
			for _, l := range target.LUNs {
				if lv, found := m.VolumeBehind(l); found && l.Device != "" {
					byTGT[lv.UUID] = true
				}
			}
		}
		for _, lv := range m.AllLVs() {
			for _, b := range m.State.LIO.Backstores {
				all[lv.UUID] = all[lv.UUID] || b.Enabled && byTGT[lv.UUID] && BoundTo(b, lv)
			}
		}
		for _, target := range m.State.NVMe {
			for _, l := range target.LUNs {
				if lv, found := m.VolumeBehind(l); found {
					all[lv.UUID] = all[lv.UUID] || byTGT[lv.UUID]
				}
			}
		}
		return all
	}
	properties(t, func(t *rapid.T, s scenario) {
		m, in := s.again(), s.input
		if !in.TGT {
			return
		}
		old := shared(m)
		p := pass(m, &in)
		carryOut(t, m, p, func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "lane") }, never, func() {
			for uuid, is := range shared(m) {
				if is && !old[uuid] {
					t.Fatalf("%s is served by tgtd, and by the kernel:\n%s", uuid, strings.Join(ChangesIn(p), "\n"))
				}
			}
		})
	})
}
