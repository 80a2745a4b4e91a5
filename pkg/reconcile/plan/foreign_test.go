package plan_test

import (
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and what is not ours", func() {
	foreign := observe.LogicalVolume{VolumeGroup: "vg0", Name: "thick", Type: observe.Thick, Size: 104 * MiB, Active: true}
	It("leaves a logical volume in the way as it is", func() {
		n := NewNode()
		n.Add(foreign)
		p := n.Converge()
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
		Expect(n.LVs("vg0")["thick"].Tags).To(BeEmpty())
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotReady))
	})
	It("adopts it when told to", func() {
		n := NewNode()
		n.Add(foreign)
		v := n.Declared.Volumes["thick"]
		v.Spec.Adopt = true
		n.Declared.Volumes["thick"] = v
		Expect(ChangesIn(n.Plan())).To(ContainElement("set tags of vg0/thick: +volreconciler/kind=volume +volreconciler/name=thick +volreconciler/deletion=delete"))
		n.Converge()
	})
	It("never adopts what another object owns, or what is of another kind", func() {
		n := NewNode()
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "thick", Type: observe.Thick, Size: 104 * MiB, Tags: ondisk.OwnerTags(VolumeID("other"))})
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "data", Type: observe.Thick, Size: 104 * MiB})
		for name, v := range n.Declared.Volumes {
			v.Spec.Adopt = true
			n.Declared.Volumes[name] = v
		}
		p := n.Converge()
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonImmutableField))
		Expect(n.LVs("vg0")["data"].Tags).To(BeEmpty())
		Expect(n.State.LIO.Backstores).To(BeEmpty())
	})
	It("leaves a target in the way, and one beside, as they are", func() {
		n := NewNode()
		theirs := observe.Target{Fabric: observe.ISCSI, Name: IQN, HasTPG: true, Mark: "LIO Target", Enabled: true}
		n.State.LIO.ISCSI[IQN] = theirs
		n.State.LIO.ISCSI["iqn.2000-01.a.b:c"] = theirs
		p := n.Converge()
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
		Expect(n.State.LIO.ISCSI).To(HaveEach(theirs))
	})
	It("says who holds a device that it would export", func() {
		n := NewNode()
		n.Declared.Exports = nil
		n.Converge()
		n.State.LIO.Backstores["iblock_0/x"] = observe.Backstore{HBA: "iblock_0", Name: "x", Enabled: true, Device: "/dev/vg0/data"}
		n.Declared.Exports = NewNode().Declared.Exports
		Expect(ObjectOf(n.Converge(), VolumeID("data"))).To(And(BeIn(status.Blocked, status.ReasonInUse), HaveField("Message", ContainSubstring("iblock_0/x"))))
	})
	It("refuses to choose between two copies", func() {
		n := Converged()
		n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: "copy", Type: observe.Thick, Tags: ondisk.OwnerTags(VolumeID("thick"))})
		Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonAmbiguous))
		Expect(n.Plan().Steps).To(BeEmpty())
	})
})

