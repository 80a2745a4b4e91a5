package reconcile

import (
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and what was removed by hand", func() {
	var n *node
	BeforeEach(func() {
		n = converged()
		delete(n.state.LIO.ISCSI, iqn)
		n.change(change.RemoveBackstore{Backstore: change.Backstore{HBA: ondisk.HBA, Name: "volreconciler:volume:data"}})
		delete(n.lvs("vg0"), "data")
	})
	It("never puts an empty volume in its place, and exports the rest", func() {
		p := n.converge()
		Expect(n.lvs("vg0")).NotTo(HaveKey("data"))
		Expect(objectOf(p, volumeID("data"))).To(beIn(Blocked, ReasonVanished))
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonNotReady))
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(And(HaveLen(2), Not(HaveKey(0))))
	})
	It("does not take another logical volume of that name for it", func() {
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "data", Type: observe.Thin, Pool: "pool0", Size: 100 * mib, Active: true})
		v := n.desired.Volumes["data"]
		v.Spec.Adopt = true
		n.desired.Volumes["data"] = v
		Expect(objectOf(n.converge(), volumeID("data"))).To(beIn(Blocked, ReasonVanished))
	})
	It("does not take a copy that carries its tags for it", func() {
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "data", Type: observe.Thin, Pool: "pool0", Size: 100 * mib, Active: true, Tags: ondisk.OwnerTags(volumeID("data"))})
		Expect(objectOf(n.converge(), volumeID("data"))).To(beIn(Blocked, ReasonVanished))
	})
	It("makes a new one when the annotation gives up the old one by its UUID", func() {
		lost := n.input.Known[volumeID("data")].UUID
		v := n.desired.Volumes["data"]
		v.Metadata.Annotations = map[string]string{spec.AnnotationRecreate: "another-uuid"}
		n.desired.Volumes["data"] = v
		n.converge()
		Expect(n.lvs("vg0")).NotTo(HaveKey("data"))
		v.Metadata.Annotations[spec.AnnotationRecreate] = lost
		n.converge()
		Expect(n.lvs("vg0")).To(HaveKey("data"))

		n.input.Known = Learn(n.input.Known, n.desired, n.state)
		Expect(n.input.Known[volumeID("data")].UUID).To(Equal(n.lvs("vg0")["data"].UUID))
		delete(n.lvs("vg0"), "data")
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Blocked, ReasonVanished), "the annotation holds for one time only")
	})
	It("keeps a vanished snapshot vanished", func() {
		delete(n.lvs("vg0"), "tnightly")
		Expect(objectOf(n.converge(), snapshotID("tnightly"))).To(beIn(Blocked, ReasonVanished))
	})
})

