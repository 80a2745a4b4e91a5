package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and a thin pool that is larger than its Pool asks for", func() {
	fast := spec.ID{Kind: spec.KindPool, Name: "fast"}
	It("leaves it, and says so", func() {
		n := Converged()
		n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.Size += 400 * MiB })
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, fast)).To(And(BeIn(status.Ready, status.ReasonAsDesired), HaveField("Message", And(
			ContainSubstring("more than"), ContainSubstring("it was extended")))))
	})
	It("goes on creating in it", func() {
		n := Converged()
		n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.Size += 400 * MiB })
		n.Declared.Volumes["new"] = spec.Volume{Metadata: Meta("new"), Spec: spec.VolumeSpec{Pool: "fast", Size: MiB, LVName: "new"}}
		Expect(kinds(n.Plan())).To(Equal([]string{"CreateVolume"}))
	})
	It("refuses nothing when the spec was made smaller, because a pool is no promise to anybody", func() {
		n := Converged()
		size := spec.SizeOrPercent{Bytes: 4 * MiB}
		n.Declared.Pools["fast"] = spec.Pool{Metadata: Meta("fast"), Spec: spec.PoolSpec{VolumeGroup: "vg0", ThinPool: &spec.ThinPool{Name: "pool0", Size: size}}}
		Expect(ObjectOf(n.Plan(), fast)).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
})

var _ = Describe("Make and a thin pool of which nothing is active", func() {
	fast := spec.ID{Kind: spec.KindPool, Name: "fast"}
	var n *Node
	BeforeEach(func() {
		n = Converged()
		for name, lv := range n.LVs("vg0") {
			if lv.Type == observe.Thin || lv.Type == observe.ThinPool {
				n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) {
					lv.Active, lv.Open, lv.DataPercent, lv.MetadataPercent = false, false, 0, 0
				})
			}
		}
	})

	It("shows no fullness, activates it with what is in it, and then knows", func() {
		p := n.Plan()
		Expect(ObjectOf(p, fast)).To(HaveField("Phase", status.Progressing))
		Expect(ObjectOf(p, fast).Pool).To(And(HaveField("UsageUnknown", true), HaveField("Free", uint64(0))))
		Expect(ChangesIn(p)).To(ContainElements("activate vg0/pool0", "activate vg0/data"))
		n.Settle()
		Expect(ObjectOf(n.Plan(), fast)).To(And(BeIn(status.Ready, status.ReasonAsDesired), HaveField("Pool.UsageUnknown", false)))
		Expect(ObjectOf(n.Plan(), fast).Pool.Free).NotTo(BeZero())
	})
	It("creates in it only when it is active", func() {
		n.Declared.Volumes["new"] = spec.Volume{Metadata: Meta("new"), Spec: spec.VolumeSpec{Pool: "fast", Size: MiB, LVName: "new"}}
		p := n.Plan()
		var active StepID
		for _, s := range p.Steps {
			switch c := s.Change.(type) {
			case change.Activate:
				if c.Name == "pool0" {
					active = s.ID
				}
			case change.CreateVolume:
				Expect(s.Needs).To(ContainElement(active))
			}
		}
		Expect(active).NotTo(BeZero())
		Expect(kinds(p)).To(ContainElement("CreateVolume"))
	})
	It("has failed if it cannot be activated: all in it is as it was, and nothing new is planned there", func() {
		n.Input.BackingOff = map[spec.ID]bool{fast: true}
		v := n.Declared.Volumes["data"]
		v.Spec.Size *= 2
		n.Declared.Volumes["data"] = v
		n.Declared.Volumes["new"] = spec.Volume{Metadata: Meta("new"), Spec: spec.VolumeSpec{Pool: "fast", Size: MiB, LVName: "new"}}
		n.Declared.Volumes["copy"] = spec.Volume{Metadata: Meta("copy"), Spec: spec.VolumeSpec{Pool: "fast", Size: v.Spec.Size, LVName: "copy", Source: &spec.VolumeSource{Volume: "data"}}}
		n.Declared.Snapshots["new"] = spec.Snapshot{Metadata: Meta("new"), Spec: spec.SnapshotSpec{Volume: "data"}}
		p := n.Plan()
		Expect(ObjectOf(p, fast)).To(And(BeIn(status.Failed, status.ReasonPoolDamaged), HaveField("Message", ContainSubstring("cannot be activated")), HaveField("Pool.UsageUnknown", true)))
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Failed, status.ReasonPoolDamaged))
		Expect(ObjectOf(p, VolumeID("new"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		for _, s := range p.Steps {
			Expect(s.Change).NotTo(Or(BeAssignableToTypeOf(change.CreateVolume{}), BeAssignableToTypeOf(change.CloneVolume{}),
				BeAssignableToTypeOf(change.GrowVolume{}), BeAssignableToTypeOf(change.GrowThinPool{}), BeAssignableToTypeOf(change.CreateSnapshot{})), s.Change.String())
		}
		Expect(ChangesIn(p)).To(ContainElement("activate vg0/pool0"), "it is tried again when its time has come")
	})
	It("is left alone if it is suspended", func() {
		pool := n.Declared.Pools["fast"]
		pool.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
		n.Declared.Pools["fast"] = pool
		Expect(ChangesIn(n.Plan())).NotTo(ContainElement("activate vg0/pool0"))
	})
	It("takes no volume from another Pool before it is known how full it is", func() {
		n = Movable()
		n.Edit("vg1/pool1", func(lv *observe.LogicalVolume) { lv.Active = false })
		n.MoveTo("thick", "farthin")
		Expect(kinds(n.Plan())).NotTo(ContainElement("CreateVolume"))
	})
})

