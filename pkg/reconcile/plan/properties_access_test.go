package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// view is what an initiator can reach.
type view struct {
	initiator, iqn, backstore, uuid string
	write                           bool
}

const anybody = "*"

// views returns all that any initiator can reach, and where: the number is that
// which the initiator sees.
func views(m *Model) map[view][]int {
	all := map[view][]int{}
	for iqn, target := range m.State.LIO.ISCSI {
		if !target.Enabled {
			continue
		}
		add := func(initiator string, seen, lun int, write bool) {
			b, linked := m.State.LIO.Backstores[target.LUNs[lun].Backstore]
			if !linked {
				return
			}
			v := view{initiator: initiator, iqn: iqn, backstore: b.Path(), write: write && !b.ReadOnly}
			for _, lv := range m.AllLVs() {
				if BoundTo(b, lv) {
					v.uuid = lv.UUID
				}
			}
			all[v] = append(all[v], seen)
		}
		if target.Attrib.GenerateNodeACLs {
			for n := range target.LUNs {
				add(anybody, n, n, !target.Attrib.DemoModeWriteProtect)
			}
		}
		for name, acl := range target.ACLs {
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
func allows(set spec.Set, v view, number int, owner spec.ID) bool {
	for _, e := range set.Exports {
		if e.Spec.Target != v.iqn {
			continue
		}
		i := slices.IndexFunc(e.Spec.Initiators, func(i spec.Initiator) bool { return i.Name == v.initiator })
		if i < 0 && !e.Spec.AllowAnyInitiator {
			return false
		}
		for _, l := range e.Spec.LUNs {
			readOnly := l.ReadOnly || i >= 0 && e.Spec.Initiators[i].ReadOnly
			if *l.Number == number && l.Backing() == owner && (!readOnly || !v.write) {
				return true
			}
		}
	}
	return false
}

func TestPropertiesNoInstantIsMoreOpenThanBeforeOrAfter(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		m, in := s.again(), s.input
		old := views(m)
		p := pass(m, &in)
		broken := map[StepID]bool{}
		for _, step := range p.Steps {
			broken[step.ID] = oneIn(t, 12, "fails")
		}
		check := func() {
			for v, numbers := range views(m) {
				owner, _ := m.State.LIO.Backstores[v.backstore].Owner()
				for _, n := range numbers {
					if !had(old, v) && !allows(in.Desired, v, n, owner) {
						t.Fatalf("%+v can be reached as LUN %d, and should not:\n%s", v, n, strings.Join(ChangesIn(p), "\n"))
					}
				}
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
	for _, e := range in.Desired.Exports {
		target := m.State.LIO.ISCSI[e.Spec.Target]
		before := in.Observed.LIO.ISCSI[e.Spec.Target]
		owner, ours := target.Owner()
		if !target.Enabled || !ours || owner.Name != e.Metadata.Name {
			continue
		}
		for _, i := range e.Spec.Initiators {
			acl, there := target.ACLs[i.Name]
			was, wasThere := before.ACLs[i.Name]
			asked := func(acl observe.ACL, group observe.TPGAttrib) bool {
				return acl.Authentication == "1" || acl.Authentication == "-1" && group.Authentication
			}
			// With the credentials of before, to be asked for them is no more open.
			unchanged := wasThere && before.Enabled && acl.Auth == was.Auth && (asked(acl, target.Attrib) || !asked(was, before.Attrib))
			if there && AuthOf(i.Auth).Needed() && !unchanged && (!asked(acl, target.Attrib) || acl.Auth != CHAP(AuthOf(i.Auth))) {
				t.Fatalf("%s of %s gets in without its password:\n%s", i.Name, e.Spec.Target, strings.Join(ChangesIn(p), "\n"))
			}
		}
	}
}

func TestPropertiesSessionsKeepTheirVolumes(t *testing.T) {
	type number struct {
		iqn, initiator string
		lun            int
	}
	// what is behind the numbers that live sessions see
	behind := func(m *Model) map[number]string {
		all := map[number]string{}
		for iqn, target := range m.State.LIO.ISCSI {
			for name, acl := range target.ACLs {
				for n, mapped := range acl.LUNs {
					if b := m.State.LIO.Backstores[target.LUNs[mapped.LUN].Backstore]; acl.LoggedIn && b.BlockDevice != "" {
						all[number{iqn, name, n}] = b.BlockDevice
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
