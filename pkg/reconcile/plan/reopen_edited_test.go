package plan_test

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = DescribeTable("Make leaves a target closed that would show more than its Export says by now", expectClosed,
	Entry("when another LUN was bound by hand to another Volume", func(n *Node) {
		n.AddComplete("other")
		n.EditTarget(IQN, func(t *observe.Target) {
			b, _ := NewIndex(n.State, Ownership{}).Backstore(VolumeID("other"))
			t.LUNs[0] = observe.TargetLUN{Backstore: b.Path()}
		})
		n.Withhold(nil)
	}, "its LUN 0 may not show all of"),
	Entry("when somebody added another Volume to it", func(n *Node) {
		n.AddComplete("other")
		n.EditTarget(IQN, func(t *observe.Target) {
			b, _ := NewIndex(n.State, Ownership{}).Backstore(VolumeID("other"))
			t.LUNs[7] = observe.TargetLUN{Backstore: b.Path()}
		})
		e := n.Declared.Exports["db"].Spec
		n.Withhold(&e)
	}, "its LUN 7"),
	Entry("when the file does not offer one of its LUNs any more", func(n *Node) {
		e := n.Declared.Exports["db"].Spec
		e.LUNs = e.LUNs[1:]
		n.Withhold(&e)
	}, "its LUN 0"),
	Entry("when the file gives the number of a LUN to another Volume", func(n *Node) {
		e := n.Declared.Exports["db"].Spec
		e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}, {Volume: "data", Number: Ptr(1)}}
		n.Withhold(&e)
	}, "its LUN 0"),
	Entry("when the file hides a LUN from an initiator that sees it", func(n *Node) {
		e := n.Declared.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].LUNs = []int{1}
		n.Withhold(&e)
	}, Initiator+" sees its LUN 0"),
	Entry("when a LUN was hidden from an initiator before it became unknown what the file says", func(n *Node) {
		n.EditExport(func(e *spec.ExportSpec) {
			e.Initiators = slices.Clone(e.Initiators)
			e.Initiators[0].LUNs = []int{1}
		})
		n.Pass(0)
		n.Withhold(nil)
	}, Initiator+" sees its LUN 0"),
	Entry("when the file lets an initiator only read what it can write", func(n *Node) {
		e := n.Declared.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].ReadOnly = true
		n.Withhold(&e)
	}, Initiator+" sees its LUN 0"),
	Entry("when somebody mapped another LUN under a number", func(n *Node) {
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LUNs[3] = observe.MappedLUN{LUN: 0, Link: "x"} })
		n.Withhold(nil)
	}, Initiator+" sees its LUN 3"),
	Entry("when the file asks for another password", func(n *Node) {
		e := n.Declared.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].Auth = &spec.Auth{CHAP: &spec.Credentials{Username: "u", Password: spec.NewSecret("another-secret")}}
		n.Withhold(&e)
	}, "it admits "+Initiator),
	Entry("when the file asks for a password where there was none, and it cannot be read", func(n *Node) {
		e := n.Declared.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[1].Auth = &spec.Auth{CHAP: &spec.Credentials{Username: "v"}}
		n.Withhold(&e)
	}, "it admits iqn.1993-08.org.debian:01:open"),
	Entry("when the password changed before it became unknown what the file says", func(n *Node) {
		n.SetPassword("another-secret")
		n.Pass(0)
		n.Withhold(nil)
	}, "it admits "+Initiator),
	Entry("when the password changed before it could not be read any more", func(n *Node) {
		n.SetPassword("another-secret")
		n.Pass(0)
		n.SetPassword("")
		e := n.Declared.Exports["db"].Spec
		n.Withhold(&e)
	}, "it admits "+Initiator),
	Entry("when the file does not ask for one of its portals any more", func(n *Node) {
		e := n.Declared.Exports["db"].Spec
		e.Portals = []string{"192.0.2.1:3260"}
		n.Withhold(&e)
	}, "it listens at"),
	Entry("when another Export has its target by now", func(n *Node) {
		other := n.Declared.Exports["db"]
		n.Withhold(nil)
		other.Metadata = Meta("other")
		n.Declared.Exports["other"] = other
	}, "Export/other"),
)
