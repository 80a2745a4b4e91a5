package reconcile

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A volume group of which a physical volume is missing", func() {
	var n *node
	change := func(name string, with func(*observe.LogicalVolume)) {
		lv := n.state.VolumeGroups["vg0"].LogicalVolumes[name]
		with(&lv)
		n.state.VolumeGroups["vg0"].LogicalVolumes[name] = lv
	}
	lose := func() {
		vg := n.state.VolumeGroups["vg0"]
		vg.MissingPVs = 1
		n.state.VolumeGroups["vg0"] = vg
	}
	BeforeEach(func() {
		n = converged()
		lose()
	})

	It("is not written to, because LVM would refuse what is missing when it comes back", func() {
		change("thick", func(lv *observe.LogicalVolume) { lv.Tags = lv.Tags[:1] })
		change("tnightly", func(lv *observe.LogicalVolume) { lv.Tags = lv.Tags[:1] })
		v := n.desired.Volumes["data"]
		v.Spec.Size *= 2
		n.desired.Volumes["data"] = v
		n.desired.Volumes["new"] = spec.Volume{Metadata: meta("new"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * mib, LVName: "new"}}
		n.desired.Snapshots["new"] = spec.Snapshot{Metadata: meta("new"), Spec: spec.SnapshotSpec{Volume: "thick"}}
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, spec.ID{Kind: spec.KindPool, Name: "slow"})).To(beIn(Failed, ReasonDeviceMissing))
		Expect(objectOf(p, volumeID("new"))).To(beIn(Blocked, ReasonNotReady))
		Expect(objectOf(p, spec.ID{Kind: spec.KindSnapshot, Name: "new"})).To(beIn(Blocked, ReasonNotReady))
	})
	It("keeps what no file names any more", func() {
		delete(n.desired.Snapshots, "tnightly")
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, spec.ID{Kind: spec.KindSnapshot, Name: "tnightly"})).To(beIn(Failed, ReasonDeviceMissing))
	})
	It("activates what lies elsewhere, and nothing else", func() {
		change("thick", func(lv *observe.LogicalVolume) { lv.Active = false })
		Expect(changesIn(n.plan())).To(Equal([]string{"activate vg0/thick"}))
		change("thick", func(lv *observe.LogicalVolume) { lv.Health = observe.HealthPartial })
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Failed, ReasonDeviceMissing))
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonNotReady))
	})
	It("says of an active volume that lies there that it does, and goes on exporting it", func() {
		change("thick", func(lv *observe.LogicalVolume) { lv.Health = observe.HealthPartial })
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Failed, ReasonDeviceMissing))
		Expect(objectOf(p, volumeID("data"))).To(beIn(Ready, ReasonAsDesired))
	})
})

var _ = It("A full thin pool of somebody else's is not grown either", func() {
	n := converged()
	lv := n.state.VolumeGroups["vg0"].LogicalVolumes["pool0"]
	lv.Tags, lv.DataPercent = nil, 100
	n.state.VolumeGroups["vg0"].LogicalVolumes["pool0"] = lv
	n.desired.Pools["fast"] = spec.Pool{Metadata: meta("fast"), Spec: spec.PoolSpec{VolumeGroup: "vg0", ThinPool: &spec.ThinPool{Name: "pool0", Size: spec.SizeOrPercent{Percent: 90}}}}
	p := n.plan()
	Expect(p.Steps).To(BeEmpty())
	Expect(objectOf(p, spec.ID{Kind: spec.KindPool, Name: "fast"})).To(beIn(Failed, ReasonNoSpace))
})
