package plan_test

import (
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and an initiator that is taken out of an Export", func() {
	var n *Node
	BeforeEach(func() {
		n = Converged()
	})
	takeOut := func() { n.EditExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[1:] }) }
	acl := func() observe.ACL { return n.State.LIO.ISCSI[IQN].ACLs[Initiator] }

	It("does not let it in again while its session goes on", func() {
		n.LogIn()
		takeOut()
		n.Apply(n.Plan())
		Expect(acl()).To(And(HaveField("LoggedIn", true), HaveField("Authentication", "1"), HaveField("Auth", observe.CHAP{})))
		Expect(acl().LUNs).NotTo(BeEmpty())
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
	})
	It("does not while a key holds it that it registered", func() {
		n.EditBackstore("volume:data", func(b *observe.Backstore) {
			b.Registrations = []observe.Registration{{Initiator: Initiator, Key: 1}}
		})
		takeOut()
		n.Apply(n.Plan())
		Expect(acl()).To(And(HaveField("Authentication", "1"), HaveField("Auth", observe.CHAP{})))
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonReservationsActive))
	})
	It("lets it in as before when it is listed again", func() {
		n.LogIn()
		listed := n.Declared.Exports["db"].Spec.Initiators
		takeOut()
		n.Apply(n.Plan())
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators = listed })
		n.Converge()
		Expect(acl().Auth).To(HaveField("Username", "u"))
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(HaveField("Phase", status.Ready))
	})
	It("does nothing while the input is in doubt", func() {
		n.LogIn()
		takeOut()
		n.Declared.Complete = false
		Expect(n.Plan().Steps).To(BeEmpty())
	})
})