var _ = Describe("Diff and files that went away", func() {
	var n *node
	everything := func() {
		n.desired.Volumes, n.desired.Snapshots, n.desired.Exports = nil, nil, nil
	}
	BeforeEach(func() { n = converged() })

	It("removes exports first, then snapshots, then volumes", func() {
		everything()
		p := n.plan()
		var order []string
		for _, s := range p.Steps {
			order = append(order, change.Name(s.Change)+" "+s.Object.String())
		}
		Expect(order).To(Equal([]string{
			"RemoveTarget Export/db",
			"RemoveBackstore Volume/data", "RemoveBackstore Volume/thick", "RemoveBackstore Snapshot/nightly",
			"RemoveLV Snapshot/nightly", "RemoveLV Snapshot/tnightly", "RemoveLV Volume/data", "RemoveLV Volume/thick",
		}))
		n.converge()
		Expect(n.lvs("vg0")).To(HaveLen(1), "the thin pool stays")
		Expect(n.state.LIO.Backstores).To(BeEmpty())
		Expect(n.state.LIO.ISCSI).To(BeEmpty())
	})
	It("removes nothing before the grace period is over", func() {
		everything()
		n.input.LastNamed = map[spec.ID]time.Time{
			volumeID("data"): n.input.Now.Add(-29 * time.Second), volumeID("thick"): n.input.Now.Add(-29 * time.Second),
			snapshotID("nightly"): n.input.Now.Add(-29 * time.Second), snapshotID("tnightly"): n.input.Now.Add(-29 * time.Second),
			exportID("db"): n.input.Now.Add(-29 * time.Second),
		}
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Deleting, ReasonGracePeriod))
		n.input.Now = n.input.Now.Add(2 * time.Second)
		Expect(n.plan().Steps).NotTo(BeEmpty())
	})
	It("removes nothing right after a start, when it was never seen to be named", func() {
		everything()
		n.input.Started = n.input.Now
		Expect(n.plan().Steps).To(BeEmpty())
	})
	It("removes nothing while there is any finding", func() {
		everything()
		n.desired.Complete = false
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Blocked, ReasonIncompleteInput))
	})
	It("takes nothing out of an export while there is any finding", func() {
		e := n.desired.Exports["db"]
		e.Spec.LUNs, e.Spec.Initiators = e.Spec.LUNs[:1], e.Spec.Initiators[:1]
		n.desired.Exports["db"] = e
		n.desired.Complete = false
		Expect(n.plan().Steps).To(BeEmpty())
		n.desired.Complete = true
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(1))
		Expect(n.state.LIO.ISCSI[iqn].ACLs).To(HaveLen(1))
		Expect(n.state.LIO.Backstores).To(HaveLen(1))
	})
	DescribeTable("removes nothing while a system cannot be read", func(system observe.System) {
		everything()
		n.state.Unknown = map[observe.System]error{system: errors.New("broken")}
		if system == observe.LVM {
			n.state.VolumeGroups = nil
		} else {
			n.state.LIO = observe.Targets{}
		}
		Expect(n.plan().Steps).To(BeEmpty())
	}, Entry("lvm", observe.LVM), Entry("lio", observe.LIO))
	DescribeTable("treats unknown as unknown, not as empty", func(system observe.System) {
		n.state.Unknown = map[observe.System]error{system: errors.New("broken")}
		if system == observe.LVM {
			n.state.VolumeGroups = nil
		} else {
			n.state.LIO = observe.Targets{}
		}
		Expect(n.plan().Steps).To(BeEmpty())
	}, Entry("lvm", observe.LVM), Entry("lio", observe.LIO))
	It("keeps what is Retain, and has it back with the file", func() {
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags[2] = "volreconciler/deletion=retain" })
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Tags = lv.Tags[:2] })
		before := n.desired
		everything()
		p := n.converge()
		Expect(n.lvs("vg0")).To(And(HaveKey("thick"), HaveKey("tnightly"), Not(HaveKey("data"))))
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Orphaned, ReasonRetained))
		Expect(objectOf(p, snapshotID("tnightly"))).To(beIn(Orphaned, ReasonRetained))
		n.desired = before
		delete(n.input.Known, volumeID("data"))
		delete(n.input.Known, snapshotID("nightly"))
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(3))
	})
	It("keeps a volume whose snapshot stays", func() {
		n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) { lv.Tags = nil })
		everything()
		Expect(objectOf(n.converge(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
		Expect(n.lvs("vg0")).To(HaveKey("thick"))
	})
	DescribeTable("keeps a volume that LVM would not remove alone, and names the others", func(trash time.Duration) {
		n.keepFor(trash)
		n.edit("vg0/data", func(lv *observe.LogicalVolume) {
			lv.TakesAlong = []string{"vg0/clone1, a thin volume that has it as external origin"}
		})
		everything()
		Expect(objectOf(n.converge(), volumeID("data"))).To(And(beIn(Blocked, ReasonSnapshotsExist), HaveField("Message", ContainSubstring("vg0/clone1"))))
		Expect(n.lvs("vg0")["data"].Tags).To(HaveLen(3))
		n.edit("vg0/data", func(lv *observe.LogicalVolume) { lv.TakesAlong = nil })
		n.converge()
		Expect(n.lvs("vg0")["data"].Active).To(BeFalse())
	},
		Entry("with a trash", time.Hour),
		Entry("without one", time.Duration(0)),
	)
	It("does not empty the trash of what LVM would not remove alone", func() {
		n.keepFor(time.Hour)
		everything()
		n.converge()
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) {
			lv.TakesAlong = []string{"vg0/clone1, a thin volume that has it as external origin"}
		})
		n.wait(2 * time.Hour)
		Expect(objectOf(n.converge(), volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
		Expect(n.lvs("vg0")).To(And(HaveKey("thick"), Not(HaveKey("data"))))
	})
	It("keeps an export with live sessions, and all below it", func() {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		everything()
		p := n.converge()
		Expect(objectOf(p, exportID("db"))).To(And(beIn(Blocked, ReasonSessionsActive), HaveField("Message", ContainSubstring(initiator))))
		Expect(n.lvs("vg0")).To(And(HaveKey("data"), HaveKey("thick"), HaveKey("nightly")))
		Expect(n.state.LIO.Backstores).To(HaveLen(3))
	})
	It("takes no LUN and no ACL from an initiator that is logged in", func() {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		e := n.desired.Exports["db"]
		e.Spec.LUNs, e.Spec.Initiators = e.Spec.LUNs[:1], e.Spec.Initiators[1:]
		n.desired.Exports["db"] = e
		Expect(n.plan().Steps).To(BeEmpty())
		Expect(objectOf(n.plan(), exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
	})
	DescribeTable("keeps an open volume", func(open func(n *node)) {
		delete(n.desired.Volumes, "thick")
		delete(n.desired.Snapshots, "tnightly")
		e := n.desired.Exports["db"]
		e.Spec.LUNs = e.Spec.LUNs[:2]
		n.desired.Exports["db"] = e
		open(n)
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonInUse))
		Expect(changesIn(n.plan())).NotTo(ContainElement(HavePrefix("remove vg0/thick")))
	},
		Entry("that is mounted besides being exported", func(n *node) {
			n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
		}),
		Entry("that is open for no reason that can be told", func(n *node) {
			n.applyAllButRemovals()
			n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Open = true })
		}),
	)
	It("leaves the objects of an unreadable file alone", func() {
		n.desired.Invalid = map[spec.ID]error{volumeID("data"): errors.New("bad size"), exportID("db"): errors.New("no such volume")}
		delete(n.desired.Volumes, "data")
		delete(n.desired.Exports, "db")
		delete(n.desired.Snapshots, "nightly")
		n.desired.Invalid[snapshotID("nightly")] = errors.New("Volume/data is invalid")
		n.desired.Complete = false
		p := n.plan()
		Expect(p.Steps).To(BeEmpty())
		Expect(objectOf(p, volumeID("data"))).To(beIn(Blocked, ReasonInvalid))
	})
	It("goes on exporting what is there while its object is invalid", func() {
		n.desired.Invalid = map[spec.ID]error{volumeID("data"): errors.New("bad size"), snapshotID("nightly"): errors.New("its Volume/data is invalid")}
		delete(n.desired.Volumes, "data")
		delete(n.desired.Snapshots, "nightly")
		n.desired.Complete = false
		Expect(n.plan().Steps).To(BeEmpty())
		delete(n.state.LIO.ISCSI, iqn)
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(3))
	})
	It("moves a target when its name changes, once nobody is logged in", func() {
		e := n.desired.Exports["db"]
		e.Spec.Target = iqn + "2"
		n.desired.Exports["db"] = e
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		n.converge()
		Expect(n.state.LIO.ISCSI).To(And(HaveKey(iqn), HaveKey(iqn+"2")))
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.converge()
		Expect(n.state.LIO.ISCSI).To(And(Not(HaveKey(iqn)), HaveKey(iqn+"2")))
	})
})
