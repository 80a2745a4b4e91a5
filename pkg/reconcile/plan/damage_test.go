package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and a thin pool that is damaged", func() {
	DescribeTable("says so of all that is in it, takes it from nobody and plans nothing there", func(health string) {
		n := Converged()
		n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.Health = health })
		v := n.Declared.Volumes["data"]
		v.Spec.Size *= 2
		n.Declared.Volumes["data"] = v
		n.Declared.Volumes["new"] = spec.Volume{Metadata: Meta("new"), Spec: spec.VolumeSpec{Pool: "fast", Size: MiB, LVName: "new"}}
		p := n.Plan()
		Expect(ChangesIn(p)).To(BeEmpty())
		Expect(ObjectOf(p, spec.ID{Kind: spec.KindPool, Name: "fast"})).To(BeIn(status.Failed, status.ReasonPoolDamaged))
		Expect(ObjectOf(p, VolumeID("data"))).To(BeIn(status.Failed, status.ReasonPoolDamaged))
		Expect(ObjectOf(p, VolumeID("new"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		Expect(ObjectOf(p, VolumeID("thick"))).To(BeIn(status.Ready, status.ReasonAsDesired))
	}, Entry(nil, "failed"), Entry(nil, "metadata_read_only"))
})

var _ = Describe("Make and a LUN that becomes read-only", func() {
	var n *Node
	readOnly := HaveField("Change", BeAssignableToTypeOf(change.SetWriteProtect{}))
	BeforeEach(func() {
		n = Converged()
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = append([]spec.LUN{}, e.LUNs...)
			e.LUNs[0].ReadOnly = true
		})
	})
	It("is read-only at once for those who are not logged in", func() {
		Expect(n.Plan().Steps).To(ContainElement(readOnly))
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].ACLs[Initiator].LUNs[0].WriteProtect).To(BeTrue())
	})
	It("waits for those who are", func() {
		n.LogIn()
		p := n.Plan()
		Expect(p.Steps).NotTo(ContainElement(readOnly))
		Expect(ObjectOf(p, ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring(Initiator))))
	})
	It("does not if the spec says so, and the plan tells of it", func() {
		n.LogIn()
		n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
		Expect(n.Plan().Steps).To(ContainElement(And(readOnly, HaveField("Danger", Disruptive), HaveField("Affects", ContainElement(Initiator)))))
	})
	It("is made writable again at once", func() {
		n.Converge()
		n.LogIn()
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs[0].ReadOnly = false })
		Expect(n.Plan().Steps).To(ContainElement(And(readOnly, HaveField("Danger", Harmless))))
	})
})

var _ = Describe("Make and a portal that an NVMe Export does not ask for any more", func() {
	o := fabricsUnderTest[3]
	var n *Node
	removed := HaveField("Change", BeAssignableToTypeOf(change.RemovePortal{}))
	BeforeEach(func() {
		n = nodeOver(o)
		n.Apply(n.Plan())
		n.Remember()
		n.EditTargetOf(o.target, func(t *observe.Target) { t.Unattributed = []string{"10.0.0.9"} })
		n.EditExport(func(e *spec.ExportSpec) { e.Portals = []string{"0.0.0.0:4430"} })
	})
	It("goes when nobody is connected, and the new one is there at once", func() {
		p := n.Plan()
		Expect(p.Steps).NotTo(ContainElement(removed))
		Expect(kinds(p)).To(ContainElement("AddPortal"))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		n.EditTargetOf(o.target, func(t *observe.Target) { t.Unattributed = nil })
		n.Settle()
		Expect(targetOf(n, o).Portals).To(HaveLen(1))
	})
	It("changes its transport when nobody is connected, or the spec says so", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.Portals, e.Protocol = o.portals, spec.ProtocolNVMeRDMA })
		p := n.Plan()
		Expect(kinds(p)).To(BeEmpty())
		Expect(ObjectOf(p, ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring("10.0.0.9"))))
		n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
		Expect(n.Plan().Steps).To(HaveEach(And(
			HaveField("Change", BeAssignableToTypeOf(change.AddPortal{})), HaveField("Danger", Disruptive), HaveField("Affects", HaveExactElements("10.0.0.9")))))
		n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectWait })
		n.EditTargetOf(o.target, func(t *observe.Target) { t.Unattributed = nil })
		n.Settle()
		Expect(targetOf(n, o).Portals).To(HaveEach(observe.RDMA))
	})
	It("goes at once if the spec says so", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
		Expect(n.Plan().Steps).To(ContainElement(removed))
	})
})

var _ = Describe("Make and a mapping that shows nothing so far", func() {
	It("goes before a LUN is added that it would show", func() {
		n := Converged()
		n.EditTargetOf(observe.TargetID{Fabric: observe.ISCSI, Name: IQN}, func(t *observe.Target) {
			t.LUNs[0] = observe.TargetLUN{}
			for _, acl := range t.ACLs {
				delete(acl.LUNs, 0)
			}
			t.ACLs[Initiator].LUNs[4] = observe.MappedLUN{LUN: 0}
		})
		p := n.Plan()
		var unmap, add Step
		for _, s := range p.Steps {
			switch c := s.Change.(type) {
			case change.UnmapLUN:
				unmap = s
			case change.AddLUN:
				if c.LUN == 0 {
					add = s
				}
			}
		}
		Expect(unmap.Change).To(HaveField("LUN", 4))
		Expect(add.Needs).To(ContainElement(unmap.ID))
		n.Settle()
	})
})
