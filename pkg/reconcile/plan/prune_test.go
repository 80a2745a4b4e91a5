package plan_test

import (
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and what was removed by hand", func() {
	var n *Node
	BeforeEach(func() {
		n = Converged()
		delete(n.State.LIO.ISCSI, IQN)
		n.Change(change.RemoveBackstore{Backstore: change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:data"}})
		delete(n.LVs("vg0"), "data")
	})
	It("never puts an empty volume in its place, and exports the rest", func() {
		p := n.Converge()
		Expect(n.LVs("vg0")).NotTo(HaveKey("data"))
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonVanished))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(And(HaveLen(2), Not(HaveKey(0))))
	})
	It("does not take another logical volume of that name for it", func() {
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "data", Type: observe.Thin, Pool: "pool0", Size: 100 * MiB, Active: true})
		v := n.Declared.Volumes["data"]
		v.Spec.Adopt = true
		n.Declared.Volumes["data"] = v
		Expect(ObjectOf(n.Converge(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonVanished))
	})
	It("does not take a copy that carries its tags for it", func() {
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "data", Type: observe.Thin, Pool: "pool0", Size: 100 * MiB, Active: true, Tags: ondisk.OwnerTags(VolumeID("data"))})
		Expect(ObjectOf(n.Converge(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonVanished))
	})
	It("makes a new one when the annotation gives up the old one by its UUID", func() {
		lost := n.Input.Known[VolumeID("data")].UUID
		v := n.Declared.Volumes["data"]
		v.Metadata.Annotations = map[string]string{spec.AnnotationRecreate: "another-uuid"}
		n.Declared.Volumes["data"] = v
		n.Converge()
		Expect(n.LVs("vg0")).NotTo(HaveKey("data"))
		v.Metadata.Annotations[spec.AnnotationRecreate] = lost
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveKey("data"))

		n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		Expect(n.Input.Known[VolumeID("data")].UUID).To(Equal(n.LVs("vg0")["data"].UUID))
		delete(n.LVs("vg0"), "data")
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonVanished), "the annotation holds for one time only")
	})
	It("says which thin pool a Pool has used if its thinPool.name is of none", func() {
		fast := spec.ID{Kind: spec.KindPool, Name: "fast"}
		n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		p := n.Declared.Pools["fast"]
		p.Spec.ThinPool = &spec.ThinPool{Name: "typo", Size: p.Spec.ThinPool.Size}
		n.Declared.Pools["fast"] = p
		o := ObjectOf(n.Plan(), fast)
		Expect(o).To(BeIn(status.Blocked, status.ReasonVanished))
		Expect(o.Message).To(HavePrefix("thin pool vg0/typo does not exist, but vg0/pool0 is the one that this Pool has used until now"))
	})
	It("keeps a vanished snapshot vanished", func() {
		delete(n.LVs("vg0"), "tnightly")
		Expect(ObjectOf(n.Converge(), SnapshotID("tnightly"))).To(BeIn(status.Blocked, status.ReasonVanished))
	})
})

