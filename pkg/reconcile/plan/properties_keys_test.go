package plan_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// key is one that an initiator registered for a persistent reservation, by a LUN of a target.
type key struct {
	of        spec.ID
	at        observe.TargetID
	initiator string
	kept      bool
	// named is true if the kernel's file says by which target it was made.
	named bool
}

func (k key) String() string {
	return fmt.Sprintf("key of %s for %s by %s", k.initiator, k.of, k.at.Name)
}

// keyed is a crowd whose initiators register keys.
type keyed struct {
	*crowd
	keys []key
}

// behind returns whose backstore a LUN of a target shows.
func (k *keyed) behind(t observe.Target, lun int) spec.ID {
	id, _ := k.State.LIO.Backstores[t.LUNs[lun].Backstore].Owner()
	return id
}

// register draws one who sees a LUN.
func (k *keyed) register() {
	var may []key
	for _, id := range k.State.TargetIDs() {
		t, _ := k.State.Target(id)
		for _, name := range slices.Sorted(maps.Keys(t.ACLs)) {
			for _, m := range t.ACLs[name].LUNs {
				if of := k.behind(t, m.LUN); of != (spec.ID{}) {
					may = append(may, key{of: of, at: id, initiator: name})
				}
			}
		}
	}
	if len(may) == 0 {
		return
	}
	slices.SortFunc(may, func(a, b key) int { return spec.CompareIDs(a.of, b.of) })
	may = slices.Compact(may)
	slices.SortStableFunc(may, func(a, b key) int {
		if a.String() < b.String() {
			return -1
		}
		return 1
	})
	one := rapid.SampledFrom(may).Draw(k.t, "registers")
	one.kept = rapid.Bool().Draw(k.t, "kept")
	one.named = one.kept && one.at.Fabric == observe.ISCSI && rapid.Bool().Draw(k.t, "named")
	k.keys = append(k.keys, one)
	k.note("%s, kept: %t, named: %t", one, one.kept, one.named)
}

// show puts the keys where the kernel shows them.
func (k *keyed) show() {
	for path, b := range k.State.LIO.Backstores {
		id, _ := b.Owner()
		b.Registrations = nil
		for _, one := range k.keys {
			if one.of != id {
				continue
			}
			r := observe.Registration{Initiator: one.initiator, Key: 1, Kept: one.kept}
			if one.named {
				r.Target = one.at.Name
			}
			b.Registrations = append(b.Registrations, r)
		}
		k.State.LIO.Backstores[path] = b
	}
}

// takes reports whether the kernel forgets a key with a change.
func (k *keyed) takes(c change.Change, one key) bool {
	t, _ := k.State.Target(one.at)
	switch c := c.(type) {
	case change.RemoveLUN:
		return c.ID() == one.at && k.behind(t, c.LUN) == one.of
	case change.UnmapLUN:
		m, mapped := t.ACLs[c.Initiator].LUNs[c.LUN]
		return c.ID() == one.at && c.Initiator == one.initiator && mapped && k.behind(t, m.LUN) == one.of
	case change.RemoveInitiator:
		return c.ID() == one.at && c.Initiator == one.initiator
	case change.RemoveTarget:
		return c.ID() == one.at
	default:
		return false
	}
}

// pass is one of the agent, in which no key is lost that nobody gave up.
func (k *keyed) pass() Plan {
	k.Wait(60e9)
	k.State = k.Copy()
	k.show()
	for _, id := range k.State.TargetIDs() { // a former target of an Export too
		t, _ := k.State.Target(id)
		owner, _ := t.Owner()
		k.forced[id] = k.forced[id] || k.Declared.Exports[owner.Name].Spec.Disconnect == spec.DisconnectForce
	}
	index := NewIndex(k.State, k.Input.Ownership())
	k.Input.Known = Learned(k.Input.Known, k.Declared, k.State)
	k.LearnExposures(index)
	p := k.Plan()
	k.Input.Known = NoteBeginning(k.Input.Known, p, k.Declared, k.State, index)
	k.Input.Exposures = Anticipate(k.Input.Exposures, p, index, k.Input.Now)
	for _, s := range p.Steps {
		k.keys = slices.DeleteFunc(k.keys, func(one key) bool {
			lost := k.takes(s.Change, one)
			comesBack := one.kept && s.Object.Kind != spec.KindExport // with the backstore, which is made anew
			if lost && !comesBack && !k.forced[one.at] {
				k.fatal("%s loses the %s, kept: %t, named: %t", s.Change, one, one.kept, one.named)
			}
			return lost && !comesBack
		})
		k.Change(s.Change)
		k.note("  %s", s.Change)
	}
	return p
}

func TestPropertiesKeysOfReservationsAreNotLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := newCrowd(t)
		c.Input.TGT, c.only = false, pick(t, "protocol of all", spec.ProtocolISCSI, spec.ProtocolISCSI, spec.ProtocolFC)
		k := &keyed{crowd: c}
		for _, name := range exportNames[:2] {
			k.offer(name)
		}
		k.read()
		for range rapid.IntRange(10, 40).Draw(t, "moments") {
			switch pick(t, "moment", "pass", "pass", "edit", "register", "register", "clear") {
			case "pass":
				k.note("pass")
				k.pass()
			case "edit":
				k.edit()
			case "register":
				k.register()
			case "clear":
				of := spec.ID{Kind: spec.KindVolume, Name: pick(t, "cleared", crowdVolumes...)}
				k.keys = slices.DeleteFunc(k.keys, func(one key) bool { return one.of == of })
				k.note("the keys for %s are cleared", of)
			}
		}
		for range 12 {
			k.pass()
		}
		if p := k.pass(); len(p.Steps) > 0 {
			k.fatal("it does not come to rest: %s", p.Steps[0].Change)
		}
		k.note("all keys are cleared")
		k.keys = nil
		for range 12 {
			k.pass()
		}
		for _, o := range k.pass().Objects {
			if o.Reason == status.ReasonReservationsActive {
				k.fatal("nobody has a key any more, and %s waits: %s", o.ID(), o.Message)
			}
		}
	})
}
