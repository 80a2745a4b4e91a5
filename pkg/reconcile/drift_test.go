package reconcile

import (
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

var _ = Describe("who is said to have caused drift", func() {
	const target = observe.ISCSIDir + "/" + model.IQN
	var (
		m      *machine
		loop   *Loop
		events *listed
	)
	BeforeEach(func(ctx SpecContext) {
		m = &machine{node: model.NewNode()}
		loop = newLoop(m, filepath.Join(GinkgoT().TempDir(), "state", "identities.json"))
		loop.Executor.Actuators[observe.Data], loop.Executor.Jobs = m, 1
		events = &listed{}
		loop.Observer, loop.Events = &forgetful{Observer: m}, events
		for range 3 {
			loop.Pass(ctx)
		}
	})
	disable := func(by *watch.Process) {
		drifted := m.node.State.LIO.ISCSI[model.IQN]
		drifted.Enabled = false
		m.node.State.LIO.ISCSI[model.IQN] = drifted
		events.waiting = []watch.Event{{Source: watch.Configfs, Path: target + "/tpgt_1/enable", By: by}}
	}
	drift := func() *status.Drift {
		report, _ := loop.Status.Report()
		for _, o := range report.Objects {
			if o.Drift != nil {
				return o.Drift
			}
		}
		return nil
	}

	It("is who wrote what was corrected", func(ctx SpecContext) {
		disable(&watch.Process{PID: 7, Command: "python3"})
		loop.Pass(ctx)
		Expect(m.node.State.LIO.ISCSI[model.IQN].Enabled).To(BeTrue())
		Expect(drift()).To(HaveField("By", HaveField("Command", "python3")))
	})

	It("is nobody whose changes were all corrected before", func(ctx SpecContext) {
		disable(&watch.Process{PID: 7, Command: "python3"})
		for range 2 { // the second finds nothing to do
			loop.Pass(ctx)
		}
		disable(nil)
		loop.Pass(ctx)
		Expect(drift()).To(And(HaveField("Corrected", 2), HaveField("By", BeNil())))
	})
})
