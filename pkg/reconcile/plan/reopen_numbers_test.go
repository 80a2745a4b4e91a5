package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A target that a cutover closed, whose Export turns invalid", func() {
	luns := func(names ...string) func(*spec.ExportSpec) {
		return func(e *spec.ExportSpec) {
			e.LUNs = nil
			for i, name := range names {
				e.LUNs = append(e.LUNs, spec.LUN{Volume: name, Number: Ptr(i)})
			}
		}
	}
	DescribeTable("opens with what kept its number, under that number", func(known bool, before, after []string) {
		n := Movable()
		n.EditExport(func(e *spec.ExportSpec) { e.Initiators = []spec.Initiator{{Name: Initiator}} })
		n.EditExport(luns(before...))
		n.Converge()
		n.LogIn()
		n.Pass(-1)
		was := n.State.LIO.ISCSI[IQN]
		n.EditExport(luns(after...))
		for range 3 {
			n.Pass(-1)
		}
		n.MoveTo("data", "slow")
		for i := 0; i < 12 && n.State.LIO.ISCSI[IQN].Enabled; i++ {
			n.Pass(-1)
		}
		Expect(n.State.LIO.ISCSI[IQN].Enabled).To(BeFalse(), "it is closed for a moment")
		e := n.Declared.Exports["db"].Spec
		if known {
			n.Withhold(&e)
		} else {
			n.Withhold(nil)
		}
		for range 4 {
			n.Pass(-1)
		}
		now := n.State.LIO.ISCSI[IQN]
		Expect(now.Enabled).To(BeTrue())
		Expect(now.ACLs[Initiator].LUNs).To(Equal(was.ACLs[Initiator].LUNs))
		for number, l := range was.LUNs {
			Expect(now.LUNs[number].Backstore).To(HaveSuffix(l.Backstore[len(l.Backstore)-len("volume:data"):]))
		}
	},
		Entry("another one is to have the number", true, []string{"data"}, []string{"thick", "data"}),
		Entry("and the file cannot be read", false, []string{"data"}, []string{"thick", "data"}),
	)
})