var _ = Describe("Make and traps for data", func() {
	var n *Node
	BeforeEach(func() { n = Converged() })

	It("does not remove what another object names", func() {
		thick := n.Declared.Volumes["thick"]
		delete(n.Declared.Volumes, "thick")
		delete(n.Declared.Snapshots, "tnightly")
		delete(n.Declared.Exports, "db")
		thick.Metadata.Name, thick.Spec.Adopt = "renamed", true
		n.Declared.Volumes["renamed"] = thick
		p := n.Converge()
		Expect(n.LVs("vg0")).To(HaveKey("thick"))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonInUse))
		Expect(ObjectOf(p, VolumeID("renamed"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
	})
	It("does not put an empty thin pool in place of a lost one", func() {
		for _, name := range []string{"pool0", "data", "nightly"} {
			delete(n.LVs("vg0"), name)
		}
		Expect(ChangesIn(n.Plan())).NotTo(ContainElement(HavePrefix("create thin pool")))
		Expect(ObjectOf(n.Plan(), spec.ID{Kind: spec.KindPool, Name: "fast"})).To(BeIn(status.Blocked, status.ReasonVanished))
	})
	It("opens no target to anybody while a LUN is in it that is not for them", func() {
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
		e := n.Declared.Exports["db"]
		e.Spec.AllowAnyInitiator, e.Spec.Initiators, e.Spec.LUNs = true, nil, e.Spec.LUNs[1:2]
		n.Declared.Exports["db"] = e
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].Attrib.GenerateNodeACLs).To(BeFalse())
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(And(HaveLen(1), HaveKey(7)))
		Expect(n.State.LIO.ISCSI[IQN].Attrib.GenerateNodeACLs).To(BeTrue())
	})
	It("says who is still in after a target was closed", func() {
		n.EditTarget(IQN, func(t *observe.Target) { t.DynamicSessions = []string{"iqn.2000-01.a.b:stranger"} })
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring("stranger"))))
	})
	It("removes a superseded target at once, however long the grace period", func() {
		e := n.Declared.Exports["db"]
		e.Spec.Target = IQN + "2"
		n.Declared.Exports["db"] = e
		n.Input.LastDeclared = map[spec.ID]time.Time{ExportID("db"): n.Input.Now}
		n.Converge()
		Expect(n.State.LIO.ISCSI).NotTo(HaveKey(IQN))
	})
	DescribeTable("keeps what anything says to retain", func(keep func()) {
		keep()
		n.Declared.Volumes, n.Declared.Snapshots, n.Declared.Exports = map[string]spec.Volume{"data": n.Declared.Volumes["data"]}, nil, nil
		Expect(ObjectOf(n.Converge(), SnapshotID("tnightly"))).To(BeIn(status.Orphaned, status.ReasonRetained))
		Expect(n.LVs("vg0")).To(HaveKey("tnightly"))
	},
		Entry("the files, last, though the tag is older", func() {
			s := n.Declared.Snapshots["tnightly"]
			s.Spec.DeletionPolicy, s.Metadata.Annotations = spec.Retain, map[string]string{spec.AnnotationReconcile: "suspended"}
			n.Declared.Snapshots["tnightly"] = s
			n.Converge()
			n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		}),
		Entry("a tag added by hand", func() {
			n.Edit("vg0/tnightly", func(lv *observe.LogicalVolume) {
				lv.Tags = append(slices.Clone(lv.Tags), "volreconciler/deletion=retain")
			})
		}),
	)
	It("takes no snapshot in another volume group than its volume's", func() {
		vg := n.State.VolumeGroups["vg0"]
		vg.Name, vg.LogicalVolumes = "vg1", map[string]observe.LogicalVolume{"data": {VolumeGroup: "vg1", Name: "data", Type: observe.Thick}}
		n.State.VolumeGroups["vg1"] = vg
		n.Declared.Pools["other"] = spec.Pool{Metadata: Meta("other"), Spec: spec.PoolSpec{VolumeGroup: "vg1"}}
		v := n.Declared.Volumes["data"]
		v.Spec.Pool = "other"
		n.Declared.Volumes["data"] = v
		n.Declared.Snapshots["new"] = spec.Snapshot{Metadata: Meta("new"), Spec: spec.SnapshotSpec{Volume: "data"}}
		Expect(ObjectOf(n.Plan(), SnapshotID("new"))).To(BeIn(status.Blocked, status.ReasonNotReady))
	})
	It("shows nobody else a LUN whose backstore holds another device", func() {
		path := ondisk.HBA + "/" + ondisk.BackstoreName(VolumeID("data"))
		b := n.State.LIO.Backstores[path]
		b.BlockDevice = "dm-4711"
		n.State.LIO.Backstores[path] = b
		e := n.Declared.Exports["db"]
		e.Spec.Initiators = append(slices.Clone(e.Spec.Initiators), spec.Initiator{Name: "iqn.2000-01.a.b:new"})
		n.Declared.Exports["db"] = e
		Expect(ChangesIn(n.Plan())).To(And(
			ContainElement(ContainSubstring("admit initiator iqn.2000-01.a.b:new")),
			ContainElement("map LUN 1 of "+IQN+" to initiator iqn.2000-01.a.b:new"),
			Not(ContainElement(ContainSubstring("map LUN 0 of")))))
		Expect(ObjectOf(n.Plan(), VolumeID("data"))).To(BeIn(status.Blocked, status.ReasonBackstoreMismatch))
	})
	It("never shows one volume under two numbers", func() {
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = true })
		e := n.Declared.Exports["db"]
		e.Spec.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}, {Volume: "data", Number: Ptr(1)}}
		n.Declared.Exports["db"] = e
		Expect(ChangesIn(n.Plan())).To(ConsistOf("unmap LUN 7 of "+IQN+" from initiator iqn.1993-08.org.debian:01:open"), "which is not in the spec")
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(And(HaveLen(2), HaveKeyWithValue(0, HaveField("Backstore", ContainSubstring("thick")))))
	})
})
