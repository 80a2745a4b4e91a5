package plan_test

import (
	"encoding/json"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and numbers by position", func() {
	positions := func(e *spec.ExportSpec, names ...string) {
		e.LUNs = nil
		for i, name := range names {
			e.LUNs = append(e.LUNs, spec.LUN{Volume: name, Number: Ptr(i), ByPosition: true})
		}
	}
	begin := func(protocol spec.Protocol, tgt bool) *Node {
		n := NewNode()
		n.Input.TGT, n.Input.Known = tgt, map[spec.ID]Identity{}
		n.Declared.Snapshots = nil
		n.Declared.Volumes["third"] = spec.Volume{Metadata: Meta("third"), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: "third", DeletionPolicy: spec.Delete}}
		n.EditExport(func(e *spec.ExportSpec) {
			positions(e, "data", "thick", "third")
			e.Portals, e.Protocol = []string{"0.0.0.0:3260"}, protocol
			e.Initiators = []spec.Initiator{{Name: Initiator}}
			if protocol.IsNVMe() {
				e.Target, e.Initiators = "nqn.2026-11.io.volreconciler:db", []spec.Initiator{{Name: "nqn.2014-08.org.nvmexpress:uuid:1"}}
			}
			if tgt {
				e.Initiators = nil
				e.AllowAnyInitiator = true
			}
		})
		return n.Settle()
	}
	logIn := func(n *Node) {
		for _, id := range n.State.TargetIDs() {
			n.EditTargetOf(id, func(t *observe.Target) {
				for name, acl := range t.ACLs {
					acl.LoggedIn = true
					t.ACLs[name] = acl
				}
				if len(t.ACLs) == 0 {
					t.DynamicSessions, t.Sessions = []string{Initiator}, 1
				}
			})
		}
		n.Pass(0)
	}
	logOut := func(n *Node) {
		for _, id := range n.State.TargetIDs() {
			n.EditTargetOf(id, func(t *observe.Target) {
				for name, acl := range t.ACLs {
					acl.LoggedIn = false
					t.ACLs[name] = acl
				}
				t.DynamicSessions, t.Sessions = nil, 0
			})
		}
		n.Pass(0)
	}
	DescribeTable("warns of an edit that shifts them under initiators", func(protocol spec.Protocol, tgt bool, who string) {
		n := begin(protocol, tgt)
		n.EditExport(func(e *spec.ExportSpec) { positions(e, "thick", "third") })
		Expect(n.Plan().Warnings).To(BeEmpty(), "nobody has seen them")
		n.EditExport(func(e *spec.ExportSpec) { positions(e, "data", "thick", "third") })
		logIn(n)
		Expect(n.Plan().Warnings).To(BeEmpty())
		for _, list := range [][]string{{"data", "thick"}, {"data"}} {
			n.EditExport(func(e *spec.ExportSpec) { positions(e, list...) })
			Expect(n.Plan().Warnings).To(BeEmpty(), "what is left has the same numbers")
		}
		n.EditExport(func(e *spec.ExportSpec) { positions(e, "thick", "third") })
		warning := "by their positions in spec.luns, LUNs change their numbers: Volume/thick 0 instead of 1, Volume/third 1 instead of 2. To keep the numbers, declare them, for example lun: 1 for Volume/thick. Known to: " + who
		Expect(n.Plan().Warnings).To(Equal([]Warning{{ExportID("db"), warning}}))
		steps := n.Plan().Steps
		n.EditExport(func(e *spec.ExportSpec) {
			for i := range e.LUNs {
				e.LUNs[i].ByPosition = false
			}
		})
		Expect(n.Plan().Warnings).To(BeEmpty(), "somebody wants it so")
		Expect(n.Plan().Steps).To(Equal(steps))
		n.EditExport(func(e *spec.ExportSpec) {
			positions(e, "thick", "third")
			e.LUNs[0].Number, e.LUNs[1].Number = Ptr(1), Ptr(2)
		})
		Expect(n.Plan().Warnings).To(BeEmpty())
		n.EditExport(func(e *spec.ExportSpec) { positions(e, "third", "data", "thick") })
		Expect(n.Plan().Warnings).To(HaveLen(1))
		data, err := json.Marshal(n.Plan())
		Expect(err).NotTo(HaveOccurred())
		Expect(string(data)).To(ContainSubstring(`"warnings":[{"object":{"kind":"Export","name":"db"},"message":"by their positions`))
		logOut(n)
		Expect(n.Plan().Warnings).To(BeEmpty(), "they have logged out by themselves")
	},
		Entry("iSCSI", spec.ProtocolISCSI, false, Initiator),
		Entry("NVMe", spec.ProtocolNVMeTCP, false, "nqn.2014-08.org.nvmexpress:uuid:1"),
		Entry("tgtd", spec.ProtocolISCSI, true, Initiator))
	It("warns after a reboot, until they have been seen again", func() {
		n := begin(spec.ProtocolISCSI, false)
		logIn(n)
		n.State.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}, FC: map[string]observe.Target{}}
		n.State.BootID = "another"
		n.MakeConsistent()
		n.EditExport(func(e *spec.ExportSpec) { positions(e, "thick", "third") })
		n.Pass(0)
		Expect(n.Plan().Warnings).To(HaveLen(1))
	})
	It("has no warnings as an empty list", func() {
		Expect(json.Marshal(Plan{})).To(ContainSubstring(`"warnings":[]`))
	})
})
