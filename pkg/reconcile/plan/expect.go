package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// expectations adds to the steps of a plan which initiators may be connected when they are
// applied: none but those whom the step names. The actuator looks again before it writes, see
// [change.Idle]. Nothing else of a plan depends on it.
//
// Force, and a cutover that pauses initiators, are no exception for initiators that the plan did
// not see: nothing is remembered of them, and a number under which they saw a LUN would be given
// to another. The next plan names them.
type expectations struct {
	target func(observe.TargetID) observe.Target
	// closed reports whether an Export admits only the initiators that it lists.
	closed func(export string) bool
	// freed are the LUNs that earlier steps remove, and unmapped the mappings.
	freed    map[lunKey]bool
	unmapped map[targetMapping]bool
}

// targetMapping is a mapping of a target.
type targetMapping struct {
	observe.TargetID
	mapping
}

// setExpectations sets the expectations of all steps.
func (d *differ) setExpectations() {
	e := expectations{freed: map[lunKey]bool{}, unmapped: map[targetMapping]bool{}, target: d.target, closed: func(export string) bool {
		e, valid := d.in.Declared.Exports[export]
		return valid && !e.Spec.AllowAnyInitiator
	}}
	for i, s := range d.plan.Steps {
		if idle := e.ofStep(s); idle.IsSet() {
			d.plan.Steps[i].Change = change.WithIdle(s.Change, idle)
		}
	}
}

// ofStep returns what a step expects, and notes what it removes. Steps come in their order.
func (e expectations) ofStep(s Step) change.Idle {
	idle := e.whoIsHit(s.Change)
	switch c := s.Change.(type) {
	case change.RemoveLUN:
		e.freed[lunKey{c.ID(), c.LUN}] = true
	case change.UnmapLUN:
		e.unmapped[targetMapping{c.ID(), mapping{c.Initiator, c.LUN}}] = true
	}
	idle.But = s.Affects
	return idle
}

// whoIsHit returns which initiators, if they are connected, lose something by a change or see
// something else than before.
func (e expectations) whoIsHit(c change.Change) change.Idle {
	switch c := c.(type) {
	case change.DisableTarget:
		return change.Idle{All: true}
	case change.AddPortal:
		before, listens := e.target(c.ID()).Portals[c.Portal]
		return change.Idle{All: listens && before != c.Transport && traitsOf[c.Fabric].pause == withoutPortals}
	case change.RemovePortal:
		return change.Idle{All: traitsOf[c.Fabric].pause == withoutPortals} // sessions of other fabrics continue
	case change.ResizeLUN:
		return change.Idle{All: traitsOf[c.Fabric].resizeEndsSessions}
	case change.RemoveInitiator:
		if len(c.KeepSessions) > 0 {
			return change.Idle{}
		}
		return change.Idle{Initiators: []string{c.Initiator}}
	case change.SetWriteProtect:
		switch {
		case !c.ReadOnly:
			return change.Idle{}
		case c.Initiator == "":
			return change.Idle{All: true}
		}
		return change.Idle{Initiators: []string{c.Initiator}}
	case change.RemoveLUN:
		return viewersOf(e.target(c.ID()), c.LUN)
	case change.UnmapLUN:
		if !e.seesNumber(c.ID(), c.Initiator, c.LUN) {
			return change.Idle{}
		}
		return change.Idle{Initiators: []string{c.Initiator}}
	case change.MapLUN:
		return e.whoIsRemapped(c)
	case change.AddLUN:
		return e.whoSeesAdded(c)
	default:
		return change.Idle{}
	}
}

// whoIsRemapped: under this number the initiator saw another volume until this plan.
func (e expectations) whoIsRemapped(c change.MapLUN) change.Idle {
	before := e.target(c.ID()).ACLs[c.Initiator].LUNs[c.LUN]
	took := e.unmapped[targetMapping{c.ID(), mapping{c.Initiator, c.LUN}}] || e.freed[lunKey{c.ID(), before.LUN}]
	if !took || !e.seesNumber(c.ID(), c.Initiator, c.LUN) {
		return change.Idle{}
	}
	return change.Idle{Initiators: []string{c.Initiator}}
}

// whoSeesAdded: the number was that of another volume until this plan, or every connected initiator sees
// it, listed or not.
func (e expectations) whoSeesAdded(c change.AddLUN) change.Idle {
	t := e.target(c.ID())
	switch {
	case e.freed[lunKey{c.ID(), c.LUN}]:
		return viewersOf(t, c.LUN)
	case !traitsOf[c.Fabric].mapsLUNs && t.HasTPG && e.closed(c.Export):
		return change.Idle{Unlisted: true}
	default:
		return change.Idle{}
	}
}

// seesNumber reports whether an initiator sees something under a number.
func (e expectations) seesNumber(id observe.TargetID, initiator string, number int) bool {
	t := e.target(id)
	m, mapped := t.ACLs[initiator].LUNs[number]
	return mapped && m.LUN >= 0 && t.LUNs[m.LUN].Backstore != ""
}

// viewersOf returns which initiators see a LUN if they are connected.
func viewersOf(t observe.Target, lun int) change.Idle {
	if !traitsOf[t.Fabric].mapsLUNs {
		return change.Idle{All: true}
	}
	idle := change.Idle{Unlisted: true}
	for name, acl := range t.ACLs {
		if isMapped(acl, lun) {
			idle.Initiators = append(idle.Initiators, name)
		}
	}
	slices.Sort(idle.Initiators)
	return idle
}
