package reconcile

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
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and the trash", func() {
	const day = 24 * time.Hour
	var n *node
	var before spec.Set
	BeforeEach(func() {
		n = converged()
		n.keepFor(day)
		before = n.desired
	})
	// deleted takes all files away and lets the agent see to it.
	deleted := func() {
		GinkgoHelper()
		n.nameNothing()
		n.converge()
	}
	all := []spec.ID{volumeID("data"), volumeID("thick"), snapshotID("nightly"), snapshotID("tnightly")}
	expectAllInTrash := func() {
		GinkgoHelper()
		p := n.plan()
		Expect(changesIn(p)).To(BeEmpty())
		for _, id := range all {
			Expect(objectOf(p, id)).To(beIn(Deleting, ReasonInTrash))
		}
		Expect(n.lvs("vg0")).To(HaveLen(5))
	}

	It("unexports, marks and deactivates, in an order in which nothing is cut", func() {
		n.nameNothing()
		p := n.plan()
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
		Expect(p.Steps[i].Why).To(Equal("no file names it, and its deletion policy is Delete; it can come back until 2026-11-23T12:00:00Z"))
		Expect(p.Steps[i+1].Needs).To(ConsistOf(p.Steps[i].ID))
		Expect(p.Steps[i+1].Danger).To(Equal(Harmless))
		n.converge()
		for name, lv := range n.lvs("vg0") {
			if lv.Type != observe.ThinPool {
				Expect(lv.Active).To(BeFalse(), name)
				Expect(lv.Tags).To(ContainElement("volreconciler/deleted=20261122T120000Z"), name)
			}
		}
		Expect(n.state.LIO.Backstores).To(BeEmpty())
		expectAllInTrash()
		Expect(objectOf(n.plan(), volumeID("data"))).To(And(
			HaveField("Message", "in the trash since 2026-11-22T12:00:00Z; removed after 2026-11-23T12:00:00Z unless a file names it again"),
			HaveField("Volume.DeletedAt", n.input.Now), HaveField("Volume.RemovedAfter", n.input.Now.Add(day))))
		Expect(NodeStatus{Objects: n.plan().Objects}.Converged()).To(BeTrue())
	})
	It("gives back the same volumes, with all that initiators know them by", func() {
		luns := n.copy().LIO
		data := n.lvs("vg0")["data"]
		deleted()
		n.wait(day - time.Second)
		n.desired = before
		p := n.converge()
		for _, o := range p.Objects {
			Expect(o.Phase).To(Equal(Ready), "%s: %s", o.ID(), o.Message)
		}
		Expect(n.lvs("vg0")["data"].UUID).To(Equal(data.UUID))
		Expect(n.lvs("vg0")["data"].Tags).To(ConsistOf(data.Tags))
		Expect(n.state.LIO).To(Equal(luns))
	})
	It("gives them back without a memory too", func() {
		uuid := n.lvs("vg0")["data"].UUID
		deleted()
		n.input.Known = nil
		n.desired = before
		n.converge()
		Expect(n.lvs("vg0")["data"].UUID).To(Equal(uuid))
	})
	It("goes on remembering what is in it", func() {
		deleted()
		known := n.input.Known
		n.input.Known = Learn(known, n.desired, n.state)
		Expect(n.input.Known[volumeID("data")]).To(Equal(known[volumeID("data")]))
	})
	It("is left when the time is over and not before, snapshots before their origin", func() {
		deleted()
		n.wait(day - time.Second)
		expectAllInTrash()
		n.wait(time.Second)
		p := n.plan()
		Expect(changesIn(p)).To(Equal([]string{
			"remove vg0/nightly and the data in it", "remove vg0/tnightly and the data in it",
			"remove vg0/data and the data in it", "remove vg0/thick and the data in it",
		}))
		for _, s := range p.Steps {
			Expect(s.Danger).To(Equal(Destructive))
			Expect(s.Why).To(Equal("its time in the trash is over"))
			Expect(s.Change.(change.RemoveLV).Tags).To(ContainElement("volreconciler/deleted=20261122T120000Z"))
		}
		Expect(p.Steps[3].Needs).To(ConsistOf(p.Steps[1].ID))
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(1))
	})
	It("keeps an origin until its thick snapshot is gone", func() {
		deleted()
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) {
			lv.Tags = append(lv.Tags, ondisk.DeletedTag(n.input.Now.Add(time.Hour)))
		})
		n.wait(day)
		p := n.converge()
		Expect(n.lvs("vg0")).To(And(HaveKey("thick"), HaveKey("tnightly"), HaveLen(3)), "of several times the latest counts")
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Deleting, ReasonInTrash))
		n.wait(time.Hour)
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(1))
	})
	It("keeps an origin of which somebody made a thick snapshot meanwhile", func() {
		deleted()
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "by-hand", Type: observe.ThickSnapshot, Origin: "thick"})
		n.wait(day)
		p := n.converge()
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
		Expect(n.lvs("vg0")).To(HaveKey("thick"))
	})
	It("has no use where it keeps nothing", func() {
		n.keepFor(0)
		deleted()
		Expect(n.lvs("vg0")).To(HaveLen(1))
	})
	It("is emptied when a Pool no longer keeps anything", func() {
		deleted()
		n.keepFor(0)
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(1))
	})
	It("keeps for a day where nobody says for how long", func() {
		for name, p := range n.desired.Pools {
			p.Spec.Trash = nil
			n.desired.Pools[name] = p
		}
		deleted()
		n.wait(day - time.Second)
		expectAllInTrash()
	})
	It("keeps for the longest time that Pools of the place say", func() {
		n.desired.Pools["other"] = spec.Pool{Metadata: meta("other"), Spec: spec.PoolSpec{VolumeGroup: "vg0", Trash: ptr(spec.Duration(2 * day))}}
		deleted()
		n.wait(day)
		n.converge()
		Expect(n.lvs("vg0")).To(And(HaveKey("thick"), HaveKey("tnightly"), Not(HaveKey("data"))))
		n.wait(day)
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(1))
	})
	It("keeps what is in it while no Pool says for how long", func() {
		deleted()
		delete(n.desired.Pools, "slow")
		n.wait(1000 * day)
		p := n.converge()
		Expect(n.lvs("vg0")).To(And(HaveKey("thick"), HaveKey("tnightly"), Not(HaveKey("data"))))
		Expect(objectOf(p, volumeID("thick"))).To(And(beIn(Deleting, ReasonInTrash),
			HaveField("Message", ContainSubstring("it stays, because no Pool names volume group vg0")), HaveField("Volume.RemovedAfter", BeZero())))
	})
	It("takes what has no Pool any more, and keeps it", func() {
		n.nameNothing()
		delete(n.desired.Pools, "slow")
		n.converge()
		Expect(n.lvs("vg0")["thick"].Tags).To(ContainElement(HavePrefix(ondisk.TagDeleted)))
		n.wait(1000 * day)
		n.converge()
		Expect(n.lvs("vg0")).To(HaveKey("thick"))
	})
	DescribeTable("keeps what a tag without a time is on", func(tags ...string) {
		deleted()
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Tags = append(lv.Tags[:3:3], tags...) })
		n.wait(1000 * day)
		p := n.converge()
		Expect(n.lvs("vg0")).To(HaveKey("data"))
		Expect(objectOf(p, volumeID("data"))).To(And(beIn(Deleting, ReasonInTrash), HaveField("Message", ContainSubstring("says no time"))))
		n.keepFor(0)
		n.converge()
		Expect(n.lvs("vg0")).To(HaveKey("data"))
	},
		Entry(nil, ondisk.TagDeleted),
		Entry(nil, ondisk.TagDeleted+"yesterday"),
		Entry(nil, ondisk.TagDeleted+"20261122T120000Z", ondisk.TagDeleted+"2026-11-22"),
	)
	It("keeps what is open", func() {
		deleted()
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.Active, lv.Open, lv.HeldBy = true, true, []string{"mounted on /mnt"}
		})
		expectAllInTrash()
		n.wait(day)
		p := n.converge()
		Expect(n.lvs("vg0")).To(HaveKey("thick"))
		Expect(objectOf(p, volumeID("thick"))).To(And(beIn(Blocked, ReasonInUse), HaveField("Message", ContainSubstring("/mnt"))))
	})
	It("does not take what is open", func() {
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
		deleted()
		Expect(n.lvs("vg0")["thick"]).To(And(HaveField("Active", true), HaveField("Tags", Not(ContainElement(HavePrefix(ondisk.TagDeleted))))))
	})
	It("does not cut off the device of an open thick snapshot", func() {
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Open = true })
		deleted()
		Expect(n.lvs("vg0")["thick"].Active).To(BeTrue())
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
	})
	It("deactivates what was not, or was activated since, but not what is open", func() {
		deleted()
		for _, name := range []string{"vg0/data", "vg0/thick", "vg0/tnightly", "vg0/nightly"} {
			n.edit(name, func(lv *observe.LogicalVolume) { lv.Active = true })
		}
		n.edit("vg0/nightly", func(lv *observe.LogicalVolume) { lv.Open = true })
		Expect(changesIn(n.plan())).To(Equal([]string{"deactivate vg0/data", "deactivate vg0/thick"}))
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Open = true })
		Expect(changesIn(n.plan())).To(Equal([]string{"deactivate vg0/data"}))
	})
	DescribeTable("does nothing to what is in it while it is not sure", func(unsure func()) {
		deleted()
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.Active = true })
		n.wait(day)
		unsure()
		Expect(changesIn(n.plan())).To(BeEmpty())
		n.wait(-time.Hour)
		Expect(changesIn(n.plan())).To(BeEmpty())
	},
		Entry("because of a finding", func() { n.desired.Complete = false }),
		Entry("because LIO cannot be read", func() { n.state.Unknown = map[observe.System]error{observe.LIO: errors.New("broken")} }),
		Entry("because of the grace period", func() { n.input.Grace = 48 * time.Hour }),
	)
	It("keeps what another object names by its logical volume's name", func() {
		deleted()
		n.desired.Volumes = map[string]spec.Volume{"heir": {Metadata: meta("heir"), Spec: spec.VolumeSpec{Pool: "slow", Size: 101 * mib, LVName: "thick", Adopt: true}}}
		for range 2 {
			p := n.converge()
			Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonInUse))
			Expect(objectOf(p, volumeID("heir"))).To(beIn(Blocked, ReasonNotOwned))
			Expect(n.lvs("vg0")).To(HaveKey("thick"))
			n.wait(day)
		}
	})
	It("keeps for good what is Retain", func() {
		deleted()
		n.edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.Tags[slices.Index(lv.Tags, "volreconciler/deletion=delete")] = "volreconciler/deletion=retain"
		})
		n.wait(day)
		Expect(objectOf(n.converge(), volumeID("data"))).To(beIn(Orphaned, ReasonRetained))
		Expect(n.lvs("vg0")).To(HaveKey("data"))
	})
	It("begins anew for what a file named meanwhile, though it could not come back", func() {
		deleted()
		n.wait(day - time.Hour)
		n.input.LastNamed = map[spec.ID]time.Time{volumeID("data"): n.input.Now}
		n.wait(time.Hour)
		p := n.converge()
		Expect(n.lvs("vg0")["data"].Tags).To(ConsistOf(append(ondisk.OwnerTags(volumeID("data")), "volreconciler/deletion=delete", "volreconciler/deleted=20261123T120000Z")))
		Expect(objectOf(p, volumeID("data"))).To(beIn(Deleting, ReasonInTrash))
		Expect(n.lvs("vg0")).To(HaveLen(2))
	})
	DescribeTable("begins anew after a restart for what a file named meanwhile, though its tag could not be corrected", func(hinder, unhinder func()) {
		deleted()
		named := n.desired
		n.wait(day - time.Hour)
		hinder()
		n.desired = before
		n.remember()
		n.converge()
		Expect(n.lvs("vg0")["data"].Tags).To(ContainElement("volreconciler/deleted=20261122T120000Z"))
		unhinder()
		n.desired = named
		n.wait(30 * day)
		n.input.Known = Learn(n.input.Known, n.desired, n.state)
		n.input.Started, n.input.LastNamed = n.input.Now.Add(-time.Hour), nil
		p := n.converge()
		Expect(n.lvs("vg0")["data"].Tags).To(ConsistOf(append(ondisk.OwnerTags(volumeID("data")), "volreconciler/deletion=delete", "volreconciler/deleted=20261223T110000Z")))
		Expect(objectOf(p, volumeID("data"))).To(beIn(Deleting, ReasonInTrash))
		n.input.Known = Learn(n.input.Known, n.desired, n.state)
		n.wait(day)
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(1))
	},
		Entry("because it was suspended", func() {
			v := before.Volumes["data"]
			v.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
			before.Volumes = map[string]spec.Volume{"data": v, "thick": before.Volumes["thick"]}
		}, func() {}),
		Entry("because physical volumes were missing", func() { n.missing(1) }, func() { n.missing(0) }),
	)

	Describe("and clocks", func() {
		BeforeEach(func() { n.input.TrashSettle = 10 * time.Minute })
		restart := func() { n.input.Started, n.input.Elapsed, n.input.Grace = n.input.Now, 0, 0 }
		It("keeps what is in it when the clock jumps ahead", func() {
			deleted()
			n.input.Now = n.input.Now.Add(365 * day)
			expectAllInTrash()
			n.wait(day - time.Second)
			expectAllInTrash()
			n.wait(time.Second)
			n.converge()
			Expect(n.lvs("vg0")).To(HaveLen(1))
		})
		It("keeps it longer when the clock jumps back", func() {
			deleted()
			n.input.Now = n.input.Now.Add(-time.Hour)
			n.input.LastNamed = map[spec.ID]time.Time{volumeID("data"): n.input.Now.Add(-day)}
			n.wait(day)
			expectAllInTrash()
			n.wait(time.Hour)
			n.converge()
			Expect(n.lvs("vg0")).To(HaveLen(1))
		})
		It("keeps what was deleted in the future, and says why", func() {
			deleted()
			n.wait(-365 * day)
			restart()
			n.keepFor(0)
			n.wait(time.Hour)
			expectAllInTrash()
			Expect(objectOf(n.plan(), volumeID("data")).Message).To(ContainSubstring("in the future of the agent's clock"))
		})
		DescribeTable("compares tags with when a file named the object last, by the clock that says less:",
			func(then, now, ago, expected time.Duration) {
				Expect(Earlier(n.input.Now.Add(then), n.input.Now.Add(now), ago)).To(Equal(n.input.Now.Add(expected)))
			},
			Entry("as it was", time.Hour, 3*time.Hour, 2*time.Hour, time.Hour),
			Entry("set back", time.Hour, time.Hour-2*day, time.Minute, time.Hour-2*day-time.Minute),
			Entry("set back by less than has gone by", time.Hour, 2*time.Hour, 3*time.Hour, -time.Hour),
			Entry("set forward", time.Hour, time.Hour+2*day, time.Minute, time.Hour),
		)
		It("lets ten minutes go by after a start, in case the clock is wrong", func() {
			deleted()
			n.wait(2 * day)
			restart()
			expectAllInTrash()
			n.wait(10*time.Minute - time.Second)
			expectAllInTrash()
			n.wait(time.Second)
			n.converge()
			Expect(n.lvs("vg0")).To(HaveLen(1))
		})
		It("lets no more go by than it keeps things for", func() {
			deleted()
			n.keepFor(time.Minute)
			n.wait(2 * day)
			restart()
			n.wait(time.Minute - time.Second)
			expectAllInTrash()
			n.wait(time.Second)
			n.converge()
			Expect(n.lvs("vg0")).To(HaveLen(1))
		})
	})

	It("holds nothing of what is exported, whatever its tags say", func() {
		n.edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.Tags = append(lv.Tags, ondisk.DeletedTag(n.input.Now.Add(-2*day)))
		})
		Expect(changesIn(n.plan())).To(ConsistOf(And(HavePrefix("set tags of vg0/data"), Not(ContainSubstring("+")))))
		n.desired.Complete = false
		n.desired.Invalid = map[spec.ID]error{volumeID("data"): errors.New("bad size"), snapshotID("nightly"): errors.New("its volume")}
		n.desired.Volumes = map[string]spec.Volume{"thick": n.desired.Volumes["thick"]}
		delete(n.desired.Snapshots, "nightly")
		Expect(strings.Join(changesIn(n.plan()), "; ")).NotTo(ContainSubstring("vg0/data"))
	})
})
