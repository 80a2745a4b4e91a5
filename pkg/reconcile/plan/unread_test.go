package plan_test

import (
	"errors"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A volume group that cannot be read", func() {
	var n *Node
	BeforeEach(func() {
		n = NewNode()
		n.State.VolumeGroups["vg1"] = observe.VolumeGroup{
			Name: "vg1", UUID: "vg1-uuid", ExtentSize: 4 * MiB, Size: 10240 * MiB, Free: 10240 * MiB,
			LogicalVolumes: map[string]observe.LogicalVolume{},
		}
		n.Declared.Pools["other"] = spec.Pool{Metadata: Meta("other"), Spec: spec.PoolSpec{VolumeGroup: "vg1"}}
		n.Declared.Volumes["far"] = spec.Volume{Metadata: Meta("far"), Spec: spec.VolumeSpec{Pool: "other", Size: 64 * MiB, LVName: "far", DeletionPolicy: spec.Delete}}
		e := n.Declared.Exports["db"]
		e.Spec.LUNs = append(e.Spec.LUNs, spec.LUN{Volume: "far", Number: Ptr(9)})
		n.Declared.Exports["db"] = e
		n.Converge()
		n.Remember()
		delete(n.State.VolumeGroups, "vg1")
		n.State.UnknownGroups = errors.New("lvm fullreport: exit status 5: bad metadata")
	})

	It("concerns its own objects only, and nothing is taken from them", func() {
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		for _, id := range []spec.ID{{Kind: spec.KindPool, Name: "other"}, VolumeID("far")} {
			Expect(ObjectOf(p, id)).To(And(BeIn(status.Failed, status.ReasonObservationFailed), HaveField("Message", ContainSubstring("bad metadata"))))
		}
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotReady))
	})
	It("does not keep others from being made and removed", func() {
		delete(n.Declared.Snapshots, "tnightly")
		n.Declared.Volumes["new"] = spec.Volume{Metadata: Meta("new"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "new"}}
		n.Apply(n.Plan())
		Expect(n.LVs("vg0")).To(HaveKey("new"))
		Expect(n.Plan().Steps).To(BeEmpty())
	})
	It("counts among the deletions, so that they do not get through piece by piece", func() {
		delete(n.Declared.Volumes, "far")
		n.Declared.Exports = nil
		n.Input.MaxDeletions = 1
		p := n.Plan()
		Expect(ChangesIn(p)).To(BeEmpty())
		Expect(ObjectOf(p, ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonTooManyDeletions),
			HaveField("Message", HavePrefix("2 objects would be deleted at once, more than --max-deletions 1: Export/db, and 1 in volume groups that cannot be read. None is. If that is not intended, restore their files. To allow"))))
		By("but not what stays")
		known := n.Input.Known[VolumeID("far")]
		known.Retain = true
		n.Input.Known[VolumeID("far")] = known
		Expect(n.Plan().Steps).NotTo(BeEmpty())
		known.Retain = false
		n.Input.Known[VolumeID("far")] = known
		By("and can be permitted like the others")
		n.Permit(ExportID("db"))
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(BeEmpty())
	})
	It("is not forgotten, nor is what was in it", func() {
		known := n.Input.Known
		Expect(known).To(HaveKey(VolumeID("far")))
		delete(n.Declared.Volumes, "far")
		Expect(Learned(maps.Clone(known), n.Declared, n.State)).To(HaveKey(VolumeID("far")))
	})
	It("keeps an object that moved away from it from being made anew", func() {
		v := n.Declared.Volumes["far"]
		v.Spec.Pool = "slow"
		n.Declared.Volumes["far"] = v
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("far"))).To(BeIn(status.Failed, status.ReasonObservationFailed))
	})
})

var _ = Describe("Jobs", func() {
	It("are kept by a plan that was made without all of the machine", func() {
		n := NewNode()
		Expect(n.Plan().KeepJobs).To(BeFalse())
		n.State.UnknownGroups = errors.New("locked")
		Expect(n.Plan().KeepJobs).To(BeTrue())
	})
})
