package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var crowdVolumes = []string{"a", "b", "c", "d", "e"}

// newCrowd draws a node on which nothing is made yet.
func newCrowd(t *rapid.T) *crowd {
	c := &crowd{Node: NewNode(), t: t, names: rapid.Bool().Draw(t, "nvmet names hosts"), forced: map[observe.TargetID]bool{}}
	c.Input.TGT = oneIn(t, 4, "by tgtd")
	c.only = pick(t, "only", "", "", spec.ProtocolNVMeTCP, spec.ProtocolFC, spec.ProtocolNVMeTCP)
	c.Input.Known = map[spec.ID]Identity{}
	c.Declared.Snapshots, c.Declared.Volumes, c.Declared.Exports = nil, map[string]spec.Volume{}, map[string]spec.Export{}
	for _, name := range crowdVolumes {
		c.declare(name)
	}
	for _, f := range []observe.Fabric{observe.ISCSI, observe.TGTISCSI, observe.NVMe, observe.FC} {
		for _, target := range namesOf[f].targets[:2] {
			for i, name := range namesOf[f].initiators {
				// Two of three hosts are behind one address.
				c.guests = append(c.guests, &guest{
					initiator: name, address: fmt.Sprintf("10.0.0.%d", i%2+1), at: observe.TargetID{Fabric: f, Name: target},
					now: map[int]string{}, saw: map[int]string{}, granted: map[string]bool{"": true},
				})
			}
		}
	}
	return c
}

func (c *crowd) declare(name string) {
	c.Declared.Volumes[name] = spec.Volume{Metadata: Meta(name), Spec: spec.VolumeSpec{Pool: "slow", Size: 100 * MiB, LVName: name, DeletionPolicy: spec.Delete}}
}

// protocols are what this node can serve.
func (c *crowd) protocols() []spec.Protocol {
	switch {
	case c.Input.TGT:
		return []spec.Protocol{spec.ProtocolISCSI}
	case c.only != "":
		return []spec.Protocol{c.only}
	default:
		return []spec.Protocol{spec.ProtocolNVMeTCP, spec.ProtocolFC, spec.ProtocolISCSI}
	}
}

// offer adds an Export, if there is a target for it.
func (c *crowd) offer(name string) {
	e := spec.Export{Metadata: Meta(name), Spec: spec.ExportSpec{Protocol: pick(c.t, "protocol", c.protocols()...)}}
	names := namesOver(e.Spec.Protocol)
	e.Spec.Target = pick(c.t, "target", names.targets[:2]...)
	if _, taken := c.exportAt(servedAs(c.Input, e)); taken {
		return
	}
	if len(names.portals) > 0 {
		e.Spec.Portals = rapid.SliceOfNDistinct(rapid.SampledFrom(names.portals), 1, 2, rapid.ID).Draw(c.t, "portals")
	}
	c.genLUNs(&e.Spec)
	c.genInitiators(&e.Spec)
	c.Declared.Exports[name] = e
}

func (c *crowd) genLUNs(e *spec.ExportSpec) {
	volumes := slices.Sorted(maps.Keys(c.Declared.Volumes))
	chosen := rapid.SliceOfNDistinct(rapid.SampledFrom(volumes), 1, min(3, len(volumes)), rapid.ID).Draw(c.t, "volumes")
	e.LUNs = nil
	for i, name := range chosen {
		e.LUNs = append(e.LUNs, spec.LUN{Volume: name, Number: Ptr(i)})
	}
}

func (c *crowd) genNumbers(e *spec.ExportSpec) {
	e.LUNs = slices.Clone(e.LUNs)
	for i, n := range rapid.Permutation([]int{0, 1, 2, 5, 6}).Draw(c.t, "numbers")[:len(e.LUNs)] {
		e.LUNs[i].Number = Ptr(n)
	}
}

func (c *crowd) genInitiators(e *spec.ExportSpec) {
	e.Initiators = nil
	e.AllowAnyInitiator = (c.Input.TGT || e.Protocol.IsNVMe()) && oneIn(c.t, 6, "any initiator")
	if e.AllowAnyInitiator {
		return
	}
	for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(namesOver(e.Protocol).initiators), 1, 2, rapid.ID).Draw(c.t, "initiators") {
		e.Initiators = append(e.Initiators, spec.Initiator{Name: name})
	}
	c.genMaps(e)
}

