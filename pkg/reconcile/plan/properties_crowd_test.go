package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// guest is an initiator at one target, as its kernel behaves: what it saw under a number it goes on
// with when its session is back, unless it has logged out by itself.
type guest struct {
	initiator, address string
	at                 observe.TargetID
	live               bool
	// portal is the one that its session goes through, where a target has portals of its own.
	portal string
	// now is what this session has seen under each number, and saw what the guest has since it
	// last logged out by itself.
	now, saw map[int]string
	// granted are the Volumes that the files have let it see since they name it. They are empty
	// once the agent has closed the target to it.
	granted map[string]bool
	// shut is true once the agent has had a whole pass to keep it out.
	shut bool
}

func (g *guest) String() string { return g.initiator + " at " + g.at.Name }

// crowd is a node with several Exports over several protocols, and those who use them.
type crowd struct {
	*Node
	t      *rapid.T
	guests []*guest
	// names is true if nvmet says which hosts are connected.
	names bool
	// only is the protocol of all Exports; empty: they have several.
	only spec.Protocol
	// forced are the targets of which a file has said that sessions are not waited for.
	forced map[observe.TargetID]bool
	// steady is true when nobody kills the agent any more, and nobody logs in while it is at work.
	steady bool
	boots  int
	said   []string
}

func (c *crowd) note(format string, args ...any) {
	c.said = append(c.said, fmt.Sprintf(format, args...))
}

func (c *crowd) fatal(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s:\n%s", fmt.Sprintf(format, args...), strings.Join(c.said, "\n"))
}

// exportAt returns the Export that the files have at a target.
func (c *crowd) exportAt(id observe.TargetID) (spec.Export, bool) {
	for _, e := range c.Declared.Exports {
		if servedAs(c.Input, e) == id {
			return e, true
		}
	}
	return spec.Export{}, false
}

// grantedNow returns the Volumes that the files let a guest see, and reports whether they name it.
func (c *crowd) grantedNow(g *guest) (volumes map[string]bool, named bool) {
	volumes = map[string]bool{}
	e, there := c.exportAt(g.at)
	if !there {
		return volumes, false
	}
	i := slices.IndexFunc(e.Spec.Initiators, func(i spec.Initiator) bool { return i.Name == g.initiator })
	if i < 0 && !e.Spec.AllowAnyInitiator {
		return volumes, false
	}
	for _, l := range e.Spec.LUNs {
		if i < 0 || e.Spec.Initiators[i].Sees(*l.Number) {
			volumes[l.Volume] = true
		}
	}
	return volumes, true
}

// read takes in what the files say by now.
func (c *crowd) read() {
	for _, g := range c.guests {
		volumes, named := c.grantedNow(g)
		maps.Copy(g.granted, volumes)
		g.shut = g.shut && !named
		if e, there := c.exportAt(g.at); there && e.Spec.Disconnect == spec.DisconnectForce {
			c.forced[g.at] = true
		}
	}
}

// admits reports whether a target lets somebody in now.
func (c *crowd) admits(g *guest) bool {
	t, there := c.State.Target(g.at)
	acl, listed := t.ACLs[g.initiator]
	if !there || !t.HasTPG || !t.Enabled || t.Offline {
		return false
	}
	refused := acl.Authentication == "1" && acl.Auth == observe.CHAP{}
	return listed && !refused || !listed && t.Attrib.GenerateNodeACLs
}

// sees returns what is under each number for somebody who is logged in.
func (c *crowd) sees(g *guest) map[int]string {
	t, _ := c.State.Target(g.at)
	seen := map[int]string{}
	show := func(number int, l observe.TargetLUN) {
		identity := l.Identity
		if l.Backstore != "" {
			identity = c.State.LIO.Backstores[l.Backstore].Serial
		}
		if identity != "" && l.Backstore+l.Device != "" {
			seen[number] = identity
		}
	}
	if hasMaps(t.Fabric) {
		for number, m := range t.ACLs[g.initiator].LUNs {
			show(number, t.LUNs[m.LUN])
		}
		return seen
	}
	for number, l := range t.LUNs {
		show(number, l)
	}
	return seen
}

