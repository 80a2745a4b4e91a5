package reconcile

import (
	"errors"
	"maps"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A volume group that cannot be read", func() {
	var n *node
	BeforeEach(func() {
		n = newNode()
		n.state.VolumeGroups["vg1"] = observe.VolumeGroup{
			Name: "vg1", UUID: "vg1-uuid", ExtentSize: 4 * mib, Size: 10240 * mib, Free: 10240 * mib,
			LogicalVolumes: map[string]observe.LogicalVolume{},
		}
		n.desired.Pools["other"] = spec.Pool{Metadata: meta("other"), Spec: spec.PoolSpec{VolumeGroup: "vg1"}}
		n.desired.Volumes["far"] = spec.Volume{Metadata: meta("far"), Spec: spec.VolumeSpec{Pool: "other", Size: 64 * mib, LVName: "far", DeletionPolicy: spec.Delete}}
		e := n.desired.Exports["db"]
		e.Spec.LUNs = append(e.Spec.LUNs, spec.LUN{Volume: "far", Number: ptr(9)})
		n.desired.Exports["db"] = e
		n.converge()
		n.remember()
		delete(n.state.VolumeGroups, "vg1")
		n.state.UnknownGroups = errors.New("lvm fullreport: exit status 5: bad metadata")
	})

	It("concerns its own objects only, and nothing is taken from them", func() {
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		for _, id := range []spec.ID{{Kind: spec.KindPool, Name: "other"}, volumeID("far")} {
			Expect(objectOf(p, id)).To(And(beIn(Failed, ReasonObservationFailed), HaveField("Message", ContainSubstring("bad metadata"))))
		}
		Expect(objectOf(p, volumeID("data"))).To(beIn(Ready, ReasonAsDesired))
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonNotReady))
	})
	It("does not keep others from being made and removed", func() {
		delete(n.desired.Snapshots, "tnightly")
		n.desired.Volumes["new"] = spec.Volume{Metadata: meta("new"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * mib, LVName: "new"}}
		n.apply(n.plan())
		Expect(n.lvs("vg0")).To(HaveKey("new"))
		Expect(n.plan().Steps).To(BeEmpty())
	})
	It("counts among the deletions, so that they do not get through piece by piece", func() {
		delete(n.desired.Volumes, "far")
		n.desired.Exports = nil
		n.input.MaxDeletions = 1
		p := n.plan()
		Expect(changesIn(p)).To(BeEmpty())
		Expect(objectOf(p, exportID("db"))).To(And(beIn(Blocked, ReasonTooManyDeletions),
			HaveField("Message", HavePrefix("2 objects would be deleted at once, more than --max-deletions 1: Export/db, and 1 in volume groups that cannot be read. To allow"))))
		By("but not what stays")
		known := n.input.Known[volumeID("far")]
		known.Retain = true
		n.input.Known[volumeID("far")] = known
		Expect(n.plan().Steps).NotTo(BeEmpty())
		known.Retain = false
		n.input.Known[volumeID("far")] = known
		By("and can be permitted like the others")
		n.permit(exportID("db"))
		n.converge()
		Expect(n.state.LIO.ISCSI).To(BeEmpty())
	})
	It("is not forgotten, nor is what was in it", func() {
		known := n.input.Known
		Expect(known).To(HaveKey(volumeID("far")))
		delete(n.desired.Volumes, "far")
		Expect(Learn(maps.Clone(known), n.desired, n.state)).To(HaveKey(volumeID("far")))
	})
	It("keeps an object that moved away from it from being made anew", func() {
		v := n.desired.Volumes["far"]
		v.Spec.Pool = "slow"
		n.desired.Volumes["far"] = v
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, volumeID("far"))).To(beIn(Failed, ReasonObservationFailed))
	})
})

var _ = Describe("Jobs", func() {
	It("are kept by a plan that was made without all of the machine", func() {
		n := newNode()
		Expect(n.plan().KeepJobs).To(BeFalse())
		n.state.UnknownGroups = errors.New("locked")
		Expect(n.plan().KeepJobs).To(BeTrue())
	})
})