var _ = Describe("Make and an NVMe host that is taken out of an Export", func() {
	o := fabricsUnderTest[slices.IndexFunc(fabricsUnderTest, func(o over) bool { return o.protocol == spec.ProtocolNVMeTCP })]
	host := o.initiators[0]
	var n *Node
	BeforeEach(func() {
		n = nodeOver(o)
		n.Apply(n.Plan())
		n.Remember()
		n.EditTargetOf(o.target, func(t *observe.Target) {
			acl := t.ACLs[host]
			acl.LoggedIn = true
			t.ACLs[host] = acl
		})
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[1:] })
	})
	It("does not let it connect again while it is connected, and waits for it", func() {
		Expect(ChangesIn(n.Plan())).To(Equal([]string{"remove initiator " + host + " from " + o.target.Name + ", without ending its session"}))
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		n.Apply(n.Plan())
		Expect(targetOf(n, o).ACLs).NotTo(HaveKey(host))
		Expect(targetOf(n, o).DynamicSessions).To(Equal([]string{host}))
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
	})
	It("shows it nothing new meanwhile, in no pass", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = append(e.LUNs, spec.LUN{Snapshot: "nightly", Number: Ptr(7)}) })
		for range 3 {
			n.Apply(n.Plan())
			Expect(targetOf(n, o).LUNs).NotTo(HaveKey(7))
		}
		n.EditTargetOf(o.target, func(t *observe.Target) { t.DynamicSessions = nil })
		n.Converge()
		Expect(targetOf(n, o).LUNs).To(HaveKey(7))
	})

	Describe("whose kernel tells hosts by their addresses alone", func() {
		connectedFrom := func(addresses ...string) {
			n.EditTargetOf(o.target, func(t *observe.Target) {
				acl := t.ACLs[host]
				if acl.LoggedIn = false; acl.Initiator != "" {
					t.ACLs[host] = acl
				}
				t.Sessions, t.Unattributed = -1, addresses
			})
		}
		more := func() {
			n.EditExport(func(e *spec.ExportSpec) { e.LUNs = append(e.LUNs, spec.LUN{Snapshot: "nightly", Number: Ptr(7)}) })
		}
		BeforeEach(func() { connectedFrom("192.0.2.1", "192.0.2.2") })

		It("does not let it connect again, and takes whoever is connected for it until they were not", func() {
			n.Pass(-1)
			Expect(targetOf(n, o).ACLs).NotTo(HaveKey(host))
			more()
			for range 3 {
				p := n.Pass(-1)
				Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
				Expect(targetOf(n, o).LUNs).NotTo(HaveKey(7))
			}
			Expect(ObjectOf(n.Plan(), ExportID("db")).Message).To(ContainSubstring("192.0.2.1 (may be " + host + "), 192.0.2.2 (may be " + host + ")"))
			connectedFrom("192.0.2.2")
			n.Pass(-1)
			Expect(targetOf(n, o).LUNs).NotTo(HaveKey(7))
			connectedFrom()
			n.Pass(-1)
			connectedFrom("192.0.2.2")
			for range 3 {
				n.Pass(-1)
			}
			Expect(targetOf(n, o).LUNs).To(HaveKey(7))
			Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		})
		It("knows so also if the target showed nothing when it was taken out", func() {
			n = nodeOver(o)
			n.EditExport(func(e *spec.ExportSpec) { e.LUNs = nil })
			n.Apply(n.Plan())
			n.Remember()
			connectedFrom("192.0.2.1")
			n.EditExport(func(e *spec.ExportSpec) { e.Initiators = e.Initiators[1:] })
			n.Pass(-1)
			Expect(targetOf(n, o).ACLs).NotTo(HaveKey(host))
			more()
			n.Pass(-1)
			n.Pass(-1)
			Expect(targetOf(n, o).LUNs).NotTo(HaveKey(7))
		})
		It("does not know that they were not where some may come over RDMA", func() {
			n.Pass(-1)
			connectedFrom()
			n.EditTargetOf(o.target, func(t *observe.Target) { t.Portals["10.0.0.1:4420"] = observe.RDMA })
			n.LearnExposures(NewIndex(n.State, n.Input.Ownership()))
			Expect(n.Input.Exposures[o.target]).To(And(HaveLen(2), HaveEach(HaveField("Live", true))))
			n.EditTargetOf(o.target, func(t *observe.Target) { t.Portals["10.0.0.1:4420"] = observe.TCP })
			n.LearnExposures(NewIndex(n.State, n.Input.Ownership()))
			Expect(n.Input.Exposures).NotTo(HaveKey(o.target))
		})
		It("forgets it when it is listed again", func() {
			listed := append([]spec.Initiator{{Name: host, Auth: o.auth}}, n.Declared.Exports["db"].Spec.Initiators...)
			n.Pass(-1)
			n.EditExport(func(e *spec.ExportSpec) { e.Initiators = listed })
			more()
			for range 3 {
				n.Pass(-1)
			}
			Expect(targetOf(n, o).LUNs).To(HaveKey(7))
		})
		It("ends all sessions if that is asked for, and lets in who is listed", func() {
			n.Pass(-1)
			n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
			p := n.Pass(-1)
			Expect(ChangesIn(p)).To(HaveEach(HavePrefix("remove portal ")))
			Expect(p.Steps[0]).To(And(HaveField("Danger", Disruptive), HaveField("Affects", ContainElements("192.0.2.1", "192.0.2.2"))))
			connectedFrom()
			n.Pass(-1)
			connectedFrom("192.0.2.1")
			n.Pass(-1)
			Expect(slices.Sorted(maps.Keys(targetOf(n, o).Portals))).To(Equal(o.portals))
			Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		})
	})
})

