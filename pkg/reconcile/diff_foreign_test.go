package reconcile

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Diff and what is not ours", func() {
	foreign := observe.LogicalVolume{VolumeGroup: "vg0", Name: "thick", Type: observe.Thick, Size: 104 * mib, Active: true}
	It("leaves a logical volume in the way as it is", func() {
		n := newNode()
		n.add(foreign)
		p := n.converge()
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonNotOwned))
		Expect(n.lvs("vg0")["thick"].Tags).To(BeEmpty())
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonNotReady))
	})
	It("adopts it when told to", func() {
		n := newNode()
		n.add(foreign)
		v := n.desired.Volumes["thick"]
		v.Spec.Adopt = true
		n.desired.Volumes["thick"] = v
		Expect(changesIn(n.plan())).To(ContainElement("set tags of vg0/thick: +volreconciler/kind=volume +volreconciler/name=thick +volreconciler/deletion=delete"))
		n.converge()
	})
	It("never adopts what another object owns, or what is of another kind", func() {
		n := newNode()
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "thick", Type: observe.Thick, Size: 104 * mib, Tags: ondisk.OwnerTags(volumeID("other"))})
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "data", Type: observe.Thick, Size: 104 * mib})
		for name, v := range n.desired.Volumes {
			v.Spec.Adopt = true
			n.desired.Volumes[name] = v
		}
		p := n.converge()
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonNotOwned))
		Expect(objectOf(p, volumeID("data"))).To(beIn(Blocked, ReasonImmutableField))
		Expect(n.lvs("vg0")["data"].Tags).To(BeEmpty())
		Expect(n.state.LIO.Backstores).To(BeEmpty())
	})
	It("leaves a target in the way, and one beside, as they are", func() {
		n := newNode()
		theirs := observe.Target{Fabric: observe.ISCSI, Name: iqn, HasTPG: true, Mark: "LIO Target", Enabled: true}
		n.state.LIO.ISCSI[iqn] = theirs
		n.state.LIO.ISCSI["iqn.2000-01.a.b:c"] = theirs
		p := n.converge()
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonNotOwned))
		Expect(n.state.LIO.ISCSI).To(HaveEach(theirs))
	})
	It("says who holds a device that it would export", func() {
		n := newNode()
		n.desired.Exports = nil
		n.converge()
		n.state.LIO.Backstores["iblock_0/x"] = observe.Backstore{HBA: "iblock_0", Name: "x", Enabled: true, Device: "/dev/vg0/data"}
		n.desired.Exports = newNode().desired.Exports
		Expect(objectOf(n.converge(), volumeID("data"))).To(And(beIn(Blocked, ReasonInUse), HaveField("Message", ContainSubstring("iblock_0/x"))))
	})
	It("refuses to choose between two copies", func() {
		n := converged()
		n.add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "copy", Type: observe.Thick, Tags: ondisk.OwnerTags(volumeID("thick"))})
		Expect(objectOf(n.plan(), volumeID("thick"))).To(beIn(Blocked, ReasonAmbiguous))
		Expect(n.plan().Steps).To(BeEmpty())
	})
})

