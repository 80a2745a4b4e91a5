package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// special lets somebody make another kind of Volume thick.
func special(n *Node, layout string) {
	n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Type, lv.Layout = observe.OtherLV, layout })
}

// rebooted is what the kernel holds after a reboot: nothing.
func rebooted(n *Node) {
	for name := range n.LVs("vg0") {
		n.Edit("vg0/"+name, func(lv *observe.LogicalVolume) { lv.Active, lv.Open = false, false })
	}
	n.State.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}, FC: map[string]observe.Target{}}
}

var _ = Describe("Make and a volume of a kind that the agent does not make", func() {
	kinds := func(body func(layout, words string)) {
		for layout, words := range map[string]string{
			"cache": "a cached volume", "writecache": "a volume with a writecache", "vdo,sparse": "a VDO volume",
			"quantum": "a volume of another type (quantum)", "": "not a plain volume",
		} {
			body(layout, words)
		}
	}
	edit := func(n *Node, f func(*spec.VolumeSpec)) {
		v := n.Declared.Volumes["thick"]
		f(&v.Spec)
		n.Declared.Volumes["thick"] = v
	}
	served := func(n *Node) {
		GinkgoHelper()
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(2))
		Expect(n.LVs("vg0")["thick"].Active).To(BeTrue())
	}

	It("serves it as it is, and says what it is", func() {
		kinds(func(layout, words string) {
			n := Movable()
			special(n, layout)
			p := n.Plan()
			Expect(p.Steps).To(BeEmpty())
			Expect(ObjectOf(p, VolumeID("thick"))).To(And(BeIn(status.Ready, status.ReasonAsDesired), HaveField("Message", ContainSubstring(words))))
			Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		})
	})
	It("activates and exports it after a reboot", func() {
		kinds(func(layout, _ string) {
			n := Movable()
			special(n, layout)
			rebooted(n)
			Expect(ChangesIn(n.Plan())).To(ContainElement("activate vg0/thick"))
			n.Settle()
			served(n)
			Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		})
	})
	It("takes it over if the spec says so", func() {
		kinds(func(layout, _ string) {
			n := Movable()
			n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "fromhand", Type: observe.OtherLV, Layout: layout, Size: 64 * MiB, Active: true})
			v := spec.Volume{Metadata: Meta("fromhand"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "fromhand"}}
			n.Declared.Volumes["fromhand"] = v
			Expect(ObjectOf(n.Plan(), VolumeID("fromhand"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
			v.Spec.Adopt = true
			n.Declared.Volumes["fromhand"] = v
			n.Settle()
			Expect(ObjectOf(n.Plan(), VolumeID("fromhand"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		})
	})
	DescribeTable("refuses what it could not do with each of them, and serves it meanwhile", func(_ string, ask func(*Node) spec.ID) {
		kinds(func(layout, words string) {
			n := Movable()
			special(n, layout)
			id := ask(n)
			p := n.Plan()
			Expect(p.Steps).To(BeEmpty(), layout)
			Expect(ObjectOf(p, id)).To(And(BeIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", And(ContainSubstring("vg0/thick"), ContainSubstring(words)))), layout)
			rebooted(n)
			for range 6 {
				n.Pass(-1)
			}
			served(n)
		})
	},
		Entry(nil, "to grow", func(n *Node) spec.ID {
			edit(n, func(v *spec.VolumeSpec) { v.Size *= 2 })
			return VolumeID("thick")
		}),
		Entry(nil, "to move", func(n *Node) spec.ID {
			n.MoveTo("thick", "far")
			return VolumeID("thick")
		}),
		Entry(nil, "to move into a thin pool", func(n *Node) spec.ID {
			n.MoveTo("thick", "fast")
			return VolumeID("thick")
		}),
		Entry(nil, "to be put back", func(n *Node) spec.ID {
			n.DeclareRevert("thick", "snap", "1")
			return VolumeID("thick")
		}),
		Entry(nil, "to have a snapshot", func(n *Node) spec.ID {
			n.Declared.Snapshots = map[string]spec.Snapshot{"snap": {Metadata: Meta("snap"), Spec: spec.SnapshotSpec{Volume: "thick", Size: 16 * MiB}}}
			return spec.ID{Kind: spec.KindSnapshot, Name: "snap"}
		}),
		Entry(nil, "to be written to an image", func(n *Node) spec.ID {
			n.DeclareImage(spec.ImageSpec{Volume: "thick"})
			return spec.ID{Kind: spec.KindImage, Name: "golden"}
		}),
	)
	It("makes no copy of it", func() {
		n := Movable()
		special(n, "cache")
		n.Declared.Volumes["copy"] = spec.Volume{Metadata: Meta("copy"), Spec: spec.VolumeSpec{Pool: "slow", Size: 104 * MiB, LVName: "copy", Source: &spec.VolumeSource{Volume: "thick"}}}
		n.Pass(-1)
		Expect(ObjectOf(n.Plan(), VolumeID("copy"))).To(And(BeIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring("a cached volume"))))
	})
	It("is not larger than the spec without a word", func() {
		n := Movable()
		special(n, "cache")
		edit(n, func(v *spec.VolumeSpec) { v.Size /= 2 })
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonShrinkRefused))
	})
	DescribeTable("does not remove it, whatever the Pool says, but says how to", func(trash spec.Duration, wipe spec.Clear) {
		kinds(func(layout, words string) {
			n := Movable()
			n.Declared.Exports = nil
			pool := n.Declared.Pools["slow"]
			pool.Spec.Trash, pool.Spec.Clear = &trash, wipe
			n.Declared.Pools["slow"] = pool
			n.Settle()
			special(n, layout)
			delete(n.Declared.Volumes, "thick")
			Expect(n.Plan().Steps).To(BeEmpty(), layout)
			Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(And(BeIn(status.Blocked, status.ReasonUnsupported), HaveField("Message",
				And(ContainSubstring("lvremove vg0/thick"), ContainSubstring(words)))), layout)
		})
	},
		Entry(nil, spec.Duration(0), spec.ClearZero), Entry(nil, spec.Duration(0), spec.ClearNone), Entry(nil, spec.DefaultTrash, spec.ClearNone),
	)
	It("takes no pool of LVM's for a volume", func() {
		n := Movable()
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "fromhand", Type: observe.OtherLV, Layout: "cache,pool", Size: 64 * MiB})
		n.Declared.Volumes["fromhand"] = spec.Volume{Metadata: Meta("fromhand"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "fromhand", Adopt: true}}
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("fromhand"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
	})
	It("leaves alone what nobody declared", func() {
		n := Movable()
		for name, layout := range map[string]string{"a": "cache", "b": "cache,pool", "c": "vdo,pool", "d": "quantum"} {
			n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: name, Type: observe.OtherLV, Layout: layout, Size: 64 * MiB})
		}
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "e", Type: observe.Thick, Layout: "raid,raid1", Size: 64 * MiB})
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "f", Type: observe.Thin, Pool: "pool0", Origin: "data", Size: 64 * MiB})
		Expect(n.Plan().Steps).To(BeEmpty())
		for _, o := range n.Plan().Objects {
			Expect(o.Phase).To(Equal(status.Ready), o.Message)
		}
	})
})

