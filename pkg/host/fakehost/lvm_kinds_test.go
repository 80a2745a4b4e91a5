package fakehost_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	lvmactuator "github.com/volreconciler/volreconciler/pkg/actuators/lvm"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("logical volumes that are not plain", func() {
	var h *fakehost.Host
	BeforeEach(func() { h = machine() })
	at := func(ctx SpecContext, name string) observe.LogicalVolume {
		GinkgoHelper()
		s := observe.New(h).Observe(ctx)
		Expect(s.Err()).NotTo(HaveOccurred())
		return s.VolumeGroups["vg0"].LogicalVolumes[name]
	}
	edit := func(name string, f func(*fakehost.LogicalVolume)) {
		GinkgoHelper()
		Expect(h.Edit(func(n *fakehost.Node) { f(lv(n, name)) })).To(Succeed())
	}
	named := func(lv observe.LogicalVolume) change.LV {
		return change.LV{VolumeGroup: lv.VolumeGroup, Name: lv.Name, UUID: lv.UUID}
	}
	apply := func(ctx SpecContext, c change.Change) error { return lvmactuator.New(h, h).Apply(ctx, c) }

	It("grow by whole stripes", func(ctx SpecContext) {
		edit("thick", func(lv *fakehost.LogicalVolume) { lv.Layout, lv.Stripes = "striped", 2 })
		Expect(at(ctx, "thick")).To(And(HaveField("Type", observe.Thick), HaveField("Stripes", 2)))
		Expect(apply(ctx, change.GrowVolume{LV: named(at(ctx, "thick")), To: spec.Size(68 * mib)})).To(Succeed())
		Expect(at(ctx, "thick").Size).To(Equal(uint64(72 * mib)))
	})
	It("are activated while a device is missing, if the others hold the data", func(ctx SpecContext) {
		sh(h, "lvchange -an vg0/thick")
		Expect(h.Edit(func(n *fakehost.Node) { n.VolumeGroups[0].MissingPVs = 1 })).To(Succeed())
		edit("thick", func(lv *fakehost.LogicalVolume) { lv.Layout, lv.Stripes, lv.Health = "raid,raid0", 2, "partial" })
		Expect(apply(ctx, change.Activate{LV: named(at(ctx, "thick"))})).To(MatchError(ContainSubstring("partial LV")))
		edit("thick", func(lv *fakehost.LogicalVolume) { lv.Layout, lv.Stripes = "raid,raid1", 0 })
		Expect(at(ctx, "thick").Degraded()).To(BeTrue())
		Expect(apply(ctx, change.Activate{LV: named(at(ctx, "thick"))})).To(Succeed())
		Expect(at(ctx, "thick").Active).To(BeTrue())
	})
	It("are cached", func(ctx SpecContext) {
		edit("thick", func(lv *fakehost.LogicalVolume) { lv.Type, lv.Layout = "other", "cache" })
		Expect(at(ctx, "thick")).To(And(HaveField("Kind()", observe.KindCached), HaveField("IsServable()", true)))
		h.Reboot()
		Expect(at(ctx, "thick").Active).To(BeTrue())
	})
	It("are in a thin pool that cannot be activated", func(ctx SpecContext) {
		const says = "Check of pool vg0/pool failed (status:1). Manual repair required!"
		edit("pool", func(lv *fakehost.LogicalVolume) { lv.Damage = says })
		h.Reboot()
		Expect(at(ctx, "pool")).To(And(HaveField("Active", false), HaveField("MetadataPercent", 0.0)))
		Expect(at(ctx, "thin").Active).To(BeFalse())
		for _, c := range []change.Change{
			change.Activate{LV: named(at(ctx, "pool"))}, change.Activate{LV: named(at(ctx, "thin"))},
			change.CreateVolume{LV: change.LV{VolumeGroup: "vg0", Name: "v"}, ThinPool: "pool", Size: mib, Tags: []string{"volreconciler/kind=volume"}},
		} {
			Expect(apply(ctx, c)).To(MatchError(ContainSubstring(says)), c.String())
		}
	})
})
