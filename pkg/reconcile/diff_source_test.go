package reconcile

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// kinds returns the names of a plan's changes.
func kinds(p Plan) []string {
	var names []string
	for _, s := range p.Steps {
		names = append(names, change.Name(s.Change))
	}
	return names
}

var (
	fromData     = spec.VolumeSource{Volume: "data"}
	fromThick    = spec.VolumeSource{Volume: "thick"}
	fromNightly  = spec.VolumeSource{Snapshot: "nightly"}
	fromTNightly = spec.VolumeSource{Snapshot: "tnightly"}
	fromImage    = spec.VolumeSource{Image: &spec.ImageSource{Path: "/srv/debian.qcow2", Format: spec.FormatQCOW2}}
)

var _ = Describe("Diff and a volume with a source", func() {
	var n *node
	copyID := volumeID("copy")
	lv := func() observe.LogicalVolume { return n.lvs("vg0")["copy"] }
	BeforeEach(func() { n = converged() })

	DescribeTable("converges, through passes that each may be the last one before a crash",
		func(pool string, source spec.VolumeSource, want ...[]string) {
			n.desireCopy(pool, 200*mib, source)
			n.desired.Exports["copies"] = spec.Export{Metadata: meta("copies"), Spec: spec.ExportSpec{
				Protocol: spec.ProtocolISCSI, Target: iqn + "-copies", Portals: []string{"0.0.0.0:3260"},
				LUNs: []spec.LUN{{Volume: "copy", Number: ptr(0)}},
			}}
			var passes [][]string
			for range 6 {
				p := n.plan()
				var mine []string
				for _, s := range p.Steps {
					if s.Object == copyID {
						mine = append(mine, change.Name(s.Change))
					}
				}
				if lv().Phase() == ondisk.Populating {
					Expect(n.state.LIO.ISCSI[iqn+"-copies"].LUNs).To(BeEmpty())
					Expect(objectOf(p, exportID("copies"))).To(beIn(Blocked, ReasonNotReady))
				}
				if len(mine) > 0 {
					passes = append(passes, mine)
				}
				n.apply(p)
				n.remember()
			}
			Expect(passes).To(Equal(want))
			Expect(lv().Phase()).To(BeEmpty())
			Expect(lv().Size).To(BeEquivalentTo(200 * mib))
			Expect(lv().Tags).To(ContainElement(ondisk.TagSource + source.Tag()))
			Expect(n.lvs("vg0")).To(HaveLen(6), "nothing else is left")
			Expect(n.state.LIO.ISCSI[iqn+"-copies"].LUNs).To(HaveLen(1))
			Expect(objectOf(n.plan(), copyID)).To(beIn(Ready, ReasonAsDesired))
		},
		Entry("thin in its thin pool", "fast", fromData, []string{"CloneVolume", "GrowVolume", "CreateBackstore"}),
		Entry("thin from a snapshot", "fast", fromNightly, []string{"CloneVolume", "GrowVolume", "CreateBackstore"}),
		Entry("thin to thick", "slow", fromData,
			[]string{"CreateVolume", "CreateSnapshot"}, []string{"Populate"}, []string{"CreateBackstore", "RemoveLV"}),
		Entry("thick to thick", "slow", fromThick,
			[]string{"CreateVolume", "CreateSnapshot"}, []string{"Populate"}, []string{"CreateBackstore", "RemoveLV"}),
		Entry("thick to thin", "fast", fromThick,
			[]string{"CreateVolume", "CreateSnapshot"}, []string{"Populate"}, []string{"CreateBackstore", "RemoveLV"}),
		Entry("a thick snapshot", "slow", fromTNightly, []string{"CreateVolume"}, []string{"Populate"}, []string{"CreateBackstore"}),
		Entry("an image", "slow", fromImage, []string{"CreateVolume"}, []string{"Populate"}, []string{"CreateBackstore"}),
	)
	It("refuses a volume that is smaller than its source, before anything is made", func() {
		for _, source := range []spec.VolumeSource{fromData, fromTNightly} {
			n.desireCopy("slow", 60*mib, source)
			Expect(n.plan().Steps).To(BeEmpty())
			Expect(objectOf(n.plan(), copyID)).To(beIn(Blocked, ReasonShrinkRefused))
		}
	})
	It("waits for a source that is not complete itself", func() {
		n.desireCopy("slow", 200*mib, fromImage)
		n.desired.Volumes["again"] = spec.Volume{Metadata: meta("again"), Spec: spec.VolumeSpec{
			Pool: "slow", Size: 200 * mib, LVName: "again", Source: &spec.VolumeSource{Volume: "copy"}}}
		n.apply(n.plan())
		Expect(objectOf(n.plan(), volumeID("again"))).To(beIn(Blocked, ReasonNotReady))
		n.converge()
		Expect(n.lvs("vg0")).To(HaveKey("again"))
	})
	It("says that a source is gone which no volume was made from yet, and nothing after that", func() {
		n.desireCopy("fast", 200*mib, spec.VolumeSource{Volume: "other"})
		Expect(objectOf(n.plan(), copyID)).To(beIn(Blocked, ReasonNotReady))
		n.desireCopy("fast", 200*mib, fromNightly)
		n.converge()
		delete(n.desired.Snapshots, "nightly")
		delete(n.desired.Exports, "db")
		n.converge()
		Expect(n.lvs("vg0")).NotTo(HaveKey("nightly"))
		Expect(objectOf(n.plan(), copyID)).To(beIn(Ready, ReasonAsDesired))
	})
	It("goes on from a checkpoint of the same source, and only of that", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.apply(n.plan())
		made := n.lvs("vg0")["volreconciler-source-copy"]
		n.edit("vg0/copy", func(lv *observe.LogicalVolume) {
			lv.Tags = append(lv.Tags, ondisk.CheckpointTag(made.UUID, 64*mib))
		})
		Expect(n.plan().Steps[0].Change).To(HaveField("Done", spec.Size(64*mib)))
		delete(n.lvs("vg0"), made.Name)
		Expect(kinds(n.plan())).To(Equal([]string{"CreateSnapshot"}))
		n.apply(n.plan())
		Expect(n.plan().Steps[0].Change).To(HaveField("Done", spec.Size(0)))
	})
	It("begins anew from another snapshot when the one it copies from overflows", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.apply(n.plan())
		n.edit("vg0/volreconciler-source-copy", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		Expect(kinds(n.plan())).To(Equal([]string{"RemoveLV"}))
		n.converge()
		Expect(lv().Phase()).To(BeEmpty())
	})
	It("neither uses nor fills a volume whose mark somebody took away while it was filled", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.apply(n.plan())
		n.edit("vg0/copy", func(lv *observe.LogicalVolume) {
			lv.Tags = append(withoutPhase(lv.Tags), ondisk.CheckpointTag("x", 1))
		})
		Expect(lv().Phase()).To(Equal(ondisk.Populating))
		Expect(kinds(n.plan())).To(Equal([]string{"Populate"}))
	})
	It("stops when the source is changed meanwhile, and says what it is filled from", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.apply(n.plan())
		n.desireCopy("slow", 200*mib, fromTNightly)
		Expect(kinds(n.plan())).To(BeEmpty())
		Expect(objectOf(n.plan(), copyID)).To(beIn(Blocked, ReasonImmutableField))
		Expect(objectOf(n.plan(), copyID).Message).To(ContainSubstring("volume:thick"))
	})
	It("refuses another source afterwards, and goes on serving the volume", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.converge()
		n.desireCopy("slow", 200*mib, fromTNightly)
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), copyID)).To(beIn(Blocked, ReasonImmutableField))
		n.desired.Volumes["copy"] = func() spec.Volume { v := n.desired.Volumes["copy"]; v.Spec.Source = nil; return v }()
		Expect(objectOf(n.plan(), copyID)).To(beIn(Ready, ReasonAsDesired))
	})
	It("removes what it copies from, and the half copy, when the object goes away", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.apply(n.plan())
		delete(n.desired.Volumes, "copy")
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(5))
	})
	It("keeps the snapshot it copies from while anything cannot be read", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.apply(n.plan())
		delete(n.desired.Volumes, "copy")
		n.state.UnknownGroups = ErrNeeds
		Expect(n.plan().Steps).NotTo(ContainElement(HaveField("Change", HaveField("Name", "volreconciler-source-copy"))))
	})
	It("leaves a suspended volume half filled", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.apply(n.plan())
		n.suspend("copy")
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), copyID)).To(beIn(Suspended, ReasonSuspended))
	})
	It("is not exported half filled while its file has an error", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.desired.Exports["copies"] = spec.Export{Metadata: meta("copies"), Spec: spec.ExportSpec{
			Protocol: spec.ProtocolISCSI, Target: iqn + "-copies", Portals: []string{"0.0.0.0:3260"},
			LUNs: []spec.LUN{{Volume: "copy", Number: ptr(0)}},
		}}
		n.apply(n.plan())
		n.invalidate(copyID)
		for range 3 {
			n.apply(n.plan())
			Expect(lv().Phase()).To(Equal(ondisk.Populating))
		}
		Expect(n.state.LIO.ISCSI[iqn+"-copies"].LUNs).To(BeEmpty())
	})
	It("is never filled from what was made to copy another volume", func() {
		n.desireCopy("slow", 200*mib, fromThick)
		n.apply(n.plan())
		// The snapshot was made, the volume was not: its source can still be changed.
		delete(n.lvs("vg0"), "copy")
		n.desireCopy("slow", 200*mib, fromData)
		for range 4 {
			p := n.plan()
			for _, s := range p.Steps {
				if fill, ok := s.Change.(change.Populate); ok {
					Expect(n.lvs("vg0")[fill.Volume.Name].Origin).To(Equal("data"))
				}
			}
			n.apply(p)
		}
		n.converge()
		Expect(lv().Phase()).To(BeEmpty())
		Expect(n.lvs("vg0")).To(HaveLen(6))
	})
	It("is never filled from what was made to copy a volume that is gone since", func() {
		n.desireCopy("slow", 200*mib, fromData)
		n.apply(n.plan())
		n.edit("vg0/volreconciler-source-copy", func(lv *observe.LogicalVolume) { lv.Origin = "" })
		delete(n.lvs("vg0"), "copy")
		n.desireCopy("slow", 200*mib, fromThick)
		for range 4 {
			p := n.plan()
			for _, s := range p.Steps {
				if fill, ok := s.Change.(change.Populate); ok {
					Expect(n.lvs("vg0")[fill.Volume.Name].Origin).To(Equal("thick"))
				}
			}
			n.apply(p)
		}
		Expect(lv().Phase()).To(BeEmpty())
	})
})