// genMaps draws which LUNs each initiator sees, where that can be said.
func (c *crowd) genMaps(e *spec.ExportSpec) {
	e.Initiators = slices.Clone(e.Initiators)
	for i := range e.Initiators {
		e.Initiators[i].LUNs = nil
		if c.Input.TGT || e.Protocol.IsNVMe() || oneIn(c.t, 2, "all") {
			continue
		}
		e.Initiators[i].LUNs = []int{}
		for _, l := range e.LUNs {
			if rapid.Bool().Draw(c.t, "listed") {
				e.Initiators[i].LUNs = append(e.Initiators[i].LUNs, *l.Number)
			}
		}
	}
}

// edit changes what the files say.
func (c *crowd) edit() {
	c.Declared.Volumes, c.Declared.Exports = maps.Clone(c.Declared.Volumes), maps.Clone(c.Declared.Exports)
	name := pick(c.t, "export", append(slices.Sorted(maps.Keys(c.Declared.Exports)), exportNames[0], exportNames[1], "g")...)
	e, there := c.Declared.Exports[name]
	what := pick(c.t, "edit", "luns", "more", "more", "numbers", "initiators", "initiators", "initiators", "initiators", "maps", "target", "export", "name", "volume", "again", "move", "force")
	switch {
	case what == "volume":
		c.dropVolume(pick(c.t, "volume", crowdVolumes...))
	case what == "again":
		for _, v := range crowdVolumes {
			if _, there := c.Declared.Volumes[v]; !there {
				c.declare(v)
			}
		}
	case what == "move":
		if v, there := c.Declared.Volumes[pick(c.t, "volume", crowdVolumes...)]; there {
			v.Spec.Pool = pick(c.t, "pool", "slow", "fast")
			c.Declared.Volumes[v.Metadata.Name] = v
		}
	case !there:
		c.offer(name)
	case what == "export":
		delete(c.Declared.Exports, name)
	case what == "name": // with its target, and nothing else of it
		delete(c.Declared.Exports, name)
		e.Metadata = Meta(name + "2")
		if _, taken := c.Declared.Exports[name+"2"]; !taken {
			c.Declared.Exports[name+"2"] = e
		}
	default:
		c.editExport(what, &e.Spec)
		if other, taken := c.exportAt(servedAs(c.Input, e)); !taken || other.Metadata.Name == name {
			c.Declared.Exports[name] = e
		}
	}
	c.read()
	for _, name := range slices.Sorted(maps.Keys(c.Declared.Exports)) {
		e := c.Declared.Exports[name].Spec
		c.note("%s: %s: %v, %s, %v%s", name, e.Target, lunsOf(e), e.Disconnect, e.Initiators, map[bool]string{true: "any"}[e.AllowAnyInitiator])
	}
}

func (c *crowd) editExport(what string, e *spec.ExportSpec) {
	switch what {
	case "luns":
		c.genLUNs(e)
		c.genMaps(e)
	case "more": // beside what is there
		used := map[string]bool{}
		for _, l := range e.LUNs {
			used[l.Volume] = true
		}
		for _, name := range slices.Sorted(maps.Keys(c.Declared.Volumes)) {
			if n := len(e.LUNs); !used[name] && !slices.ContainsFunc(e.LUNs, func(l spec.LUN) bool { return *l.Number == n+2 }) {
				e.LUNs = append(slices.Clone(e.LUNs), spec.LUN{Volume: name, Number: Ptr(n + 2)})
				break
			}
		}
	case "numbers":
		c.genNumbers(e)
		c.genMaps(e)
	case "initiators":
		c.genInitiators(e)
	case "maps":
		c.genMaps(e)
	case "target":
		e.Target = pick(c.t, "target", namesOver(e.Protocol).targets[:2]...)
	case "force":
		if e.Disconnect = spec.DisconnectForce; rapid.Bool().Draw(c.t, "wait") {
			e.Disconnect = spec.DisconnectWait
		}
	}
}

// dropVolume takes a Volume out of all files.
func (c *crowd) dropVolume(name string) {
	if len(c.Declared.Volumes) < 3 {
		return
	}
	delete(c.Declared.Volumes, name)
	for at, e := range c.Declared.Exports {
		e.Spec.LUNs = slices.DeleteFunc(slices.Clone(e.Spec.LUNs), func(l spec.LUN) bool { return l.Volume == name })
		if c.Declared.Exports[at] = e; len(e.Spec.LUNs) == 0 {
			delete(c.Declared.Exports, at)
		}
	}
}

