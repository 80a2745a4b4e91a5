package reconcile

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and the blocks of what is removed", func() {
	var n *node
	clearWith := func(method spec.Clear) {
		p := n.desired.Pools["slow"]
		p.Spec.Clear = method
		n.desired.Pools["slow"] = p
	}
	BeforeEach(func() {
		n = converged()
		clearWith(spec.ClearZero)
		n.desired.Snapshots, n.desired.Exports = nil, nil
		delete(n.desired.Volumes, "thick")
	})

	It("clears thick ones before their space is used again, a snapshot before its origin", func() {
		Expect(kinds(n.plan())).To(ContainElements("StartClearing", "SplitSnapshot", "StartClearing"))
		n.apply(n.plan())
		Expect(n.lvs("vg0")["tnightly"].Phase()).To(Equal(ondisk.Clearing))
		p := n.plan()
		Expect(kinds(p)).To(Equal([]string{"Clear", "Clear"}))
		Expect(p.Steps[0].Danger).To(Equal(Destructive))
		Expect(p.Steps[1].Change).To(Equal(change.Clear{LV: NameOf(n.lvs("vg0")["tnightly"]), Method: spec.ClearZero, Size: 20 * mib}))
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Deleting, ReasonClearing))
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(2))
	})
	It("clears what was copied from, which has data of its origin, and makes another one only then", func() {
		n = converged()
		clearWith(spec.ClearZero)
		n.desireCopy("slow", 200*mib, fromThick)
		n.apply(n.plan())
		n.edit("vg0/volreconciler-source-copy", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		Expect(kinds(n.plan())).To(Equal([]string{"StartClearing", "SplitSnapshot"}))
		n.apply(n.plan())
		p := n.plan()
		Expect(kinds(p)).To(Equal([]string{"Clear"}))
		Expect(objectOf(p, volumeID("copy"))).To(beIn(Progressing, ReasonClearing))
		n.apply(p)
		Expect(kinds(n.plan())).To(Equal([]string{"CreateSnapshot"}))
		n.converge()
		Expect(n.lvs("vg0")).NotTo(HaveKey("volreconciler-source-copy"))
		Expect(objectOf(n.plan(), volumeID("copy"))).To(beIn(Ready, ReasonAsDesired))
	})
	It("marks nothing that is read-only, and says how it can go", func() {
		readOnly := func(yes bool) {
			for _, name := range []string{"vg0/thick", "vg0/tnightly"} {
				n.edit(name, func(lv *observe.LogicalVolume) { lv.ReadOnly = yes })
			}
		}
		readOnly(true)
		p := n.plan()
		Expect(kinds(p)).NotTo(ContainElements("StartClearing"))
		Expect(objectOf(p, snapshotID("tnightly"))).To(And(beIn(Blocked, ReasonUnsupported), HaveField("Message", ContainSubstring("lvchange --permission rw vg0/tnightly"))))
		Expect(objectOf(p, volumeID("thick"))).To(HaveField("Phase", Blocked))

		By("in the midst of it, either")
		readOnly(false)
		n.apply(n.plan())
		readOnly(true)
		p = n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, volumeID("thick"))).To(And(beIn(Blocked, ReasonUnsupported), HaveField("Message", ContainSubstring("read-only"))))

		By("but what is not to be cleared")
		clearWith(spec.ClearNone)
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(2))
	})
	It("says of what is read-only first what depends on it", func() {
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.ReadOnly, lv.TakesAlong = true, []string{"vg0/clone, a thin volume that has it as external origin"}
		})
		delete(n.lvs("vg0"), "tnightly")
		Expect(objectOf(n.plan(), volumeID("thick"))).To(And(beIn(Blocked, ReasonSnapshotsExist), HaveField("Message", ContainSubstring("vg0/clone"))))
	})
	It("goes on with what was begun, in the way that counts now", func() {
		n.apply(n.plan())
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.Tags = append(lv.Tags, ondisk.CheckpointTag(ondisk.CheckpointOfClearing, 64*mib))
		})
		clearWith(spec.ClearDiscard)
		Expect(n.plan().Steps).To(ContainElement(HaveField("Change", And(
			HaveField("Method", spec.ClearDiscard), HaveField("Done", spec.Size(64*mib)), HaveField("Name", "thick")))))
		clearWith(spec.ClearNone)
		Expect(kinds(n.plan())).To(Equal([]string{"RemoveLV", "RemoveLV"}))
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(2))
	})
	It("never hands out what is being cleared, also if its mark is gone", func() {
		n.remember()
		n.apply(n.plan())
		n.remember()
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.Tags = append(withoutPhase(lv.Tags), ondisk.CheckpointTag(ondisk.CheckpointOfClearing, 64*mib))
		})
		n.desired.Volumes["thick"] = newNode().desired.Volumes["thick"]
		p := n.plan()
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonClearing))
		Expect(kinds(p)).To(Equal([]string{"Clear", "Clear"}))
		old := n.lvs("vg0")["thick"].UUID
		n.converge()
		Expect(n.lvs("vg0")["thick"].UUID).NotTo(Equal(old))
		Expect(n.lvs("vg0")["thick"].Phase()).To(BeEmpty())
	})
	It("waits while others would lose their data with it", func() {
		n.apply(n.plan())
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.TakesAlong = []string{"vg0/clone1, a thin volume that has it as external origin"}
		})
		Expect(changesIn(n.plan())).NotTo(ContainElement(ContainSubstring("vg0/thick")))
		Expect(objectOf(n.plan(), volumeID("thick"))).To(And(beIn(Blocked, ReasonSnapshotsExist), HaveField("Message", ContainSubstring("vg0/clone1"))))
	})
	It("waits for physical volumes that are missing", func() {
		n.apply(n.plan())
		n.missing(1)
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Failed, ReasonDeviceMissing))
	})
	It("clears what no Pool names any more with zeroes", func() {
		n.apply(n.plan())
		delete(n.desired.Pools, "slow")
		Expect(n.plan().Steps).To(ContainElement(HaveField("Change.Method", spec.ClearZero)))
	})
	It("does not remove uncleared what somebody made another kind of", func() {
		n = converged()
		clearWith(spec.ClearZero)
		n.desired.Snapshots, n.desired.Exports = nil, nil
		n.converge()
		delete(n.desired.Volumes, "thick")
		cached := func(lv *observe.LogicalVolume) { lv.Type = observe.OtherLV }
		n.edit("vg0/thick", cached)
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonUnsupported))
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) {
			cached(lv)
			lv.Tags = append(lv.Tags, ondisk.PhaseTag(ondisk.Clearing))
		})
		Expect(n.plan().Steps).To(BeEmpty())
		clearWith(spec.ClearNone)
		Expect(kinds(n.plan())).To(Equal([]string{"RemoveLV"}))
	})
})
