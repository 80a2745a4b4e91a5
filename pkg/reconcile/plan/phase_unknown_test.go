package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and a phase that a later version set", func() {
	var n *Node
	BeforeEach(func() {
		n = Converged()
		for _, of := range []string{"vg0/thick", "vg0/tnightly"} {
			n.Edit(of, func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags, ondisk.TagPhase+"mirroring") })
		}
	})

	It("does nothing to the volume, and takes it from nobody", func() {
		v := n.Declared.Volumes["thick"]
		v.Spec.Size += 100 * MiB
		n.Declared.Volumes["thick"] = v
		p := n.Plan()
		Expect(p.Steps).NotTo(ContainElement(HaveField("Object", VolumeID("thick"))))
		Expect(p.Steps).NotTo(ContainElement(HaveField("Danger", Not(Equal(Harmless)))))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonUnsupported))
		Expect(ObjectOf(p, VolumeID("thick")).Message).To(ContainSubstring("volreconciler/phase=mirroring"))
	})
	It("does nothing to a snapshot", func() {
		p := n.Plan()
		Expect(ObjectOf(p, SnapshotID("tnightly"))).To(BeIn(status.Blocked, status.ReasonUnsupported))
		Expect(p.Steps).To(BeEmpty())
	})
	It("removes nothing of what no file names", func() {
		n.Declared = spec.Set{Pools: n.Declared.Pools, Complete: true}
		n.Apply(n.Plan())
		n.Converge()
		p := n.Plan()
		for _, name := range []string{"thick", "tnightly"} {
			Expect(n.LVs("vg0")).To(HaveKey(name))
		}
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonUnsupported))
	})
})
