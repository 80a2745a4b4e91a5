package plan_test

import (
	"errors"
	"slices"

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

var _ = Describe("Make and a Volume that moves to another Pool", func() {
	var n *Node
	BeforeEach(func() { n = Movable() })

	DescribeTable("copies, makes initiators wait for a moment, and removes the old one last",
		func(volume, pool, place string) {
			before := counting(n, volume)[0]
			serial := ondisk.UnitSerial(before.Identity())
			n.MoveTo(volume, pool)
			var passes [][]string
			for range 12 {
				p := n.Plan()
				if p.Empty() {
					break
				}
				passes = append(passes, kinds(p))
				// Every step may be the last one before a crash.
				for _, s := range p.Steps {
					n.Change(s.Change)
					Expect(counting(n, volume)).To(HaveLen(1), "after %s", s.Change)
					Expect(counting(n, volume)[0].Identity()).To(Equal(before.UUID))
				}
				n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
			}
			now := counting(n, volume)[0]
			Expect(now.FullName()).To(Equal(place))
			Expect(now.UUID).NotTo(Equal(before.UUID))
			Expect(now.Phase()).To(BeEmpty())
			Expect(n.LVsOfVolume(volume)).To(Equal([]string{place}), "%v", passes)
			b := n.State.LIO.Backstores[n.BackstorePath(ondisk.BackstoreName(VolumeID(volume)))]
			Expect(b.Serial).To(Equal(serial))
			Expect(n.State.LIO.ISCSI[IQN].Enabled).To(BeTrue())
			Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(2))
			for _, o := range n.Plan().Objects {
				Expect(o.Phase).To(Equal(status.Ready), "%s: %s", o.ID(), o.Message)
			}
			AddReportEntry("passes", passes)
		},
		Entry("thin to thick", "data", "slow", "vg0/data"),
		Entry("thick to thin", "thick", "fast", "vg0/thick"),
		Entry("thick to thick in another volume group", "thick", "far", "vg1/thick"),
		Entry("thin to thin in another volume group", "data", "farthin", "vg1/data"),
		Entry("thick to thin in another volume group", "thick", "farthin", "vg1/thick"),
	)

	// until applies plans, one after the other, until one has a step of a kind.
	until := func(kind string) Plan {
		GinkgoHelper()
		for range 10 {
			p := n.Plan()
			if slices.Contains(kinds(p), kind) {
				return p
			}
			n.Apply(p)
		}
		Fail("no plan has a " + kind)
		return Plan{}
	}
	It("keeps a target closed that an agent closed which died before the last step was done", func() {
		n.MoveTo("thick", "fast")
		for _, s := range until("Cutover").Steps {
			if _, last := s.Change.(change.Cutover); !last {
				n.Change(s.Change)
			}
		}
		Expect(n.State.LIO.ISCSI[IQN]).To(And(HaveField("Enabled", false), HaveField("LUNs", HaveLen(1))))
		Expect(kinds(n.Plan())).To(Equal([]string{"Cutover"}))
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN]).To(And(HaveField("Enabled", true), HaveField("LUNs", HaveLen(2))))
	})

	thick := VolumeID("thick")
	staged := func() observe.LogicalVolume { return n.LVs("vg0")["volreconciler-moved-thick"] }
	synced := func(of string, bytes uint64) {
		n.Edit(staged().FullName(), func(lv *observe.LogicalVolume) {
			lv.Tags = append(slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return slices.Contains(lv.TagsWith(ondisk.TagSynced), t) }),
				ondisk.SyncedTag(n.LVs("vg0")[of].UUID, bytes))
		})
	}

	It("goes on serving reads and writes until everything is copied but what changed last", func() {
		n.LogIn()
		n.MoveTo("thick", "fast")
		for range 3 {
			p := n.Plan()
			Expect(kinds(p)).NotTo(ContainElement(BeElementOf("RemoveLUN", "DisableTarget", "RemoveBackstore")))
			Expect(ObjectOf(p, thick)).To(BeIn(status.Progressing, status.ReasonConverging))
			Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
			n.Apply(p)
		}
		p := n.Plan()
		Expect(kinds(p)).To(Equal([]string{"DisableTarget", "RemoveLUN", "RemoveBackstore", "Cutover"}))
		Expect(p.Steps[0]).To(And(HaveField("Danger", Disruptive), HaveField("Affects", ConsistOf(Initiator))))
		Expect(p.Steps[3].Needs).To(HaveLen(2))
		for _, s := range p.Steps {
			Expect(s.Object).To(Equal(thick))
		}
	})
	It("copies what changed in rounds, always from the newer snapshot, until little did", func() {
		n.MoveTo("thick", "fast")
		n.Apply(until("Stage"))
		a, b := "volreconciler-move-a-thick", "volreconciler-move-b-thick"
		synced(a, AnotherRound+1)
		Expect(kinds(n.Plan())).To(Equal([]string{"CreateSnapshot"}))
		n.Apply(n.Plan())
		round := n.Plan()
		Expect(round.Steps).To(HaveExactElements(HaveField("Change", And(
			HaveField("From.Name", b), HaveField("Since.UUID", n.LVs("vg0")[a].UUID)))))
		n.Apply(round)
		Expect(kinds(n.Plan())).To(Equal([]string{"RemoveLV"}), "nobody waits for that")
		Expect(n.Plan().Steps[0].Change).To(HaveField("Name", a), "the older one, which is never copied again")
		synced(b, AnotherRound+1)
		n.Apply(n.Plan())
		Expect(n.Plan().Steps).To(HaveExactElements(HaveField("Change.Since.Name", b)))
		n.Converge()
		n.Converge()
		Expect(n.LVsOfVolume("thick")).To(Equal([]string{"vg0/thick"}))
	})
	It("copies all of it again when a snapshot overflowed or is gone", func() {
		n.MoveTo("thick", "fast")
		n.Apply(until("Stage"))
		n.Edit("vg0/volreconciler-move-a-thick", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		p := n.Plan()
		Expect(kinds(p)).To(Equal([]string{"RemoveLV", "CreateSnapshot"}))
		n.Apply(p)
		Expect(n.Plan().Steps).To(HaveExactElements(HaveField("Change.Since.UUID", "")))
	})
	It("leaves the old one as it was when the Pool is put back", func() {
		before := n.Copy()
		n.MoveTo("thick", "fast")
		until("Cutover")
		n.MoveTo("thick", "slow")
		n.Converge()
		Expect(n.State).To(Equal(before))
	})
	It("names what took over before it removes what was replaced, when the Pool is put back then", func() {
		n.MoveTo("thick", "fast")
		n.Apply(until("Cutover"))
		n.MoveTo("thick", "slow")
		for range 12 {
			n.Apply(n.Plan())
		}
		Expect(n.LVsOfVolume("thick")).To(Equal([]string{"vg0/thick"}))
		Expect(counting(n, "thick")[0].Type).To(Equal(observe.Thick))
	})
	It("gives up what it began in another Pool", func() {
		n.MoveTo("thick", "fast")
		until("Cutover")
		n.MoveTo("thick", "far")
		n.Converge()
		n.Converge()
		Expect(n.LVsOfVolume("thick")).To(Equal([]string{"vg1/thick"}))
	})
	It("exports the old one again when the last step failed, and lets nobody wait before the next attempt", func() {
		n.MoveTo("thick", "fast")
		p := until("Cutover")
		for _, s := range p.Steps[:len(p.Steps)-1] {
			n.Change(s.Change)
		}
		n.Input.BackingOff = map[spec.ID]bool{thick: true}
		p = n.Plan()
		Expect(kinds(p)).To(And(ContainElements("Cutover", "CreateBackstore", "AddLUN", "EnableTarget"), Not(ContainElement("DisableTarget"))))
		for _, s := range p.Steps {
			if s.Object != thick || s.AtOnce {
				n.Change(s.Change)
			}
		}
		Expect(kinds(n.Plan())).To(Equal([]string{"Cutover"}))
	})
	It("puts nothing in the place of a logical volume that is gone while it moves", func() {
		n.MoveTo("thick", "fast")
		until("Cutover")
		for _, known := range []map[spec.ID]Identity{n.Input.Known, nil} {
			n.Input.Known = known
			delete(n.LVs("vg0"), "thick")
			p := n.Plan()
			Expect(kinds(p)).NotTo(ContainElement(BeElementOf("CreateVolume", "RemoveLV", "StartClearing")))
			Expect(ObjectOf(p, thick)).To(BeIn(status.Blocked, status.ReasonVanished))
			Expect(ObjectOf(p, thick).Message).To(ContainSubstring("--deltag"))
		}
	})
	It("keeps the old one when the one in its place is gone", func() {
		n.MoveTo("thick", "fast")
		n.Apply(until("Cutover"))
		delete(n.LVs("vg0"), "volreconciler-moved-thick")
		p := n.Plan()
		Expect(kinds(p)).NotTo(ContainElement(BeElementOf("CreateVolume", "RemoveLV", "StartClearing", "AddLUN")))
		Expect(ObjectOf(p, thick)).To(BeIn(status.Blocked, status.ReasonVanished))
	})
	It("removes all of it, one after the other, when no file names it any more", func() {
		for _, kind := range []string{"Stage", "Cutover", "Rename"} {
			n = Movable()
			n.MoveTo("thick", "fast")
			until(kind)
			n.Declared.Volumes = map[string]spec.Volume{"data": n.Declared.Volumes["data"]}
			n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] })
			n.Converge()
			n.Converge()
			Expect(n.LVsOfVolume("thick")).To(BeEmpty(), kind)
		}
	})
	It("is not begun, or not ended, where somebody stands in the way, and says who", func() {
		for _, c := range []struct {
			edit   func()
			reason string
		}{
			{func() { n.Suspend("thick") }, status.ReasonSuspended},
			{func() {
				n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
			}, status.ReasonInUse},
			{func() { n.Declared.Complete = false }, status.ReasonIncompleteInput},
			{func() {
				e := n.Declared.Exports["db"]
				e.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
				n.Declared.Exports["db"] = e
			}, status.ReasonInUse},
			{func() {
				n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "theirs", Type: observe.ThickSnapshot, Origin: "thick", Size: 104 * MiB, COWSize: 8 * MiB})
			}, status.ReasonSnapshotsExist},
		} {
			n = Movable()
			n.MoveTo("thick", "fast")
			until("Cutover")
			c.edit()
			p := n.Plan()
			Expect(kinds(p)).NotTo(ContainElement(BeElementOf("Cutover", "DisableTarget", "RemoveLUN")), c.reason)
			Expect(ObjectOf(p, thick).Reason).To(Equal(c.reason), ObjectOf(p, thick).Message)
			Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(2))
		}
	})
	It("exports the old one again when the last step failed half-way, though more is to be copied now", func() {
		n.MoveTo("thick", "fast")
		p := until("Cutover")
		for _, s := range p.Steps[:len(p.Steps)-1] {
			n.Change(s.Change)
		}
		synced("volreconciler-move-a-thick", AnotherRound+1)
		n.Input.BackingOff = map[spec.ID]bool{thick: true}
		for _, s := range n.Plan().Steps {
			switch s.Change.(type) {
			case change.CreateBackstore:
				Expect(s.AtOnce).To(BeTrue())
			case change.CreateSnapshot:
				Expect(s.AtOnce).To(BeFalse())
			}
		}
		Expect(kinds(n.Plan())).To(ContainElements("CreateSnapshot", "CreateBackstore", "AddLUN"))
	})
	It("serves a Volume at once that failed on its way, and does nothing else of it at once", func() {
		n.MoveTo("thick", "fast")
		n.Apply(until("Cutover"))
		n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		v := n.Declared.Volumes["thick"]
		v.Spec.Size, v.Spec.DeletionPolicy = 200*MiB, spec.Retain
		n.Declared.Volumes["thick"] = v
		n.Edit("vg0/volreconciler-moved-thick", func(lv *observe.LogicalVolume) { lv.Active = false })
		n.Input.BackingOff = map[spec.ID]bool{thick: true}
		p := n.Plan()
		atOnce := map[string]bool{}
		for _, s := range p.Steps {
			if s.Object == thick {
				atOnce[change.Name(s.Change)] = s.AtOnce
			}
		}
		Expect(atOnce).To(Equal(map[string]bool{"Activate": true, "CreateBackstore": true, "GrowVolume": false, "SetTags": false}))
	})
	It("does not let go of the old one while its next name is that of one which is being cleared", func() {
		n.MoveTo("thick", "fast")
		until("Cutover")
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "volreconciler-old-thick", Type: observe.Thick, Size: 4 * MiB, Tags: append(ondisk.OwnerTags(thick), ondisk.PhaseTag(ondisk.Clearing))})
		Expect(kinds(n.Plan())).NotTo(ContainElement(BeElementOf("Cutover", "DisableTarget", "RemoveLUN")))
		Expect(ObjectOf(n.Plan(), thick)).To(BeIn(status.Blocked, status.ReasonNotReady))
	})
	It("interrupts no export that failed, and would not be back at once", func() {
		n.MoveTo("thick", "fast")
		until("Cutover")
		n.Input.BackingOff = map[spec.ID]bool{ExportID("db"): true}
		Expect(kinds(n.Plan())).NotTo(ContainElement(BeElementOf("Cutover", "DisableTarget", "RemoveLUN")))
		Expect(ObjectOf(n.Plan(), thick).Phase).To(Equal(status.Blocked))
	})
	It("makes nothing writable that was not", func() {
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.ReadOnly = true })
		n.MoveTo("thick", "fast")
		Expect(kinds(n.Plan())).NotTo(ContainElement("CreateVolume"))
		Expect(ObjectOf(n.Plan(), thick).Phase).To(Equal(status.Blocked))
	})
	It("changes nothing in a volume group of which physical volumes are missing", func() {
		n.MoveTo("thick", "far")
		until("Cutover")
		vg1 := n.State.VolumeGroups["vg1"]
		vg1.MissingPVs = 1
		n.State.VolumeGroups["vg1"] = vg1
		Expect(kinds(n.Plan())).NotTo(ContainElement(BeElementOf("Cutover", "DisableTarget", "Stage")))
		Expect(ObjectOf(n.Plan(), thick)).To(BeIn(status.Blocked, status.ReasonNotReady))
	})
	It("does not choose between two copies of the one that took over", func() {
		n.MoveTo("thick", "fast")
		n.Apply(until("Cutover"))
		clone := staged()
		clone.VolumeGroup = "vg00"
		n.State.VolumeGroups["vg00"] = observe.VolumeGroup{Name: "vg00", ExtentSize: 4 * MiB, LogicalVolumes: map[string]observe.LogicalVolume{clone.Name: clone}}
		p := n.Plan()
		Expect(kinds(p)).NotTo(ContainElement(BeElementOf("RemoveLV", "StartClearing", "AddLUN", "Rename")))
		Expect(ObjectOf(p, thick)).To(BeIn(status.Blocked, status.ReasonAmbiguous))
	})
	It("exports nothing, and gives nothing up, while a take-over goes on that no plan waits for any more", func() {
		for _, edit := range []func(){
			func() {},
			func() { n.MoveTo("thick", "slow") },
			func() { n.Suspend("thick") },
			func() { n.Declared.Volumes = map[string]spec.Volume{"data": n.Declared.Volumes["data"]} },
			func() {
				n.Declared.Volumes = map[string]spec.Volume{"data": n.Declared.Volumes["data"]}
				n.Declared.Invalid = map[spec.ID]error{thick: errors.New("x")}
				n.Declared.Complete = false
			},
		} {
			n = Movable()
			n.MoveTo("thick", "fast")
			p := until("Cutover")
			take := p.Steps[len(p.Steps)-1].Change
			for _, s := range p.Steps[:len(p.Steps)-1] {
				n.Change(s.Change)
			}
			n.Input.Busy = map[string]bool{take.Lane(): true}
			edit()
			Expect(n.Plan().Steps).To(BeEmpty())
			n.Input.Busy = nil
			n.Change(take)
			for range 12 {
				n.Apply(n.Plan())
			}
			Expect(len(counting(n, "thick"))).To(BeNumerically("<=", 1))
		}
	})
	It("does not fill a thin pool that others are in", func() {
		n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.DataPercent = 99.5 })
		n.MoveTo("thick", "fast")
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), thick)).To(BeIn(status.Failed, status.ReasonNoSpace))
		n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.DataPercent = 90 })
		Expect(kinds(n.Plan())).To(Equal([]string{"CreateVolume"}))
	})
	It("makes nobody wait when more was written since the last round than can be copied meanwhile", func() {
		n.MoveTo("thick", "fast")
		n.Apply(until("Stage"))
		n.Edit("vg0/volreconciler-move-a-thick", func(lv *observe.LogicalVolume) { lv.COWSize, lv.DataPercent = 1<<30, 50 })
		Expect(kinds(n.Plan())).To(Equal([]string{"CreateSnapshot"}))
	})
	It("opens a target again only with the LUN for which initiators wait", func() {
		for _, held := range []bool{false, true} {
			n = Movable()
			n.MoveTo("thick", "fast")
			p := until("Cutover")
			if held {
				p.Steps = p.Steps[:len(p.Steps)-1]
				n.Input.BackingOff = map[spec.ID]bool{thick: true}
			}
			n.Apply(p)
			p = n.Plan()
			var added []StepID
			for _, s := range p.Steps {
				switch s.Change.(type) {
				case change.AddLUN, change.MapLUN:
					added = append(added, s.ID)
				case change.EnableTarget:
					Expect(s.Needs).To(ContainElements(added))
				}
			}
			Expect(added).To(HaveLen(3))
			Expect(kinds(p)).To(ContainElement("EnableTarget"))
		}
	})
	It("leaves a target closed that a crash left without the LUN, until the one in its place is there", func() {
		n.MoveTo("thick", "fast")
		p := until("Cutover")
		p.Steps = p.Steps[:len(p.Steps)-1]
		n.Apply(p)
		p = n.Plan()
		Expect(kinds(p)).To(Equal([]string{"Cutover"}))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Progressing, status.ReasonConverging))
		n.Apply(p)
		Expect(kinds(n.Plan())).To(ContainElements("AddLUN", "EnableTarget"))
	})
	It("does not take a name that is somebody else's", func() {
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "thick2", Type: observe.Thick, Size: 4 * MiB})
		vg1 := n.State.VolumeGroups["vg1"]
		vg1.LogicalVolumes["thick"] = observe.LogicalVolume{VolumeGroup: "vg1", Name: "thick", UUID: "theirs", Type: observe.Thick, Size: 4 * MiB}
		n.MoveTo("thick", "far")
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), thick)).To(BeIn(status.Blocked, status.ReasonNotOwned))
	})
})

