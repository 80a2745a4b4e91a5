package reconcile

import (
	"errors"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

// The move of a Volume fails, wherever that is, and somebody edits its file before it is
// tried again.
var _ = DescribeTable("Diff serves a Volume at once whose move failed", func(edit func(*node)) {
	for done := 0; ; done++ {
		n := movable()
		n.moveTo("thick", "fast")
		p := n.plan()
		for !slices.Contains(kinds(p), "TakeOver") {
			n.apply(p)
			p = n.plan()
		}
		if done > len(p.Steps) {
			break
		}
		for _, s := range p.Steps[:done] {
			n.change(s.Change)
		}
		edit(n)
		n.input.Held = map[spec.ID]bool{volumeID("thick"): true}
		for range 3 {
			failed := map[StepID]bool{}
			for _, s := range n.plan().Steps {
				failed[s.ID] = n.input.Held[s.Object] && !s.AtOnce || slices.ContainsFunc(s.Needs, func(q StepID) bool { return failed[q] })
				if !failed[s.ID] {
					n.change(s.Change)
				}
			}
		}
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(2), "after %d steps", done)
		Expect(n.state.LIO.ISCSI[iqn].Enabled).To(BeTrue(), "after %d steps", done)
	}
},
	Entry("and is still asked for", func(*node) {}),
	Entry("and is not asked for any more", func(n *node) { n.moveTo("thick", "slow") }),
	Entry("and whose file breaks", func(n *node) {
		delete(n.desired.Volumes, "thick")
		n.desired.Invalid = map[spec.ID]error{volumeID("thick"): errors.New("it has a typo")}
		n.desired.Complete = false
	}),
)
