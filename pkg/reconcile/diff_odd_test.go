package reconcile

import (
	"errors"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// What is here was found by properties_test.go.
var _ = Describe("Diff in odd cases", func() {
	var n *node
	BeforeEach(func() { n = converged() })

	It("leaves a logical volume alone that somebody gave to another object", func() {
		given := append(ondisk.OwnerTags(volumeID("other")), ondisk.DeletionTag(spec.Delete))
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Tags = given })
		p := n.converge()
		Expect(n.lvs("vg0")["thick"].Tags).To(BeEquivalentTo(given))
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonNotOwned))
	})
	It("does not take another logical volume with some of its tags for the one that vanished", func() {
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.UUID, lv.Tags = "another", lv.Tags[:1] })
		p := n.plan()
		Expect(changesIn(p)).To(BeEmpty())
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonVanished))
	})
	It("makes no snapshot of a volume that is to move", func() {
		n.desired.Snapshots["again"] = spec.Snapshot{Metadata: meta("again"), Spec: spec.SnapshotSpec{Volume: "thick"}}
		n.moveTo("thick", "fast")
		p := n.converge()
		Expect(n.lvs("vg0")).NotTo(HaveKey("again"))
		Expect(objectOf(p, volumeID("thick"))).To(beIn(Blocked, ReasonSnapshotsExist))
		Expect(objectOf(p, snapshotID("again"))).To(beIn(Blocked, ReasonNotReady))
		Expect(objectOf(p, exportID("db"))).To(beIn(Ready, ReasonAsDesired))
	})
	It("writes nothing to the volume group that a volume is in, if physical volumes of it are missing and its Pool is another", func() {
		n.state.VolumeGroups["vg1"] = observe.VolumeGroup{Name: "vg1", ExtentSize: 4 * mib, Size: 1024 * mib, LogicalVolumes: map[string]observe.LogicalVolume{}}
		n.desired.Pools["slow"] = spec.Pool{Metadata: meta("slow"), Spec: spec.PoolSpec{VolumeGroup: "vg1"}}
		for name, v := range n.desired.Volumes {
			v.Spec.DeletionPolicy, v.Spec.Size = spec.Retain, 200*mib
			n.desired.Volumes[name] = v
		}
		s := n.desired.Snapshots["tnightly"]
		s.Spec.DeletionPolicy = spec.Retain
		n.desired.Snapshots["tnightly"] = s
		vg := n.state.VolumeGroups["vg0"]
		vg.MissingPVs = 1
		n.state.VolumeGroups["vg0"] = vg
		Expect(changesIn(n.plan())).To(BeEmpty())
	})

	Describe("exports of a suspended volume", func() {
		BeforeEach(func() { n.suspend("thick") })
		It("bind it anew after a reboot, unless it is inactive", func() {
			n.state.LIO = newModel().state.LIO
			for _, name := range []string{"vg0/data", "vg0/nightly", "vg0/thick"} {
				n.edit(name, func(lv *observe.LogicalVolume) { lv.Open = false })
			}
			n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = false })
			p := n.converge()
			Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(2))
			Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonNotReady))
			n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Active = true })
			n.converge()
			Expect(n.state.LIO.ISCSI[iqn].LUNs).To(HaveLen(3))
		})
		It("neither rebuild nor change its backstore", func() {
			path := ondisk.HBA + "/" + ondisk.BackstoreName(volumeID("thick"))
			b := n.state.LIO.Backstores[path]
			b.Unmap = true
			n.state.LIO.Backstores[path] = b
			Expect(changesIn(n.plan())).To(BeEmpty())
			n.changeTarget(change.RemoveLUN{Target: change.Target{Fabric: observe.ISCSI, Name: iqn, Export: "db"}, LUN: 1})
			b.Serial = "another"
			n.state.LIO.Backstores[path] = b
			Expect(changesIn(n.plan())).To(BeEmpty())
		})
	})

	It("lets anybody write only when what they could only read is gone", func() {
		n.editExport(func(e *spec.ExportSpec) {
			e.AllowAnyInitiator, e.Initiators = true, nil
			e.LUNs = []spec.LUN{{Volume: "data", Number: ptr(0), ReadOnly: true}}
		})
		n.converge()
		n.editTarget(iqn, func(t *observe.Target) { t.DynamicSessions = []string{initiator} })
		n.editExport(func(e *spec.ExportSpec) { e.LUNs = []spec.LUN{{Volume: "thick", Number: ptr(1)}} })
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].Attrib.DemoModeWriteProtect).To(BeTrue())
		n.editTarget(iqn, func(t *observe.Target) { t.DynamicSessions = nil })
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].Attrib.DemoModeWriteProtect).To(BeFalse())
		Expect(n.state.LIO.ISCSI[iqn].LUNs).To(And(HaveLen(1), HaveKey(1)))
	})
	It("takes nothing out of an export while LVM cannot be read", func() {
		n.editExport(func(e *spec.ExportSpec) { e.LUNs, e.Initiators = e.LUNs[:1], e.Initiators[:1] })
		n.state.Unknown = map[observe.System]error{observe.LVM: errors.New("hangs")}
		n.state.VolumeGroups = nil
		p := n.plan()
		Expect(changesIn(p)).To(BeEmpty())
		Expect(objectOf(p, exportID("db"))).To(HaveField("Reason", Or(Equal(ReasonObservationFailed), Equal(ReasonNotReady))))
	})

	Describe("a target that is not enabled and holds more than the spec", func() {
		BeforeEach(func() {
			n.editTarget(iqn, func(t *observe.Target) { t.Enabled = false })
			n.editExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[:1] })
		})
		It("is not enabled before that is gone", func() {
			steps := n.plan().Steps
			Expect(steps).To(HaveLen(2))
			Expect(steps[0].Change).To(BeAssignableToTypeOf(change.RemoveInitiator{}))
			Expect(steps[1]).To(And(HaveField("Change", BeAssignableToTypeOf(change.EnableTarget{})), HaveField("Needs", ContainElement(steps[0].ID))))
		})
		It("is not enabled while findings keep that there", func() {
			n.desired.Complete = false
			Expect(changesIn(n.plan())).To(BeEmpty())
		})
	})
})
