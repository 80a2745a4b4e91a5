package plan

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// The attributes that a spec may set, of a target and of a backstore.
var (
	targetParameters    = [][]string{spec.TargetAttrib.Names(), spec.TargetParam.Names()}
	backstoreParameters = spec.BackstoreAttrib.Names()
)

// setParameters sets the attributes of a target that a spec may set. Those that the spec does not
// mention get the kernel's default: nothing else tells what somebody set by hand, or the spec said
// before.
func (x *exportDiffer) setParameters() {
	if !x.fabric.parameters || len(x.spec.Attributes)+len(x.have.Attributes) == 0 {
		return
	}
	for _, names := range targetParameters {
		for _, name := range names {
			want, set := x.spec.Attributes[name]
			have, there := x.have.Attributes[name]
			switch {
			case set && have != want:
				x.step(x.id, "spec asks for it", change.SetParameter{Target: x.target, Attribute: name, Value: want}, x.base...)
			case !set && there && have != spec.Attributes[name].Default:
				x.step(x.id, "not in the spec", change.SetParameter{Target: x.target, Attribute: name, Value: spec.Attributes[name].Default}, x.base...)
			}
		}
	}
}

// setBackstoreAttributes sets the attributes of an object's backstore, which all its Exports
// share. created is the step that creates the backstore; 0: it exists. The result is the step that
// must have succeeded before the backstore is linked to a LUN.
func (d *differ) setBackstoreAttributes(id spec.ID, name change.Backstore, have observe.Backstore, created StepID) StepID {
	if d.isSuspended(id) {
		return created
	}
	ready, exports := created, d.exportsWithAttributes(id)
	if len(exports)+len(have.Attributes) == 0 {
		return created
	}
	for _, attribute := range backstoreParameters {
		want, set, agreed := d.wantedAttribute(id, attribute, exports)
		if !agreed {
			continue
		}
		value, there := have.Attributes[attribute]
		if created != 0 {
			value, there = "", false
		}
		why := "spec asks for it"
		if !set {
			// The default of the others follows from the device, and is set again when the
			// backstore is recreated.
			want, why = spec.Attributes[attribute].Default, "not in the spec"
			if !there || want == "" {
				continue
			}
		}
		if value == want {
			continue
		}
		needs := []StepID{ready}
		if spec.Attributes[attribute].Unexported && created == 0 {
			unlinked, ok := d.unlinkToSetAttribute(id, attribute, have)
			if !ok {
				continue
			}
			needs = append(needs, unlinked...)
		}
		add := d.step
		if created != 0 || spec.Attributes[attribute].Unexported && len(needs) == 1 { // LUNs wait for it
			add = d.servingStep
		}
		step := add(id, why, change.SetBackstoreAttribute{Backstore: name, Attribute: attribute, Value: want}, needs...)
		if spec.Attributes[attribute].Unexported {
			ready = step
		}
	}
	return ready
}

// exportsWithAttributes returns the Exports of an object that set any attribute.
func (d *differ) exportsWithAttributes(id spec.ID) []string {
	var names []string
	for _, name := range d.refs.exports[id] {
		if len(d.in.Declared.Exports[name].Spec.Attributes) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// wantedAttribute returns the value that some Exports of an object set, if any does. If they do
// not agree, the attribute is not changed and their status says so.
func (d *differ) wantedAttribute(id spec.ID, attribute string, of []string) (value string, set, agreed bool) {
	var exports []string
	agreed = true
	for _, name := range of {
		v, asks := d.in.Declared.Exports[name].Spec.Attributes[attribute]
		if !asks {
			continue
		}
		agreed = agreed && (!set || v == value)
		value, set = v, true
		exports = append(exports, name)
	}
	if agreed {
		return value, set, true
	}
	for _, name := range exports {
		d.setBlocked(spec.ID{Kind: spec.KindExport, Name: name}, status.ReasonInvalid,
			"attribute %s of %s must be the same in all its Exports, but differs in %s. Set one value in all of them", attribute, id, shortList(exports))
	}
	return "", false, false
}

// unlinkToSetAttribute removes an object's LUNs from all targets, because the kernel refuses to
// change an attribute of an exported backstore. The next pass adds them again. It reports false,
// and sets the status, if that cannot be done now.
func (d *differ) unlinkToSetAttribute(id spec.ID, attribute string, b observe.Backstore) ([]StepID, bool) {
	links := d.index.linksTo(b)
	if len(links) == 0 {
		return nil, true
	}
	who := d.connectedTo(id)
	for _, key := range links {
		owner, ours := d.target(key.target).Owner()
		switch {
		case !ours || d.in.Declared.Exports[owner.Name].Metadata.Suspended():
			d.setBlocked(id, status.ReasonInUse, "cannot set %s: backstore %s is linked to target %s, which is suspended or not managed by volreconciler. Resume its Export, or remove that LUN by hand", attribute, b.Path(), key.target.Name)
			return nil, false
		case len(who) > 0:
			d.setBlocked(owner, status.ReasonSessionsActive, "cannot set %s of %s: waiting for initiators to disconnect: %s", attribute, id, shortList(who))
		}
	}
	if len(who) > 0 || !d.mayPruneBackstore(id) {
		return nil, false
	}
	var steps []StepID
	for _, key := range links {
		step, planned := d.ledger.luns[key]
		if !planned {
			owner, _ := d.target(key.target).Owner()
			target := change.Target{Fabric: key.target.Fabric, Name: key.target.Name, Export: owner.Name}
			// As a step of the object, so that its back-off applies if the kernel refuses the
			// value.
			step = d.dangerousStep(id, fmt.Sprintf("needed to set %s; it is added again at once", attribute), Disruptive, nil,
				change.RemoveLUN{Target: target, LUN: key.lun})
			d.ledger.luns[key] = step
		}
		steps = append(steps, step)
	}
	return steps, true
}
