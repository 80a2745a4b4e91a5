package plan_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Make and the LUNs of each initiator while numbers are kept", func() {
	const other = "iqn.1993-08.org.debian:01:other"
	lun := func(volume string, number int) spec.LUN { return spec.LUN{Volume: volume, Number: Ptr(number)} }
	begin := func() *Node {
		n := NewNode()
		n.Input.Known = map[spec.ID]Identity{}
		n.Declared.Snapshots = nil
		for _, name := range []string{"a", "b", "x"} {
			n.Declared.Volumes[name] = spec.Volume{Metadata: Meta(name), Spec: spec.VolumeSpec{Pool: "slow", Size: 64 * MiB, LVName: name, DeletionPolicy: spec.Delete}}
		}
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{lun("a", 0), lun("b", 1)}
			e.Initiators = []spec.Initiator{{Name: Initiator, LUNs: []int{0, 1}}}
		})
		n.Settle()
		n.LogIn()
		n.Pass(0)
		return n
	}
	seenBy := func(n *Node, initiator string) map[int]string {
		seen := map[int]string{}
		t := n.State.LIO.ISCSI[IQN]
		for number, m := range t.ACLs[initiator].LUNs {
			seen[number] = n.State.LIO.Backstores[t.LUNs[m.LUN].Backstore].Name
		}
		return seen
	}
	It("shows nobody what has kept the number of the one that they are to see", func() {
		n := begin()
		n.EditExport(func(e *spec.ExportSpec) {
			e.LUNs = []spec.LUN{lun("x", 0), lun("a", 1), lun("b", 2)}
			e.Initiators = []spec.Initiator{{Name: Initiator, LUNs: []int{1, 2}}, {Name: other, LUNs: []int{0}}}
		})
		for range 4 {
			n.Pass(100)
		}
		Expect(seenBy(n, Initiator)).To(Equal(map[int]string{0: "volreconciler:volume:a", 1: "volreconciler:volume:b"}))
		Expect(seenBy(n, other)).To(BeEmpty())
		n.EditACL(IQN, Initiator, func(a *observe.ACL) { a.LoggedIn = false })
		for range 4 {
			n.Pass(100)
		}
		Expect(seenBy(n, Initiator)).To(Equal(map[int]string{1: "volreconciler:volume:a", 2: "volreconciler:volume:b"}))
		Expect(seenBy(n, other)).To(Equal(map[int]string{0: "volreconciler:volume:x"}))
	})
})
