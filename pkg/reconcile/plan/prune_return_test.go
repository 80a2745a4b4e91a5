package plan_test

import (
	"fmt"
	"maps"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and an Export that comes back while somebody is connected", func() {
	for _, o := range fabricsUnderTest {
		Describe(fmt.Sprintf("%s, tgtd: %t", o.protocol, o.tgt), func() {
			var n *Node
			BeforeEach(func() {
				n = nodeOver(o)
				n.Input.Known = map[spec.ID]Identity{}
			})
			comesBack := func(connected ...string) {
				GinkgoHelper()
				n.Settle()
				loggedIn(n, o, connected...)
				n.Pass(-1)
				was, exports := targetOf(n, o), n.Declared.Exports
				n.Declared.Exports = nil
				n.Pass(-1)
				Expect(n.Plan().Steps).To(BeEmpty(), "nothing during the grace")
				n.Declared.Complete = false
				n.Wait(time.Hour)
				Expect(ChangesIn(n.Pass(-1))).To(BeEmpty(), "nothing while files are incomplete")
				n.Declared.Complete = true
				n.Wait(time.Hour)
				n.Pass(-1)
				n.Pass(-1)
				Expect(targetOf(n, o).LUNs).To(Equal(was.LUNs))
				n.Declared.Exports = exports
				n.Pass(-1)
				Expect(n.Plan().Steps).To(BeEmpty())
				loggedIn(n, o, connected...)
				Expect(n.Pass(-1).Steps).To(BeEmpty())
				Expect(ObjectOf(n.Plan(), ExportID("db"))).To(HaveField("Phase", status.Ready))
				now := targetOf(n, o)
				for name, acl := range was.ACLs {
					Expect(now.ACLs).To(HaveKey(name))
					Expect(now.ACLs[name]).To(And(HaveField("Auth", acl.Auth), HaveField("Authentication", acl.Authentication), HaveField("LUNs", acl.LUNs)))
				}
				Expect(now.ACLs).To(HaveLen(len(was.ACLs)))
				Expect(now).To(And(HaveField("Attrib", was.Attrib), HaveField("Portals", was.Portals), HaveField("LUNs", was.LUNs), HaveField("Accounts", was.Accounts), HaveField("Enabled", was.Enabled)))
			}
			It("lets everybody in again, in one pass", func() { comesBack(o.initiators[0]) })
			It("lets everybody in again, whose session has no name", func() {
				if o.target.Fabric != observe.NVMe {
					Skip("sessions have names")
				}
				n.Settle()
				n.EditTargetOf(o.target, func(t *observe.Target) { t.Sessions, t.Unattributed = -1, []string{"10.0.0.7"} })
				n.Pass(-1)
				was, exports := targetOf(n, o), n.Declared.Exports
				n.Declared.Exports = nil
				n.Wait(2 * time.Hour)
				n.Pass(-1)
				Expect(targetOf(n, o).ACLs).To(BeEmpty())
				n.Declared.Exports = exports
				n.Pass(-1)
				Expect(targetOf(n, o).ACLs).To(HaveLen(len(was.ACLs)))
				Expect(n.Plan().Steps).To(BeEmpty())
				Expect(ObjectOf(n.Plan(), ExportID("db"))).To(HaveField("Phase", status.Ready))
			})
			It("lets anybody in again", func() {
				if o.protocol == spec.ProtocolFC {
					Skip("always listed")
				}
				n.EditExport(func(e *spec.ExportSpec) { e.Initiators, e.AllowAnyInitiator = nil, true })
				comesBack(o.initiators[0])
			})
			DescribeTable("leaves alone what is not to be planned for", func(edit func(spec.Export)) {
				n.Settle()
				loggedIn(n, o, o.initiators[0])
				n.Pass(-1)
				e := n.Declared.Exports["db"]
				n.Declared.Exports = maps.Clone(n.Declared.Exports)
				edit(e)
				n.Wait(2 * time.Hour)
				Expect(ChangesIn(n.Pass(-1))).To(BeEmpty())
				n.Wait(2 * time.Hour)
				Expect(ChangesIn(n.Pass(-1))).To(BeEmpty())
			},
				Entry("suspended", func(e spec.Export) {
					e.Metadata.Annotations = map[string]string{spec.AnnotationReconcile: "suspended"}
					e.Spec.Target, e.Spec.Initiators = o.target.Name+"2", nil
					n.Declared.Exports["db"] = e
				}),
				Entry("invalid", func(spec.Export) {
					delete(n.Declared.Exports, "db")
					n.Declared.Invalid = map[spec.ID]error{ExportID("db"): fmt.Errorf("broken")}
				}),
				Entry("never known to be declared", func(spec.Export) {
					delete(n.Declared.Exports, "db")
					n.Input.Known = map[spec.ID]Identity{}
				}),
				Entry("beside what cannot be read", func(spec.Export) {
					delete(n.Declared.Exports, "db")
					n.State.Unknown = map[observe.System]error{observe.LVM: fmt.Errorf("no")}
				}),
			)
			It("lets those in at its former target whom it lists, and as it says", func() {
				n.Settle()
				loggedIn(n, o, o.initiators[0])
				n.Pass(-1)
				n.EditExport(func(e *spec.ExportSpec) {
					e.Target = o.target.Name[:len(o.target.Name)-1] + "4"
					e.Initiators = e.Initiators[1:]
				})
				for range 3 {
					n.Pass(-1)
				}
				t := targetOf(n, o)
				Expect(t.ACLs).To(HaveKey(o.initiators[1]))
				Expect(n.Plan().Steps).To(BeEmpty())
				loggedIn(n, o)
				n.Settle()
				Expect(targetOf(n, o).Name).To(BeEmpty())
			})
		})
	}
	It("asks for the password that the file has by now, also at the former target", func() {
		o := fabricsUnderTest[0]
		n := nodeOver(o)
		n.Input.Known = map[spec.ID]Identity{}
		n.EditExport(func(e *spec.ExportSpec) {
			for i := range e.Initiators {
				e.Initiators[i].Auth = nil
			}
		})
		n.Settle()
		loggedIn(n, o, o.initiators[0])
		n.Pass(-1)
		n.EditExport(func(e *spec.ExportSpec) {
			e.Target += "2"
			for i := range e.Initiators {
				e.Initiators[i].Auth = o.auth
			}
		})
		n.Pass(-1)
		for _, name := range o.initiators {
			Expect(targetOf(n, o).ACLs[name]).To(And(HaveField("Authentication", "1"), HaveField("Auth.Username", "u")))
		}
		loggedIn(n, o, o.initiators[0])
		Expect(ChangesIn(n.Pass(-1))).To(BeEmpty())
	})
})
