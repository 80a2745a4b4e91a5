package plan

import (
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// expectations says of the steps of a plan what they were decided on: nobody is hit by one when it
// is made but those whom it names. Who makes it looks again, see [change.Idle]. All of it is here,
// and nothing else of a plan depends on it.
//
// Force, or a cutover that makes initiators wait, is no exception for those whom the plan did not
// see: of them nothing is remembered, and what they saw under a number would be given away. The
// next plan names them.
type expectations struct {
	target func(observe.TargetID) observe.Target
	// closed reports whether an Export lets in only whom it lists.
	closed func(export string) bool
	// freed are the LUNs that earlier steps take away, and unmapped the mappings.
	freed    map[lunKey]bool
	unmapped map[targetMapping]bool
}

// targetMapping is a mapping of a target.
type targetMapping struct {
	observe.TargetID
	mapping
}

// expect gives the steps of the plan what they expect.
func (d *differ) expect() {
	e := expectations{freed: map[lunKey]bool{}, unmapped: map[targetMapping]bool{}, target: d.target, closed: func(export string) bool {
		e, valid := d.in.Desired.Exports[export]
		return valid && !e.Spec.AllowAnyInitiator
	}}
	for i, s := range d.plan.Steps {
		if idle := e.of(s); idle.Expects() {
			d.plan.Steps[i].Change = change.Expecting(s.Change, idle)
		}
	}
}

// of returns what a step expects, and takes in what it frees. Steps come in their order.
func (e expectations) of(s Step) change.Idle {
	idle := e.hit(s.Change)
	switch c := s.Change.(type) {
	case change.RemoveLUN:
		e.freed[lunKey{c.ID(), c.LUN}] = true
	case change.UnmapLUN:
		e.unmapped[targetMapping{c.ID(), mapping{c.Initiator, c.LUN}}] = true
	}
	idle.But = s.Affects
	return idle
}

// hit returns who loses something by a change, or is shown something else than before, if they
// are logged in.
func (e expectations) hit(c change.Change) change.Idle {
	switch c := c.(type) {
	case change.DisableTarget:
		return change.Idle{All: true}
	case change.AddPortal:
		before, listens := e.target(c.ID()).Portals[c.Portal]
		return change.Idle{All: listens && before != c.Transport && traitsOf[c.Fabric].pause == withoutPortals}
	case change.RemovePortal:
		return change.Idle{All: traitsOf[c.Fabric].pause == withoutPortals} // of others, sessions go on
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
		if !e.shows(c.ID(), c.Initiator, c.LUN) {
			return change.Idle{}
		}
		return change.Idle{Initiators: []string{c.Initiator}}
	case change.MapLUN:
		return e.mapped(c)
	case change.AddLUN:
		return e.added(c)
	default:
		return change.Idle{}
	}
}

// mapped: what the initiator saw under the number until this plan is another volume from now on.
func (e expectations) mapped(c change.MapLUN) change.Idle {
	before := e.target(c.ID()).ACLs[c.Initiator].LUNs[c.LUN]
	took := e.unmapped[targetMapping{c.ID(), mapping{c.Initiator, c.LUN}}] || e.freed[lunKey{c.ID(), before.LUN}]
	if !took || !e.shows(c.ID(), c.Initiator, c.LUN) {
		return change.Idle{}
	}
	return change.Idle{Initiators: []string{c.Initiator}}
}

// added: the number was that of another volume until this plan, or all see it who are logged in,
// listed or not.
func (e expectations) added(c change.AddLUN) change.Idle {
	t := e.target(c.ID())
	switch {
	case e.freed[lunKey{c.ID(), c.LUN}]:
		return viewersOf(t, c.LUN)
	case !traitsOf[c.Fabric].maps && t.HasTPG && e.closed(c.Export):
		return change.Idle{Unlisted: true}
	default:
		return change.Idle{}
	}
}

// shows reports whether an initiator sees something under a number.
func (e expectations) shows(id observe.TargetID, initiator string, number int) bool {
	t := e.target(id)
	m, mapped := t.ACLs[initiator].LUNs[number]
	return mapped && m.LUN >= 0 && t.LUNs[m.LUN].Backstore != ""
}

// viewersOf returns who sees a LUN while they are logged in.
func viewersOf(t observe.Target, lun int) change.Idle {
	if !traitsOf[t.Fabric].maps {
		return change.Idle{All: true}
	}
	idle := change.Idle{Unlisted: true}
	for name, acl := range t.ACLs {
		if shows(acl, lun) {
			idle.Initiators = append(idle.Initiators, name)
		}
	}
	slices.Sort(idle.Initiators)
	return idle
}
