package plan_test

import (
	"fmt"
	"slices"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// loggedIn are who is logged in to a target, of a kernel that says so.
func loggedIn(n *Node, o over, names ...string) {
	n.EditTargetOf(o.target, func(t *observe.Target) {
		t.Sessions, t.DynamicSessions = len(names), nil
		if t.Fabric == observe.FC {
			t.Sessions = -1
		}
		for _, name := range o.initiators {
			acl, listed := t.ACLs[name]
			if acl.LoggedIn = slices.Contains(names, name); listed {
				t.ACLs[name] = acl
			} else if acl.LoggedIn {
				t.DynamicSessions = append(t.DynamicSessions, name)
			}
		}
	})
}

var _ = Describe("Make and the target of an Export that no file has any more", func() {
	for _, o := range fabricsUnderTest {
		Describe(fmt.Sprintf("%s, tgtd: %t", o.protocol, o.tgt), func() {
			var n *Node
			BeforeEach(func() {
				n = nodeOver(o)
				n.Input.Known = map[spec.ID]Identity{}
				n.Settle()
				loggedIn(n, o, o.initiators[0])
				n.Pass(-1)
			})
			letsIn := func(initiator string) bool {
				acl, listed := targetOf(n, o).ACLs[initiator]
				return listed && (acl.Authentication != "1" || acl.Auth != observe.CHAP{})
			}
			It("lets nobody in again while it stays for a session", func() {
				n.Declared.Exports = nil
				n.Wait(time.Hour)
				p := n.Pass(-1)
				Expect(ObjectOf(p, ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring("waiting for initiators to disconnect: "+o.initiators[0]))))
				Expect(letsIn(o.initiators[0])).To(Equal(o.protocol == spec.ProtocolFC), "it is connected, which FC has no way to refuse")
				Expect(letsIn(o.initiators[1])).To(BeFalse())
				Expect(targetOf(n, o).LUNs).To(HaveLen(2))
				loggedIn(n, o, o.initiators[0])
				Expect(ChangesIn(n.Pass(-1))).To(BeEmpty())
				loggedIn(n, o)
				n.Settle()
				Expect(targetOf(n, o).Name).To(BeEmpty())
			})
			It("lets those in whom the Export that gets it lists", func() {
				e := n.Declared.Exports["db"]
				e.Metadata.Name = "other"
				e.Spec.Initiators = e.Spec.Initiators[:1]
				n.Declared.Exports = map[string]spec.Export{"other": e}
				n.Wait(time.Hour)
				n.Pass(-1)
				Expect(letsIn(o.initiators[0])).To(BeTrue())
				Expect(letsIn(o.initiators[1])).To(BeFalse())
			})
		})
	}
	It("stays open for an Export that gets it and is open to any initiator", func() {
		o := fabricsUnderTest[3]
		n := nodeOver(o)
		n.Input.Known = map[spec.ID]Identity{}
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators, e.AllowAnyInitiator = nil, true })
		n.Settle()
		loggedIn(n, o, o.initiators[0])
		e := n.Declared.Exports["db"]
		e.Metadata.Name = "other"
		n.Declared.Exports = map[string]spec.Export{"other": e}
		n.Wait(time.Hour)
		n.Pass(-1)
		Expect(targetOf(n, o).Attrib.GenerateNodeACLs).To(BeTrue())
	})
	DescribeTable("is closed to any initiator", func(now map[string]spec.Export) {
		o := fabricsUnderTest[3]
		n := nodeOver(o)
		n.Input.Known = map[spec.ID]Identity{}
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators, e.AllowAnyInitiator = nil, true })
		n.Settle()
		loggedIn(n, o, o.initiators[0])
		n.Declared.Exports = now
		n.Wait(time.Hour)
		n.Pass(-1)
		Expect(targetOf(n, o)).To(And(HaveField("Attrib.GenerateNodeACLs", false), HaveField("DynamicSessions", ConsistOf(o.initiators[0]))))
	},
		Entry("of no Export", nil),
		Entry("of one that is served otherwise now", map[string]spec.Export{"db": {Metadata: Meta("db"), Spec: spec.ExportSpec{
			Protocol: spec.ProtocolFC, Target: fabricsUnderTest[5].target.Name, LUNs: []spec.LUN{{Volume: "data", Number: Ptr(0)}}, Initiators: []spec.Initiator{{Name: wwpns[0]}},
		}}}),
	)
})

