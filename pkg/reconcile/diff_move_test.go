package reconcile

import (
	"errors"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and a Volume that moves to another Pool", func() {
	var n *node
	BeforeEach(func() { n = movable() })

	DescribeTable("copies, makes initiators wait for a moment, and removes the old one last",
		func(volume, pool, place string) {
			before := counting(n, volume)[0]
			serial := ondisk.UnitSerial(before.Identity())
			n.moveTo(volume, pool)
			var passes [][]string
			for range 12 {
				p := n.plan()
				if p.Empty() {
					break
				}
				passes = append(passes, kinds(p))
				// Every step may be the last one before a crash.
				for _, s := range p.Steps {
					n.change(s.Change)
					Expect(counting(n, volume)).To(HaveLen(1), "after %s", s.Change)
					Expect(counting(n, volume)[0].Identity()).To(Equal(before.UUID))
				}
				n.input.Known = Learn(n.input.Known, n.desired, n.state)
			}
			now := counting(n, volume)[0]
			Expect(now.FullName()).To(Equal(place))
			Expect(now.UUID).NotTo(Equal(before.UUID))
			Expect(now.Phase()).To(BeEmpty())
			Expect(n.ofVolume(volume)).To(Equal([]string{place}), "%v", passes)
			b := n.state.LIO.Backstores[change.Backstore{HBA: ondisk.HBA, Name: ondisk.BackstoreName(volumeID(volume))}.Path()]
			Expect(b.Serial).To(Equal(serial))
			Expect(n.state.LIO.ISCSI[iqn].Enabled).To(BeTrue())
			Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(2))
			for _, o := range n.plan().Objects {
				Expect(o.Phase).To(Equal(Ready), "%s: %s", o.ID(), o.Message)
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
			p := n.plan()
			if slices.Contains(kinds(p), kind) {
				return p
			}
			n.apply(p)
		}
		Fail("no plan has a " + kind)
		return Plan{}
	}
	It("keeps a target closed that an agent closed which died before the last step was done", func() {
		n.moveTo("thick", "fast")
		for _, s := range until("TakeOver").Steps {
			if _, last := s.Change.(change.TakeOver); !last {
				n.change(s.Change)
			}
		}
		Expect(n.state.LIO.ISCSI[iqn]).To(And(HaveField("Enabled", false), HaveField("LUNs", HaveLen(1))))
		Expect(kinds(n.plan())).To(Equal([]string{"TakeOver"}))
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn]).To(And(HaveField("Enabled", true), HaveField("LUNs", HaveLen(2))))
	})

	thick := volumeID("thick")
	staged := func() observe.LogicalVolume { return n.lvs("vg0")["volreconciler-moved-thick"] }
	synced := func(of string, bytes uint64) {
		n.edit(staged().FullName(), func(lv *observe.LogicalVolume) {
			lv.Tags = append(slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return slices.Contains(lv.TagsWith(ondisk.TagSynced), t) }),
				ondisk.SyncedTag(n.lvs("vg0")[of].UUID, bytes))
		})
	}

	It("goes on serving reads and writes until everything is copied but what changed last", func() {
		n.logIn()
		n.moveTo("thick", "fast")
		for range 3 {
			p := n.plan()
			Expect(kinds(p)).NotTo(ContainElement(BeElementOf("RemoveLUN", "DisableTarget", "RemoveBackstore")))
			Expect(objectOf(p, thick)).To(beIn(Progressing, ReasonConverging))
			Expect(objectOf(p, exportID("db"))).To(beIn(Ready, ReasonAsDesired))
			n.apply(p)
		}
		p := n.plan()
		Expect(kinds(p)).To(Equal([]string{"DisableTarget", "RemoveLUN", "RemoveBackstore", "TakeOver"}))
		Expect(p.Steps[0]).To(And(HaveField("Danger", Disruptive), HaveField("Affects", ConsistOf(initiator))))
		Expect(p.Steps[3].Needs).To(HaveLen(2))
		for _, s := range p.Steps {
			Expect(s.Object).To(Equal(thick))
		}
	})
	It("copies what changed in rounds, always from the newer snapshot, until little did", func() {
		n.moveTo("thick", "fast")
		n.apply(until("Stage"))
		a, b := "volreconciler-move-a-thick", "volreconciler-move-b-thick"
		synced(a, AnotherRound+1)
		Expect(kinds(n.plan())).To(Equal([]string{"CreateSnapshot"}))
		n.apply(n.plan())
		round := n.plan()
		Expect(round.Steps).To(HaveExactElements(HaveField("Change", And(
			HaveField("From.Name", b), HaveField("Since.UUID", n.lvs("vg0")[a].UUID)))))
		n.apply(round)
		Expect(kinds(n.plan())).To(Equal([]string{"RemoveLV"}), "nobody waits for that")
		Expect(n.plan().Steps[0].Change).To(HaveField("Name", a), "the older one, which is never copied again")
		synced(b, AnotherRound+1)
		n.apply(n.plan())
		Expect(n.plan().Steps).To(HaveExactElements(HaveField("Change.Since.Name", b)))
		n.converge()
		n.converge()
		Expect(n.ofVolume("thick")).To(Equal([]string{"vg0/thick"}))
	})
	It("copies all of it again when a snapshot overflowed or is gone", func() {
		n.moveTo("thick", "fast")
		n.apply(until("Stage"))
		n.edit("vg0/volreconciler-move-a-thick", func(lv *observe.LogicalVolume) { lv.SnapshotInvalid = true })
		p := n.plan()
		Expect(kinds(p)).To(Equal([]string{"RemoveLV", "CreateSnapshot"}))
		n.apply(p)
		Expect(n.plan().Steps).To(HaveExactElements(HaveField("Change.Since.UUID", "")))
	})
	It("leaves the old one as it was when the Pool is put back", func() {
		before := n.copy()
		n.moveTo("thick", "fast")
		until("TakeOver")
		n.moveTo("thick", "slow")
		n.converge()
		Expect(n.state).To(Equal(before))
	})
	It("names what took over before it removes what was replaced, when the Pool is put back then", func() {
		n.moveTo("thick", "fast")
		n.apply(until("TakeOver"))
		n.moveTo("thick", "slow")
		for range 12 {
			n.apply(n.plan())
		}
		Expect(n.ofVolume("thick")).To(Equal([]string{"vg0/thick"}))
		Expect(counting(n, "thick")[0].Type).To(Equal(observe.Thick))
	})
	It("gives up what it began in another Pool", func() {
		n.moveTo("thick", "fast")
		until("TakeOver")
		n.moveTo("thick", "far")
		n.converge()
		n.converge()
		Expect(n.ofVolume("thick")).To(Equal([]string{"vg1/thick"}))
	})
	It("exports the old one again when the last step failed, and lets nobody wait before the next attempt", func() {
		n.moveTo("thick", "fast")
		p := until("TakeOver")
		for _, s := range p.Steps[:len(p.Steps)-1] {
			n.change(s.Change)
		}
		n.input.Held = map[spec.ID]bool{thick: true}
		p = n.plan()
		Expect(kinds(p)).To(And(ContainElements("TakeOver", "CreateBackstore", "AddLUN", "EnableTarget"), Not(ContainElement("DisableTarget"))))
		for _, s := range p.Steps {
			if s.Object != thick || s.AtOnce {
				n.change(s.Change)
			}
		}
		Expect(kinds(n.plan())).To(Equal([]string{"TakeOver"}))
	})
	It("puts nothing in the place of a logical volume that is gone while it moves", func() {
		n.moveTo("thick", "fast")
		until("TakeOver")
		for _, known := range []map[spec.ID]Identity{n.input.Known, nil} {
			n.input.Known = known
			delete(n.lvs("vg0"), "thick")
			p := n.plan()
			Expect(kinds(p)).NotTo(ContainElement(BeElementOf("CreateVolume", "RemoveLV", "StartClearing")))
			Expect(objectOf(p, thick)).To(beIn(Blocked, ReasonVanished))
			Expect(objectOf(p, thick).Message).To(ContainSubstring("--deltag"))
		}
	})
	It("keeps the old one when the one in its place is gone", func() {
		n.moveTo("thick", "fast")
		n.apply(until("TakeOver"))
		delete(n.lvs("vg0"), "volreconciler-moved-thick")
		p := n.plan()
		Expect(kinds(p)).NotTo(ContainElement(BeElementOf("CreateVolume", "RemoveLV", "StartClearing", "AddLUN")))
		Expect(objectOf(p, thick)).To(beIn(Blocked, ReasonVanished))
	})
	It("removes all of it, one after the other, when no file names it any more", func() {
		for _, kind := range []string{"Stage", "TakeOver", "Rename"} {
			n = movable()
			n.moveTo("thick", "fast")
			until(kind)
			n.desired.Volumes = map[string]spec.Volume{"data": n.desired.Volumes["data"]}
			n.editExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] })
			n.converge()
			n.converge()
			Expect(n.ofVolume("thick")).To(BeEmpty(), kind)
		}
	})
	It("is not begun, or not ended, where somebody stands in the way, and says who", func() {
		for _, c := range []struct {
			edit   func()
			reason string
		}{
			{func() { n.suspend("thick") }, ReasonSuspended},
			{func() {
				n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
			}, ReasonInUse},
			{func() { n.desired.Complete = false }, ReasonIncompleteInput},
			{func() {
				e := n.desired.Exports["db"]
				e.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
				n.desired.Exports["db"] = e
			}, ReasonInUse},
			{func() {
				n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "theirs", Type: observe.ThickSnapshot, Origin: "thick", Size: 104 * mib, COWSize: 8 * mib})
			}, ReasonSnapshotsExist},
		} {
			n = movable()
			n.moveTo("thick", "fast")
			until("TakeOver")
			c.edit()
			p := n.plan()
			Expect(kinds(p)).NotTo(ContainElement(BeElementOf("TakeOver", "DisableTarget", "RemoveLUN")), c.reason)
			Expect(objectOf(p, thick).Reason).To(Equal(c.reason), objectOf(p, thick).Message)
			Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(2))
		}
	})
	It("exports the old one again when the last step failed half-way, though more is to be copied now", func() {
		n.moveTo("thick", "fast")
		p := until("TakeOver")
		for _, s := range p.Steps[:len(p.Steps)-1] {
			n.change(s.Change)
		}
		synced("volreconciler-move-a-thick", AnotherRound+1)
		n.input.Held = map[spec.ID]bool{thick: true}
		for _, s := range n.plan().Steps {
			switch s.Change.(type) {
			case change.CreateBackstore:
				Expect(s.AtOnce).To(BeTrue())
			case change.CreateSnapshot:
				Expect(s.AtOnce).To(BeFalse())
			}
		}
		Expect(kinds(n.plan())).To(ContainElements("CreateSnapshot", "CreateBackstore", "AddLUN"))
	})
	It("serves a Volume at once that failed on its way, and does nothing else of it at once", func() {
		n.moveTo("thick", "fast")
		n.apply(until("TakeOver"))
		n.input.Known = Learn(n.input.Known, n.desired, n.state)
		v := n.desired.Volumes["thick"]
		v.Spec.Size, v.Spec.DeletionPolicy = 200*mib, spec.Retain
		n.desired.Volumes["thick"] = v
		n.edit("vg0/volreconciler-moved-thick", func(lv *observe.LogicalVolume) { lv.Active = false })
		n.input.Held = map[spec.ID]bool{thick: true}
		p := n.plan()
		atOnce := map[string]bool{}
		for _, s := range p.Steps {
			if s.Object == thick {
				atOnce[change.Name(s.Change)] = s.AtOnce
			}
		}
		Expect(atOnce).To(Equal(map[string]bool{"Activate": true, "CreateBackstore": true, "GrowVolume": false, "SetTags": false}))
	})
	It("does not let go of the old one while its next name is that of one which is being cleared", func() {
		n.moveTo("thick", "fast")
		until("TakeOver")
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "volreconciler-old-thick", Type: observe.Thick, Size: 4 * mib, Tags: append(ondisk.OwnerTags(thick), ondisk.PhaseTag(ondisk.Clearing))})
		Expect(kinds(n.plan())).NotTo(ContainElement(BeElementOf("TakeOver", "DisableTarget", "RemoveLUN")))
		Expect(objectOf(n.plan(), thick)).To(beIn(Blocked, ReasonNotReady))
	})
	It("interrupts no export that failed, and would not be back at once", func() {
		n.moveTo("thick", "fast")
		until("TakeOver")
		n.input.Held = map[spec.ID]bool{exportID("db"): true}
		Expect(kinds(n.plan())).NotTo(ContainElement(BeElementOf("TakeOver", "DisableTarget", "RemoveLUN")))
		Expect(objectOf(n.plan(), thick).Phase).To(Equal(Blocked))
	})
	It("makes nothing writable that was not", func() {
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.ReadOnly = true })
		n.moveTo("thick", "fast")
		Expect(kinds(n.plan())).NotTo(ContainElement("CreateVolume"))
		Expect(objectOf(n.plan(), thick).Phase).To(Equal(Blocked))
	})
	It("changes nothing in a volume group of which physical volumes are missing", func() {
		n.moveTo("thick", "far")
		until("TakeOver")
		vg1 := n.state.VolumeGroups["vg1"]
		vg1.MissingPVs = 1
		n.state.VolumeGroups["vg1"] = vg1
		Expect(kinds(n.plan())).NotTo(ContainElement(BeElementOf("TakeOver", "DisableTarget", "Stage")))
		Expect(objectOf(n.plan(), thick)).To(beIn(Blocked, ReasonNotReady))
	})
	It("does not choose between two copies of the one that took over", func() {
		n.moveTo("thick", "fast")
		n.apply(until("TakeOver"))
		clone := staged()
		clone.VolumeGroup = "vg00"
		n.state.VolumeGroups["vg00"] = observe.VolumeGroup{Name: "vg00", ExtentSize: 4 * mib, LogicalVolumes: map[string]observe.LogicalVolume{clone.Name: clone}}
		p := n.plan()
		Expect(kinds(p)).NotTo(ContainElement(BeElementOf("RemoveLV", "StartClearing", "AddLUN", "Rename")))
		Expect(objectOf(p, thick)).To(beIn(Blocked, ReasonAmbiguous))
	})
	It("exports nothing, and gives nothing up, while a take-over goes on that no plan waits for any more", func() {
		for _, edit := range []func(){
			func() {},
			func() { n.moveTo("thick", "slow") },
			func() { n.suspend("thick") },
			func() { n.desired.Volumes = map[string]spec.Volume{"data": n.desired.Volumes["data"]} },
			func() {
				n.desired.Volumes = map[string]spec.Volume{"data": n.desired.Volumes["data"]}
				n.desired.Invalid = map[spec.ID]error{thick: errors.New("x")}
				n.desired.Complete = false
			},
		} {
			n = movable()
			n.moveTo("thick", "fast")
			p := until("TakeOver")
			take := p.Steps[len(p.Steps)-1].Change
			for _, s := range p.Steps[:len(p.Steps)-1] {
				n.change(s.Change)
			}
			n.input.Busy = map[string]bool{take.Lane(): true}
			edit()
			Expect(n.plan().Steps).To(BeEmpty())
			n.input.Busy = nil
			n.change(take)
			for range 12 {
				n.apply(n.plan())
			}
			Expect(len(counting(n, "thick"))).To(BeNumerically("<=", 1))
		}
	})
	It("does not fill a thin pool that others are in", func() {
		n.edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.DataPercent = 99.5 })
		n.moveTo("thick", "fast")
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), thick)).To(beIn(Failed, ReasonNoSpace))
		n.edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.DataPercent = 90 })
		Expect(kinds(n.plan())).To(Equal([]string{"CreateVolume"}))
	})
	It("makes nobody wait when more was written since the last round than can be copied meanwhile", func() {
		n.moveTo("thick", "fast")
		n.apply(until("Stage"))
		n.edit("vg0/volreconciler-move-a-thick", func(lv *observe.LogicalVolume) { lv.COWSize, lv.DataPercent = 1<<30, 50 })
		Expect(kinds(n.plan())).To(Equal([]string{"CreateSnapshot"}))
	})
	It("opens a target again only with the LUN for which initiators wait", func() {
		for _, held := range []bool{false, true} {
			n = movable()
			n.moveTo("thick", "fast")
			p := until("TakeOver")
			if held {
				p.Steps = p.Steps[:len(p.Steps)-1]
				n.input.Held = map[spec.ID]bool{thick: true}
			}
			n.apply(p)
			p = n.plan()
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
		n.moveTo("thick", "fast")
		p := until("TakeOver")
		p.Steps = p.Steps[:len(p.Steps)-1]
		n.apply(p)
		p = n.plan()
		Expect(kinds(p)).To(Equal([]string{"TakeOver"}))
		Expect(objectOf(p, exportID("db"))).To(beIn(Progressing, ReasonConverging))
		n.apply(p)
		Expect(kinds(n.plan())).To(ContainElements("AddLUN", "EnableTarget"))
	})
	It("does not take a name that is somebody else's", func() {
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "thick2", Type: observe.Thick, Size: 4 * mib})
		vg1 := n.state.VolumeGroups["vg1"]
		vg1.LogicalVolumes["thick"] = observe.LogicalVolume{VolumeGroup: "vg1", Name: "thick", UUID: "theirs", Type: observe.Thick, Size: 4 * mib}
		n.moveTo("thick", "far")
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), thick)).To(beIn(Blocked, ReasonNotOwned))
	})
})

