package plan

import (
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// What only tests see of the planner's inside.
const (
	AnotherRound    = maxLeftForCutover
	CopiedOfNothing = nothingCopied
)

var (
	AuthOf     = authOf
	Earlier    = earlierOf
	NameOf     = nameOf
	TargetAuth = targetAuth
	Temporary  = isTemporary
	WithOwners = withOwners
)

// Current returns the logical volumes that count as an object's.
func Current(state observe.State, id spec.ID) []observe.LogicalVolume {
	return NewIndex(state, Ownership{}).current[id]
}

// Pauses reports whether initiators are held up over a fabric while a LUN is switched.
func Pauses(f observe.Fabric) bool { return traitsOf[f].pause != noPause }

// Served returns the logical volume that stays exported of an object whose file is
// invalid; false: none does.
func Served(in Input, id spec.ID) (string, bool) {
	d := newDiffer(in, NewIndex(in.Observed, Ownership{}), newReferences(in))
	d.serveInvalid()
	b := d.backingOf(id)
	return b.lv.Name, b.exportable
}

// PhaseNames returns the phases of a plan in their order, and which each must come after.
func PhaseNames() (names []string, after map[string][]string) {
	after = map[string][]string{}
	for _, p := range phases {
		names, after[p.name] = append(names, p.name), p.after
	}
	return names, after
}

// MakeInOrder makes a plan with its phases in another order. Nothing is refused in it.
func MakeInOrder(in Input, names []string) Plan {
	in.Observed = withOwners(in.Observed, in.Declared, in.Known)
	var order []phase
	for _, name := range names {
		for _, p := range phases {
			if p.name == name {
				order = append(order, p)
			}
		}
	}
	return diffInOrder(order, in, NewIndex(in.Observed, Ownership{}), newReferences(in), refusal{}).finish()
}
