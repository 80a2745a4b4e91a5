package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// host is an initiator as a kernel behaves: what it saw under a number it goes on with when its
// session is back, unless it has logged out by itself.
type host struct {
	name, address string
	live          bool
	saw           map[int]string
	// allowed are the Volumes that a file has let it see.
	allowed map[string]bool
}

// hosts is a node with an Export, and those who use it.
type hosts struct {
	*Node
	t      *rapid.T
	over   over
	all    []*host
	forced bool
	// steady is true when nobody kills the agent any more, and nobody logs in while it is at work.
	steady bool
	said   []string
}

func (h *hosts) note(format string, args ...any) {
	h.said = append(h.said, fmt.Sprintf(format, args...))
}

func (h *hosts) target() (observe.Target, bool) { return h.State.Target(h.over.target) }

// admits reports whether a target lets somebody in now.
func (h *hosts) admits(who *host) bool {
	t, there := h.target()
	_, listed := t.ACLs[who.name]
	reachable := t.Enabled && !t.Offline && (len(t.Portals) > 0 || h.over.tgt || h.over.protocol == spec.ProtocolFC)
	return there && t.HasTPG && reachable && (listed || t.Attrib.GenerateNodeACLs)
}

// sees returns what is under each number for somebody who is logged in.
func (h *hosts) sees(who *host) map[int]string {
	t, _ := h.target()
	seen := map[int]string{}
	show := func(number int, l observe.TargetLUN) {
		identity := l.Identity
		if l.Backstore != "" {
			identity = h.State.LIO.Backstores[l.Backstore].Serial
		}
		if identity != "" {
			seen[number] = identity
		}
	}
	acl, listed := t.ACLs[who.name]
	if listed && h.maps() {
		for number, m := range acl.LUNs {
			show(number, t.LUNs[m.LUN])
		}
		return seen
	}
	for number, l := range t.LUNs {
		show(number, l)
	}
	return seen
}

// settle puts into the node who is logged in, and fails if a number has become another volume.
func (h *hosts) settle() {
	t, there := h.target()
	addresses, sessions := []string{}, 0
	for _, who := range h.all {
		acl, listed := t.ACLs[who.name]
		who.live = who.live && h.admits(who)
		if who.live {
			sessions++
			for n, identity := range h.sees(who) {
				if name := h.volumeOf(identity); !who.allowed[name] {
					h.t.Fatalf("%s: no file has ever let it see %s, which is LUN %d:\n%s", who.name, name, n, strings.Join(h.said, "\n"))
				}
				if had := who.saw[n]; had != "" && had != identity && !h.forced {
					h.t.Fatalf("%s: LUN %d was %s and is %s:\n%s", who.name, n, had, identity, strings.Join(h.said, "\n"))
				}
				who.saw[n] = identity
			}
		}
		switch {
		case h.over.target.Fabric == observe.NVMe:
			if who.live {
				addresses = append(addresses, who.address)
			}
		case listed:
			acl.LoggedIn = who.live
			t.ACLs = maps.Clone(t.ACLs)
			t.ACLs[who.name] = acl
		}
	}
	if !there {
		return
	}
	t.Unattributed, t.Sessions = addresses, sessions
	h.State.Targets(h.over.target.Fabric)[h.over.target.Name] = t
}

// pass is one of the agent, who may be killed after some steps. In between, hosts come and go; they
// also log in between two steps.
func (h *hosts) pass() {
	h.State = h.Copy()
	index := NewIndex(h.State, h.Input.Ownership())
	h.Input.Known = Learned(h.Input.Known, h.Declared, h.State)
	h.LearnExposures(index)
	p := h.Plan()
	h.Input.Known = NoteBeginning(h.Input.Known, p, h.Declared, h.State, index)
	h.Input.Exposures = Anticipate(h.Input.Exposures, p, index, h.Input.Now)
	killed := len(p.Steps) + 1
	if !h.steady && oneIn(h.t, 4, "killed") {
		killed = rapid.IntRange(0, len(p.Steps)).Draw(h.t, "after")
	}
	// What comes and goes between two looks is known to nobody: but whom the agent puts out, it knew.
	defer func() { h.LearnExposures(NewIndex(h.State, h.Input.Ownership())) }()
	failed := map[StepID]bool{}
	for i, s := range p.Steps {
		if i == killed {
			h.note("  killed")
			return
		}
		if !h.steady && oneIn(h.t, 5, "meanwhile") {
			h.login(rapid.SampledFrom(h.all).Draw(h.t, "who"))
		}
		if slices.ContainsFunc(s.Needs, func(n StepID) bool { return failed[n] }) {
			failed[s.ID] = true
			continue
		}
		before := h.seenByAll()
		if err := h.Try(s.Change); err != nil {
			h.note("  %s: %v", s.Change, err)
			failed[s.ID] = true
			continue
		}
		h.note("  %s", s.Change)
		h.end(s.Change)
		h.keep(before)
		h.settle()
	}
}

