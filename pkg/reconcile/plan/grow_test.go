package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and a thick Snapshot of a Volume that is to grow", func() {
	It("makes it after the growth, also if that fails at first", func() {
		n := NewNode()
		snapshot := n.Desired.Snapshots["tnightly"]
		delete(n.Desired.Snapshots, "tnightly")
		n.Apply(n.Plan())
		n.Remember()
		v := n.Desired.Volumes["thick"]
		v.Spec.Size += 100 * MiB
		n.Desired.Volumes["thick"] = v
		n.Desired.Snapshots["tnightly"] = snapshot

		n.Input.Held = map[spec.ID]bool{VolumeID("thick"): true}
		n.Pass(-1)
		Expect(n.LVs("vg0")).NotTo(HaveKey("tnightly"))
		n.Input.Held = nil
		n.Pass(-1)
		Expect(n.LVs("vg0")["thick"].Size).To(BeNumerically(">=", v.Spec.Size))
		Expect(n.LVs("vg0")).To(HaveKey("tnightly"))
	})
})
