package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A volume group of which a physical volume is missing", func() {
	var n *Node
	change := func(name string, with func(*observe.LogicalVolume)) {
		lv := n.State.VolumeGroups["vg0"].LogicalVolumes[name]
		with(&lv)
		n.State.VolumeGroups["vg0"].LogicalVolumes[name] = lv
	}
	lose := func() {
		vg := n.State.VolumeGroups["vg0"]
		vg.MissingPVs = 1
		n.State.VolumeGroups["vg0"] = vg
	}
	BeforeEach(func() {
		n = Converged()
		lose()
	})

	It("is not written to, because LVM would refuse what is missing when it comes back", func() {
		change("thick", func(lv *observe.LogicalVolume) { lv.Tags = lv.Tags[:1] })
		change("tnightly", func(lv *observe.LogicalVolume) { lv.Tags = lv.Tags[:1] })
		v := n.Declared.Volumes["data"]
		v.Spec.Size *= 2
		n.Declared.Volumes["data"] = v
		n.Declared.Volumes["new"] = spec.Volume{Metadata: Meta("new"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "new"}}
		n.Declared.Snapshots["new"] = spec.Snapshot{Metadata: Meta("new"), Spec: spec.SnapshotSpec{Volume: "thick"}}
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, spec.ID{Kind: spec.KindPool, Name: "slow"})).To(BeIn(status.Failed, status.ReasonDeviceMissing))
		Expect(ObjectOf(p, VolumeID("new"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		Expect(ObjectOf(p, spec.ID{Kind: spec.KindSnapshot, Name: "new"})).To(BeIn(status.Blocked, status.ReasonNotReady))
	})
	It("keeps what no file names any more", func() {
		delete(n.Declared.Snapshots, "tnightly")
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, spec.ID{Kind: spec.KindSnapshot, Name: "tnightly"})).To(BeIn(status.Failed, status.ReasonDeviceMissing))
	})
	It("activates what lies elsewhere, and nothing else", func() {
		change("thick", func(lv *observe.LogicalVolume) { lv.Active = false })
		Expect(ChangesIn(n.Plan())).To(Equal([]string{"activate vg0/thick"}))
		change("thick", func(lv *observe.LogicalVolume) { lv.Health = observe.HealthPartial })
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Failed, status.ReasonDeviceMissing))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotReady))
	})
	It("says of an active volume that lies there that it does, and goes on exporting it", func() {
		change("thick", func(lv *observe.LogicalVolume) { lv.Health = observe.HealthPartial })
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Failed, status.ReasonDeviceMissing))
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
})

var _ = It("A full thin pool of somebody else's is not grown either", func() {
	n := Converged()
	lv := n.State.VolumeGroups["vg0"].LogicalVolumes["pool0"]
	lv.Tags, lv.DataPercent = nil, 100
	n.State.VolumeGroups["vg0"].LogicalVolumes["pool0"] = lv
	n.Declared.Pools["fast"] = spec.Pool{Metadata: Meta("fast"), Spec: spec.PoolSpec{VolumeGroup: "vg0", ThinPool: &spec.ThinPool{Name: "pool0", Size: spec.SizeOrPercent{Percent: 90}}}}
	p := n.Plan()
	Expect(p.Steps).To(BeEmpty())
	Expect(ObjectOf(p, spec.ID{Kind: spec.KindPool, Name: "fast"})).To(BeIn(status.Failed, status.ReasonNoSpace))
})
