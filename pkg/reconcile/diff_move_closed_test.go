package reconcile

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and a Volume that is to move, in a target that is not open", func() {
	It("does not keep the target closed for a Volume that cannot move", func() {
		n := movable()
		n.desired.Snapshots = map[string]spec.Snapshot{"nightly": {Metadata: meta("nightly"), Spec: spec.SnapshotSpec{Volume: "data", DeletionPolicy: spec.Delete}}}
		n.apply(n.plan())
		n.moveTo("data", "slow")
		delete(n.state.LIO.ISCSI, iqn) // somebody removed it
		p := n.plan()
		blocked := func(o Object) bool { return o.ID() == volumeID("data") && o.Reason == ReasonSnapshotsExist }
		Expect(slices.ContainsFunc(p.Objects, blocked)).To(BeTrue())
		var needs []string
		for _, step := range p.Steps {
			if _, enables := step.Change.(change.EnableTarget); enables {
				for _, need := range step.Needs {
					needs = append(needs, change.Name(p.Steps[need-1].Change))
				}
			}
		}
		Expect(needs).To(ContainElement("CreateTarget"))
		Expect(needs).NotTo(ContainElement("AddLUN"), "one LUN that fails must not keep the others from their initiators")
		Expect(needs).NotTo(ContainElement("MapLUN"))
	})
})
