package fakehost_test

import (
	"syscall"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

var _ = Describe("what changed since a snapshot", func() {
	const mib = 1 << 20
	var (
		h      *fakehost.Host
		engine fakehost.Engine
	)
	run := func(ctx SpecContext, argv ...string) {
		GinkgoHelper()
		_, err := h.Run(ctx, argv...)
		Expect(err).NotTo(HaveOccurred())
	}
	BeforeEach(func(ctx SpecContext) {
		var err error
		h, err = fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 * mib, Extents: 100}}})
		Expect(err).NotTo(HaveOccurred())
		engine = fakehost.Engine{Devices: &fakehost.Tap{Host: h}}
		run(ctx, "lvcreate", "-y", "--type", "thin-pool", "-Zy", "-L", "64m", "-n", "p", "vg0")
		run(ctx, "lvcreate", "-y", "-V", "16m", "-T", "vg0/p", "-n", "thin")
		run(ctx, "lvcreate", "-y", "-L", "16m", "-n", "thick", "vg0")
		for _, v := range []string{"vg0/thin", "vg0/thick"} {
			Expect(h.Fill(v, 0, 8*mib, "first")).To(Succeed())
		}
		run(ctx, "lvcreate", "-y", "-s", "-n", "thin-s", "vg0/thin")
		run(ctx, "lvcreate", "-y", "-s", "-L", "16m", "-n", "thick-s", "vg0/thick")
		for _, v := range []string{"vg0/thin", "vg0/thick"} {
			Expect(h.Fill(v, mib+5, mib+6, "later")).To(Succeed())
			Expect(h.Fill(v, 6*mib, 10*mib, "later")).To(Succeed())
			Expect(h.Fill(v, 12*mib, 13*mib, "later")).To(Succeed())
			Expect(h.Fill(v, 12*mib, 13*mib, "")).To(Succeed())
		}
		Expect(h.Fill("vg0/thick", 12*mib, 13*mib, "old secrets")).To(Succeed())
	})

	It("is in whole chunks what differs, of a thin volume", func(ctx SpecContext) {
		Expect(engine.Changed(ctx, "vg0/thin-s", "vg0/thin")).To(Equal([]blockcopy.Extent{{Offset: mib, Length: 64 << 10}, {Offset: 6 * mib, Length: 4 * mib}}))
	})

	It("is what was written to, of a thick one, whatever it was", func(ctx SpecContext) {
		extents, err := engine.Changed(ctx, "vg0/thick-s", "vg0/thick")
		Expect(err).NotTo(HaveOccurred())
		Expect(blockcopy.Merge(extents, 16*mib, 1)).To(ContainElements(
			blockcopy.Extent{Offset: mib, Length: 64 << 10}, blockcopy.Extent{Offset: 6 * mib, Length: 4 * mib}, blockcopy.Extent{Offset: 12 * mib, Length: mib}))
	})

	It("is lost with a snapshot that overflowed", func(ctx SpecContext) {
		Expect(h.Edit(func(n *fakehost.Node) {
			lvs := n.VolumeGroups[0].LogicalVolumes
			lvs[len(lvs)-1].Invalid = true
		})).To(Succeed())
		_, err := engine.Changed(ctx, "vg0/thick-s", "vg0/thick")
		Expect(err).To(MatchError(syscall.EIO))
	})

	It("is not asked of what is not there", func(ctx SpecContext) {
		_, err := engine.Changed(ctx, "vg0/none", "vg0/thick")
		Expect(err).To(HaveOccurred())
	})

	It("does not change while a device is claimed", func() {
		release, err := engine.Claim("/dev/vg0/thick", "")
		Expect(err).NotTo(HaveOccurred())
		_, err = engine.Claim("/dev/vg0/thick", "")
		Expect(err).To(MatchError(syscall.EBUSY))
		Expect(h.WriteBlocks("/dev/vg0/thick", 0, mib, nil)).To(MatchError(syscall.EBUSY))
		release()
		Expect(h.WriteBlocks("/dev/vg0/thick", 0, mib, nil)).To(Succeed())
		_, err = engine.Claim("/dev/vg0/none", "")
		Expect(err).To(MatchError(syscall.ENOENT))
	})
})
