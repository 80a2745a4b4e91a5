package plan_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
)

// sight is what a session sees under a number.
type sight struct {
	backstore, device, identity string
	readOnly                    bool
}

// sightsOf returns what a session sees of a target; false: there is no such session.
func sightsOf(t observe.Target, initiator string) (map[int]sight, bool) {
	acl, listed := t.ACLs[initiator]
	seen := map[int]sight{}
	if !acl.LoggedIn && !slices.Contains(t.DynamicSessions, initiator) {
		return nil, false
	}
	if listed && hasMaps(t.Fabric) {
		for n, mapped := range acl.LUNs {
			if l := t.LUNs[mapped.LUN]; l.Backstore != "" {
				seen[n] = sight{backstore: l.Backstore, readOnly: mapped.WriteProtect}
			}
		}
		return seen, true
	}
	for n, l := range t.LUNs {
		if l.Backstore+l.Device != "" {
			seen[n] = sight{l.Backstore, l.Device, l.Identity, l.ReadOnly}
		}
	}
	return seen, true
}

// genLogin lets somebody log in to a target that is to be changed. It reports false if nobody can.
func genLogin(t *rapid.T, m *Model, c change.Change) (id observe.TargetID, initiator string, ok bool) {
	to, names := c.(interface{ ID() observe.TargetID })
	if !names {
		return id, "", false
	}
	target, there := m.State.Target(to.ID())
	if _, ours := target.Owner(); !there || !ours || !target.Enabled || target.Offline {
		return id, "", false
	}
	var who []string
	for _, name := range slices.Sorted(maps.Keys(target.ACLs)) {
		if !target.ACLs[name].LoggedIn {
			who = append(who, name)
		}
	}
	if target.Attrib.GenerateNodeACLs {
		who = append(who, "iqn.2026-01.com.example:stranger")
	}
	if len(who) == 0 {
		return id, "", false
	}
	initiator = rapid.SampledFrom(who).Draw(t, "initiator")
	m.EditTargetOf(to.ID(), func(target *observe.Target) {
		acl, listed := target.ACLs[initiator]
		if !listed {
			target.DynamicSessions = append(slices.Clone(target.DynamicSessions), initiator)
			return
		}
		acl.LoggedIn = true
		target.ACLs[initiator] = acl
	})
	return to.ID(), initiator, true
}

// endsSessions reports whether a portal of NVMe goes, over which somebody may be connected: the
// model does not know who is over which.
func endsSessions(c change.Change, observed observe.State) bool {
	switch c := c.(type) {
	case change.RemovePortal:
		return c.Fabric == observe.NVMe
	case change.AddPortal:
		t, _ := observed.Target(c.ID())
		before, listens := t.Portals[c.Portal]
		return c.Fabric == observe.NVMe && listens && before != c.Transport
	default:
		return false
	}
}

// Whoever logs in after a plan was made is not hit by any step of it: whatever the step, the spec,
// and the state of the node. The next plan knows of them.
func TestPropertiesWhoLogsInMeanwhileIsNotHit(t *testing.T) {
	properties(t, func(t *rapid.T, s scenario) {
		m, in := s.again(), s.input
		p := pass(m, &in)
		if p.Empty() {
			return
		}
		at := rapid.IntRange(0, len(p.Steps)-1).Draw(t, "step")
		if i := slices.IndexFunc(p.Steps[at:], func(s Step) bool { return s.Danger == Disruptive }); i > 0 && oneIn(t, 2, "disruptive") {
			at += i // of which there are few
		}
		failed := map[StepID]bool{}
		for i, step := range p.Steps {
			if slices.ContainsFunc(step.Needs, func(n StepID) bool { return failed[n] }) {
				failed[step.ID] = true
				continue
			}
			if i < at {
				failed[step.ID] = m.Try(step.Change) != nil
				continue
			}
			id, initiator, ok := genLogin(t, m, step.Change)
			if !ok {
				return
			}
			target, _ := m.State.Target(id)
			before, _ := sightsOf(target, initiator)
			if m.Try(step.Change) != nil || slices.Contains(step.Affects, initiator) {
				return
			}
			if c, removes := step.Change.(change.RemoveTarget); removes && c.Force {
				return
			}
			target, _ = m.State.Target(id)
			after, live := sightsOf(target, initiator)
			live = live && !endsSessions(step.Change, in.Observed)
			for n, had := range before {
				if now := after[n]; !live || now != had && (now.readOnly || !had.readOnly || now.backstore+now.device != had.backstore+had.device) {
					t.Fatalf("%s logs in before %q and loses LUN %d, %+v, for %+v:\n%s", initiator, step.Change, n, had, now, strings.Join(ChangesIn(p), "\n"))
				}
			}
			return
		}
	})
}
