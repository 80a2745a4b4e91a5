package lio

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

var _ = Describe("a backstore that exists", func() {
	want := observe.Backstore{
		HBA: ondisk.HBA, Name: "volreconciler:volume:db",
		Enabled: true, BlockDevice: "dm-3", Device: "/dev/vg0/db", Serial: "1234",
	}

	DescribeTable("is the one that is wanted",
		func(differ func(*observe.Backstore)) {
			have := want
			differ(&have)
			Expect(checkBound(have, want)).To(Succeed())
		},
		Entry("if all is the same", func(*observe.Backstore) {}),
		Entry("if only unmap differs", func(b *observe.Backstore) { b.Unmap = true }),
		Entry("if its logical volume was renamed", func(b *observe.Backstore) { b.Device = "/dev/vg0/old" }),
	)

	DescribeTable("is another one",
		func(differ func(*observe.Backstore)) {
			have := want
			differ(&have)
			Expect(checkBound(have, want)).To(MatchError(change.ErrStale))
		},
		Entry("on another device", func(b *observe.Backstore) { b.BlockDevice = "dm-4" }),
		Entry("with another serial", func(b *observe.Backstore) { b.Serial = "5678" }),
		Entry("if it is read-only", func(b *observe.Backstore) { b.ReadOnly = true }),
	)

	DescribeTable("is not made of a device that somebody began to use since it was planned", func(ctx SpecContext, use func(*fakehost.Node), who string) {
		h := machine()
		create := change.CreateBackstore{Backstore: change.Backstore{HBA: want.HBA, Name: want.Name}, Device: "/dev/vg0/v1"}
		Expect(h.Edit(use)).To(Succeed())
		Expect(New(h).Apply(ctx, create)).To(And(MatchError(change.ErrInUse), MatchError(ContainSubstring(who))))
		Expect(observed(ctx, h).LIO.Backstores).To(BeEmpty())
		Expect(h.Edit(func(n *fakehost.Node) { n.Mounts, n.Processes = nil, nil })).To(Succeed())
		apply(ctx, h, create)
		Expect(h.Edit(use)).To(Succeed())
		apply(ctx, h, create) // what is served goes on being served
	},
		Entry("a process", func(n *fakehost.Node) { n.Processes = []fakehost.Process{{PID: 7, Command: "qemu", LV: "vg0/v1"}} }, "open by qemu (process 7)"),
		Entry("a mount elsewhere", func(n *fakehost.Node) {
			n.Processes = []fakehost.Process{{PID: 7, Command: "runc", LV: "vg0/v1", Mounted: "/data"}}
		}, "mounted on /data in the mount namespace of runc (process 7)"),
	)

	DescribeTable("lets discards through as the kernel's initiators can send them", func(ctx SpecContext, atomicWrites bool) {
		h := machine(func(n *fakehost.Node) { n.AtomicWrites = atomicWrites })
		backstore := change.Backstore{HBA: want.HBA, Name: want.Name}
		is := func(unmap, bySame bool) {
			GinkgoHelper()
			have := observed(ctx, h).LIO.Backstores[backstore.Path()]
			Expect(have).To(And(HaveField("Unmap", unmap), HaveField("UnmapBySame", bySame)))
			Expect(have.UnmapIs(unmap)).To(BeTrue())
			Expect(have.UnmapIs(!unmap)).To(BeFalse())
		}
		apply(ctx, h, change.CreateBackstore{Backstore: backstore, Device: "/dev/vg0/v1", Unmap: true})
		is(true, atomicWrites)
		apply(ctx, h, change.SetUnmap{Backstore: backstore})
		is(false, false)
		apply(ctx, h, change.SetUnmap{Backstore: backstore, Unmap: true})
		is(true, atomicWrites)

		// Whatever somebody set by hand.
		tpws := observe.BackstoreAttributeFile(backstore.HBA, backstore.Name, "emulate_tpws")
		Expect(h.WriteFile(tpws, []byte(flag(!atomicWrites)))).To(Succeed())
		apply(ctx, h, change.SetUnmap{Backstore: backstore, Unmap: true})
		is(true, atomicWrites)
	},
		Entry("by UNMAP", false),
		Entry("by WRITE SAME where the kernel hides the limits of UNMAP", true),
	)

	It("has the serial of its identity, which need not be its logical volume's own UUID", func(ctx SpecContext) {
		const first = "MgKyJa-8gzQ-lUek-5xem-jYFo-JLBc-OE6weK"
		h := machine()
		moved := change.CreateBackstore{Backstore: change.Backstore{HBA: want.HBA, Name: want.Name}, Device: "/dev/vg0/v1", Identity: first}
		apply(ctx, h, moved)
		Expect(observed(ctx, h).LIO.Backstores[want.Path()]).To(HaveField("Serial", ondisk.UnitSerial(first)))
		moved.Identity = ""
		Expect(New(h).Apply(ctx, moved)).To(MatchError(change.ErrStale))
	})
})
