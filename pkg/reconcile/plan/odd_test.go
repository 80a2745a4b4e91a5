package plan_test

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// What is here was found by properties_test.go.
var _ = Describe("Make in odd cases", func() {
	var n *Node
	BeforeEach(func() { n = Converged() })

	It("leaves a logical volume alone that somebody gave to another object", func() {
		given := append(ondisk.OwnerTags(VolumeID("other")), ondisk.DeletionTag(spec.Delete))
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags = given })
		p := n.Converge()
		Expect(n.LVs("vg0")["thick"].Tags).To(BeEquivalentTo(given))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonNotOwned))
	})
	It("does not take another logical volume with some of its tags for the one that vanished", func() {
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.UUID, lv.Tags = "another", lv.Tags[:1] })
		p := n.Plan()
		Expect(ChangesIn(p)).To(BeEmpty())
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonVanished))
	})
	It("makes no snapshot of a volume that is to move", func() {
		n.Declared.Snapshots["again"] = spec.Snapshot{Metadata: Meta("again"), Spec: spec.SnapshotSpec{Volume: "thick"}}
		n.MoveTo("thick", "fast")
		p := n.Converge()
		Expect(n.LVs("vg0")).NotTo(HaveKey("again"))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonSnapshotsExist))
		Expect(ObjectOf(p, SnapshotID("again"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	})
	It("writes nothing to the volume group that a volume is in, if physical volumes of it are missing and its Pool is another", func() {
		n.State.VolumeGroups["vg1"] = observe.VolumeGroup{Name: "vg1", ExtentSize: 4 * MiB, Size: 1024 * MiB, LogicalVolumes: map[string]observe.LogicalVolume{}}
		n.Declared.Pools["slow"] = spec.Pool{Metadata: Meta("slow"), Spec: spec.PoolSpec{VolumeGroup: "vg1"}}
		for name, v := range n.Declared.Volumes {
			v.Spec.DeletionPolicy, v.Spec.Size = spec.Retain, 200*MiB
			n.Declared.Volumes[name] = v
		}
		s := n.Declared.Snapshots["tnightly"]
		s.Spec.DeletionPolicy = spec.Retain
		n.Declared.Snapshots["tnightly"] = s
		vg := n.State.VolumeGroups["vg0"]
		vg.MissingPVs = 1
		n.State.VolumeGroups["vg0"] = vg
		Expect(ChangesIn(n.Plan())).To(BeEmpty())
	})

	Describe("exports of a suspended volume", func() {
		BeforeEach(func() { n.Suspend("thick") })
		It("bind it anew after a reboot, unless it is inactive", func() {
			n.State.LIO = NewModel().State.LIO
			for _, name := range []string{"vg0/data", "vg0/nightly", "vg0/thick"} {
				n.Edit(name, func(lv *observe.LogicalVolume) { lv.Open = false })
			}
			n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = false })
			p := n.Converge()
			Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(2))
			Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotReady))
			n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = true })
			n.Converge()
			Expect(n.State.LIO.ISCSI[IQN].LUNs).To(HaveLen(3))
		})
		It("neither rebuild nor change its backstore", func() {
			path := n.BackstorePath(ondisk.BackstoreName(VolumeID("thick")))
			b := n.State.LIO.Backstores[path]
			b.Unmap = true
			n.State.LIO.Backstores[path] = b
			Expect(ChangesIn(n.Plan())).To(BeEmpty())
			n.ChangeTarget(change.RemoveLUN{Target: change.Target{Fabric: observe.ISCSI, Name: IQN, Export: "db"}, LUN: 1})
			b.Serial = "another"
			n.State.LIO.Backstores[path] = b
			Expect(ChangesIn(n.Plan())).To(BeEmpty())
		})
	})

	It("lets anybody write only when what they could only read is gone", func() {
		n.EditExport(func(e *spec.ExportSpec) {
			e.AllowAnyInitiator, e.Initiators = true, nil
			e.LUNs = []spec.LUN{{Volume: "data", Number: Ptr(0), ReadOnly: true}}
		})
		n.Converge()
		n.EditTarget(IQN, func(t *observe.Target) { t.DynamicSessions = []string{Initiator} })
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(1)}} })
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].Attrib.DemoModeWriteProtect).To(BeTrue())
		n.EditTarget(IQN, func(t *observe.Target) { t.DynamicSessions = nil })
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].Attrib.DemoModeWriteProtect).To(BeFalse())
		Expect(n.State.LIO.ISCSI[IQN].LUNs).To(And(HaveLen(1), HaveKey(1)))
	})
	It("takes nothing out of an export while LVM cannot be read", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs, e.Initiators = e.LUNs[:1], e.Initiators[:1] })
		n.State.Unknown = map[observe.System]error{observe.LVM: errors.New("hangs")}
		n.State.VolumeGroups = nil
		p := n.Plan()
		Expect(ChangesIn(p)).To(BeEmpty())
		Expect(ObjectOf(p, ExportID("db"))).To(HaveField("Reason", Or(Equal(status.ReasonObservationFailed), Equal(status.ReasonNotReady))))
	})

	Describe("a target that is not enabled and holds more than the spec", func() {
		BeforeEach(func() {
			n.EditTarget(IQN, func(t *observe.Target) { t.Enabled = false })
			n.EditExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[:1] })
		})
		It("is not enabled before that is gone", func() {
			steps := n.Plan().Steps
			Expect(steps).To(HaveLen(2))
			Expect(steps[0].Change).To(BeAssignableToTypeOf(change.RemoveInitiator{}))
			Expect(steps[1]).To(And(HaveField("Change", BeAssignableToTypeOf(change.EnableTarget{})), HaveField("Needs", ContainElement(steps[0].ID))))
		})
		It("is not enabled while findings keep that there", func() {
			n.Declared.Complete = false
			Expect(ChangesIn(n.Plan())).To(BeEmpty())
		})
	})
})
