package plan_test

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and a Volume that is to move, in a target that is not open", func() {
	It("does not keep the target closed for a Volume that cannot move", func() {
		n := Movable()
		n.Declared.Snapshots = map[string]spec.Snapshot{"nightly": {Metadata: Meta("nightly"), Spec: spec.SnapshotSpec{Volume: "data", DeletionPolicy: spec.Delete}}}
		n.Apply(n.Plan())
		n.MoveTo("data", "slow")
		delete(n.State.LIO.ISCSI, IQN) // somebody removed it
		p := n.Plan()
		blocked := func(o status.Object) bool {
			return o.ID() == VolumeID("data") && o.Reason == status.ReasonSnapshotsExist
		}
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
