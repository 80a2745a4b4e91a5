package plan_test

import (
	"maps"
	"slices"
	"strings"

	"pgregory.net/rapid"

	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
)

// carryOut applies a plan as the executor may: lane beside lane, in an order that
// next draws from the number of lanes that can go on, and until it says that
// the machine stops (-1). Those that fail says fail, like those that the machine
// refuses. It returns how many steps succeeded.
func carryOut(t *rapid.T, m *Model, p Plan, next func(lanes int) int, fails func(StepID) bool, after func()) int {
	t.Logf("plan:\n%s", strings.Join(ChangesIn(p), "\n"))
	lanes, outcome, succeeded := map[string][]Step{}, map[StepID]bool{}, 0
	for _, s := range p.Steps {
		lanes[s.Change.Lane()] = append(lanes[s.Change.Lane()], s)
	}
	for len(lanes) > 0 {
		var ready []string
		for _, lane := range slices.Sorted(maps.Keys(lanes)) {
			waits := func(n StepID) bool { _, known := outcome[n]; return !known }
			if !slices.ContainsFunc(lanes[lane][0].Needs, waits) {
				ready = append(ready, lane)
			}
		}
		if len(ready) == 0 {
			t.Fatalf("no step can begin:\n%s", strings.Join(ChangesIn(p), "\n"))
		}
		i := next(len(ready))
		if i < 0 {
			break
		}
		s := lanes[ready[i]][0]
		if lanes[ready[i]] = lanes[ready[i]][1:]; len(lanes[ready[i]]) == 0 {
			delete(lanes, ready[i])
		}
		failed := func(n StepID) bool { return !outcome[n] }
		outcome[s.ID] = !slices.ContainsFunc(s.Needs, failed) && !fails(s.ID) && m.Try(s.Change) == nil
		if outcome[s.ID] {
			succeeded++
			after()
		}
	}
	return succeeded
}

func never(StepID) bool { return false }

// pass observes, learns, plans, and notes what cutovers are about to interrupt.
func pass(m *Model, in *Input) Plan {
	in.Observed = m.Copy()
	in.Known = Learned(in.Known, in.Declared, in.Observed)
	p := Make(*in)
	in.Known = NoteBeginning(in.Known, p, in.Declared, in.Observed, NewIndex(in.Observed, Ownership{}))
	return p
}

// converge passes until there is nothing to do but what the machine refuses.
func converge(t *rapid.T, m *Model, in Input) {
	var last Plan
	for range 24 { // a Volume may have to finish one move before the next
		last = pass(m, &in)
		if last.Empty() || carryOut(t, m, last, func(int) int { return 0 }, never, func() {}) == 0 {
			return
		}
	}
	t.Fatalf("plans never end:\n%s", strings.Join(ChangesIn(pass(m, &in)), "\n"))
}

// again returns the node as it was when the scenario began.
func (s scenario) again() *Model {
	original := Model{State: s.input.Observed}
	return &Model{State: original.Copy(), UUIDs: s.UUIDs, Listening: s.Listening}
}
