package plan_test

import (
	"errors"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// The move of a Volume fails, wherever that is, and somebody edits its file before it is
// tried again.
var _ = DescribeTable("Make serves a Volume at once whose move failed", func(edit func(*Node)) {
	for done := 0; ; done++ {
		n := Movable()
		n.MoveTo("thick", "fast")
		p := n.Plan()
		for !slices.Contains(kinds(p), "Cutover") {
			n.Apply(p)
			p = n.Plan()
		}
		if done > len(p.Steps) {
			break
		}
		for _, s := range p.Steps[:done] {
			n.Change(s.Change)
		}
		edit(n)
		n.Input.BackingOff = map[spec.ID]bool{VolumeID("thick"): true}
		for range 3 {
			failed := map[StepID]bool{}
			for _, s := range n.Plan().Steps {
				failed[s.ID] = n.Input.BackingOff[s.Object] && !s.AtOnce || slices.ContainsFunc(s.Needs, func(q StepID) bool { return failed[q] })
				if !failed[s.ID] {
					n.Change(s.Change)
				}
			}
		}
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(2), "after %d steps", done)
		Expect(n.State.LIO.ISCSI[IQN].Enabled).To(BeTrue(), "after %d steps", done)
	}
},
	Entry("and is still asked for", func(*Node) {}),
	Entry("and is not asked for any more", func(n *Node) { n.MoveTo("thick", "slow") }),
	Entry("and whose file breaks", func(n *Node) {
		delete(n.Declared.Volumes, "thick")
		n.Declared.Invalid = map[spec.ID]error{VolumeID("thick"): errors.New("it has a typo")}
		n.Declared.Complete = false
	}),
)