var _ = Describe("Make and files that went away", func() {
	var n *Node
	everything := func() {
		n.Declared.Volumes, n.Declared.Snapshots, n.Declared.Exports = nil, nil, nil
	}
	BeforeEach(func() { n = Converged() })

	It("removes exports first, then snapshots, then volumes", func() {
		everything()
		p := n.Plan()
		var order []string
		for _, s := range p.Steps {
			order = append(order, change.Name(s.Change)+" "+s.Object.String())
		}
		Expect(order).To(Equal([]string{
			"RemoveTarget Export/db",
			"RemoveBackstore Volume/data", "RemoveBackstore Volume/thick", "RemoveBackstore Snapshot/nightly",
			"RemoveLV Snapshot/nightly", "RemoveLV Snapshot/tnightly", "RemoveLV Volume/data", "RemoveLV Volume/thick",
		}))
		n.Converge()
		Expect(n.LVs("vg0")).To(HaveLen(1), "the thin pool stays")
		Expect(n.State.LIO.Backstores).To(BeEmpty())
		Expect(n.State.LIO.ISCSI).To(BeEmpty())
	})
	It("says which thin snapshots of a volume are kept, but not of those that it removes", func() {
		everything()
		Expect(removalOf(n.Plan(), "data").Affects).To(BeEmpty(), "nightly is removed, too")
		n.Edit("vg0/nightly", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		Expect(removalOf(n.Plan(), "data").Affects).To(Equal([]string{"thin snapshot vg0/nightly, which is kept"}))
	})
	It("removes nothing before the grace period is over", func() {
		everything()
		n.Input.LastDeclared = map[spec.ID]time.Time{
			VolumeID("data"): n.Input.Now.Add(-29 * time.Second), VolumeID("thick"): n.Input.Now.Add(-29 * time.Second),
			SnapshotID("nightly"): n.Input.Now.Add(-29 * time.Second), SnapshotID("tnightly"): n.Input.Now.Add(-29 * time.Second),
			ExportID("db"): n.Input.Now.Add(-29 * time.Second),
		}
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Deleting, status.ReasonGracePeriod))
		n.Input.Now = n.Input.Now.Add(2 * time.Second)
		Expect(n.Plan().Steps).NotTo(BeEmpty())
	})
	It("removes nothing right after a start, when it was never seen to be named", func() {
		everything()
		n.Input.Started = n.Input.Now
		Expect(n.Plan().Steps).To(BeEmpty())
	})
	It("removes nothing while there is any finding", func() {
		everything()
		n.Declared.Complete = false
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonIncompleteInput))
	})
	It("takes nothing out of an export while there is any finding", func() {
		e := n.Declared.Exports["db"]
		e.Spec.LUNs, e.Spec.Initiators = e.Spec.LUNs[:1], e.Spec.Initiators[:1]
		n.Declared.Exports["db"] = e
		n.Declared.Complete = false
		Expect(n.Plan().Steps).To(BeEmpty())
		n.Declared.Complete = true
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(1))
		Expect(n.State.LIO.ISCSI[IQN].ACLs).To(HaveLen(1))
		Expect(n.State.LIO.Backstores).To(HaveLen(1))
	})
	DescribeTable("removes nothing while a system cannot be read", func(system observe.System) {
		everything()
		n.State.Unknown = map[observe.System]error{system: errors.New("broken")}
		if system == observe.LVM {
			n.State.VolumeGroups = nil
		} else {
			n.State.LIO = observe.Targets{}
		}
		Expect(n.Plan().Steps).To(BeEmpty())
	}, Entry("lvm", observe.LVM), Entry("lio", observe.LIO))
	DescribeTable("treats unknown as unknown, not as empty", func(system observe.System) {
		n.State.Unknown = map[observe.System]error{system: errors.New("broken")}
		if system == observe.LVM {
			n.State.VolumeGroups = nil
		} else {
			n.State.LIO = observe.Targets{}
		}
		Expect(n.Plan().Steps).To(BeEmpty())
	}, Entry("lvm", observe.LVM), Entry("lio", observe.LIO))
	It("keeps what is Retain, and has it back with the file", func() {
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags[2] = "volreconciler/deletion=retain" })
		n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Tags = lv.Tags[:2] })
		before := n.Declared
		everything()
		p := n.Converge()
		Expect(n.LVs("vg0")).To(And(HaveKey("thick"), HaveKey("tnightly"), Not(HaveKey("data"))))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Orphaned, status.ReasonRetained))
		Expect(ObjectOf(p, SnapshotID("tnightly"))).To(BeIn(status.Orphaned, status.ReasonRetained))
		n.Declared = before
		delete(n.Input.Known, VolumeID("data"))
		delete(n.Input.Known, SnapshotID("nightly"))
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(3))
	})
	It("keeps a volume whose snapshot stays", func() {
		n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		everything()
		Expect(ObjectOf(n.Converge(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSnapshotsExist))
		Expect(n.LVs("vg0")).To(HaveKey("thick"))
	})
	DescribeTable("keeps a volume that LVM would not remove alone, and names the others", func(trash time.Duration) {
		n.SetTrashPeriod(trash)
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.TakesAlong = []string{"vg0/clone1, a thin volume whose external origin it is"}
		})
		everything()
		Expect(ObjectOf(n.Converge(), VolumeID("data"))).To(And(BeIn(status.Blocked, status.ReasonSnapshotsExist), HaveField("Message", ContainSubstring("vg0/clone1"))))
		Expect(n.LVs("vg0")["data"].Tags).To(HaveLen(4))
		n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.TakesAlong = nil })
		n.Converge()
		Expect(n.LVs("vg0")["data"].Active).To(BeFalse())
	},
		Entry("with a trash", time.Hour),
		Entry("without one", time.Duration(0)),
	)
	It("does not empty the trash of what LVM would not remove alone", func() {
		n.SetTrashPeriod(time.Hour)
		everything()
		n.Converge()
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.TakesAlong = []string{"vg0/clone1, a thin volume whose external origin it is"}
		})
		n.Wait(2 * time.Hour)
		Expect(ObjectOf(n.Converge(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSnapshotsExist))
		Expect(n.LVs("vg0")).To(And(HaveKey("thick"), Not(HaveKey("data"))))
	})
	It("keeps an export with live sessions, and all below it", func() {
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
		everything()
		p := n.Converge()
		Expect(ObjectOf(p, ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring(Initiator))))
		Expect(n.LVs("vg0")).To(And(HaveKey("data"), HaveKey("thick"), HaveKey("nightly")))
		Expect(n.State.LIO.Backstores).To(HaveLen(3))
	})
	It("takes no LUN and no ACL from an initiator that is logged in", func() {
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
		e := n.Declared.Exports["db"]
		e.Spec.LUNs, e.Spec.Initiators = e.Spec.LUNs[:1], e.Spec.Initiators[1:]
		n.Declared.Exports["db"] = e
		Expect(ChangesIn(n.Plan())).To(ConsistOf("set authentication of initiator "+Initiator+" at "+IQN+": no password",
			"unmap LUN 1 of "+IQN+" from initiator iqn.1993-08.org.debian:01:open",
			"unmap LUN 7 of "+IQN+" from initiator iqn.1993-08.org.debian:01:open"))
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
	})
	DescribeTable("keeps an open volume", func(open func(n *Node)) {
		delete(n.Declared.Volumes, "thick")
		delete(n.Declared.Snapshots, "tnightly")
		e := n.Declared.Exports["db"]
		e.Spec.LUNs = e.Spec.LUNs[:2]
		n.Declared.Exports["db"] = e
		open(n)
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonInUse))
		Expect(ChangesIn(n.Plan())).NotTo(ContainElement(HavePrefix("remove vg0/thick")))
	},
		Entry("that is mounted besides being exported", func(n *Node) {
			n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
		}),
		Entry("that is open for no reason that can be told", func(n *Node) {
			n.ApplyAllButRemovals()
			n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Open = true })
		}),
	)
	It("leaves the objects of an unreadable file alone", func() {
		n.Declared.Invalid = map[spec.ID]error{VolumeID("data"): errors.New("bad size"), ExportID("db"): errors.New("no such volume")}
		delete(n.Declared.Volumes, "data")
		delete(n.Declared.Exports, "db")
		delete(n.Declared.Snapshots, "nightly")
		n.Declared.Invalid[SnapshotID("nightly")] = errors.New("Volume/data is invalid")
		n.Declared.Complete = false
		p := n.Plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonInvalid))
	})
	It("goes on exporting what is there while its object is invalid", func() {
		n.Declared.Invalid = map[spec.ID]error{VolumeID("data"): errors.New("bad size"), SnapshotID("nightly"): errors.New("its Volume/data is invalid")}
		delete(n.Declared.Volumes, "data")
		delete(n.Declared.Snapshots, "nightly")
		n.Declared.Complete = false
		Expect(n.Plan().Steps).To(BeEmpty())
		delete(n.State.LIO.ISCSI, IQN)
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(3))
	})
	It("moves a target when its name changes, once nobody is logged in", func() {
		e := n.Declared.Exports["db"]
		e.Spec.Target = IQN + "2"
		n.Declared.Exports["db"] = e
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(And(HaveKey(IQN), HaveKey(IQN+"2")))
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(And(Not(HaveKey(IQN)), HaveKey(IQN+"2")))
	})
})

// removalOf returns the step that removes the logical volume of a Volume.
func removalOf(p plan.Plan, name string) plan.Step {
	for _, s := range p.Steps {
		if change.Name(s.Change) == "RemoveLV" && s.Object == VolumeID(name) {
			return s
		}
	}
	return plan.Step{}
}
