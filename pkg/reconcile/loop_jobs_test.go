package reconcile

import (
	"context"
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A pass while a job runs", func() {
	now := time.Now()
	plan := planOf(fill("a", gib), Step{Object: exportID("db"), Change: activate("vg1", "x"), Needs: []StepID{1}})
	plan.Objects = []Object{{Kind: spec.KindVolume, Name: "a", Phase: Progressing}, {Kind: spec.KindExport, Name: "db", Phase: Progressing}}

	It("calls for no other one, and is no news", func(ctx SpecContext) {
		c := newCopier()
		x := &Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: &actuator{}, observe.Data: c}}
		running, stop := context.WithCancel(ctx)
		defer x.Wait()
		defer stop()
		l := &Loop{Executor: x, Status: &Status{}, Resync: time.Hour}
		pass := func() time.Duration {
			l.Status.Announce(outcome(plan, l.attempts.failed, x.Unfinished(plan)), Findings(plan.Findings), now)
			failures := x.Execute(running, plan, nil, nil)
			l.attempts.record(plan, failures, spec.Set{}, now)
			l.Status.Publish(outcome(plan, l.attempts.failed, failures), Findings(plan.Findings), PassCost{}, now)
			return l.wait(plan, failures, observe.State{}, now)
		}
		Expect(pass()).To(Equal(time.Hour))
		Eventually(ctx, c.begun).Should(Receive())
		before, changed := l.Status.Report()
		for range 5 {
			Expect(pass()).To(Equal(time.Hour))
		}
		Expect(changed).NotTo(BeClosed())
		Expect(objectOf(Plan{Objects: before.Objects}, exportID("db"))).To(beIn(Blocked, ReasonNotReady))
		Expect(x.Freed()).NotTo(Receive())

		c.job("a").end <- errors.New("boom")
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(pass()).To(BeNumerically("~", time.Second, 250*time.Millisecond), "what failed is tried again")
		report, _ := l.Status.Report()
		Expect(objectOf(Plan{Objects: report.Objects}, volumeID("a"))).To(beIn(Failed, "PopulateFailed"))
	}, SpecTimeout(10*time.Second))
})