// happen is what the agent does not do.
func (c *crowd) happen() {
	who := rapid.SampledFrom(c.guests).Draw(c.t, "who")
	if within := slices.DeleteFunc(slices.Clone(c.guests), func(g *guest) bool { return !g.live && !c.admits(g) }); len(within) > 0 {
		who = rapid.SampledFrom(within).Draw(c.t, "who")
	}
	switch pick(c.t, "event", "login", "login", "login", "logout", "edit", "edit", "edit", "edit", "reboot", "wiped", "unlisted") {
	case "login":
		c.login(who)
		c.LearnExposures(NewIndex(c.State, c.Input.Ownership())) // what comes and goes between two looks is known to nobody
	case "logout":
		c.logout(who)
	case "edit":
		c.edit()
	case "reboot":
		c.boots++
		c.State.BootID = fmt.Sprint(c.boots)
		c.lose()
	case "wiped":
		c.lose()
	case "unlisted": // by hand
		if t, there := c.State.Target(who.at); there {
			t.ACLs = maps.Clone(t.ACLs)
			delete(t.ACLs, who.initiator)
			c.State.Targets(who.at.Fabric)[who.at.Name] = t
			c.note("%s is taken out by hand", who)
		}
	}
	c.settle()
}

// lose takes all targets away.
func (c *crowd) lose() {
	c.State.LIO, c.State.NVMe, c.State.TGT = NewModel().State.LIO, map[string]observe.Target{}, map[string]observe.Target{}
	for _, lv := range c.AllLVs() {
		c.Edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Open = false })
	}
	c.note("the targets are gone")
}

func TestPropertiesHistoriesOfManyExports(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t)
		for _, name := range exportNames[:rapid.IntRange(1, 2).Draw(t, "exports")] {
			c.offer(name)
		}
		c.read()
		for range rapid.IntRange(10, 50).Draw(t, "moments") {
			if rapid.Bool().Draw(t, "pass") {
				c.note("pass")
				c.pass()
			} else {
				c.happen()
			}
		}
		c.note("and then nothing happens any more")
		c.steady = true
		for range 12 {
			c.pass()
		}
		c.leave()
	})
}

// leave lets all come back that may, and log out: then the files hold, and nobody is waited for.
func (c *crowd) leave() {
	for range 3 {
		for _, g := range c.guests {
			c.login(g)
		}
		c.note("pass while all are there")
		c.pass()
		for _, g := range c.guests {
			c.logout(g)
		}
		for range 6 {
			c.pass()
		}
	}
	c.exact()
}

// exact fails if somebody waits though nobody is logged in, or if an Export that is Ready shows
// something else than its file says.
func (c *crowd) exact() {
	p := c.pass()
	for _, o := range p.Objects {
		// An address that was seen at the port may be that of another subsystem's host, and never be back.
		if nameless := c.Declared.Exports[o.Name].Spec.Protocol.IsNVMe() && !c.names; nameless {
			continue
		}
		if o.Kind == spec.KindExport && o.Phase == status.Blocked && o.Reason == status.ReasonSessionsActive {
			c.fatal("nobody is logged in any more, and %s waits: %s", o.ID(), o.Message)
		}
		if e, said := c.Declared.Exports[o.Name]; o.Kind != spec.KindExport || o.Phase != status.Ready || !said {
			continue
		} else if id := servedAs(c.Input, e); c.owned(id) {
			c.shows(id)
		}
	}
}

// shows fails if guests find something else at a target than the files say.
func (c *crowd) shows(id observe.TargetID) {
	for _, g := range c.guests {
		if g.at != id {
			continue
		}
		volumes, named := c.grantedNow(g)
		if named != c.admits(g) {
			c.fatal("%s is let in: %t, and the files say %t", g, c.admits(g), named)
		}
		found := map[string]bool{}
		for _, identity := range c.sees(g) {
			found[c.volumeOf(identity)] = true
		}
		if named && !maps.Equal(found, volumes) {
			c.fatal("%s sees %v, and the files say %v", g, found, volumes)
		}
	}
}
