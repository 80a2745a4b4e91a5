package reconcile

import (
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("An initiator that logs in after a plan was made", func() {
	var m *machine
	var loop *Loop
	BeforeEach(func() {
		m = &machine{node: model.NewNode()}
		loop = newLoop(m, filepath.Join(GinkgoT().TempDir(), "state", "identities.json"))
		loop.Executor.Actuators[observe.Data], loop.Executor.Jobs = m, 1
	})

	It("is named by the Export, which waits for it", func(ctx SpecContext) {
		loop.Pass(ctx)
		loop.Pass(ctx)
		m.node.EditExport(func(e *spec.ExportSpec) { e.LUNs = e.LUNs[1:] })
		m.fail = func(c change.Change) error {
			if _, removes := c.(change.RemoveLUN); removes {
				m.node.LogIn()
			}
			return nil
		}
		for range 2 { // in the first of them it is the step that says so, and then the plan
			loop.Pass(ctx)
			report, _ := loop.Status.Report()
			Expect(report.Objects).To(ContainElement(And(
				HaveField("Name", "db"), model.BeIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring(model.Initiator)))))
			Expect(m.node.State.LIO.ISCSI[model.IQN].LUNs).To(HaveKey(0))
		}
	})

	It("is made to wait by the next attempt at a cutover, not by none", func(ctx SpecContext) {
		m.node = model.Movable()
		loop.Pass(ctx)
		m.node.MoveTo("thick", "fast")
		refused := false
		m.fail = func(c change.Change) error {
			if _, disables := c.(change.DisableTarget); disables && !refused {
				refused = true
				m.node.LogIn()
			}
			return nil
		}
		for range 12 {
			loop.Pass(ctx)
			loop.Executor.Wait()
			if refused {
				break
			}
		}
		Expect(refused).To(BeTrue())
		Expect(m.node.State.LIO.ISCSI[model.IQN].Enabled).To(BeTrue(), "nothing was taken from it")
		Expect(loop.Memory.Known()[model.VolumeID("thick")].FailedCutover).To(BeEmpty())
		for range 12 {
			loop.Pass(ctx)
			loop.Executor.Wait()
		}
		Expect(m.node.LVs("vg0")["thick"].Type).To(Equal(observe.Thin))
		Expect(m.node.State.LIO.ISCSI[model.IQN].Enabled).To(BeTrue())
	})
})
