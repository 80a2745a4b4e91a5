package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and the blocks of what is removed", func() {
	var n *Node
	clearWith := func(method spec.Clear) {
		p := n.Declared.Pools["slow"]
		p.Spec.Clear = method
		n.Declared.Pools["slow"] = p
	}
	BeforeEach(func() {
		n = Converged()
		clearWith(spec.ClearZero)
		n.Declared.Snapshots, n.Declared.Exports = nil, nil
		delete(n.Declared.Volumes, "thick")
	})

	It("clears thick ones before their space is used again, a snapshot before its origin", func() {
		Expect(kinds(n.Plan())).To(ContainElements("StartClearing", "SplitSnapshot", "StartClearing"))
		n.Apply(n.Plan())
		Expect(n.LVs("vg0")["tnightly"].Phase()).To(Equal(ondisk.Clearing))
		p := n.Plan()
		Expect(kinds(p)).To(Equal([]string{"Clear", "Clear"}))
		Expect(p.Steps[0].Danger).To(Equal(Destructive))
		Expect(p.Steps[1].Change).To(Equal(change.Clear{LV: NameOf(n.LVs("vg0")["tnightly"]), Method: spec.ClearZero, Size: 20 * MiB}))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Deleting, status.ReasonClearing))
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(2))
	})
	It("clears what was copied from, which has data of its origin, and makes another one only then", func() {
		n = Converged()
		clearWith(spec.ClearZero)
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		n.Edit("vg0/volreconciler-source-copy", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		Expect(kinds(n.Plan())).To(Equal([]string{"StartClearing", "SplitSnapshot"}))
		n.Apply(n.Plan())
		p := n.Plan()
		Expect(kinds(p)).To(Equal([]string{"Clear"}))
		Expect(ObjectOf(p, VolumeID("copy"))).To(BeIn(status.Progressing, status.ReasonClearing))
		n.Apply(p)
		Expect(kinds(n.Plan())).To(Equal([]string{"CreateSnapshot"}))
		n.Converge()
		Expect(n.LVs("vg0")).NotTo(HaveKey("volreconciler-source-copy"))
		Expect(ObjectOf(n.Plan(), VolumeID("copy"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
	It("marks nothing that is read-only, and says how it can go", func() {
		readOnly := func(yes bool) {
			for _, name := range []string{"vg0/thick", "vg0/tnightly"} {
				n.Edit(name, func(lv *observe.LogicalVolume) { lv.ReadOnly = yes })
			}
		}
		readOnly(true)
		p := n.Plan()
		Expect(kinds(p)).NotTo(ContainElements("StartClearing"))
		Expect(ObjectOf(p, SnapshotID("tnightly"))).To(And(BeIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring("lvchange --permission rw vg0/tnightly"))))
		Expect(ObjectOf(p, VolumeID("thick"))).To(HaveField("Phase", status.Blocked))

		By("in the midst of it, either")
		readOnly(false)
		n.Apply(n.Plan())
		readOnly(true)
		p = n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("thick"))).To(And(BeIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring("read-only"))))

		By("but what is not to be cleared")
		clearWith(spec.ClearNone)
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(2))
	})
	It("says of what is read-only first what depends on it", func() {
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.ReadOnly, lv.TakesAlong = true, []string{"vg0/clone, a thin volume whose external origin it is"}
		})
		delete(n.LVs("vg0"), "tnightly")
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(And(BeIn(status.Blocked, status.ReasonSnapshotsExist), HaveField("Message", ContainSubstring("vg0/clone"))))
	})
	It("goes on with what was begun, in the way that counts now", func() {
		n.Apply(n.Plan())
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.Tags = append(lv.Tags, ondisk.CheckpointTag(ondisk.CheckpointOfClearing, 64*MiB))
		})
		clearWith(spec.ClearDiscard)
		Expect(n.Plan().Steps).To(ContainElement(HaveField("Change", And(
			HaveField("Method", spec.ClearDiscard), HaveField("Done", spec.Size(64*MiB)), HaveField("Name", "thick")))))
		clearWith(spec.ClearNone)
		Expect(kinds(n.Plan())).To(Equal([]string{"RemoveLV", "RemoveLV"}))
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(2))
	})
	It("never hands out what is being cleared, also if its mark is gone", func() {
		n.Remember()
		n.Apply(n.Plan())
		n.Remember()
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.Tags = append(WithoutPhase(lv.Tags), ondisk.CheckpointTag(ondisk.CheckpointOfClearing, 64*MiB))
		})
		n.Declared.Volumes["thick"] = NewNode().Declared.Volumes["thick"]
		p := n.Plan()
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonClearing))
		Expect(kinds(p)).To(Equal([]string{"Clear", "Clear"}))
		old := n.LVs("vg0")["thick"].UUID
		n.Converge()
		Expect(n.LVs("vg0")["thick"].UUID).NotTo(Equal(old))
		Expect(n.LVs("vg0")["thick"].Phase()).To(BeEmpty())
	})
	It("creates a new one for a file that declares it again before the wipe was noted", func() {
		volume := NewNode().Declared.Volumes["thick"]
		n.Declared.Volumes["thick"] = volume
		n.Remember()
		old := n.LVs("vg0")["thick"].UUID
		Expect(n.Input.Known[VolumeID("thick")].LV).To(Equal(old))
		delete(n.Declared.Volumes, "thick")
		n.Apply(n.Plan())
		Expect(n.LVs("vg0")["thick"].Phase()).To(Equal(ondisk.Clearing))

		n.Declared.Volumes["thick"] = volume
		for range 8 {
			n.Pass(-1)
		}
		Expect(n.LVs("vg0")["thick"].UUID).NotTo(Equal(old))
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(n.LVs("vg0")).NotTo(HaveKey("tnightly"))
	})
	It("keeps what is known of a volume whose superseded logical volume is wiped", func() {
		known := map[spec.ID]Identity{VolumeID("thick"): {UUID: n.LVs("vg0")["thick"].UUID, LV: "another", VolumeGroup: "vg0"}}
		n.Apply(n.Plan())
		n.Declared.Volumes["thick"] = NewNode().Declared.Volumes["thick"]
		Expect(Learned(known, n.Declared, n.State)).To(HaveKey(VolumeID("thick")))
	})
	It("waits while others would lose their data with it", func() {
		n.Apply(n.Plan())
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.TakesAlong = []string{"vg0/clone1, a thin volume whose external origin it is"}
		})
		Expect(ChangesIn(n.Plan())).NotTo(ContainElement(ContainSubstring("vg0/thick")))
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(And(BeIn(status.Blocked, status.ReasonSnapshotsExist), HaveField("Message", ContainSubstring("vg0/clone1"))))
	})
	It("waits for physical volumes that are missing", func() {
		n.Apply(n.Plan())
		n.LosePVs(1)
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Failed, status.ReasonDeviceMissing))
	})
	It("clears what no Pool names any more with zeroes", func() {
		n.Apply(n.Plan())
		delete(n.Declared.Pools, "slow")
		Expect(n.Plan().Steps).To(ContainElement(HaveField("Change.Method", spec.ClearZero)))
	})
	It("does not remove uncleared what somebody made another kind of", func() {
		n = Converged()
		clearWith(spec.ClearZero)
		n.Declared.Snapshots, n.Declared.Exports = nil, nil
		n.Converge()
		delete(n.Declared.Volumes, "thick")
		cached := func(lv *observe.LogicalVolume) { lv.Type = observe.OtherLV }
		n.Edit("vg0/thick", cached)
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonUnsupported))
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			cached(lv)
			lv.Tags = append(lv.Tags, ondisk.PhaseTag(ondisk.Clearing))
		})
		Expect(n.Plan().Steps).To(BeEmpty())
		clearWith(spec.ClearNone)
		Expect(kinds(n.Plan())).To(Equal([]string{"RemoveLV"}))
	})
})