// seenByAll returns what each who is logged in sees.
func (h *hosts) seenByAll() map[string]map[int]string {
	all := map[string]map[int]string{}
	for _, who := range h.all {
		if who.live {
			all[who.name] = h.sees(who)
		}
	}
	return all
}

// keep fails if somebody who stays logged in has lost something.
func (h *hosts) keep(before map[string]map[int]string) {
	for _, who := range h.all {
		now := h.sees(who)
		for n, identity := range before[who.name] {
			if who.live && h.admits(who) && now[n] != identity && !h.forced {
				h.t.Fatalf("%s is logged in, and loses LUN %d, which was %s:\n%s", who.name, n, identity, strings.Join(h.said, "\n"))
			}
		}
	}
}

func (h *hosts) login(who *host) {
	if h.admits(who) && !who.live {
		who.live = true
		h.note("%s logs in, and sees %v", who.name, h.sees(who))
		h.settle()
	}
}

// end ends the sessions that a change ends.
func (h *hosts) end(c change.Change) {
	for _, who := range h.all {
		switch c := c.(type) {
		case change.DisableTarget, change.RemoveTarget, change.RemovePortal:
			who.live = false
		case change.RemoveInitiator:
			who.live = who.live && c.Initiator != who.name
		}
	}
}

// edit changes what the files say of the Export and its Volumes.
func (h *hosts) edit() {
	h.Declared.Volumes, h.Declared.Exports = maps.Clone(h.Declared.Volumes), maps.Clone(h.Declared.Exports)
	h.EditExport(func(e *spec.ExportSpec) {
		switch pick(h.t, "edit", "luns", "luns", "numbers", "initiators", "move", "again", "force") {
		case "luns":
			e.LUNs = nil
			for i, name := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 1, 3, rapid.ID).Draw(h.t, "volumes") {
				e.LUNs = append(e.LUNs, spec.LUN{Volume: name, Number: Ptr(i)})
			}
		case "numbers":
			luns := slices.Clone(e.LUNs)
			for i, n := range rapid.Permutation([]int{0, 1, 2, 5}).Draw(h.t, "numbers")[:len(luns)] {
				luns[i].Number = Ptr(n)
			}
			e.LUNs = luns
		case "initiators":
			e.Initiators = nil
			for _, who := range rapid.SliceOfNDistinct(rapid.SampledFrom(h.all), 1, 2, func(w *host) string { return w.name }).Draw(h.t, "initiators") {
				e.Initiators = append(e.Initiators, spec.Initiator{Name: who.name})
			}
		case "move":
			name := pick(h.t, "volume", "a", "b", "c")
			v := h.Declared.Volumes[name]
			v.Spec.Pool = pick(h.t, "pool", "slow", "fast")
			h.Declared.Volumes[name] = v
		case "again": // under the same name, with another logical volume
			name := pick(h.t, "volume", "a", "b", "c")
			v := h.Declared.Volumes[name]
			v.Metadata.Annotations = map[string]string{spec.AnnotationRecreate: h.Input.Known[VolumeID(name)].UUID}
			h.Declared.Volumes[name] = v
		case "force":
			if e.Disconnect = spec.DisconnectForce; oneIn(h.t, 2, "wait") {
				e.Disconnect = spec.DisconnectWait
			}
			h.forced = h.forced || e.Disconnect == spec.DisconnectForce
		}
		if len(e.Initiators) > 0 && oneIn(h.t, 2, "lists") {
			e.Initiators = slices.Clone(e.Initiators)
			for i := range e.Initiators {
				e.Initiators[i].LUNs = h.list(e.LUNs)
			}
		}
		h.allow(*e)
		h.note("edited: %v, %s, %v", lunsOf(*e), e.Disconnect, e.Initiators)
	})
}

// list returns the numbers of some LUNs for an initiator that is to see these alone; nil: all.
func (h *hosts) list(luns []spec.LUN) []int {
	if !h.maps() || oneIn(h.t, 2, "all") {
		return nil
	}
	numbers := []int{}
	for _, l := range luns {
		if oneIn(h.t, 2, "listed") {
			numbers = append(numbers, *l.Number)
		}
	}
	return numbers
}

// maps reports whether each initiator has LUNs of its own.
func (h *hosts) maps() bool {
	return h.over.target.Fabric == observe.ISCSI || h.over.target.Fabric == observe.FC
}

// allow notes whom an Export lets see what.
func (h *hosts) allow(e spec.ExportSpec) {
	for _, who := range h.all {
		for _, i := range e.Initiators {
			for _, l := range e.LUNs {
				if i.Name == who.name && i.Sees(*l.Number) {
					who.allowed[l.Volume] = true
				}
			}
		}
		if e.AllowAnyInitiator {
			who.allowed = map[string]bool{"a": true, "b": true, "c": true, "d": true}
		}
	}
}

