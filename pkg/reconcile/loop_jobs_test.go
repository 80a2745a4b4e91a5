package reconcile

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A pass while a job runs", func() {
	now := time.Now()
	p := model.PlanOf(model.Fill("a", model.GiB), plan.Step{Object: model.ExportID("db"), Change: model.Activate("vg1", "x"), Needs: []plan.StepID{1}})
	p.Objects = []status.Object{{Kind: spec.KindVolume, Name: "a", Phase: status.Progressing}, {Kind: spec.KindExport, Name: "db", Phase: status.Progressing}}

	It("calls for no other one, and is no news", func(ctx SpecContext) {
		c := model.NewCopier()
		x := &execute.Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: &model.Actuator{}, observe.Data: c}}
		running, stop := context.WithCancel(ctx)
		defer x.Wait()
		defer stop()
		l := &Loop{Executor: x, Status: &status.Board{}, lookout: lookout{resync: time.Hour}}
		pass := func() time.Duration {
			l.Status.Announce(outcome(p, l.attempts.failed, x.Unfinished(p)), status.Findings(p.Findings), now)
			failures := x.Execute(running, p, nil, nil)
			l.attempts.record(p, failures, spec.Set{}, now)
			l.Status.Publish(outcome(p, l.attempts.failed, failures), status.Findings(p.Findings), status.PassCost{}, now)
			return l.wait(p, failures, observe.State{}, now)
		}
		Expect(pass()).To(Equal(time.Hour))
		Eventually(ctx, c.Begun).Should(Receive())
		before, changed := l.Status.Report()
		for range 5 {
			Expect(pass()).To(Equal(time.Hour))
		}
		Expect(changed).NotTo(BeClosed())
		Expect(model.ObjectOf(plan.Plan{Objects: before.Objects}, model.ExportID("db"))).To(model.BeIn(status.Blocked, status.ReasonNotReady))
		Expect(x.Freed()).NotTo(Receive())

		c.Job("a").End <- errors.New("boom")
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(pass()).To(BeNumerically("~", time.Second, 250*time.Millisecond), "what failed is tried again")
		report, _ := l.Status.Report()
		Expect(model.ObjectOf(plan.Plan{Objects: report.Objects}, model.VolumeID("a"))).To(model.BeIn(status.Failed, "PopulateFailed"))
	}, SpecTimeout(10*time.Second))
})
