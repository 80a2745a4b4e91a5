package plan_test

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// strip takes away what the agent wrote on a logical volume.
func strip(n *Node, lv string) {
	n.Edit(lv, func(lv *observe.LogicalVolume) { lv.Tags = nil })
}

var _ = Describe("Make and what tags do not say any more", func() {
	var n *Node
	BeforeEach(func() { n = Converged() })

	DescribeTable("puts nothing back a second time", func(volume, snapshot string) {
		requests := []string{"one", "two"}
		for _, request := range requests {
			n.DeclareRevert(volume, snapshot, request)
			n.Settle()
		}
		content := n.LVs("vg0")[volume].UUID
		for _, request := range requests {
			n.DeclareRevert(volume, snapshot, request)
			Expect(n.Pass(-1).Steps).To(BeEmpty(), request)
		}
		strip(n, "vg0/"+volume)
		for _, request := range requests {
			n.DeclareRevert(volume, snapshot, request)
			for range 4 {
				Expect(n.Pass(-1).Steps).NotTo(ContainElement(HaveField("Danger", Destructive)), request)
			}
			Expect(n.LVs("vg0")[volume].UUID).To(Equal(content))
		}
	}, Entry("thin", "data", "nightly"), Entry("thick", "thick", "tnightly"))

	DescribeTable("serves no half copy", func(spoil func(string)) {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Pass(-1)
		n.Pass(0) // which sees that it is being filled
		spoil("vg0/copy")
		for _, source := range []*spec.VolumeSource{&fromThick, nil} {
			v := n.Declared.Volumes["copy"]
			v.Spec.Source = source
			n.Declared.Volumes["copy"] = v
			n.EditExport(func(e *spec.ExportSpec) { e.LUNs = append(e.LUNs[:1:1], spec.LUN{Volume: "copy", Number: Ptr(9)}) })
			for range 4 {
				n.Pass(-1)
			}
			p := n.Pass(0)
			Expect(ObjectOf(p, VolumeID("copy"))).To(BeIn(status.Blocked, status.ReasonContradiction))
			Expect(n.State.LIO.ISCSI[IQN].LUNs).NotTo(HaveKey(9))
			Expect(n.LVs("vg0")).To(HaveKey("volreconciler-source-copy"), "what it would be filled from")
		}
		By("somebody knows that it is whole")
		n.Edit("vg0/copy", func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags, ondisk.TagFilled) })
		n.Settle()
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveKey(9))
	},
		Entry("without any tag", func(lv string) { strip(n, lv) }),
		Entry("without the tag of the phase", func(lv string) {
			n.Edit(lv, func(lv *observe.LogicalVolume) { lv.Tags = WithoutPhase(lv.Tags) })
		}),
	)

	It("does not fill again what was complete, when old metadata says so", func() {
		n.DeclareCopy("slow", 200*MiB, fromThick)
		n.Settle()
		n.Edit("vg0/copy", func(lv *observe.LogicalVolume) {
			lv.Tags = append(WithoutPhase(lv.Tags), ondisk.PhaseTag(ondisk.Populating))
		})
		for range 3 {
			Expect(n.Pass(-1).Steps).To(BeEmpty())
		}
		p := n.Pass(0)
		Expect(ObjectOf(p, VolumeID("copy"))).To(BeIn(status.Blocked, status.ReasonContradiction))
		n.Edit("vg0/copy", func(lv *observe.LogicalVolume) { lv.Tags = WithoutPhase(lv.Tags) })
		n.Settle()
		Expect(ObjectOf(n.Pass(0), VolumeID("copy"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
})

var _ = Describe("Make and what these files never named", func() {
	It("leaves a stranger's volumes and targets alone, whatever their tags say", func() {
		n := Converged()
		n.UndeclareAll()
		n.Input.Known = map[spec.ID]Identity{}
		for range 4 {
			Expect(n.Pass(-1).Steps).To(BeEmpty())
		}
		for _, id := range []spec.ID{VolumeID("data"), VolumeID("thick"), SnapshotID("nightly"), ExportID("db")} {
			Expect(ObjectOf(n.Pass(0), id)).To(BeIn(status.Orphaned, status.ReasonNotDeclared), id.String())
		}
		By("once named they are like all others")
		all := NewNode().Declared
		n.Declared.Volumes, n.Declared.Snapshots, n.Declared.Exports = all.Volumes, all.Snapshots, all.Exports
		n.Settle()
		n.UndeclareAll()
		n.Settle()
		Expect(n.State.LIO.ISCSI).To(BeEmpty())
		Expect(n.LVs("vg0")).To(HaveLen(1))
	})
	It("leaves a volume group alone that no Pool names", func() {
		n := Converged()
		n.UndeclareAll()
		n.Declared.Pools = map[string]spec.Pool{"other": {Metadata: Meta("other"), Spec: spec.PoolSpec{VolumeGroup: "vg1"}}}
		n.Settle()
		Expect(n.LVs("vg0")).To(HaveLen(5))
		for _, lv := range n.AllLVs() {
			Expect(lv.DeletedTags()).To(BeEmpty())
			Expect(lv.Active || lv.Type == observe.Thin || lv.Type == observe.ThinPool).To(BeTrue(), lv.Name)
		}
		Expect(ObjectOf(n.Pass(0), VolumeID("data"))).To(BeIn(status.Orphaned, status.ReasonNotDeclared))
	})
})

var _ = Describe("Make and a time in the trash", func() {
	It("is counted from when it was seen, if a wrong clock wrote the tag", func() {
		n := Converged()
		n.SetTrashPeriod(24 * time.Hour)
		n.Declared.Exports = nil
		n.Settle()
		delete(n.Declared.Volumes, "thick")
		delete(n.Declared.Snapshots, "tnightly")
		for _, lv := range []string{"vg0/thick", "vg0/tnightly"} {
			n.Edit(lv, func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags, ondisk.TagDeleted+"19700101T000300Z") })
		}
		began := n.Input.Now
		for n.Input.Now.Sub(began) < 23*time.Hour {
			n.Pass(-1)
			Expect(n.LVs("vg0")).To(HaveKey("thick"), "%s", n.Input.Now.Sub(began))
			n.Wait(time.Hour)
		}
		n.Wait(2 * time.Hour)
		n.Settle()
		Expect(n.LVs("vg0")).NotTo(HaveKey("thick"))
	})
})

var _ = Describe("Make and a snapshot to copy from that is all that is left", func() {
	DescribeTable("keeps it when no file names its object", func(of spec.ID, tags []string) {
		n := Converged()
		n.MarkDeclared(of)
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "left", Type: observe.Thin, Pool: "pool0", Size: 100 * MiB, Tags: tags})
		for range 4 {
			n.Pass(-1)
		}
		Expect(n.LVs("vg0")).To(HaveKey("left"))
		Expect(ObjectOf(n.Pass(0), of)).To(And(BeIn(status.Orphaned, status.ReasonRetained), HaveField("Message", ContainSubstring("vg0/left"))))
	},
		Entry("of a move", VolumeID("gone"), ondisk.MoveTags("gone")),
		Entry("of a copy", VolumeID("gone"), ondisk.SourceTags(VolumeID("gone"))),
	)
})