// volumeOf returns the Volume that initiators tell by an identity; empty: there is none any more.
func (c *crowd) volumeOf(identity string) string {
	for _, lv := range c.AllLVs() {
		if identity == ondisk.NamespaceUUID(lv.Identity()) || identity == ondisk.UnitSerial(lv.Identity()) {
			return lv.Tag(ondisk.TagName)
		}
	}
	return ""
}

// settle ends the sessions that the node cannot have any more, tells it of the others, and looks
// at what they see.
func (c *crowd) settle() {
	for _, g := range c.guests {
		t, there := c.State.Target(g.at)
		_, listed := t.ACLs[g.initiator]
		switch t.Fabric {
		case observe.ISCSI, observe.FC:
			g.live = g.live && there && t.Enabled && listed
		case observe.NVMe:
			_, open := t.Portals[g.portal]
			g.live = g.live && there && open
		default:
			g.live = g.live && there
		}
		if !g.live {
			g.now = map[int]string{}
		}
	}
	for _, id := range c.State.TargetIDs() {
		c.tell(id)
	}
	for _, g := range c.guests {
		if g.live {
			c.look(g)
		}
	}
}

// tell puts into a target who is logged in, as far as the kernel says so.
func (c *crowd) tell(id observe.TargetID) {
	t, _ := c.State.Target(id)
	t.ACLs, t.DynamicSessions, t.Unattributed, t.Sessions = maps.Clone(t.ACLs), nil, nil, 0
	for name, acl := range t.ACLs {
		acl.LoggedIn = false
		t.ACLs[name] = acl
	}
	nameless := id.Fabric == observe.NVMe && !c.names
	for _, g := range c.guests {
		if nameless && g.live && g.at.Fabric == observe.NVMe && t.Portals[g.portal] != "" { // of whichever subsystem of that port
			t.Unattributed = append(t.Unattributed, g.address)
		}
		if nameless || !g.live || g.at != id {
			continue
		}
		t.Sessions++
		if acl, listed := t.ACLs[g.initiator]; listed {
			acl.LoggedIn = true
			t.ACLs[g.initiator] = acl
		} else {
			t.DynamicSessions = append(t.DynamicSessions, g.initiator)
		}
	}
	slices.Sort(t.Unattributed)
	t.Unattributed = slices.Compact(t.Unattributed)
	if nameless || id.Fabric == observe.FC {
		t.Sessions = -1 // which neither counts
	}
	c.State.Targets(id.Fabric)[id.Name] = t
}

// look fails if a session sees what it must not see.
func (c *crowd) look(g *guest) {
	for n, identity := range c.sees(g) {
		name := c.volumeOf(identity)
		switch {
		case g.now[n] == identity:
			continue
		case g.now[n] != "":
			c.fatal("%s: LUN %d was %s and is %s (%s) in one session", g, n, g.now[n], identity, name)
		case g.saw[n] != "" && g.saw[n] != identity && !c.forced[g.at]:
			c.fatal("%s: LUN %d was %s and is %s (%s)", g, n, g.saw[n], identity, name)
		case !g.granted[name]:
			c.fatal("%s: no file lets it see %s (%s), which is LUN %d", g, name, identity, n)
		}
		g.now[n], g.saw[n] = identity, identity
	}
}

// pass is one of the agent, who may be killed after some steps. In between, guests come and go; they
// also log in between two steps.
func (c *crowd) pass() Plan {
	c.Wait(60e9)
	c.State = c.Copy()
	index := NewIndex(c.State, c.Input.Ownership())
	c.Input.Known = Learned(c.Input.Known, c.Declared, c.State)
	c.LearnExposures(index)
	p := c.Plan()
	c.Input.Known = NoteBeginning(c.Input.Known, p, c.Declared, c.State, index)
	c.Input.Exposures = Anticipate(c.Input.Exposures, p, index, c.Input.Now)
	out := map[*guest]bool{} // FC has no way to refuse who is connected
	for _, g := range c.guests {
		_, named := c.grantedNow(g)
		out[g] = !named && (!g.live || g.at.Fabric != observe.FC)
	}
	if c.carryOut(p) {
		for _, g := range c.guests {
			g.shut = out[g]
			c.narrow(g)
		}
	}
	c.LearnExposures(NewIndex(c.State, c.Input.Ownership())) // what comes and goes between two looks is known to nobody
	return p
}

