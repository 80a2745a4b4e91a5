package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
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

var _ = Describe("Make and a volume with a source", func() {
	var n *Node
	copyID := VolumeID("copy")
	lv := func() observe.LogicalVolume { return n.LVs("vg0")["copy"] }
	BeforeEach(func() { n = Converged() })

	DescribeTable("converges, through passes that each may be the last one before a crash",
		func(pool string, source spec.VolumeSource, want ...[]string) {
			n.DeclareCopy(pool, 200*MiB, source)
			n.Declared.Exports["copies"] = spec.Export{Metadata: Meta("copies"), Spec: spec.ExportSpec{
				Protocol: spec.ProtocolISCSI, Target: IQN + "-copies", Portals: []string{"0.0.0.0:3260"},
				LUNs: []spec.LUN{{Volume: "copy", Number: Ptr(0)}},
			}}
			var passes [][]string
			for range 6 {
				p := n.Plan()
				var mine []string
				for _, s := range p.Steps {
					if s.Object == copyID {
						mine = append(mine, change.Name(s.Change))
					}
				}
				if lv().Phase() == ondisk.Populating {
					Expect(n.State.LIO.ISCSI[IQN+"-copies"].LUNs).To(BeEmpty())
					Expect(ObjectOf(p, ExportID("copies"))).To(BeIn(status.Blocked, status.ReasonNotReady))
				}
				if len(mine) > 0 {
					passes = append(passes, mine)
				}
				n.Apply(p)
				n.Remember()
			}
			Expect(passes).To(Equal(want))
			Expect(lv().Phase()).To(BeEmpty())
			Expect(lv().Size).To(BeEquivalentTo(200 * MiB))
			Expect(lv().Tags).To(ContainElement(ondisk.TagSource + source.Tag()))
			Expect(n.LVs("vg0")).To(HaveLen(6), "nothing else is left")
			Expect(n.State.LIO.ISCSI[IQN+"-copies"].LUNs).To(HaveLen(1))
			Expect(ObjectOf(n.Plan(), copyID)).To(BeIn(status.Ready, status.ReasonAsDesired))
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
			n.DeclareCopy("slow", 60*MiB, source)
			Expect(n.Plan().Steps).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), copyID)).To(BeIn(status.Blocked, status.ReasonShrinkRefused))
		}
	})
	It("waits for a source that is not complete itself", func() {
		n.DeclareCopy("slow", 200*MiB, fromImage)
		n.Declared.Volumes["again"] = spec.Volume{Metadata: Meta("again"), Spec: spec.VolumeSpec{
			Pool: "slow", Size: 200 * MiB, LVName: "again", Source: &spec.VolumeSource{Volume: "copy"}}}
		n.Apply(n.Plan())
		Expect(ObjectOf(n.Plan(), VolumeID("again"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveKey("again"))
	})
	It("says that a source is gone which no volume was made from yet, and nothing after that", func() {
		n.DeclareCopy("fast", 200*MiB, spec.VolumeSource{Volume: "other"})
		Expect(ObjectOf(n.Plan(), copyID)).To(BeIn(status.Blocked, status.ReasonNotReady))
		n.DeclareCopy("fast", 200*MiB, fromNightly)
		n.Converge()
		delete(n.Declared.Snapshots, "nightly")
		delete(n.Declared.Exports, "db")
		n.Converge()
		Expect(n.LVs("vg0")).NotTo(HaveKey("nightly"))
		Expect(ObjectOf(n.Plan(), copyID)).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
	It("goes on from a checkpoint of the same source, and only of that", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		made := n.LVs("vg0")["volreconciler-source-copy"]
		n.Edit("vg0/copy", func(lv *observe.LogicalVolume) {
			lv.Tags = append(lv.Tags, ondisk.CheckpointTag(made.UUID, 64*MiB))
		})
		Expect(n.Plan().Steps[0].Change).To(HaveField("Done", spec.Size(64*MiB)))
		delete(n.LVs("vg0"), made.Name)
		Expect(kinds(n.Plan())).To(Equal([]string{"CreateSnapshot"}))
		n.Apply(n.Plan())
		Expect(n.Plan().Steps[0].Change).To(HaveField("Done", spec.Size(0)))
	})
	It("begins anew from another snapshot when the one it copies from overflows", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		n.Edit("vg0/volreconciler-source-copy", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		Expect(kinds(n.Plan())).To(Equal([]string{"RemoveLV"}))
		n.Converge()
		Expect(lv().Phase()).To(BeEmpty())
	})
	It("neither uses nor fills a volume whose mark somebody took away while it was filled", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		n.Edit("vg0/copy", func(lv *observe.LogicalVolume) {
			lv.Tags = append(WithoutPhase(lv.Tags), ondisk.CheckpointTag("x", 1))
		})
		Expect(lv().Phase()).To(Equal(ondisk.Populating))
		Expect(kinds(n.Plan())).To(Equal([]string{"Populate"}))
	})
	It("stops when the source is changed meanwhile, and says what it is filled from", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		n.DeclareCopy("slow", 200*MiB, fromTNightly)
		Expect(kinds(n.Plan())).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), copyID)).To(BeIn(status.Blocked, status.ReasonImmutableField))
		Expect(ObjectOf(n.Plan(), copyID).Message).To(ContainSubstring("volume:thick"))
	})
	It("refuses another source afterwards, and goes on serving the volume", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Converge()
		n.DeclareCopy("slow", 200*MiB, fromTNightly)
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), copyID)).To(BeIn(status.Blocked, status.ReasonImmutableField))
		n.Declared.Volumes["copy"] = func() spec.Volume { v := n.Declared.Volumes["copy"]; v.Spec.Source = nil; return v }()
		Expect(ObjectOf(n.Plan(), copyID)).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
	It("removes what it copies from, and the half copy, when the object goes away", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		n.Remember()
		delete(n.Declared.Volumes, "copy")
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(5))
	})
	It("keeps the snapshot it copies from while anything cannot be read", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		delete(n.Declared.Volumes, "copy")
		n.State.UnknownGroups = execute.ErrNeeds
		Expect(n.Plan().Steps).NotTo(ContainElement(HaveField("Change", HaveField("Name", "volreconciler-source-copy"))))
	})
	It("leaves a suspended volume half filled", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		n.Suspend("copy")
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), copyID)).To(BeIn(status.Suspended, status.ReasonSuspended))
	})
	It("is not exported half filled while its file has an error", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Declared.Exports["copies"] = spec.Export{Metadata: Meta("copies"), Spec: spec.ExportSpec{
			Protocol: spec.ProtocolISCSI, Target: IQN + "-copies", Portals: []string{"0.0.0.0:3260"},
			LUNs: []spec.LUN{{Volume: "copy", Number: Ptr(0)}},
		}}
		n.Apply(n.Plan())
		n.InvalidateVolume(copyID)
		for range 3 {
			n.Apply(n.Plan())
			Expect(lv().Phase()).To(Equal(ondisk.Populating))
		}
		Expect(n.State.LIO.ISCSI[IQN+"-copies"].LUNs).To(BeEmpty())
	})
	It("is never filled from what was made to copy another volume", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		// The snapshot was made, the volume was not: its source can still be changed.
		delete(n.LVs("vg0"), "copy")
		n.DeclareCopy("slow", 200*MiB, fromData)
		for range 4 {
			p := n.Plan()
			for _, s := range p.Steps {
				if fill, ok := s.Change.(change.Populate); ok {
					Expect(n.LVs("vg0")[fill.Volume.Name].Origin).To(Equal("data"))
				}
			}
			n.Apply(p)
		}
		n.Converge()
		Expect(lv().Phase()).To(BeEmpty())
		Expect(n.LVs("vg0")).To(HaveLen(6))
	})
	It("is never filled from what was made to copy a volume that is gone since", func() {
		n.DeclareCopy("slow", 200*MiB, fromData)
		n.Apply(n.Plan())
		n.Edit("vg0/volreconciler-source-copy", func(lv *observe.LogicalVolume) { lv.Origin = "" })
		delete(n.LVs("vg0"), "copy")
		n.DeclareCopy("slow", 200*MiB, fromThick)
		for range 4 {
			p := n.Plan()
			for _, s := range p.Steps {
				if fill, ok := s.Change.(change.Populate); ok {
					Expect(n.LVs("vg0")[fill.Volume.Name].Origin).To(Equal("thick"))
				}
			}
			n.Apply(p)
		}
		Expect(lv().Phase()).To(BeEmpty())
	})
	It("waits while something else has the name of the snapshot to copy from", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Apply(n.Plan())
		n.Edit("vg0/volreconciler-source-copy", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		p := n.Plan()
		Expect(ChangesIn(p)).NotTo(ContainElement(ContainSubstring("create thick snapshot")))
		Expect(ObjectOf(p, copyID)).To(BeIn(status.Blocked, status.ReasonNotOwned))
		Expect(ObjectOf(p, copyID).Message).To(ContainSubstring("vg0/volreconciler-source-copy"))
	})
})
