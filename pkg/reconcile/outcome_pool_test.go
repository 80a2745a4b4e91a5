package reconcile

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A thin pool whose activation failed", func() {
	id := spec.ID{Kind: spec.KindPool, Name: "fast"}
	after := func(err error, phase status.Phase, reason string) status.Object {
		failed := map[spec.ID]attempt{id: {err: err, step: model.Activate("vg0", "pool0")}}
		return outcome(plan.Plan{Objects: []status.Object{{Kind: id.Kind, Name: id.Name, Phase: phase, Reason: reason}}}, failed, nil)[0]
	}
	DescribeTable("is damaged, and LVM says why", func(phase status.Phase, reason string) {
		o := after(errors.New("Check of pool vg0/pool0 failed (status:1)"), phase, reason)
		Expect(o).To(And(model.BeIn(status.Failed, status.ReasonPoolDamaged), HaveField("Message", ContainSubstring("Check of pool vg0/pool0 failed"))))
	},
		Entry("at once", status.Progressing, status.ReasonConverging),
		Entry("in the passes that follow", status.Failed, status.ReasonPoolDamaged),
	)
	It("is not damaged if a setting keeps it inactive", func() {
		o := after(errors.Join(change.ErrUnsupported, errors.New("volume_list")), status.Failed, status.ReasonPoolDamaged)
		Expect(o).To(And(model.BeIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring("volume_list"))))
	})
	It("is what is known of it besides", func() {
		Expect(after(errors.New("no"), status.Failed, status.ReasonDeviceMissing)).To(model.BeIn(status.Failed, status.ReasonDeviceMissing))
	})
	It("may be another object's change", func() {
		failed := map[spec.ID]attempt{model.VolumeID("a"): {err: errors.New("no"), step: model.Activate("vg0", "a")}}
		o := outcome(plan.Plan{Objects: []status.Object{{Kind: spec.KindVolume, Name: "a", Phase: status.Progressing}}}, failed, nil)[0]
		Expect(o).To(And(model.BeIn(status.Failed, "ActivateFailed"), HaveField("Message", "cannot activate vg0/a: no")))
	})
})
