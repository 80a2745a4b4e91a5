package plan_test

import (
	"errors"
	"slices"
	"strings"
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

var _ = Describe("Make and the trash", func() {
	const day = 24 * time.Hour
	var n *Node
	var before spec.Set
	BeforeEach(func() {
		n = Converged()
		n.SetTrashPeriod(day)
		before = n.Declared
	})
	// deleted takes all files away and lets the agent see to it.
	deleted := func() {
		GinkgoHelper()
		n.UndeclareAll()
		n.Converge()
	}
	all := []spec.ID{VolumeID("data"), VolumeID("thick"), SnapshotID("nightly"), SnapshotID("tnightly")}
	expectAllInTrash := func() {
		GinkgoHelper()
		p := n.Plan()
		Expect(ChangesIn(p)).To(BeEmpty())
		for _, id := range all {
			Expect(ObjectOf(p, id)).To(BeIn(status.Deleting, status.ReasonInTrash))
		}
		Expect(n.LVs("vg0")).To(HaveLen(5))
	}

	It("unexports, marks and deactivates, in an order in which nothing is cut", func() {
		n.UndeclareAll()
		p := n.Plan()
		var order []string
		for _, s := range p.Steps {
			order = append(order, change.Name(s.Change)+" "+s.Object.String())
		}
		Expect(order).To(Equal([]string{
			"RemoveTarget Export/db",
			"RemoveBackstore Volume/data", "RemoveBackstore Volume/thick", "RemoveBackstore Snapshot/nightly",
			"SetTags Snapshot/nightly", "Deactivate Snapshot/nightly", "SetTags Snapshot/tnightly",
			"SetTags Volume/data", "Deactivate Volume/data", "SetTags Volume/thick", "Deactivate Volume/thick",
		}))
		i := slices.IndexFunc(p.Steps, func(s Step) bool { return change.Name(s.Change)+s.Object.String() == "SetTagsVolume/data" })
		Expect(p.Steps[i].Danger).To(Equal(Disruptive))
		Expect(p.Steps[i].Why).To(Equal("undeclared, with deletionPolicy: Delete; it can be restored until 2026-11-23T12:00:00Z"))
		Expect(p.Steps[i+1].Needs).To(ConsistOf(p.Steps[i].ID))
		Expect(p.Steps[i+1].Danger).To(Equal(Harmless))
		n.Converge()
		for name, lv := range n.LVs("vg0") {
			if lv.Type != observe.ThinPool {
				Expect(lv.Active).To(BeFalse(), name)
				Expect(lv.Tags).To(ContainElement("volreconciler/deleted=20261122T120000Z"), name)
			}
		}
		Expect(n.State.LIO.Backstores).To(BeEmpty())
		expectAllInTrash()
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(And(
			HaveField("Message", "in the trash since 2026-11-22T12:00:00Z; removed after 2026-11-23T12:00:00Z unless it is declared again"),
			HaveField("Volume.DeletedAt", n.Input.Now), HaveField("Volume.RemovedAfter", n.Input.Now.Add(day))))
		Expect(status.Report{Objects: n.Plan().Objects}.Converged()).To(BeTrue())
	})
	It("gives back the same volumes, with all that initiators know them by", func() {
		luns := n.Copy().LIO
		data := n.LVs("vg0")["data"]
		deleted()
		n.Wait(day - time.Second)
		n.Declared = before
		p := n.Converge()
		for _, o := range p.Objects {
			Expect(o.Phase).To(Equal(status.Ready), "%s: %s", o.ID(), o.Message)
		}
		Expect(n.LVs("vg0")["data"].UUID).To(Equal(data.UUID))
		Expect(n.LVs("vg0")["data"].Tags).To(ConsistOf(data.Tags))
		Expect(n.State.LIO).To(Equal(luns))
	})
	It("gives them back without a memory too", func() {
		uuid := n.LVs("vg0")["data"].UUID
		deleted()
		n.Input.Known = nil
		n.Declared = before
		n.Converge()
		Expect(n.LVs("vg0")["data"].UUID).To(Equal(uuid))
	})
	It("goes on remembering what is in it", func() {
		deleted()
		known := n.Input.Known
		n.Input.Known = Learned(known, n.Declared, n.State)
		Expect(n.Input.Known[VolumeID("data")]).To(Equal(known[VolumeID("data")]))
	})
	It("is left when the time is over and not before, snapshots before their origin", func() {
		deleted()
		n.Wait(day - time.Second)
		expectAllInTrash()
		n.Wait(time.Second)
		p := n.Plan()
		Expect(ChangesIn(p)).To(Equal([]string{
			"remove vg0/nightly and the data in it", "remove vg0/tnightly and the data in it",
			"remove vg0/data and the data in it", "remove vg0/thick and the data in it",
		}))
		for _, s := range p.Steps {
			Expect(s.Danger).To(Equal(Destructive))
			Expect(s.Why).To(Equal("its trash period has ended"))
			Expect(s.Change.(change.RemoveLV).Tags).To(ContainElement("volreconciler/deleted=20261122T120000Z"))
		}
		Expect(p.Steps[3].Needs).To(ConsistOf(p.Steps[1].ID))
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(1))
	})
	It("keeps an origin until its thick snapshot is gone", func() {
		deleted()
		n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) {
			lv.Tags = append(lv.Tags, ondisk.DeletedTag(n.Input.Now.Add(time.Hour)))
		})
		n.Wait(day)
		p := n.Converge()
		Expect(n.LVs("vg0")).To(And(HaveKey("thick"), HaveKey("tnightly"), HaveLen(3)), "of several times the latest counts")
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Deleting, status.ReasonInTrash))
		n.Wait(time.Hour)
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(1))
	})
	It("keeps an origin of which somebody made a thick snapshot meanwhile", func() {
		deleted()
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "by-hand", Type: observe.ThickSnapshot, Origin: "thick"})
		n.Wait(day)
		p := n.Converge()
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSnapshotsExist))
		Expect(n.LVs("vg0")).To(HaveKey("thick"))
	})
	It("has no use where it keeps nothing", func() {
		n.SetTrashPeriod(0)
		deleted()
		Expect(n.LVs("vg0")).To(HaveLen(1))
	})
	It("is emptied when a Pool no longer keeps anything", func() {
		deleted()
		n.SetTrashPeriod(0)
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(1))
	})
	It("keeps for a day where nobody says for how long", func() {
		for name, p := range n.Declared.Pools {
			p.Spec.Trash = nil
			n.Declared.Pools[name] = p
		}
		deleted()
		n.Wait(day - time.Second)
		expectAllInTrash()
	})
	It("keeps for the longest time that Pools of the place say", func() {
		n.Declared.Pools["other"] = spec.Pool{Metadata: Meta("other"), Spec: spec.PoolSpec{VolumeGroup: "vg0", Trash: Ptr(spec.Duration(2 * day))}}
		deleted()
		n.Wait(day)
		n.Converge()
		Expect(n.LVs("vg0")).To(And(HaveKey("thick"), HaveKey("tnightly"), Not(HaveKey("data"))))
		n.Wait(day)
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(1))
	})
	It("keeps what is in it while no Pool says for how long", func() {
		deleted()
		delete(n.Declared.Pools, "slow")
		n.Wait(1000 * day)
		p := n.Converge()
		Expect(n.LVs("vg0")).To(And(HaveKey("thick"), HaveKey("tnightly"), Not(HaveKey("data"))))
		Expect(ObjectOf(p, VolumeID("thick"))).To(And(BeIn(status.Deleting, status.ReasonInTrash),
			HaveField("Message", ContainSubstring("kept until a Pool declares volume group vg0")), HaveField("Volume.RemovedAfter", BeZero())))
	})
	It("takes what has no Pool any more, and keeps it", func() {
		n.UndeclareAll()
		delete(n.Declared.Pools, "slow")
		n.Converge()
		Expect(n.LVs("vg0")["thick"].Tags).To(ContainElement(HavePrefix(ondisk.TagDeleted)))
		n.Wait(1000 * day)
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveKey("thick"))
	})
	DescribeTable("keeps what a tag without a time is on", func(tags ...string) {
		deleted()
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags[:3:3], tags...) })
		n.Wait(1000 * day)
		p := n.Converge()
		Expect(n.LVs("vg0")).To(HaveKey("data"))
		Expect(ObjectOf(p, VolumeID("data"))).To(And(BeIn(status.Deleting, status.ReasonInTrash), HaveField("Message", ContainSubstring("has no valid time"))))
		n.SetTrashPeriod(0)
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveKey("data"))
	},
		Entry(nil, ondisk.TagDeleted),
		Entry(nil, ondisk.TagDeleted+"yesterday"),
		Entry(nil, ondisk.TagDeleted+"20261122T120000Z", ondisk.TagDeleted+"2026-11-22"),
	)
	It("keeps what is open", func() {
		deleted()
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.Active, lv.Open, lv.HeldBy = true, true, []string{"mounted on /mnt"}
		})
		expectAllInTrash()
		n.Wait(day)
		p := n.Converge()
		Expect(n.LVs("vg0")).To(HaveKey("thick"))
		Expect(ObjectOf(p, VolumeID("thick"))).To(And(BeIn(status.Blocked, status.ReasonInUse), HaveField("Message", ContainSubstring("/mnt"))))
	})
	It("does not take what is open", func() {
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
		deleted()
		Expect(n.LVs("vg0")["thick"]).To(And(HaveField("Active", true), HaveField("Tags", Not(ContainElement(HavePrefix(ondisk.TagDeleted))))))
	})
	It("does not cut off the device of an open thick snapshot", func() {
		n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Open = true })
		deleted()
		Expect(n.LVs("vg0")["thick"].Active).To(BeTrue())
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSnapshotsExist))
	})
	It("deactivates what was not, or was activated since, but not what is open", func() {
		deleted()
		for _, name := range []string{"vg0/data", "vg0/thick", "vg0/tnightly", "vg0/nightly"} {
			n.Edit(name, func(lv *observe.LogicalVolume) { lv.Active = true })
		}
		n.Edit("vg0/nightly", func(lv *observe.LogicalVolume) { lv.Open = true })
		Expect(ChangesIn(n.Plan())).To(Equal([]string{"deactivate vg0/data", "deactivate vg0/thick"}))
		n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Open = true })
		Expect(ChangesIn(n.Plan())).To(Equal([]string{"deactivate vg0/data"}))
	})
	DescribeTable("does nothing to what is in it while it is not sure", func(unsure func()) {
		deleted()
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Active = true })
		n.Wait(day)
		unsure()
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
		n.Wait(-time.Hour)
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
	},
		Entry("because of a finding", func() { n.Declared.Complete = false }),
		Entry("because LIO cannot be read", func() { n.State.Unknown = map[observe.System]error{observe.LIO: errors.New("broken")} }),
		Entry("because of the grace period", func() { n.Input.Grace = 48 * time.Hour }),
	)
	It("keeps what another object names by its logical volume's name", func() {
		deleted()
		n.Declared.Volumes = map[string]spec.Volume{"heir": {Metadata: Meta("heir"), Spec: spec.VolumeSpec{Pool: "slow", Size: 101 * MiB, LVName: "thick", Adopt: true}}}
		for range 2 {
			p := n.Converge()
			Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonInUse))
			Expect(ObjectOf(p, VolumeID("heir"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
			Expect(n.LVs("vg0")).To(HaveKey("thick"))
			n.Wait(day)
		}
	})
	It("keeps for good what is Retain", func() {
		deleted()
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.Tags[slices.Index(lv.Tags, "volreconciler/deletion=delete")] = "volreconciler/deletion=retain"
		})
		n.Wait(day)
		Expect(ObjectOf(n.Converge(), VolumeID("data"))).To(BeIn(status.Orphaned, status.ReasonRetained))
		Expect(n.LVs("vg0")).To(HaveKey("data"))
	})
	It("begins anew for what a file named meanwhile, though it could not come back", func() {
		deleted()
		n.Wait(day - time.Hour)
		n.Input.LastDeclared = map[spec.ID]time.Time{VolumeID("data"): n.Input.Now}
		n.Wait(time.Hour)
		p := n.Converge()
		Expect(n.LVs("vg0")["data"].Tags).To(ConsistOf(append(ondisk.OwnerTags(VolumeID("data")), "volreconciler/deletion=delete", "volreconciler/product=data", "volreconciler/deleted=20261123T120000Z")))
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Deleting, status.ReasonInTrash))
		Expect(n.LVs("vg0")).To(HaveLen(2))
	})
	DescribeTable("begins anew after a restart for what a file named meanwhile, though its tag could not be corrected", func(hinder, unhinder func()) {
		deleted()
		named := n.Declared
		n.Wait(day - time.Hour)
		hinder()
		n.Declared = before
		n.Remember()
		n.Converge()
		Expect(n.LVs("vg0")["data"].Tags).To(ContainElement("volreconciler/deleted=20261122T120000Z"))
		unhinder()
		n.Declared = named
		n.Wait(30 * day)
		n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		n.Input.Started, n.Input.LastDeclared = n.Input.Now.Add(-time.Hour), nil
		p := n.Converge()
		Expect(n.LVs("vg0")["data"].Tags).To(ConsistOf(append(ondisk.OwnerTags(VolumeID("data")), "volreconciler/deletion=delete", "volreconciler/product=data", "volreconciler/deleted=20261223T110000Z")))
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Deleting, status.ReasonInTrash))
		n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		n.Wait(day)
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(1))
	},
		Entry("because it was suspended", func() {
			v := before.Volumes["data"]
			v.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
			before.Volumes = map[string]spec.Volume{"data": v, "thick": before.Volumes["thick"]}
		}, func() {}),
		Entry("because physical volumes were missing", func() { n.LosePVs(1) }, func() { n.LosePVs(0) }),
	)

	Describe("and clocks", func() {
		BeforeEach(func() { n.Input.TrashSettle = 10 * time.Minute })
		restart := func() { n.Input.Started, n.Input.Elapsed, n.Input.Grace = n.Input.Now, 0, 0 }
		It("keeps what is in it when the clock jumps ahead", func() {
			deleted()
			n.Input.Now = n.Input.Now.Add(365 * day)
			expectAllInTrash()
			n.Wait(day - time.Second)
			expectAllInTrash()
			n.Wait(time.Second)
			n.Converge()
			Expect(n.LVs("vg0")).To(HaveLen(1))
		})
		It("keeps it longer when the clock jumps back", func() {
			deleted()
			n.Input.Now = n.Input.Now.Add(-time.Hour)
			n.Input.LastDeclared = map[spec.ID]time.Time{VolumeID("data"): n.Input.Now.Add(-day)}
			n.Wait(day)
			expectAllInTrash()
			n.Wait(time.Hour)
			n.Converge()
			Expect(n.LVs("vg0")).To(HaveLen(1))
		})
		It("keeps what was deleted in the future, and says why", func() {
			deleted()
			n.Wait(-365 * day)
			restart()
			n.SetTrashPeriod(0)
			n.Wait(time.Hour)
			expectAllInTrash()
			Expect(ObjectOf(n.Plan(), VolumeID("data")).Message).To(ContainSubstring("in the future of the agent's clock"))
		})
		DescribeTable("compares tags with when a file named the object last, by the clock that says less:",
			func(then, now, ago, expected time.Duration) {
				Expect(Earlier(n.Input.Now.Add(then), n.Input.Now.Add(now), ago)).To(Equal(n.Input.Now.Add(expected)))
			},
			Entry("as it was", time.Hour, 3*time.Hour, 2*time.Hour, time.Hour),
			Entry("set back", time.Hour, time.Hour-2*day, time.Minute, time.Hour-2*day-time.Minute),
			Entry("set back by less than has gone by", time.Hour, 2*time.Hour, 3*time.Hour, -time.Hour),
			Entry("set forward", time.Hour, time.Hour+2*day, time.Minute, time.Hour),
		)
		It("lets ten minutes go by after a start, in case the clock is wrong", func() {
			deleted()
			n.Wait(2 * day)
			restart()
			expectAllInTrash()
			n.Wait(10*time.Minute - time.Second)
			expectAllInTrash()
			n.Wait(time.Second)
			n.Converge()
			Expect(n.LVs("vg0")).To(HaveLen(1))
		})
		It("lets no more go by than it keeps things for", func() {
			deleted()
			n.SetTrashPeriod(time.Minute)
			n.Wait(2 * day)
			restart()
			n.Wait(time.Minute - time.Second)
			expectAllInTrash()
			n.Wait(time.Second)
			n.Converge()
			Expect(n.LVs("vg0")).To(HaveLen(1))
		})
	})

	It("holds nothing of what is exported, whatever its tags say", func() {
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.Tags = append(lv.Tags, ondisk.DeletedTag(n.Input.Now.Add(-2*day)))
		})
		Expect(ChangesIn(n.Plan())).To(ConsistOf(And(HavePrefix("set tags of vg0/data"), Not(ContainSubstring("+")))))
		n.Declared.Complete = false
		n.Declared.Invalid = map[spec.ID]error{VolumeID("data"): errors.New("bad size"), SnapshotID("nightly"): errors.New("its volume")}
		n.Declared.Volumes = map[string]spec.Volume{"thick": n.Declared.Volumes["thick"]}
		delete(n.Declared.Snapshots, "nightly")
		Expect(strings.Join(ChangesIn(n.Plan()), "; ")).NotTo(ContainSubstring("vg0/data"))
	})
})