var _ = Describe("Make and an initiator that was let in without a list", func() {
	const iqn = "iqn.1993-08.org.debian:01:first"
	closing := func(edit func(*spec.ExportSpec)) *Node {
		n := Movable()
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators, e.AllowAnyInitiator = nil, true })
		n.Converge()
		n.EditTarget(IQN, func(t *observe.Target) { t.DynamicSessions = []string{iqn} })
		n.EditExport(func(e *spec.ExportSpec) {
			e.Initiators, e.AllowAnyInitiator = []spec.Initiator{{Name: iqn}}, false
			edit(e)
		})
		return n
	}
	DescribeTable("is not listed before it logs out, if its list shows it less", func(edit func(*spec.ExportSpec)) {
		n := closing(edit)
		p := n.Converge()
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		Expect(n.State.LIO.ISCSI[IQN]).To(And(HaveField("ACLs", BeEmpty()), HaveField("DynamicSessions", HaveLen(1)), HaveField("LUNs", HaveLen(2))))
		n.EditTarget(IQN, func(t *observe.Target) { t.DynamicSessions = nil })
		Expect(ObjectOf(n.Converge(), ExportID("db"))).To(HaveField("Phase", status.Ready))
		Expect(n.State.LIO.ISCSI[IQN].ACLs).To(HaveKey(iqn))
	},
		Entry("fewer LUNs", func(e *spec.ExportSpec) { e.Initiators[0].LUNs = []int{0} }),
		Entry("only to read", func(e *spec.ExportSpec) { e.Initiators[0].ReadOnly = true }),
		Entry("a LUN only to read", func(e *spec.ExportSpec) { e.LUNs[1].ReadOnly = true }),
		Entry("a LUN that goes", func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] }),
	)
	It("is put out first with disconnect: Force", func() {
		n := closing(func(e *spec.ExportSpec) {
			e.Initiators[0].LUNs, e.Disconnect = []int{0}, spec.DisconnectForce
		})
		Expect(ObjectOf(n.Converge(), ExportID("db"))).To(HaveField("Phase", status.Ready))
		Expect(n.State.LIO.ISCSI[IQN].DynamicSessions).To(BeEmpty())
		Expect(n.State.LIO.ISCSI[IQN].ACLs[iqn].LUNs).To(HaveLen(1))
	})
	It("is listed at once if it goes on seeing the same", func() {
		n := closing(func(*spec.ExportSpec) {})
		n.Apply(n.Plan())
		Expect(n.State.LIO.ISCSI[IQN].ACLs[iqn].LUNs).To(HaveLen(2))
	})
})

var _ = Describe("Make and readOnly where anybody is let in", func() {
	var n *Node
	readOnly := func(yes bool) {
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = slices.Clone(e.LUNs)
			for i := range e.LUNs {
				e.LUNs[i].ReadOnly = yes
			}
		})
	}
	logIn := func(who ...string) { n.EditTarget(IQN, func(t *observe.Target) { t.DynamicSessions = who }) }
	target := func() observe.Target { return n.State.LIO.ISCSI[IQN] }
	BeforeEach(func() {
		n = Movable()
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators, e.AllowAnyInitiator = nil, true })
		n.Converge()
	})
	DescribeTable("adds all LUNs anew: what the group says does not hold for who was there", func(yes bool) {
		readOnly(!yes)
		n.Converge()
		readOnly(yes)
		Expect(ChangesIn(n.Plan())).To(HaveExactElements(HavePrefix("remove LUN 0"), HavePrefix("remove LUN 1"), ContainSubstring("admit any"), HavePrefix("add LUN 0"), HavePrefix("add LUN 1")))
		n.Converge()
		Expect(target()).To(And(HaveField("LUNs", HaveLen(2)), HaveField("Attrib.DemoModeWriteProtect", yes)))
	},
		Entry("only to read", true),
		Entry("to write", false))
	DescribeTable("waits for who is logged in, and says so", func(yes bool) {
		readOnly(!yes)
		n.Converge()
		logIn(Initiator)
		readOnly(yes)
		Expect(n.Plan().Steps).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring(Initiator))))
		logIn()
		n.Converge()
		Expect(target()).To(And(HaveField("LUNs", HaveLen(2)), HaveField("Attrib.DemoModeWriteProtect", yes)))
	}, Entry("only to read", true), Entry("to write", false))
	It("adds nothing meanwhile that anybody could write to", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] })
		n.Converge()
		logIn(Initiator)
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = append(e.LUNs, spec.LUN{Volume: "thick", Number: Ptr(5)}) })
		readOnly(true)
		for range 2 {
			n.Apply(n.Plan())
			Expect(target().LUNs).To(HaveLen(1))
		}
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		logIn()
		n.Converge()
		Expect(target()).To(And(HaveField("LUNs", HaveKey(5)), HaveField("Attrib.DemoModeWriteProtect", true)))
	})
	It("goes on after a crash between any two steps", func() {
		for after := range 5 {
			readOnly(after%2 == 0)
			n.Pass(after)
			n.Converge()
			Expect(ChangesIn(n.Plan())).To(BeEmpty())
			Expect(target()).To(And(HaveField("LUNs", HaveLen(2)), HaveField("Attrib.DemoModeWriteProtect", after%2 == 0)), "%d", after)
		}
	})
	It("takes nothing away that it cannot add again", func() {
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.Health, lv.Active = observe.HealthPartial, false })
		n.LosePVs(1)
		readOnly(true)
		Expect(ChangesIn(n.Plan())).NotTo(ContainElement(HavePrefix("remove LUN")))
	})
})
