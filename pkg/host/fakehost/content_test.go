package fakehost_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

var _ = Describe("what is in logical volumes", func() {
	const mib = 1 << 20
	var h *fakehost.Host
	span := func(from, to uint64, text string) fakehost.Span { return fakehost.Span{From: from, To: to, Text: text} }
	run := func(ctx SpecContext, argv ...string) {
		GinkgoHelper()
		_, err := h.Run(ctx, argv...)
		Expect(err).NotTo(HaveOccurred())
	}

	BeforeEach(func(ctx SpecContext) {
		var err error
		h, err = fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 * mib, Extents: 100}}})
		Expect(err).NotTo(HaveOccurred())
		run(ctx, "lvcreate", "-y", "-L", "16m", "-n", "v", "vg0")
		Expect(h.Fill("vg0/v", 0, 16*mib, "secret")).To(Succeed())
	})

	It("is what was in the extents before, but for the start", func(ctx SpecContext) {
		run(ctx, "lvremove", "-y", "vg0/v")
		run(ctx, "lvcreate", "-y", "-L", "8m", "-n", "w", "vg0")
		Expect(h.Content("vg0/w")).To(Equal([]fakehost.Span{span(4096, 8*mib, "secret")}))
		run(ctx, "lvextend", "-y", "-L", "24m", "vg0/w")
		Expect(h.Content("vg0/w")).To(Equal([]fakehost.Span{span(4096, 16*mib, "secret")}))
	})

	It("is zeroes in a thin volume, and its origin's in a snapshot or a clone", func(ctx SpecContext) {
		run(ctx, "lvremove", "-y", "vg0/v")
		run(ctx, "lvcreate", "-y", "--type", "thin-pool", "-Zy", "-L", "64m", "-n", "p", "vg0")
		run(ctx, "lvcreate", "-y", "-V", "16m", "-T", "vg0/p", "-n", "t")
		Expect(h.Content("vg0/t")).To(BeEmpty())
		Expect(h.Fill("vg0/t", 0, 8*mib, "mine")).To(Succeed())
		run(ctx, "lvcreate", "-y", "-s", "-n", "s", "vg0/t")
		run(ctx, "lvcreate", "-y", "-s", "-kn", "-n", "c", "vg0/s")
		Expect(h.Fill("vg0/t", 4*mib, 8*mib, "changed")).To(Succeed())
		Expect(h.Content("vg0/s")).To(Equal([]fakehost.Span{span(0, 8*mib, "mine")}))
		Expect(h.Content("vg0/c")).To(Equal([]fakehost.Span{span(0, 8*mib, "mine")}))
		Expect(h.Content("vg0/t")).To(Equal([]fakehost.Span{span(0, 4*mib, "mine"), span(4*mib, 8*mib, "changed")}))
		Expect(h.ReadBlocks("/dev/vg0/c", 4*mib, 12*mib)).To(Equal([]fakehost.Span{span(4*mib, 8*mib, "mine")}))
	})

	It("stays in a copy-on-write snapshot, and in its space when that is split off", func(ctx SpecContext) {
		run(ctx, "lvcreate", "-y", "-s", "-L", "8m", "-n", "s", "--addtag", "x", "vg0/v")
		before := lvOf(h, "s")
		Expect(h.Fill("vg0/v", 0, 16*mib, "new")).To(Succeed())
		Expect(h.Content("vg0/s")).To(Equal([]fakehost.Span{span(0, 16*mib, "secret")}))
		run(ctx, "lvconvert", "-y", "--splitsnapshot", "vg0/s")
		after := lvOf(h, "s")
		Expect(after.Type).To(Equal("thick"))
		Expect(after.Size).To(BeEquivalentTo(8 * mib))
		Expect(after.UUID).To(Equal(before.UUID))
		Expect(after.Tags).To(Equal(before.Tags))
		Expect(h.Content("vg0/s")).To(Equal([]fakehost.Span{span(0, 8*mib, "what was in v")}))
		run(ctx, "lvremove", "-y", "vg0/v")
	})

	It("is kept in a node's file", func() {
		data, err := h.Node().Marshal()
		Expect(err).NotTo(HaveOccurred())
		n, err := fakehost.Parse(data)
		Expect(err).NotTo(HaveOccurred())
		again, err := fakehost.New(n)
		Expect(err).NotTo(HaveOccurred())
		Expect(again.Content("vg0/v")).To(Equal(h.Content("vg0/v")))
	})

	It("is not written while anybody holds the device", func(ctx SpecContext) {
		Expect(h.WriteBlocks("/dev/vg0/v", 0, mib, nil)).To(Succeed())
		Expect(h.Edit(func(n *fakehost.Node) { n.Mounts = []fakehost.Mount{{LV: "vg0/v", Dir: "/mnt"}} })).To(Succeed())
		Expect(h.WriteBlocks("/dev/vg0/v", 0, mib, nil)).To(MatchError(ContainSubstring("busy")))
		Expect(h.Edit(func(n *fakehost.Node) { n.Mounts = nil })).To(Succeed())
		run(ctx, "lvchange", "-an", "vg0/v")
		_, err := h.ReadBlocks("/dev/vg0/v", 0, mib)
		Expect(err).To(MatchError(ContainSubstring("no such file")))
	})
})

func lvOf(h *fakehost.Host, name string) fakehost.LogicalVolume {
	for _, lv := range h.Node().VolumeGroups[0].LogicalVolumes {
		if lv.Name == name {
			return lv
		}
	}
	return fakehost.LogicalVolume{}
}
