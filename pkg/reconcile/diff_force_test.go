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

var _ = Describe("Diff and sessions that are not waited for", func() {
	var n *node
	force := func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce }
	BeforeEach(func() {
		n = converged()
		n.editExport(force)
		n.remember()
		n.logIn()
	})
	learnAgain := func() { n.input.Known = Learn(n.input.Known, n.desired, n.state) }

	It("changes nothing by itself", func() {
		Expect(n.plan().Steps).To(BeEmpty())
	})
	It("takes parts away from who is logged in, and says from whom", func() {
		n.editExport(func(e *spec.ExportSpec) {
			e.LUNs, e.Initiators, e.Portals = e.LUNs[:1], e.Initiators[1:], e.Portals[:1]
		})
		for _, s := range n.plan().Steps {
			if s.Object == exportID("db") {
				Expect(s).To(And(HaveField("Danger", Disruptive), HaveField("Affects", ConsistOf(initiator))), "%s", s.Change)
			}
		}
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn]).To(And(HaveField("LUNs", HaveLen(1)), HaveField("ACLs", HaveLen(1)), HaveField("Portals", HaveLen(1))))
	})
	It("takes nothing away while there is any finding", func() {
		n.editExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] })
		n.desired.Complete = false
		Expect(n.plan().Steps).To(BeEmpty())
	})
	It("never puts another volume behind a number that is in use", func() {
		n.editExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Volume: "thick", Number: ptr(0)}, {Volume: "data", Number: ptr(1)}}
		})
		p := n.converge()
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
		Expect(n.state.LIO.ISCSI[iqn].LUNs[0].Backstore).To(HaveSuffix("volume:data"))
		Expect(n.state.LIO.ISCSI[iqn].LUNs[1].Backstore).To(HaveSuffix("volume:thick"))
	})
	It("moves a target", func() {
		n.editExport(func(e *spec.ExportSpec) { e.Target = iqn + "2" })
		p := n.plan()
		Expect(p.Steps).To(ContainElement(And(HaveField("Danger", Disruptive), HaveField("Affects", ConsistOf(initiator)),
			HaveField("Change", change.RemoveTarget{Target: change.Target{Fabric: observe.ISCSI, Name: iqn, Export: "db"}, Force: true}))))
		n.converge()
		Expect(n.state.LIO.ISCSI).To(And(HaveLen(1), HaveKey(iqn+"2")))
	})
	It("removes an export whose file is gone, as the file said last, and all below it", func() {
		n.nameNothing()
		learnAgain()
		n.converge()
		Expect(n.state.LIO.ISCSI).To(BeEmpty())
		Expect(n.lvs("vg0")).To(HaveLen(1))
	})
	It("still keeps what is mounted on the node", func() {
		n.edit("vg0/thick", func(lv *observe.LogicalVolume) { lv.HeldBy = []string{"mounted on /mnt"} })
		n.nameNothing()
		Expect(objectOf(n.converge(), volumeID("thick"))).To(beIn(Blocked, ReasonInUse))
	})
	It("waits for the sessions of an export of which nothing is remembered", func() {
		n.nameNothing()
		n.input.Known = nil
		Expect(objectOf(n.converge(), exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
		Expect(n.state.LIO.ISCSI).To(HaveKey(iqn))
	})
	It("waits if the file said so last", func() {
		n.editExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectWait })
		learnAgain()
		n.nameNothing()
		learnAgain()
		Expect(objectOf(n.converge(), exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
	})
	It("waits for the sessions of a target that was never the export's", func() {
		n.nameNothing()
		k := n.input.Known[exportID("db")]
		k.Targets = []string{iqn + "2"}
		n.input.Known[exportID("db")] = k
		Expect(objectOf(n.converge(), exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
	})
	DescribeTable("puts out who came in while anybody could", func(complete bool, left ...string) {
		n.editTarget(iqn, func(t *observe.Target) {
			t.Attrib.GenerateNodeACLs, t.DynamicSessions = true, []string{"iqn.x:stranger", "iqn.x:stranger", "iqn.1993-08.org.debian:01:open"}
		})
		n.desired.Complete = complete
		p := n.plan()
		Expect(objectOf(p, exportID("db"))).To(beIn(Blocked, ReasonSessionsActive))
		for _, s := range p.Steps {
			if change.Name(s.Change) == "RemoveInitiator" {
				Expect(s.Needs).NotTo(BeEmpty(), "the target is closed first")
			}
		}
		n.apply(p)
		Expect(n.state.LIO.ISCSI[iqn].DynamicSessions).To(ConsistOf(left))
		Expect(n.state.LIO.ISCSI[iqn].ACLs).To(HaveLen(2), "whoever is listed stays")
	},
		Entry(nil, true, "iqn.1993-08.org.debian:01:open"),
		Entry("not while there is a finding", false, "iqn.x:stranger", "iqn.x:stranger", "iqn.1993-08.org.debian:01:open"),
	)
})

var _ = Describe("Diff and what a crash leaves of a target", func() {
	var n *node
	shell := observe.Target{Fabric: observe.ISCSI, Name: iqn, Sessions: -1}
	BeforeEach(func() {
		n = converged()
		e := n.desired.Exports["db"]
		n.desired.Exports = nil
		n.converge()
		n.desired.Exports = map[string]spec.Export{"db": e}
		n.remember()
		n.desired.Exports = nil
		n.state.LIO.ISCSI[iqn] = shell
	})
	It("removes it", func() {
		p := n.plan()
		Expect(p.Steps).To(ConsistOf(And(HaveField("Danger", Harmless), HaveField("Object", exportID("db")),
			HaveField("Change", change.RemoveTarget{Target: change.Target{Fabric: observe.ISCSI, Name: iqn, Export: "db"}}))))
		Expect(objectOf(p, exportID("db"))).To(beIn(Deleting, ReasonRemoving))
		n.input.MaxDeletions = 0
		n.converge()
		Expect(n.state.LIO.ISCSI).To(BeEmpty())
	})
	It("removes it when the export has another target by now", func() {
		n.desired.Exports = map[string]spec.Export{"db": newNode().desired.Exports["db"]}
		n.editExport(func(e *spec.ExportSpec) { e.Target = iqn + "2" })
		n.converge()
		Expect(n.state.LIO.ISCSI).To(And(HaveLen(1), HaveKey(iqn+"2")))
	})
	It("lets another export have it", func() {
		e := newNode().desired.Exports["db"]
		e.Metadata.Name = "other"
		n.desired.Exports = map[string]spec.Export{"other": e}
		for _, s := range n.plan().Steps {
			Expect(change.Name(s.Change)).NotTo(Equal("RemoveTarget"))
		}
		n.converge()
		Expect(n.state.LIO.ISCSI[iqn].Mark).To(Equal(ondisk.TargetMark("other")))
	})
	DescribeTable("leaves it", func(edit func()) {
		edit()
		Expect(n.plan().Steps).To(BeEmpty())
	},
		Entry("if nobody remembers it", func() { n.input.Known = nil }),
		Entry("if it was another's", func() {
			n.input.Known = map[spec.ID]Identity{exportID("db"): {Targets: []string{iqn + "2"}}}
		}),
		Entry("while there is a finding", func() { n.desired.Complete = false }),
		Entry("in the grace period", func() { n.input.LastNamed = map[spec.ID]time.Time{exportID("db"): n.input.Now} }),
		Entry("while its export is invalid", func() { n.desired.Invalid = map[spec.ID]error{exportID("db"): errors.New("no")} }),
		Entry("while LVM cannot be read", func() { n.state.Unknown = map[observe.System]error{observe.LVM: errors.New("no")} }),
		Entry("if it has a portal group", func() {
			n.editTarget(iqn, func(t *observe.Target) { t.HasTPG = true })
		}),
		Entry("if it has portal groups of others", func() {
			n.editTarget(iqn, func(t *observe.Target) { t.OtherTPGs = 1 })
		}),
		Entry("while its export is suspended", func() {
			e := newNode().desired.Exports["db"]
			e.Spec.Target, e.Metadata.Annotations = iqn+"2", map[string]string{spec.AnnotationReconcile: "suspended"}
			n.desired.Exports = map[string]spec.Export{"db": e}
		}),
	)
})

var _ = DescribeTable("What is learnt of exports", func(known Identity, edit func(*node), want Identity) {
	n := converged()
	edit(n)
	before := map[spec.ID]Identity{exportID("db"): known}
	if want.Targets == nil {
		Expect(Learn(before, n.desired, n.state)).NotTo(HaveKey(exportID("db")))
	} else {
		Expect(Learn(before, n.desired, n.state)).To(HaveKeyWithValue(exportID("db"), want))
	}
	Expect(before).To(Equal(map[spec.ID]Identity{exportID("db"): known}))
},
	Entry("its target", Identity{}, func(*node) {}, Identity{Targets: []string{iqn}}),
	Entry("its target, before it is made", Identity{}, func(n *node) { n.state.LIO.ISCSI = nil }, Identity{Targets: []string{iqn}}),
	Entry("what it says of sessions", Identity{}, func(n *node) {
		n.editExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
	}, Identity{Targets: []string{iqn}, Force: true}),
	Entry("what it said last", Identity{Force: true}, func(n *node) { n.desired.Exports = nil }, Identity{Targets: []string{iqn}, Force: true}),
	Entry("its new target besides the old one, while that is there", Identity{Targets: []string{iqn}}, func(n *node) {
		n.editExport(func(e *spec.ExportSpec) { e.Target = iqn + "2" })
	}, Identity{Targets: []string{iqn, iqn + "2"}}),
	Entry("its new target alone, when the old one is gone", Identity{Targets: []string{iqn}}, func(n *node) {
		n.editExport(func(e *spec.ExportSpec) { e.Target = iqn + "2" })
		n.state.LIO.ISCSI = nil
	}, Identity{Targets: []string{iqn + "2"}}),
	Entry("the empty shell of its target", Identity{Targets: []string{iqn}, Force: true}, func(n *node) {
		n.desired.Exports = nil
		n.state.LIO.ISCSI[iqn] = observe.Target{Fabric: observe.ISCSI, Name: iqn}
	}, Identity{Targets: []string{iqn}, Force: true}),
	Entry("nothing, when nothing of it is left", Identity{Targets: []string{iqn}, Force: true}, func(n *node) {
		n.desired.Exports, n.state.LIO.ISCSI = nil, nil
	}, Identity{}),
	Entry("no less while LIO cannot be read", Identity{Targets: []string{iqn}, Force: true}, func(n *node) {
		n.desired.Exports, n.state.LIO = nil, observe.Targets{}
		n.state.Unknown = map[observe.System]error{observe.LIO: errors.New("broken")}
	}, Identity{Targets: []string{iqn}, Force: true}),
	Entry("no less while there is a finding", Identity{Targets: []string{iqn}}, func(n *node) {
		n.desired.Exports, n.state.LIO.ISCSI, n.desired.Complete = nil, nil, false
	}, Identity{Targets: []string{iqn}}),
	Entry("the same while LVM cannot be read", Identity{}, func(n *node) {
		n.state.Unknown = map[observe.System]error{observe.LVM: errors.New("broken")}
	}, Identity{Targets: []string{iqn}}),
)