var _ = Describe("Make, a Volume that moves, and those who are logged in", func() {
	eachFabric("makes them wait where that is possible, and waits for them elsewhere", func(n *Node, o over) {
		n.Declared.Snapshots = nil
		n.Converge()
		n.Declared.Snapshots = nil
		n.Converge()
		n.MoveTo("thick", "fast")
		n.EditTargetOf(o.target, func(t *observe.Target) { t.Sessions, t.Unattributed = 1, []string{"somebody"} })
		for range 3 {
			n.Apply(n.Plan())
		}
		p := n.Plan()
		if !Pauses(o.target.Fabric) {
			Expect(kinds(p)).NotTo(ContainElement("Cutover"))
			Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
			n.EditTargetOf(o.target, func(t *observe.Target) { t.Sessions, t.Unattributed = 0, nil })
			p = n.Plan()
		} else {
			Expect(kinds(p)).To(ContainElement(BeElementOf("DisableTarget", "RemovePortal")))
		}
		Expect(kinds(p)).To(ContainElement("Cutover"))
		before := counting(n, "thick")[0]
		n.Apply(p)
		n.EditTargetOf(o.target, func(t *observe.Target) { t.Sessions, t.Unattributed = 0, nil })
		n.Converge()
		n.Converge()
		Expect(targetOf(n, o).LUNs).To(HaveLen(2))
		Expect(targetOf(n, o).Portals).To(HaveLen(len(o.portals)))
		Expect(counting(n, "thick")[0].Identity()).To(Equal(before.UUID))
		Expect(n.LVsOfVolume("thick")).To(Equal([]string{"vg0/thick"}))
	})
})

// counting returns the logical volumes that count as a Volume's, by their tags alone.
func counting(n *Node, volume string) []observe.LogicalVolume {
	return Current(n.State, VolumeID(volume))
}