// volumeOf returns the Volume that initiators tell by an identity; empty: there is none any more.
func (h *hosts) volumeOf(identity string) string {
	for _, lv := range h.AllLVs() {
		if h.identify(lv.Identity()) == identity {
			return lv.Tag(ondisk.TagName)
		}
	}
	return ""
}

func lunsOf(e spec.ExportSpec) (all []string) {
	for _, l := range e.LUNs {
		all = append(all, fmt.Sprintf("%s@%d", l.Volume, *l.Number))
	}
	return all
}

// happen is what the agent does not do.
func (h *hosts) happen() {
	who := rapid.SampledFrom(h.all).Draw(h.t, "who")
	switch pick(h.t, "event", "login", "login", "login", "logout", "edit", "edit", "edit", "reboot", "wiped", "closed") {
	case "login":
		h.login(who)
		h.LearnExposures(NewIndex(h.State, h.Input.Ownership())) // what comes and goes between two looks is known to nobody
	case "logout":
		if who.live {
			who.live, who.saw = false, map[int]string{}
			h.note("%s logs out", who.name)
		}
	case "edit":
		h.edit()
	case "reboot", "wiped":
		h.State.LIO, h.State.NVMe, h.State.TGT = NewModel().State.LIO, map[string]observe.Target{}, map[string]observe.Target{}
		for _, who := range h.all {
			who.live = false
		}
		for _, lv := range h.AllLVs() {
			h.Edit(lv.FullName(), func(lv *observe.LogicalVolume) { lv.Open = false })
		}
		h.note("the targets are gone")
	case "closed":
		if t, there := h.target(); there && h.over.target.Fabric == observe.ISCSI {
			t.Enabled = false
			h.State.LIO.ISCSI[t.Name] = t
			h.note("closed by hand")
		}
	}
	h.settle()
}

func TestPropertiesNumbersBelongToWhatWasSeenThere(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		o := pick(t, "over", fabricsUnderTest...)
		o.auth = nil
		n := nodeOver(o)
		n.Input.Known = map[spec.ID]Identity{}
		n.Declared.Snapshots = nil
		n.Declared.Volumes = map[string]spec.Volume{}
		for _, name := range []string{"a", "b", "c", "d"} {
			n.Declared.Volumes[name] = spec.Volume{Metadata: Meta(name), Spec: spec.VolumeSpec{Pool: "slow", Size: 100 * MiB, LVName: name, DeletionPolicy: spec.Delete}}
		}
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Volume: "a", Number: Ptr(0)}, {Volume: "b", Number: Ptr(1)}, {Volume: "c", Number: Ptr(2)}}
		})
		h := &hosts{Node: n, t: t, over: o}
		for i, name := range o.initiators {
			h.all = append(h.all, &host{name: name, address: fmt.Sprintf("10.0.0.%d", i+1), saw: map[int]string{}, allowed: map[string]bool{"": true}})
		}
		n.EditExport(func(e *spec.ExportSpec) {
			for i := range e.Initiators {
				e.Initiators[i].LUNs = h.list(e.LUNs)
			}
		})
		h.allow(h.Declared.Exports["db"].Spec)
		h.note("%v, %v", lunsOf(h.Declared.Exports["db"].Spec), h.Declared.Exports["db"].Spec.Initiators)
		h.pass()
		h.settle()
		for range rapid.IntRange(1, 25).Draw(t, "moments") {
			if oneIn(t, 2, "pass") {
				h.note("pass")
				h.pass()
				h.settle()
			} else {
				h.happen()
			}
		}
		h.note("and then nothing happens any more")
		h.steady = true
		for range 12 {
			h.pass()
			h.settle()
		}
		h.served()
	})
}

// served fails if somebody who comes back would not find under its number what the spec still
// has.
func (h *hosts) served() {
	e := h.Declared.Exports["db"].Spec
	t, _ := h.target()
	for _, who := range h.all {
		for n, identity := range who.saw {
			for _, l := range e.LUNs {
				listed := slices.ContainsFunc(e.Initiators, func(i spec.Initiator) bool { return i.Name == who.name && i.Sees(*l.Number) })
				known := h.Input.Known[l.Backing()].UUID
				if !listed || h.forced || known == "" || identity != h.identify(known) {
					continue
				}
				if h.sees(who)[n] != identity || !t.Enabled {
					h.t.Fatalf("%s saw %s as LUN %d, and does not find it any more:\n%s", who.name, l.Volume, n, strings.Join(h.said, "\n"))
				}
			}
		}
	}
}

// identify returns what initiators tell a logical volume by.
func (h *hosts) identify(uuid string) string {
	if h.over.target.Fabric == observe.NVMe {
		return ondisk.NamespaceUUID(uuid)
	}
	return ondisk.UnitSerial(uuid)
}
