package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and an initiator that is listed again", func() {
	const other = "iqn.1993-08.org.debian:01:other"
	DescribeTable("does not find another volume under a number that it was cut off from", func(force bool) {
		n := Movable()
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Volume: "data", Number: Ptr(0)}}
			e.Initiators = []spec.Initiator{{Name: Initiator}, {Name: other}}
		})
		n.Converge()
		n.LogIn()
		n.Pass(-1)
		n.State.LIO = observe.Targets{Backstores: map[string]observe.Backstore{}, ISCSI: map[string]observe.Target{}, FC: map[string]observe.Target{}}
		n.State.BootID = "another"
		n.MakeConsistent()
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{{Volume: "thick", Number: Ptr(0)}}
			e.Initiators = e.Initiators[1:]
		})
		for range 4 {
			n.Pass(-1)
		}
		Expect(n.State.LIO.ISCSI[IQN].ACLs[other].LUNs).To(HaveLen(1))
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators = append([]spec.Initiator{{Name: Initiator}}, e.Initiators...) })
		for range 4 {
			n.Pass(-1)
		}
		t := n.State.LIO.ISCSI[IQN]
		Expect(t.LUNs[0].Backstore).To(HaveSuffix("volume:thick"))
		Expect(t.ACLs[Initiator].LUNs).To(BeEmpty(), "it saw data there")
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(And(BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring(Initiator+" saw another volume"))))
		Expect(n.Plan().Steps).To(BeEmpty())
		if force {
			n.EditExport(func(e *spec.ExportSpec) { e.Disconnect = spec.DisconnectForce })
			n.Pass(-1)
		} else {
			for _, in := range []bool{true, false} {
				n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = in })
				n.Pass(-1)
			}
		}
		Expect(n.State.LIO.ISCSI[IQN].ACLs[Initiator].LUNs).To(HaveLen(1))
		Expect(ObjectOf(n.Plan(), ExportID("db"))).To(HaveField("Phase", status.Ready))
	},
		Entry("before it has logged out", false),
		Entry("but with disconnect: Force", true),
	)
})
