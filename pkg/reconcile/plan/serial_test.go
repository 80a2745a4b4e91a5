package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The serial of a Volume", func() {
	const serial = "SN-0123abc"
	declare := func(n *Node, name, serial string) {
		v := n.Declared.Volumes[name]
		v.Spec.Serial = serial
		n.Declared.Volumes[name] = v
	}
	shown := func(n *Node, lun int) string {
		return n.State.LIO.Backstores[n.State.LIO.ISCSI[IQN].LUNs[lun].Backstore].Serial
	}

	It("is that of its backstore, and remains when it moves", func() {
		n := NewNode()
		n.Declared.Snapshots = nil
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(1)}} })
		declare(n, "thick", serial)
		n.Converge()
		n.Remember()
		Expect(shown(n, 1)).To(Equal(serial))
		Expect(ObjectOf(n.Plan(), VolumeID("thick")).Volume).To(And(
			HaveField("Serial", serial), HaveField("WWN", "naa.6001405"+"0123abc000000000000000000")))
		v := n.Declared.Volumes["thick"]
		v.Spec.Pool = "fast"
		n.Declared.Volumes["thick"] = v
		n.Settle()
		Expect(n.LVs("vg0")["thick"].Pool).To(Equal("pool0"))
		Expect(n.LVs("vg0")["thick"].Serial()).To(Equal(serial))
		Expect(shown(n, 1)).To(Equal(serial))
	})

	It("cannot be changed, set or removed while it is exported", func() {
		n := Movable()
		before := shown(n, 1)
		declare(n, "thick", serial)
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonImmutableField))
		Expect(shown(n, 1)).To(Equal(before))

		declare(n, "thick", before) // which is the derived one
		Expect(ChangesIn(n.Plan())).To(ConsistOf(ContainSubstring("+" + ondisk.TagSerial + before)))
		n.Converge()
		declare(n, "thick", "")
		Expect(ChangesIn(n.Plan())).To(ConsistOf(ContainSubstring("-" + ondisk.TagSerial + before)))
		n.Converge()
		Expect(shown(n, 1)).To(Equal(before))
	})

	It("is changed once it is not exported, also for the backstore that was left", func() {
		n := Movable()
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] })
		n.Converge()
		declare(n, "thick", serial)
		n.Converge()
		Expect(n.LVs("vg0")["thick"].Serial()).To(Equal(serial))
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = append(e.LUNs, spec.LUN{Volume: "thick", Number: Ptr(1)}) })
		n.Converge()
		Expect(shown(n, 1)).To(Equal(serial))
	})

	It("waits for initiators that did not return yet", func() {
		n := Movable()
		n.LogIn()
		n.Pass(-1)
		rebooted(n)
		n.State.BootID = "another"
		n.Pass(0)
		declare(n, "thick", serial)
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonImmutableField))
	})

	DescribeTable("cannot be one that initiators take for another disk's",
		func(taken func(*Node) string) {
			n := Movable()
			n.Declared.Volumes["more"] = spec.Volume{Metadata: Meta("more"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "more"}}
			n.Converge()
			declare(n, "more", taken(n))
			p := n.Plan()
			Expect(p.Steps).To(BeEmpty())
			Expect(ObjectOf(p, VolumeID("more"))).To(BeIn(status.Blocked, status.ReasonInvalid))
		},
		Entry("that of a Volume, written in another way", func(n *Node) string { return "x" + n.LVs("vg0")["thick"].Serial() + "zz" }),
		Entry("that of somebody else's backstore", func(n *Node) string {
			n.State.LIO.Backstores["iblock_3/theirs"] = observe.Backstore{HBA: "iblock_3", Name: "theirs", Enabled: true, BlockDevice: "sdb", Serial: "abcdef-1"}
			return "ABCDEF1"
		}),
	)
})