var _ = Describe("Diff, a Volume that moves, and those who are logged in", func() {
	eachFabric("makes them wait where that is possible, and waits for them elsewhere", func(n *node, o over) {
		n.desired.Snapshots = nil
		n.converge()
		n.desired.Snapshots = nil
		n.converge()
		n.moveTo("thick", "fast")
		n.editTargetOf(o.target, func(t *observe.Target) { t.Sessions, t.Unattributed = 1, []string{"somebody"} })
		for range 3 {
			n.apply(n.plan())
		}
		p := n.plan()
		if !Pauses(o.target.Fabric) {
			Expect(kinds(p)).NotTo(ContainElement("TakeOver"))
			Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonSessionsActive))
			n.editTargetOf(o.target, func(t *observe.Target) { t.Sessions, t.Unattributed = 0, nil })
			p = n.plan()
		} else {
			Expect(kinds(p)).To(ContainElement(BeElementOf("DisableTarget", "RemovePortal")))
		}
		Expect(kinds(p)).To(ContainElement("TakeOver"))
		before := counting(n, "thick")[0]
		n.apply(p)
		n.editTargetOf(o.target, func(t *observe.Target) { t.Sessions, t.Unattributed = 0, nil })
		n.converge()
		n.converge()
		Expect(targetOf(n, o).LUNs).To(HaveLen(2))
		Expect(targetOf(n, o).Portals).To(HaveLen(len(o.portals)))
		Expect(counting(n, "thick")[0].Identity()).To(Equal(before.UUID))
		Expect(n.ofVolume("thick")).To(Equal([]string{"vg0/thick"}))
	})
})

// counting returns the logical volumes that count as a Volume's, by their tags alone.
func counting(n *node, volume string) []observe.LogicalVolume {
	return Current(n.state, volumeID(volume))
}