var _ = Describe("Diff and traps for data", func() {
	var n *node
	BeforeEach(func() { n = converged() })

	It("does not remove what another object names", func() {
		thick := n.desired.Volumes["thick"]
		delete(n.desired.Volumes, "thick")
		delete(n.desired.Snapshots, "tnightly")
		delete(n.desired.Exports, "db")
		thick.Metadata.Name, thick.Spec.Adopt = "renamed", true
		n.desired.Volumes["renamed"] = thick
		p := n.converge()
		Expect(n.lvs("vg0")).To(HaveKey("thick"))
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonInUse))
		Expect(objectOf(p, volumeID("renamed"))).To(beIn(Blocked, ReasonNotOwned))
	})
	It("does not put an empty thin pool in place of a lost one", func() {
		for _, name := range []string{"pool0", "data", "nightly"} {
			delete(n.lvs("vg0"), name)
		}
		Expect(changesIn(n.plan())).NotTo(ContainElement(HavePrefix("create thin pool")))
		Expect(objectOf(n.plan(), spec.ID{Kind: spec.KindPool, Name: "fast"})).To(beIn(Blocked, ReasonVanished))
	})
	It("opens no target to anybody while a LUN is in it that is not for them", func() {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		e := n.desired.Exports["db"]
		e.Spec.AllowAnyInitiator, e.Spec.Initiators, e.Spec.LUNs = true, nil, e.Spec.LUNs[1:2]
		n.desired.Exports["db"] = e
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].Attrib.GenerateNodeACLs).To(BeFalse())
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(And(HaveLen(1), HaveKey(7)))
		Expect(n.state.LIO.ISCSI[iqn].Attrib.GenerateNodeACLs).To(BeTrue())
	})
	It("says who is still in after a target was closed", func() {
		n.editTarget(iqn, func(t *observe.Target) { t.DynamicSessions = []string{"iqn.2000-01.a.b:stranger"} })
		Expect(objectOf(n.plan(), exportID("db"))).To(And(beIn(Blocked, ReasonSessionsActive), HaveField("Message", ContainSubstring("stranger"))))
	})
	It("removes a superseded target at once, however long the grace period", func() {
		e := n.desired.Exports["db"]
		e.Spec.Target = iqn + "2"
		n.desired.Exports["db"] = e
		n.input.LastNamed = map[spec.ID]time.Time{exportID("db"): n.input.Now}
		n.converge()
		Expect(n.state.LIO.ISCSI).NotTo(HaveKey(iqn))
	})
	DescribeTable("keeps what anything says to retain", func(keep func()) {
		keep()
		n.desired.Volumes, n.desired.Snapshots, n.desired.Exports = map[string]spec.Volume{"data": n.desired.Volumes["data"]}, nil, nil
		Expect(objectOf(n.converge(), snapshotID("tnightly"))).To(beIn(Orphaned, ReasonRetained))
		Expect(n.lvs("vg0")).To(HaveKey("tnightly"))
	},
		Entry("the files, last, though the tag is older", func() {
			s := n.desired.Snapshots["tnightly"]
			s.Spec.DeletionPolicy, s.Metadata.Annotations = spec.Retain, map[string]string{spec.AnnotationReconcile: "suspended"}
			n.desired.Snapshots["tnightly"] = s
			n.converge()
			n.input.Known = Learn(n.input.Known, n.desired, n.state)
		}),
		Entry("a tag added by hand", func() {
			n.edit("vg0/tnightly", func(lv *observe.LogicalVolume) {
				lv.Tags = append(slices.Clone(lv.Tags), "volreconciler/deletion=retain")
			})
		}),
	)
	It("takes no snapshot in another volume group than its volume's", func() {
		vg := n.state.VolumeGroups["vg0"]
		vg.Name, vg.LogicalVolumes = "vg1", map[string]observe.LogicalVolume{"data": {VolumeGroup: "vg1", Name: "data", Type: observe.Thick}}
		n.state.VolumeGroups["vg1"] = vg
		n.desired.Pools["other"] = spec.Pool{Metadata: meta("other"), Spec: spec.PoolSpec{VolumeGroup: "vg1"}}
		v := n.desired.Volumes["data"]
		v.Spec.Pool = "other"
		n.desired.Volumes["data"] = v
		n.desired.Snapshots["new"] = spec.Snapshot{Metadata: meta("new"), Spec: spec.SnapshotSpec{Volume: "data"}}
		Expect(objectOf(n.plan(), snapshotID("new"))).To(beIn(Blocked, ReasonNotReady))
	})
	It("shows nobody else a LUN whose backstore holds another device", func() {
		path := ondisk.HBA + "/" + ondisk.BackstoreName(volumeID("data"))
		b := n.state.LIO.Backstores[path]
		b.BlockDevice = "dm-4711"
		n.state.LIO.Backstores[path] = b
		e := n.desired.Exports["db"]
		e.Spec.Initiators = append(slices.Clone(e.Spec.Initiators), spec.Initiator{Name: "iqn.2000-01.a.b:new"})
		n.desired.Exports["db"] = e
		Expect(changesIn(n.plan())).To(And(
			ContainElement(ContainSubstring("admit initiator iqn.2000-01.a.b:new")),
			ContainElement("map LUN 1 of "+iqn+" to initiator iqn.2000-01.a.b:new"),
			Not(ContainElement(ContainSubstring("map LUN 0 of")))))
		Expect(objectOf(n.plan(), volumeID("data"))).To(beIn(Blocked, ReasonBackstoreMismatch))
	})
	It("never shows one volume under two numbers", func() {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = true })
		e := n.desired.Exports["db"]
		e.Spec.LUNs = []spec.LUN{{Volume: "thick", Number: ptr(0)}, {Volume: "data", Number: ptr(1)}}
		n.desired.Exports["db"] = e
		Expect(n.plan().Steps).To(BeEmpty())
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(And(HaveLen(2), HaveKeyWithValue(0, HaveField("Backstore", ContainSubstring("thick")))))
	})
})
