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
		snapshot := n.Declared.Snapshots["tnightly"]
		delete(n.Declared.Snapshots, "tnightly")
		n.Apply(n.Plan())
		n.Remember()
		v := n.Declared.Volumes["thick"]
		v.Spec.Size += 100 * MiB
		n.Declared.Volumes["thick"] = v
		n.Declared.Snapshots["tnightly"] = snapshot

		n.Input.BackingOff = map[spec.ID]bool{VolumeID("thick"): true}
		n.Pass(-1)
		Expect(n.LVs("vg0")).NotTo(HaveKey("tnightly"))
		n.Input.BackingOff = nil
		n.Pass(-1)
		Expect(n.LVs("vg0")["thick"].Size).To(BeNumerically(">=", v.Spec.Size))
		Expect(n.LVs("vg0")).To(HaveKey("tnightly"))
	})
})
