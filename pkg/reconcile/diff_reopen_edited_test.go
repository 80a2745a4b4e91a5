package reconcile

import (
	"slices"

	. "github.com/onsi/ginkgo/v2"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = DescribeTable("Diff leaves a target closed that would show more than its Export says by now", expectClosed,
	Entry("when another LUN was bound by hand to another Volume", func(n *node) {
		n.addWhole("other")
		n.editTarget(iqn, func(t *observe.Target) {
			b, _ := newIndex(n.state).backstore(volumeID("other"))
			t.LUNs[0] = observe.TargetLUN{Backstore: b.Path()}
		})
		n.withhold(nil)
	}, "what its LUN 0 shows"),
	Entry("when somebody added another Volume to it", func(n *node) {
		n.addWhole("other")
		n.editTarget(iqn, func(t *observe.Target) {
			b, _ := newIndex(n.state).backstore(volumeID("other"))
			t.LUNs[7] = observe.TargetLUN{Backstore: b.Path()}
		})
		e := n.desired.Exports["db"].Spec
		n.withhold(&e)
	}, "its LUN 7"),
	Entry("when the file does not offer one of its LUNs any more", func(n *node) {
		e := n.desired.Exports["db"].Spec
		e.LUNs = e.LUNs[1:]
		n.withhold(&e)
	}, "its LUN 0"),
	Entry("when the file gives the number of a LUN to another Volume", func(n *node) {
		e := n.desired.Exports["db"].Spec
		e.LUNs = []spec.LUN{{Volume: "thick", Number: ptr(0)}, {Volume: "data", Number: ptr(1)}}
		n.withhold(&e)
	}, "its LUN 0"),
	Entry("when the file hides a LUN from an initiator that sees it", func(n *node) {
		e := n.desired.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].LUNs = []int{1}
		n.withhold(&e)
	}, initiator+" sees LUN 0"),
	Entry("when a LUN was hidden from an initiator before it became unknown what the file says", func(n *node) {
		n.editExport(func(e *spec.ExportSpec) {
			e.Initiators = slices.Clone(e.Initiators)
			e.Initiators[0].LUNs = []int{1}
		})
		n.pass(0)
		n.withhold(nil)
	}, initiator+" sees LUN 0"),
	Entry("when the file lets an initiator only read what it can write", func(n *node) {
		e := n.desired.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].ReadOnly = true
		n.withhold(&e)
	}, initiator+" sees LUN 0"),
	Entry("when somebody mapped another LUN under a number", func(n *node) {
		n.editACL(iqn, initiator, func(a *observe.ACL) { a.LUNs[3] = observe.MappedLUN{LUN: 0, Link: "x"} })
		n.withhold(nil)
	}, initiator+" sees LUN 3"),
	Entry("when the file asks for another password", func(n *node) {
		e := n.desired.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[0].Auth = &spec.Auth{CHAP: &spec.Credentials{Username: "u", Password: spec.NewSecret("another-secret")}}
		n.withhold(&e)
	}, "it admits "+initiator),
	Entry("when the file asks for a password where there was none, and it cannot be read", func(n *node) {
		e := n.desired.Exports["db"].Spec
		e.Initiators = slices.Clone(e.Initiators)
		e.Initiators[1].Auth = &spec.Auth{CHAP: &spec.Credentials{Username: "v"}}
		n.withhold(&e)
	}, "it admits iqn.1993-08.org.debian:01:open"),
	Entry("when the password changed before it became unknown what the file says", func(n *node) {
		n.setPassword("another-secret")
		n.pass(0)
		n.withhold(nil)
	}, "it admits "+initiator),
	Entry("when the password changed before it could not be read any more", func(n *node) {
		n.setPassword("another-secret")
		n.pass(0)
		n.setPassword("")
		e := n.desired.Exports["db"].Spec
		n.withhold(&e)
	}, "it admits "+initiator),
	Entry("when the file does not ask for one of its portals any more", func(n *node) {
		e := n.desired.Exports["db"].Spec
		e.Portals = []string{"192.0.2.1:3260"}
		n.withhold(&e)
	}, "it listens at"),
	Entry("when another Export has its target by now", func(n *node) {
		other := n.desired.Exports["db"]
		n.withhold(nil)
		other.Metadata = meta("other")
		n.desired.Exports["other"] = other
	}, "Export/other"),
)