// narrow takes in that the agent has had a whole pass for what the files say by now of somebody who is
// not logged in, nor waited for: from then on it sees nothing else, where each has a list of its own.
func (c *crowd) narrow(g *guest) {
	granted, named := c.grantedNow(g)
	granted[""] = true
	_, waited := c.Input.Exposures[g.at][g.initiator] // the agent may not have seen how its session ended
	switch {
	case g.live || named && (waited || len(g.saw) > 0):
	case !named && !c.admits(g):
		g.granted = granted
	case named && hasMaps(g.at.Fabric) && c.owned(g.at):
		g.granted = granted
	}
}

// owned reports whether a target is that of the Export that asks for it.
func (c *crowd) owned(id observe.TargetID) bool {
	e, asked := c.exportAt(id)
	t, there := c.State.Target(id)
	return asked && there && t.OwnedBy(e.Metadata.Name)
}

// carryOut reports whether nothing kept the agent from any step of its plan.
func (c *crowd) carryOut(p Plan) (whole bool) {
	killed := len(p.Steps) + 1
	if !c.steady && oneIn(c.t, 4, "killed") {
		killed = rapid.IntRange(0, len(p.Steps)).Draw(c.t, "after")
	}
	failed := map[StepID]bool{}
	for i, s := range p.Steps {
		if i == killed {
			c.note("  killed")
			return false
		}
		if !c.steady && oneIn(c.t, 6, "meanwhile") {
			c.login(rapid.SampledFrom(c.guests).Draw(c.t, "who"))
		}
		if slices.ContainsFunc(s.Needs, func(n StepID) bool { return failed[n] }) {
			failed[s.ID] = true
			continue
		}
		before := map[*guest]map[int]string{}
		for _, g := range c.guests {
			if g.live {
				before[g] = c.sees(g)
			}
		}
		if err := c.Try(s.Change); err != nil {
			c.note("  %s: %v", s.Change, err)
			failed[s.ID] = true
			continue
		}
		c.note("  %s", s.Change)
		c.end(s.Change)
		c.settle()
		for _, g := range c.guests {
			c.keeps(g, before[g])
		}
	}
	return len(failed) == 0
}

// keeps fails if somebody who stays logged in has lost something that nobody takes away.
func (c *crowd) keeps(g *guest, before map[int]string) {
	if !g.live {
		return
	}
	now := c.sees(g)
	granted, _ := c.grantedNow(g)
	for n, identity := range before {
		if now[n] != identity && (!c.forced[g.at] || granted[c.volumeOf(identity)]) {
			c.fatal("%s is logged in, and loses LUN %d, which was %s (%s)", g, n, identity, c.volumeOf(identity))
		}
	}
}

// end ends the sessions that a change ends.
func (c *crowd) end(ch change.Change) {
	for _, g := range c.guests {
		switch ch := ch.(type) {
		case change.DisableTarget:
			g.live = g.live && g.at != ch.ID()
		case change.RemoveTarget:
			g.live = g.live && g.at != ch.ID()
		case change.RemoveInitiator:
			all := ch.Fabric == observe.NVMe && !c.names // nobody can tell which one it is
			if len(ch.KeepSessions) == 0 && g.at == ch.ID() && (all || g.initiator == ch.Initiator) {
				g.live = false
			}
		}
	}
}

func (c *crowd) login(g *guest) {
	if g.live || !c.admits(g) {
		return
	}
	t, _ := c.State.Target(g.at)
	still := false // whom an Export with another target still has, may come to the one that it had
	for name, e := range c.Declared.Exports {
		still = still || t.OwnedBy(name) && (e.Spec.AllowAnyInitiator || slices.ContainsFunc(e.Spec.Initiators, func(i spec.Initiator) bool { return i.Name == g.initiator }))
	}
	if _, named := c.grantedNow(g); !named && g.shut && !still {
		c.fatal("%s is let in, and the agent has had the time to keep it out", g)
	}
	if g.portal = ""; g.at.Fabric == observe.NVMe {
		g.portal = pick(c.t, "portal", slices.Sorted(maps.Keys(t.Portals))...)
	}
	g.live = true
	c.note("%s logs in, and sees %v", g, c.sees(g))
	c.settle()
}

func (c *crowd) logout(g *guest) {
	if g.live {
		g.live, g.now, g.saw = false, map[int]string{}, map[int]string{}
		c.note("%s logs out", g)
		c.settle()
	}
}
