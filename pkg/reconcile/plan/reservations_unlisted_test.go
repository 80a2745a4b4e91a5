package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A persistent reservation of an initiator without an access list", func() {
	var n *Node
	o := fabricsUnderTest[0]
	blocked := BeIn(status.Blocked, status.ReasonReservationsActive)
	BeforeEach(func() {
		n = nodeOver(o)
		n.Input.Known = map[spec.ID]Identity{}
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators, e.AllowAnyInitiator = nil, true })
		n.Settle()
		n.EditBackstore("volume:data", func(b *observe.Backstore) {
			b.Registrations = []observe.Registration{{Initiator: o.initiators[0], SID: "00023d000001", Key: 0xabc}}
		})
	})
	empty := func() {
		n.EditBackstore("volume:data", func(b *observe.Backstore) { b.Registrations = nil })
	}

	DescribeTable("outlives its session", func(target string) {
		n.EditBackstore("volume:data", func(b *observe.Backstore) { b.Registrations[0].Target = target })
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[1:] })
		Expect(kinds(n.Plan())).NotTo(ContainElement("RemoveLUN"))
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(blocked)
		empty()
		Expect(kinds(n.Plan())).To(ContainElement("RemoveLUN"))
	},
		Entry("by whichever target it was made", ""),
		Entry("by the target that is known to have it", o.target.Name),
	)

	It("does not keep a LUN of a target by which it was not made", func() {
		n.EditBackstore("volume:data", func(b *observe.Backstore) { b.Registrations[0].Target = "iqn.2026-11.io.volreconciler:elsewhere" })
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[1:] })
		Expect(kinds(n.Plan())).To(ContainElement("RemoveLUN"))
	})

	It("does not keep a LUN while another target of the volume has its initiator", func() {
		web := n.Declared.Exports["db"]
		web.Metadata.Name = "web"
		web.Spec.Target, web.Spec.AllowAnyInitiator, web.Spec.Initiators = "iqn.2026-11.io.volreconciler:web", false, []spec.Initiator{{Name: o.initiators[0]}}
		n.Declared.Exports["web"] = web
		n.Settle()
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[1:] })
		Expect(kinds(n.Plan())).To(ContainElement("RemoveLUN"))
		n.EditExport(func(e *spec.ExportSpec) {
			e.AllowAnyInitiator, e.Initiators = false, []spec.Initiator{{Name: o.initiators[1]}}
		})
		n.Pass(-1)
		Expect(targetOf(n, o).Attrib).To(HaveField("CacheDynamicACLs", false))
	})

	It("keeps its target, of an Export that no file has, and is not forgotten when its session ends", func() {
		n.Declared.Exports = nil
		n.Wait(2 * 3600e9)
		n.Pass(-1)
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(blocked)
		Expect(targetOf(n, o).Attrib).To(And(HaveField("GenerateNodeACLs", false), HaveField("Authentication", true), HaveField("CacheDynamicACLs", true)))
		Expect(n.Plan().Steps).To(BeEmpty())
		empty()
		n.Settle()
		Expect(targetOf(n, o).Name).To(BeEmpty())
	})

	It("is not lost when the Export gets a list that does not have it", func() {
		loggedIn(n, o, o.initiators[0])
		n.EditExport(func(e *spec.ExportSpec) {
			e.AllowAnyInitiator, e.Initiators = false, []spec.Initiator{{Name: o.initiators[1]}}
		})
		n.Settle()
		Expect(targetOf(n, o).Attrib).To(And(HaveField("GenerateNodeACLs", false), HaveField("CacheDynamicACLs", true)))
		empty()
		n.Settle()
		Expect(targetOf(n, o).Attrib).To(HaveField("CacheDynamicACLs", false))
	})

	It("is not lost to the access list that it gets", func() {
		n.EditExport(func(e *spec.ExportSpec) {
			e.AllowAnyInitiator, e.Initiators = false, []spec.Initiator{{Name: o.initiators[0]}, {Name: o.initiators[1]}}
		})
		n.Settle()
		Expect(targetOf(n, o).ACLs).To(And(HaveLen(1), HaveKey(o.initiators[1])), "one that is made anew begins without keys")
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(And(blocked, HaveField("Message", ContainSubstring("(key 0xabc)"))))
		loggedIn(n, o, o.initiators[0]) // which its access list takes over
		n.Settle()
		Expect(targetOf(n, o).ACLs).To(HaveLen(2))
	})

	It("is given up by force", func() {
		n.EditExport(func(e *spec.ExportSpec) {
			e.AllowAnyInitiator, e.Initiators, e.Disconnect = false, []spec.Initiator{{Name: o.initiators[0]}}, spec.DisconnectForce
		})
		n.Settle()
		Expect(targetOf(n, o).ACLs).To(HaveLen(1))
		Expect(targetOf(n, o).Attrib).To(HaveField("CacheDynamicACLs", false))
	})
})

var _ = It("Make takes nobody's access away whose key the kernel may have had no room to show", func() {
	n := Converged()
	n.EditBackstore("volume:data", func(b *observe.Backstore) {
		b.Registrations = []observe.Registration{{Initiator: "iqn.2000-01.a.b:other", Key: 0xabc}, {}}
	})
	n.EditExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[1:] })
	Expect(kinds(n.Plan())).NotTo(ContainElement("RemoveInitiator"))
	Expect(ObjectOf(n.Plan(), ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonReservationsActive), HaveField("Message", ContainSubstring("others that the kernel does not show"))))
})

var _ = DescribeTable("A cutover gives keys back to those alone who see the Volume again, and so waits for those", func(edit func(*Node)) {
	n := Movable()
	n.Settle()
	n.MoveTo("thick", "fast")
	n.EditBackstore("volume:thick", func(b *observe.Backstore) {
		b.Registrations = []observe.Registration{{Initiator: Initiator, Key: 0xabc, Kept: true}}
	})
	edit(n)
	for range 4 {
		p := n.Plan()
		Expect(kinds(p)).NotTo(ContainElement("Cutover"))
		n.Apply(p)
	}
	Expect(ObjectOf(n.Plan(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonReservationsActive))
},
	Entry("of an initiator that is taken out", func(n *Node) {
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators = []spec.Initiator{{Name: "iqn.2000-01.a.b:other"}} })
	}),
	Entry("of one that is not to see the Volume any more", func(n *Node) {
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators = []spec.Initiator{{Name: Initiator, LUNs: []int{}}} })
	}),
	Entry("of one that made it by a target that is not there any more", func(n *Node) {
		n.EditBackstore("volume:thick", func(b *observe.Backstore) { b.Registrations[0].Target = "iqn.2026-11.io.volreconciler:gone" })
	}),
	Entry("of one that is to see it under another number", func(n *Node) {
		n.EditExport(func(e *spec.ExportSpec) {
			for i := range e.LUNs {
				e.LUNs[i].Number = Ptr(*e.LUNs[i].Number + 9)
			}
		})
	}),
)
