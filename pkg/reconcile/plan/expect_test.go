package plan_test

import (
	"maps"
	"slices"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("a step that hits whoever is logged in", func() {
	const iscsi, overTGT, nvme, fc = 0, 2, 3, 5
	// expected returns what the first step of a kind expects.
	expected := func(p Plan, kind string) change.Idle {
		GinkgoHelper()
		i := slices.Index(kinds(p), kind)
		Expect(i).To(BeNumerically(">=", 0), "no %s in %v", kind, ChangesIn(p))
		_, idle, _ := change.ExpectedIdle(p.Steps[i].Change)
		return idle
	}
	served := func(by int) (*Node, over) {
		o := fabricsUnderTest[by]
		n := nodeOver(o)
		n.Declared.Snapshots = nil
		n.Converge()
		n.Remember()
		return n, o
	}
	dropFirst := func(e *spec.ExportSpec) { e.LUNs = e.LUNs[1:] }
	replaceFirst := func(e *spec.ExportSpec) { e.LUNs = []spec.LUN{{Volume: "other", Number: Ptr(0)}, e.LUNs[1]} }
	dropHost := func(e *spec.ExportSpec) { e.Initiators = e.Initiators[:1] }
	onlyRead := func(e *spec.ExportSpec) {
		e.LUNs = slices.Clone(e.LUNs)
		e.LUNs[0].ReadOnly = true
		if e.Initiators = slices.Clone(e.Initiators); e.Protocol == spec.ProtocolISCSI {
			e.LUNs[1].ReadOnly = true
		}
	}
	hideFirst := func(e *spec.ExportSpec) {
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].LUNs = []int{1}
	}

	DescribeTable("expects that nobody of them is",
		func(by int, edit func(*spec.ExportSpec), kind string, want func(o over) change.Idle) {
			n, o := served(by)
			n.Declared.Volumes["other"] = spec.Volume{Metadata: Meta("other"), Spec: spec.VolumeSpec{Pool: "slow", Size: 101 * MiB, LVName: "other", DeletionPolicy: spec.Delete}}
			n.EditExport(edit)
			Expect(expected(n.Plan(), kind)).To(Equal(want(o)))
		},
		Entry("a LUN that goes", iscsi, dropFirst, "RemoveLUN", func(o over) change.Idle { return change.Idle{Initiators: o.initiators, Unlisted: true} }),
		Entry("a LUN that goes, over Fibre Channel", fc, dropFirst, "RemoveLUN", func(o over) change.Idle { return change.Idle{Initiators: o.initiators, Unlisted: true} }),
		Entry("a namespace that goes", nvme, dropFirst, "RemoveLUN", func(over) change.Idle { return change.Idle{All: true} }),
		Entry("a LUN of tgtd that goes", overTGT, dropFirst, "RemoveLUN", func(over) change.Idle { return change.Idle{All: true} }),
		Entry("a number that gets another volume", iscsi, replaceFirst, "AddLUN", func(o over) change.Idle { return change.Idle{Initiators: o.initiators, Unlisted: true} }),
		Entry("its mappings", iscsi, replaceFirst, "MapLUN", func(o over) change.Idle { return change.Idle{Initiators: o.initiators[:1]} }),
		Entry("a namespace that becomes another", nvme, replaceFirst, "AddLUN", func(over) change.Idle { return change.Idle{All: true} }),
		Entry("a LUN of tgtd that becomes another", overTGT, replaceFirst, "AddLUN", func(over) change.Idle { return change.Idle{All: true} }),
		Entry("what is hidden from an initiator", iscsi, hideFirst, "UnmapLUN", func(o over) change.Idle { return change.Idle{Initiators: o.initiators[:1]} }),
		Entry("an initiator", iscsi, dropHost, "RemoveInitiator", func(o over) change.Idle { return change.Idle{Initiators: o.initiators[1:]} }),
		Entry("a host", nvme, dropHost, "RemoveInitiator", func(o over) change.Idle { return change.Idle{Initiators: o.initiators[1:]} }),
		Entry("write access", iscsi, onlyRead, "SetWriteProtect", func(o over) change.Idle { return change.Idle{Initiators: o.initiators[:1]} }),
		Entry("write access at tgtd", overTGT, onlyRead, "SetWriteProtect", func(over) change.Idle { return change.Idle{All: true} }),
		Entry("a portal of NVMe", nvme, func(e *spec.ExportSpec) { e.Portals = e.Portals[:1] }, "RemovePortal", func(over) change.Idle { return change.Idle{All: true} }),
		Entry("a portal of NVMe over another transport", nvme, func(e *spec.ExportSpec) { e.Protocol = spec.ProtocolNVMeRDMA }, "AddPortal", func(over) change.Idle { return change.Idle{All: true} }),
		Entry("a new namespace, which those who are not listed would see", nvme, func(e *spec.ExportSpec) { e.LUNs = append(e.LUNs, spec.LUN{Volume: "other", Number: Ptr(5)}) },
			"AddLUN", func(over) change.Idle { return change.Idle{Unlisted: true} }),

		Entry("but nothing of a new LUN", iscsi, func(e *spec.ExportSpec) { e.LUNs = append(e.LUNs, spec.LUN{Volume: "other", Number: Ptr(5)}) }, "AddLUN", func(over) change.Idle { return change.Idle{} }),
		Entry("but nothing of a portal of iSCSI, beside which sessions go on", iscsi, func(e *spec.ExportSpec) { e.Portals = []string{"10.0.0.1:3270"} },
			"RemovePortal", func(over) change.Idle { return change.Idle{} }),
	)

	It("expects nothing of write access that is given", func() {
		n, _ := served(iscsi)
		n.EditExport(onlyRead)
		n.Converge()
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Volume: "data", Number: Ptr(0)}, {Volume: "thick", Number: Ptr(1)}}
		})
		Expect(expected(n.Plan(), "SetWriteProtect")).To(Equal(change.Idle{}))
	})

	It("expects nothing of a mapping through which nothing is seen", func() {
		n, o := served(iscsi)
		n.EditACL(o.target.Name, o.initiators[0], func(a *observe.ACL) {
			a.LUNs = maps.Clone(a.LUNs)
			a.LUNs[7] = observe.MappedLUN{LUN: 5}
			a.LoggedIn = true
		})
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = append(e.LUNs, spec.LUN{Volume: "thick", Number: Ptr(5)})
			e.LUNs = slices.Delete(e.LUNs, 1, 2)
		})
		n.EditTargetOf(o.target, func(t *observe.Target) {
			for name, acl := range t.ACLs { // so that nobody who is logged in sees LUN 1
				acl.LUNs = maps.Clone(acl.LUNs)
				delete(acl.LUNs, 1)
				t.ACLs[name] = acl
			}
		})
		Expect(expected(n.Plan(), "UnmapLUN")).To(Equal(change.Idle{}))
	})

	It("expects nobody but those whom it names, where the spec says Force", func() {
		n, o := served(iscsi)
		n.EditExport(func(e *spec.ExportSpec) { e.LUNs, e.Disconnect = e.LUNs[1:], spec.DisconnectForce })
		n.EditACL(o.target.Name, o.initiators[1], func(a *observe.ACL) { a.LoggedIn = true })
		Expect(expected(n.Plan(), "RemoveLUN")).To(Equal(change.Idle{Initiators: o.initiators, Unlisted: true, But: o.initiators[1:]}))
	})

	It("expects nobody but those whom a cutover makes wait", func() {
		n := Movable()
		n.MoveTo("data", "slow")
		n.LogIn()
		for range 12 {
			p := n.Plan()
			if slices.Contains(kinds(p), "DisableTarget") {
				Expect(expected(p, "DisableTarget")).To(Equal(change.Idle{All: true, But: []string{Initiator}}))
				Expect(expected(p, "RemoveLUN").Initiators).To(ContainElement(Initiator))
				return
			}
			n.Apply(p)
			n.Input.Known = Learned(n.Input.Known, n.Declared, n.State)
		}
		Fail("no cutover")
	})
})