var _ = It("A thin pool whose metadata the kernel wants to have checked is damaged", func() {
	n := Converged()
	n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.CheckNeeded = true })
	Expect(ObjectOf(n.Plan(), spec.ID{Kind: spec.KindPool, Name: "fast"})).To(BeIn(status.Failed, status.ReasonPoolDamaged))
	Expect(n.Plan().Steps).To(BeEmpty())
})

func roundUp(n, unit uint64) uint64 { return (n + unit - 1) / unit * unit }

var _ = Describe("Make and a volume whose size LVM rounds", func() {
	var n *Node
	striped := func(stripes int, layout string) {
		n = Movable()
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.Layout, lv.Stripes = layout, stripes
			lv.Size = roundUp(lv.Size, uint64(max(stripes, 1))*4*MiB)
		})
	}
	ask := func(size spec.Size) {
		v := n.Declared.Volumes["thick"]
		v.Spec.Size = size
		n.Declared.Volumes["thick"] = v
	}
	DescribeTable("takes what LVM makes of it", func(stripes int, layout string, asked, made spec.Size) {
		striped(stripes, layout)
		ask(asked)
		n.Settle()
		Expect(n.LVs("vg0")["thick"].Size).To(Equal(uint64(made)))
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))

		By("and refuses less than that")
		ask(made - spec.Size(max(stripes, 1))*4*MiB)
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonShrinkRefused))
	},
		Entry("of two stripes", 2, "striped", spec.Size(132*MiB), spec.Size(136*MiB)),
		Entry("that is no multiple of an extent", 2, "striped", spec.Size(129*MiB), spec.Size(136*MiB)),
		Entry("of raid5", 3, "raid,raid5,raid5_ls", spec.Size(133*MiB), spec.Size(144*MiB)),
		Entry("of raid10", 2, "raid,raid10", spec.Size(132*MiB), spec.Size(136*MiB)),
		Entry("of raid1, whose legs are all alike", 0, "raid,raid1", spec.Size(132*MiB), spec.Size(132*MiB)),
		Entry("of a mirror", 0, "mirror", spec.Size(129*MiB), spec.Size(132*MiB)),
	)

	It("also of a copy of one", func() {
		striped(2, "striped")
		ask(132 * MiB)
		n.Settle()
		for _, pool := range []string{"slow", "fast", "far"} {
			n.Declared.Volumes["copy-"+pool] = spec.Volume{Metadata: Meta("copy-" + pool), Spec: spec.VolumeSpec{Pool: pool, Size: 132 * MiB, LVName: "copy-" + pool, Source: &spec.VolumeSource{Volume: "thick"}}}
		}
		n.Declared.Volumes["small"] = spec.Volume{Metadata: Meta("small"), Spec: spec.VolumeSpec{Pool: "slow", Size: 100 * MiB, LVName: "small", Source: &spec.VolumeSource{Volume: "thick"}}}
		n.Settle()
		for _, pool := range []string{"slow", "fast", "far"} {
			Expect(ObjectOf(n.Plan(), VolumeID("copy-"+pool))).To(BeIn(status.Ready, status.ReasonAsDesired), pool)
		}
		Expect(n.LVs("vg0")["copy-slow"].Size).To(Equal(uint64(136 * MiB)))
		Expect(ObjectOf(n.Plan(), VolumeID("small"))).To(BeIn(status.Blocked, status.ReasonShrinkRefused))
	})
	It("also where it moved to from where it was rounded", func() {
		n = Movable()
		v := n.Declared.Volumes["thick"]
		v.Spec.Size = 100 * MiB // 128 in vg1
		n.Declared.Volumes["thick"] = v
		n.Settle()
		n.MoveTo("thick", "far")
		n.Settle()
		Expect(n.LVs("vg1")["thick"].Size).To(Equal(uint64(128 * MiB)))
		n.MoveTo("thick", "slow")
		n.Settle()
		Expect(n.LVs("vg0")["thick"].Size).To(Equal(uint64(128 * MiB)))
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		v = n.Declared.Volumes["thick"]
		v.Spec.Size = 96 * MiB
		n.Declared.Volumes["thick"] = v
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonShrinkRefused))
	})
})