var _ = Describe("Make and a volume whose data is on several devices", func() {
	with := func(layout string, stripes int) *Node {
		n := Movable()
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Layout, lv.Stripes = layout, stripes })
		return n
	}
	lose := func(n *Node) {
		n.LosePVs(1)
		rebooted(n)
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Health = observe.HealthPartial })
	}
	DescribeTable("serves it without one of them, as LVM does", func(layout string) {
		n := with(layout, 0)
		lose(n)
		n.Pass(-1)
		n.Pass(-1)
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(n.LVs("vg0")["thick"].Active).To(BeTrue())
		Expect(ObjectOf(p, VolumeID("thick"))).To(And(BeIn(status.Ready, status.ReasonAsDesired), HaveField("Message", ContainSubstring("with a missing part"))))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	}, Entry(nil, "raid,raid1"), Entry(nil, "raid,raid5,raid5_ls"), Entry(nil, "raid,raid6,raid6_zr"), Entry(nil, "raid,raid10"))
	DescribeTable("leaves down what LVM would", func(layout string) {
		n := with(layout, 0)
		lose(n)
		n.Pass(-1)
		Expect(n.LVs("vg0")["thick"].Active).To(BeFalse())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Failed, status.ReasonDeviceMissing))
	}, Entry(nil, "raid,raid0"), Entry(nil, "mirror"), Entry(nil, "striped"), Entry(nil, ""))
	DescribeTable("does not give up a copy of the data by a move", func(layout, pool string) {
		n := with(layout, 0)
		n.MoveTo("thick", pool)
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("thick"))).To(And(BeIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring("only once"))))
		// Of raid5 LVM makes a linear one only by way of others, and warns that it may destroy data.
		advice := Not(ContainSubstring("--type linear"))
		if layout == "raid,raid1" || layout == "mirror" {
			advice = ContainSubstring("lvconvert --type linear vg0/thick")
		}
		Expect(ObjectOf(p, VolumeID("thick")).Message).To(advice)
	}, Entry(nil, "raid,raid1", "far"), Entry(nil, "raid,raid5,raid5_ls", "far"), Entry(nil, "raid,raid10", "fast"), Entry(nil, "mirror", "far"))
	It("moves one that is striped, and says that it is not afterwards", func() {
		n := with("striped", 2)
		n.MoveTo("thick", "far")
		Expect(n.Plan().Steps).To(ContainElement(HaveField("Why", ContainSubstring("not striped"))))
	})
	It("says what LVM says of it", func() {
		n := with("raid,raid1", 0)
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Health = "refresh needed" })
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(And(BeIn(status.Ready, status.ReasonAsDesired), HaveField("Message", ContainSubstring("refresh needed"))))
	})
})

var _ = DescribeTable("Make says of a volume that is served", func(with func(*observe.LogicalVolume), words string) {
	n := Movable()
	n.Declared.Exports = nil
	n.Settle()
	n.Edit("vg0/thick", with)
	Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(HaveField("Message", ContainSubstring(words)))
},
	Entry(nil, func(lv *observe.LogicalVolume) { lv.SkipActivation = true }, "lvchange -kn vg0/thick"),
	Entry(nil, func(lv *observe.LogicalVolume) { lv.ReadOnly = true }, "lvchange -prw vg0/thick"),
)
