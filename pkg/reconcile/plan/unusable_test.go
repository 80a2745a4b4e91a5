package plan_test

import (
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A volume group that is on the machine and cannot be used", func() {
	far := spec.ID{Kind: spec.KindPool, Name: "far"}
	var n *Node
	BeforeEach(func() {
		n = Movable()
		n.Declared.Volumes["there"] = spec.Volume{Metadata: Meta("there"), Spec: spec.VolumeSpec{Pool: "far", Size: 64 * MiB, LVName: "there", DeletionPolicy: spec.Delete}}
		delete(n.Declared.Pools, "farthin")
		n.Settle()
		n.Remember()
		delete(n.State.VolumeGroups, "vg1")
	})
	becomes := func(refused bool, why string) {
		n.State.UnusableGroups = map[string]error{"vg1": observe.NewGroupError("vg1", refused, errors.New(why))}
	}

	It("is not said to be missing if LVM leaves it to another system", func() {
		becomes(true, "it belongs to the system other")
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, far)).To(And(BeIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", "it belongs to the system other")))
		Expect(ObjectOf(p, VolumeID("there"))).To(And(HaveField("Phase", Not(Equal(status.Ready))), HaveField("Message", ContainSubstring("the system other"))))
	})
	It("is doubtful if there are two of its name, and others are not", func() {
		becomes(false, "two volume groups are named vg1")
		n.MoveTo("thick", "fast")
		n.Settle()
		Expect(n.LVsOfVolume("thick")).To(HaveLen(1), "what the move left in the other one is gone")
		p := n.Plan()
		Expect(ObjectOf(p, far)).To(And(BeIn(status.Failed, status.ReasonObservationFailed), HaveField("Message", ContainSubstring("two volume groups"))))
		Expect(ObjectOf(p, VolumeID("there"))).To(BeIn(status.Failed, status.ReasonObservationFailed))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(p.KeepJobs).To(BeTrue())
	})
	It("keeps what no file names any more, and it counts among the deletions", func() {
		becomes(false, "two volume groups are named vg1")
		delete(n.Declared.Volumes, "there")
		delete(n.Declared.Volumes, "data")
		n.Declared.Exports = nil
		n.Input.MaxDeletions = 1
		Expect(ChangesIn(n.Plan())).NotTo(ContainElement(ContainSubstring("vg1")))
	})
	It("is nothing to a Volume whose disk was copied into it, once it has a name that no Pool has", func() {
		lv := n.LVs("vg0")["thick"]
		lv.VolumeGroup = "vg9"
		n.State.VolumeGroups["vg9"] = observe.VolumeGroup{Name: "vg9", UUID: "vg9-uuid", ExtentSize: 4 * MiB, LogicalVolumes: map[string]observe.LogicalVolume{"thick": lv}}
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		By("and nothing is removed of either, whatever the files say")
		delete(n.Declared.Volumes, "thick")
		n.Declared.Exports = nil
		n.Wait(time.Hour)
		for _, step := range n.Plan().Steps {
			Expect(step.Change.String()).NotTo(ContainSubstring("vg9"))
		}
		n.Input.Known = map[spec.ID]Identity{}
		n.Declared.Volumes = Movable().Declared.Volumes
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonAmbiguous), "nobody remembers which one it was")
	})
	It("is not to be created by somebody who reads that it is missing, before looking whether LVM is kept from it", func() {
		message := ObjectOf(n.Plan(), far).Message
		for _, words := range []string{"vgs --foreign --shared", "lvmdevices", "devices/filter", "Only if it never existed"} {
			Expect(message).To(ContainSubstring(words))
		}
		Expect(ObjectOf(n.Plan(), far)).To(BeIn(status.Blocked, status.ReasonVolumeGroupMissing))
		n.State.KeptFromLVM = []string{"/dev/sdq (devices file x: lvmdevices --adddev /dev/sdq)"}
		Expect(ObjectOf(n.Plan(), far).Message).To(ContainSubstring("LVM is kept from /dev/sdq (devices file x: lvmdevices --adddev /dev/sdq)"))
	})
	It("is not to be reduced by somebody who reads that a part of it is missing, before that", func() {
		n.State.KeptFromLVM = []string{"/dev/sdq (devices file x: lvmdevices --adddev /dev/sdq)"}
		n.LosePVs(1)
		Expect(ObjectOf(n.Plan(), spec.ID{Kind: spec.KindPool, Name: "slow"}).Message).To(ContainSubstring("LVM is kept from /dev/sdq (devices file x: lvmdevices --adddev /dev/sdq)"))
	})
	It("is told of if others may use it as well", func() {
		vg := n.State.VolumeGroups["vg0"]
		vg.Shared = true
		n.State.VolumeGroups["vg0"] = vg
		Expect(ObjectOf(n.Plan(), spec.ID{Kind: spec.KindPool, Name: "slow"})).To(And(BeIn(status.Ready, status.ReasonAsDesired), HaveField("Message", ContainSubstring("lvmlockd"))))
	})
})