var _ = Describe("LearnExposures and Fibre Channel", func() {
	It("sees that an initiator has logged out, though nothing counts sessions", func() {
		o := fabricsUnderTest[5]
		n := nodeOver(o)
		n.Input.Known = map[spec.ID]Identity{}
		n.Settle()
		loggedIn(n, o, o.initiators[0])
		n.Pass(-1)
		Expect(n.Input.Exposures[o.target]).To(HaveKey(o.initiators[0]))
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}} })
		n.Pass(-1)
		loggedIn(n, o)
		n.Settle()
		Expect(n.Input.Exposures).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(HaveField("Phase", status.Ready))
	})
})

var _ = Describe("LearnExposures and an access list that somebody takes away", func() {
	for _, at := range []int{0, 5} {
		o := fabricsUnderTest[at]
		It("does not take its session for one that ended by itself: "+string(o.protocol), func() {
			n := nodeOver(o)
			n.Input.Known = map[spec.ID]Identity{}
			n.Settle()
			loggedIn(n, o, o.initiators[0])
			n.Pass(-1)
			seen := n.Input.Exposures[o.target][o.initiators[0]].LUNs
			Expect(seen).To(HaveLen(2))
			n.EditTargetOf(o.target, func(t *observe.Target) { delete(t.ACLs, o.initiators[0]) })
			loggedIn(n, o)
			n.Settle()
			Expect(n.Input.Exposures[o.target][o.initiators[0]]).To(Equal(Exposure{LUNs: seen}))
		})
	}
})

var _ = Describe("Make and a LUN that stays for the session of one initiator", func() {
	for _, at := range []int{0, 1, 5} {
		o := fabricsUnderTest[at]
		It("is hidden from the others: "+string(o.protocol), func() {
			n := nodeOver(o)
			n.Input.Known = map[spec.ID]Identity{}
			n.Settle()
			loggedIn(n, o, o.initiators[0])
			n.Pass(-1)
			n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] })
			Expect(ChangesIn(n.Pass(-1))).To(ConsistOf("unmap LUN 1 of " + o.target.Name + " from initiator " + o.initiators[1]))
			Expect(targetOf(n, o).ACLs[o.initiators[0]].LUNs).To(HaveLen(2))
			Expect(ChangesIn(n.Pass(-1))).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), ExportID("db"))).To(BeIn(status.Blocked, status.ReasonSessionsActive))
			loggedIn(n, o)
			n.Settle()
			Expect(targetOf(n, o).LUNs).To(HaveLen(1))
		})
		It("is not hidden from one that is not back yet: "+string(o.protocol), func() {
			n := nodeOver(o)
			n.Input.Known = map[spec.ID]Identity{}
			n.Settle()
			loggedIn(n, o, o.initiators...)
			n.Pass(-1)
			n.EditTargetOf(o.target, func(t *observe.Target) { t.Enabled = false })
			loggedIn(n, o)
			n.Settle()
			loggedIn(n, o, o.initiators[0])
			n.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[:1] })
			Expect(ChangesIn(n.Pass(-1))).To(BeEmpty())
		})
	}
})

var _ = Describe("Make and an initiator that is waited for, and whose entry is lost", func() {
	for _, at := range []int{2, 3} {
		o := fabricsUnderTest[at]
		It("admits it to what it saw, and nobody else: "+string(o.target.Fabric), func() {
			n := nodeOver(o)
			n.Input.Known = map[spec.ID]Identity{}
			n.Settle()
			seen := map[int]Shown{}
			for number, l := range targetOf(n, o).LUNs {
				seen[number] = Shown{Identity: l.Identity}
			}
			n.Input.Exposures = Exposures{o.target: {o.initiators[1]: {LUNs: seen}}}
			n.EditTargetOf(o.target, func(t *observe.Target) { delete(t.ACLs, o.initiators[1]) })
			n.EditExport(func(e *spec.ExportSpec) {
				e.LUNs = e.LUNs[1:]
				e.Initiators = append([]spec.Initiator{{Name: o.newcomer(), Auth: o.auth}}, e.Initiators...)
			})
			n.Settle()
			Expect(targetOf(n, o).LUNs).To(HaveLen(2))
			Expect(targetOf(n, o).ACLs).To(And(HaveKey(o.initiators[1]), Not(HaveKey(o.newcomer()))))
		})
	}
})