var _ = Describe("Make and a cutover that failed", func() {
	It("makes nobody wait for nothing again, until something else is asked for or nobody is logged in", func() {
		n := Converged()
		n.Declared.Snapshots = nil
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] })
		n.Settle()
		n.LogIn()
		n.MoveTo("data", "slow")
		cuts := HaveField("Change", BeAssignableToTypeOf(change.DisableTarget{}))
		var p Plan
		for range 6 {
			p = n.Pass(0)
			if due, _ := ContainElement(cuts).Match(p.Steps); due {
				break
			}
			n.Pass(-1)
		}
		Expect(p.Steps).To(ContainElement(cuts))
		n.Input.Known = NoteFailures(n.Input.Known, p, func(id StepID) bool { return p.Steps[id-1].Object == VolumeID("data") }, n.Declared)
		for range 3 {
			p = n.Pass(-1)
			Expect(p.Steps).NotTo(ContainElement(cuts))
		}
		Expect(ObjectOf(p, VolumeID("data"))).To(And(BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring("the last cutover failed"))))
		By("nobody is logged in")
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.Settle()
		Expect(n.LVs("vg0")["data"].Type).To(Equal(observe.Thick))
	})
})

var _ = Describe("Make and initiators whose sessions were ended", func() {
	var n *Node
	reboot := func() {
		n.State.BootID = "another"
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
	}
	BeforeEach(func() {
		n = Converged()
		n.LogIn()
		n.Pass(0)
	})

	It("keeps what they saw after a reboot, though the target was restored before the agent came", func() {
		reboot()
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}} })
		for range 4 {
			n.Pass(-1)
		}
		luns := n.State.LIO.ISCSI[IQN].LUNs
		Expect(luns[0].Backstore).To(HaveSuffix(":data"), "its number is not given away")
		Expect(luns[1].Backstore).To(HaveSuffix(":thick"))
		Expect(ObjectOf(n.Pass(0), ExportID("db")).Message).To(ContainSubstring(Initiator))
	})
	It("does it when they log out by themselves", func() {
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}} })
		n.Settle()
		Expect(n.State.LIO.ISCSI[IQN].LUNs[0].Backstore).To(HaveSuffix(":thick"))
	})
	DescribeTable("puts nothing back that they may go on writing to", func(volume, snapshot string) {
		reboot()
		n.DeclareRevert(volume, snapshot, "one")
		for range 3 {
			Expect(n.Pass(-1).Steps).NotTo(ContainElement(HaveField("Danger", Destructive)))
		}
		Expect(ObjectOf(n.Pass(0), VolumeID(volume))).To(And(BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring("not reconnected since"))))
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
		n.Pass(0)
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.Settle()
		Expect(n.LVs("vg0")[volume].Tags).To(ContainElement(ondisk.TagReverted + "one"))
	}, Entry("thin", "data", "nightly"), Entry("thick", "thick", "tnightly"))
	It("gives a number to nothing new while what was there is held under it", func() {
		reboot()
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Snapshot: "tnightly", Number: Ptr(0)}, {Volume: "data", Number: Ptr(1)}, {Volume: "thick", Number: Ptr(2)}}
		})
		for range 4 {
			n.Pass(-1)
		}
		luns := n.State.LIO.ISCSI[IQN].LUNs
		Expect(luns[0].Backstore).To(HaveSuffix(":data"))
		Expect(luns[1].Backstore).To(HaveSuffix(":thick"))
		for _, l := range luns {
			Expect(l.Backstore).NotTo(HaveSuffix(":tnightly"), "it waits for its number")
		}
	})
	It("gives a number away that Force freed, but not before the session has ended", func() {
		n.EditExport(func(e *spec.ExportSpec) {
			e.Disconnect = spec.DisconnectForce
			e.LUNs = []spec.LUN{{Snapshot: "tnightly", Number: Ptr(0)}, {Volume: "thick", Number: Ptr(1)}}
		})
		for range 4 {
			n.Pass(-1)
		}
		Expect(n.State.LIO.ISCSI[IQN].LUNs).NotTo(HaveKey(0), "while the session lives that saw another one there")
		n.EditTargetOf(observe.TargetID{Fabric: observe.ISCSI, Name: IQN}, func(t *observe.Target) { t.Enabled = false })
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.Settle()
		Expect(n.State.LIO.ISCSI[IQN].LUNs[0].Backstore).To(HaveSuffix(":tnightly"))
	})
	It("remembers what was just added, though the node went down before it was looked at", func() {
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = append(slices.Clone(e.LUNs), spec.LUN{Snapshot: "tnightly", Number: Ptr(5)})
		})
		n.Pass(-1)
		reboot()
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs[len(e.LUNs)-1].Number = Ptr(6) })
		for range 3 {
			n.Pass(-1)
		}
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveKey(5))
		Expect(n.State.LIO.ISCSI[IQN].LUNs).NotTo(HaveKey(6))
	})
})
