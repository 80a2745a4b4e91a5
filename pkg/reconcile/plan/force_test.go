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
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and sessions that are not waited for", func() {
	var n *Node
	force := func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce }
	BeforeEach(func() {
		n = Converged()
		n.EditExport(force)
		n.Remember()
		n.LogIn()
	})
	learnAgain := func() { n.Input.Known = Learned(n.Input.Known, n.Declared, n.State) }

	It("changes nothing by itself", func() {
		Expect(n.Plan().Steps).To(BeEmpty())
	})
	It("takes parts away from who is logged in, and says from whom", func() {
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs, e.Initiators, e.Portals = e.LUNs[:1], e.Initiators[1:], e.Portals[:1]
		})
		for _, s := range n.Plan().Steps {
			if s.Object == ExportID("db") {
				Expect(s).To(And(HaveField("Danger", Disruptive), HaveField("Affects", ConsistOf(Initiator))), "%s", s.Change)
			}
		}
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN]).To(And(HaveField("LUNs", HaveLen(1)), HaveField("ACLs", HaveLen(1)), HaveField("Portals", HaveLen(1))))
	})
	It("takes nothing away while there is any finding", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] })
		n.Declared.Complete = false
		Expect(n.Plan().Steps).To(BeEmpty())
	})
	It("never puts another volume behind a number that is in use", func() {
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}, {Volume: "data", Number: Ptr(1)}}
		})
		p := n.Converge()
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		Expect(n.State.LIO.ISCSI[IQN].LUNs[0].Backstore).To(HaveSuffix("volume:data"))
		Expect(n.State.LIO.ISCSI[IQN].LUNs[1].Backstore).To(HaveSuffix("volume:thick"))
	})
	It("moves a target", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.Target = IQN + "2" })
		p := n.Plan()
		Expect(p.Steps).To(ContainElement(And(HaveField("Danger", Disruptive), HaveField("Affects", ConsistOf(Initiator)),
			HaveField("Change", change.RemoveTarget{Target: change.Target{Fabric: observe.ISCSI, Name: IQN, Export: "db"}, Force: true}))))
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(And(HaveLen(1), HaveKey(IQN+"2")))
	})
	It("removes an export whose file is gone, as the file said last, and all below it", func() {
		n.UndeclareAll()
		learnAgain()
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(BeEmpty())
		Expect(n.LVs("vg0")).To(HaveLen(1))
	})
	It("still keeps what is mounted on the node", func() {
		n.Edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
		n.UndeclareAll()
		Expect(ObjectOf(n.Converge(), VolumeID("thick"))).To(BeIn(status.Blocked, status.ReasonInUse))
	})
	It("waits for the sessions of an export of which nothing is remembered", func() {
		n.UndeclareAll()
		n.Input.Known = nil
		Expect(ObjectOf(n.Converge(), ExportID("db"))).To(BeIn(status.Orphaned, status.ReasonNotDeclared))
		Expect(n.State.LIO.ISCSI).To(HaveKey(IQN))
	})
	It("waits if the file said so last", func() {
		n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectWait })
		learnAgain()
		n.UndeclareAll()
		learnAgain()
		Expect(ObjectOf(n.Converge(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
	})
	It("waits for the sessions of a target that was never the export's", func() {
		n.UndeclareAll()
		k := n.Input.Known[ExportID("db")]
		k.Targets = []string{IQN + "2"}
		n.Input.Known[ExportID("db")] = k
		Expect(ObjectOf(n.Converge(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
	})
	DescribeTable("puts out who came in while anybody could", func(complete bool, left ...string) {
		n.EditTarget(IQN, func(t *observe.Target) {
			t.Attrib.GenerateNodeACLs, t.DynamicSessions = true, []string{"iqn.x:stranger", "iqn.x:stranger", "iqn.1993-08.org.debian:01:open"}
		})
		n.Declared.Complete = complete
		p := n.Plan()
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
		for _, s := range p.Steps {
			if change.Name(s.Change) == "RemoveInitiator" {
				Expect(s.Needs).NotTo(BeEmpty(), "the target is closed first")
			}
		}
		n.Apply(p)
		Expect(n.State.LIO.ISCSI[IQN].DynamicSessions).To(ConsistOf(left))
		Expect(n.State.LIO.ISCSI[IQN].ACLs).To(HaveLen(2), "whoever is listed stays")
	},
		Entry(nil, true, "iqn.1993-08.org.debian:01:open"),
		Entry("not while there is a finding", false, "iqn.x:stranger", "iqn.x:stranger", "iqn.1993-08.org.debian:01:open"),
	)
})

var _ = Describe("Make and what a crash leaves of a target", func() {
	var n *Node
	shell := observe.Target{Fabric: observe.ISCSI, Name: IQN, Sessions: -1}
	BeforeEach(func() {
		n = Converged()
		e := n.Declared.Exports["db"]
		n.Declared.Exports = nil
		n.Converge()
		n.Declared.Exports = map[string]spec.Export{"db": e}
		n.Remember()
		n.Declared.Exports = nil
		n.State.LIO.ISCSI[IQN] = shell
	})
	It("removes it", func() {
		p := n.Plan()
		Expect(p.Steps).To(ConsistOf(And(HaveField("Danger", Harmless), HaveField("Object", ExportID("db")),
			HaveField("Change", change.RemoveTarget{Target: change.Target{Fabric: observe.ISCSI, Name: IQN, Export: "db"}}))))
		Expect(ObjectOf(p, ExportID("db"))).To(BeIn(status.Deleting, status.ReasonRemoving))
		n.Input.MaxDeletions = 0
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(BeEmpty())
	})
	It("removes it when the export has another target by now", func() {
		n.Declared.Exports = map[string]spec.Export{"db": NewNode().Declared.Exports["db"]}
		n.EditExport(func(e *spec.ExportSpec) { e.Target = IQN + "2" })
		n.Converge()
		Expect(n.State.LIO.ISCSI).To(And(HaveLen(1), HaveKey(IQN+"2")))
	})
	It("lets another export have it", func() {
		e := NewNode().Declared.Exports["db"]
		e.Metadata.Name = "other"
		n.Declared.Exports = map[string]spec.Export{"other": e}
		for _, s := range n.Plan().Steps {
			Expect(change.Name(s.Change)).NotTo(Equal("RemoveTarget"))
		}
		n.Converge()
		Expect(n.State.LIO.ISCSI[IQN].Mark).To(Equal(ondisk.TargetMark("other")))
	})
	DescribeTable("leaves it", func(edit func()) {
		edit()
		Expect(n.Plan().Steps).To(BeEmpty())
	},
		Entry("if nobody remembers it", func() { n.Input.Known = nil }),
		Entry("if it was another's", func() {
			n.Input.Known = map[spec.ID]Identity{ExportID("db"): {Targets: []string{IQN + "2"}}}
		}),
		Entry("while there is a finding", func() { n.Declared.Complete = false }),
		Entry("in the grace period", func() { n.Input.LastDeclared = map[spec.ID]time.Time{ExportID("db"): n.Input.Now} }),
		Entry("while its export is invalid", func() { n.Declared.Invalid = map[spec.ID]error{ExportID("db"): errors.New("no")} }),
		Entry("while LVM cannot be read", func() { n.State.Unknown = map[observe.System]error{observe.LVM: errors.New("no")} }),
		Entry("if it has a portal group", func() {
			n.EditTarget(IQN, func(t *observe.Target) { t.HasTPG = true })
		}),
		Entry("if it has portal groups of others", func() {
			n.EditTarget(IQN, func(t *observe.Target) { t.OtherTPGs = 1 })
		}),
		Entry("while its export is suspended", func() {
			e := NewNode().Declared.Exports["db"]
			e.Spec.Target, e.Metadata.Annotations = IQN+"2", map[string]string{spec.AnnotationReconcile: "suspended"}
			n.Declared.Exports = map[string]spec.Export{"db": e}
		}),
	)
})

var _ = DescribeTable("What is learnt of exports", func(known Identity, edit func(*Node), want Identity) {
	n := Converged()
	edit(n)
	before := map[spec.ID]Identity{ExportID("db"): known}
	if want.Targets == nil {
		Expect(Learned(before, n.Declared, n.State)).NotTo(HaveKey(ExportID("db")))
	} else {
		Expect(Learned(before, n.Declared, n.State)).To(HaveKeyWithValue(ExportID("db"), want))
	}
	Expect(before).To(Equal(map[spec.ID]Identity{ExportID("db"): known}))
},
	Entry("its target", Identity{}, func(*Node) {}, Identity{Targets: []string{IQN}, Declared: true}),
	Entry("its target, before it is made", Identity{}, func(n *Node) { n.State.LIO.ISCSI = nil }, Identity{Targets: []string{IQN}, Declared: true}),
	Entry("what it says of sessions", Identity{}, func(n *Node) {
		n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
	}, Identity{Targets: []string{IQN}, Force: true, Declared: true}),
	Entry("what it said last", Identity{Force: true}, func(n *Node) { n.Declared.Exports = nil }, Identity{Targets: []string{IQN}, Force: true}),
	Entry("its new target besides the old one, while that is there", Identity{Targets: []string{IQN}}, func(n *Node) {
		n.EditExport(func(e *spec.ExportSpec) { e.Target = IQN + "2" })
	}, Identity{Targets: []string{IQN, IQN + "2"}, Declared: true}),
	Entry("its new target alone, when the old one is gone", Identity{Targets: []string{IQN}}, func(n *Node) {
		n.EditExport(func(e *spec.ExportSpec) { e.Target = IQN + "2" })
		n.State.LIO.ISCSI = nil
	}, Identity{Targets: []string{IQN + "2"}, Declared: true}),
	Entry("the empty shell of its target", Identity{Targets: []string{IQN}, Force: true}, func(n *Node) {
		n.Declared.Exports = nil
		n.State.LIO.ISCSI[IQN] = observe.Target{Fabric: observe.ISCSI, Name: IQN}
	}, Identity{Targets: []string{IQN}, Force: true}),
	Entry("nothing, when nothing of it is left", Identity{Targets: []string{IQN}, Force: true}, func(n *Node) {
		n.Declared.Exports, n.State.LIO.ISCSI = nil, nil
	}, Identity{}),
	Entry("no less while LIO cannot be read", Identity{Targets: []string{IQN}, Force: true}, func(n *Node) {
		n.Declared.Exports, n.State.LIO = nil, observe.Targets{}
		n.State.Unknown = map[observe.System]error{observe.LIO: errors.New("broken")}
	}, Identity{Targets: []string{IQN}, Force: true}),
	Entry("no less while there is a finding", Identity{Targets: []string{IQN}}, func(n *Node) {
		n.Declared.Exports, n.State.LIO.ISCSI, n.Declared.Complete = nil, nil, false
	}, Identity{Targets: []string{IQN}}),
	Entry("the same while LVM cannot be read", Identity{}, func(n *Node) {
		n.State.Unknown = map[observe.System]error{observe.LVM: errors.New("broken")}
	}, Identity{Targets: []string{IQN}, Declared: true}),
)
