package execute

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func executorOf(a *model.Actuator) *Executor {
	return &Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: a, observe.LIO: a}}
}

var _ = Describe("Executor", func() {
	It("keeps the order of a lane and waits for what a step needs in another", func(ctx SpecContext) {
		a := &model.Actuator{}
		failed := executorOf(a).Execute(ctx, model.PlanOf(
			plan.Step{Change: model.Activate("vg0", "1")},
			plan.Step{Change: model.Activate("vg1", "2")},
			plan.Step{Change: model.Activate("vg0", "3"), Needs: []plan.StepID{2}},
			plan.Step{Change: model.Activate("vg0", "4")},
			plan.Step{Change: change.EnableTarget{Target: change.Target{Fabric: observe.ISCSI, Name: "t"}}, Needs: []plan.StepID{3, 4}},
		), nil, nil)
		Expect(failed).To(BeEmpty())
		Expect(a.Applied[len(a.Applied)-1]).To(Equal("enable target t"))
		var vg0 []string
		for _, s := range a.Applied {
			if s != "activate vg1/2" && s != "enable target t" {
				vg0 = append(vg0, s)
			}
		}
		Expect(vg0).To(Equal([]string{"activate vg0/1", "activate vg0/3", "activate vg0/4"}))
	})
	It("runs lanes side by side", func(ctx SpecContext) {
		met := make(chan struct{})
		a := &model.Actuator{Hook: func(change.Change) {
			select {
			case met <- struct{}{}:
			case <-met:
			case <-ctx.Done():
			}
		}}
		executorOf(a).Execute(ctx, model.PlanOf(plan.Step{Change: model.Activate("vg0", "1")}, plan.Step{Change: model.Activate("vg1", "2")}), nil, nil)
		Expect(ctx.Err()).NotTo(HaveOccurred(), "the two never met")
	}, SpecTimeout(10*time.Second))
	It("holds back what needs a failed step, and nothing else", func(ctx SpecContext) {
		a := &model.Actuator{Fail: map[string]error{"activate vg0/1": change.ErrNoSpace}}
		failed := executorOf(a).Execute(ctx, model.PlanOf(
			plan.Step{Change: model.Activate("vg0", "1")},
			plan.Step{Change: model.Activate("vg0", "2"), Needs: []plan.StepID{1}},
			plan.Step{Change: model.Activate("vg0", "3"), Needs: []plan.StepID{2}},
			plan.Step{Change: model.Activate("vg0", "4")},
		), nil, nil)
		Expect(a.Applied).To(ConsistOf("activate vg0/1", "activate vg0/4"))
		Expect(failed).To(And(HaveLen(3),
			HaveKeyWithValue(plan.StepID(1), MatchError(change.ErrNoSpace)),
			HaveKeyWithValue(plan.StepID(2), MatchError(ErrNeeds)),
			HaveKeyWithValue(plan.StepID(3), MatchError(ErrNeeds))))
	})
	It("begins nothing when it is to end", func() {
		ctx, cancel := context.WithCancel(context.Background())
		a := &model.Actuator{Hook: func(change.Change) { cancel() }}
		failed := executorOf(a).Execute(ctx, model.PlanOf(plan.Step{Change: model.Activate("vg0", "1")}, plan.Step{Change: model.Activate("vg0", "2")}), nil, nil)
		Expect(a.Applied).To(Equal([]string{"activate vg0/1"}))
		Expect(failed).To(HaveKeyWithValue(plan.StepID(2), MatchError(context.Canceled)))
	})
	It("goes on without a lane that hangs, and does not touch that until it is free", func(ctx SpecContext) {
		letGo := make(chan struct{})
		a := &model.Actuator{Hook: func(c change.Change) {
			if c.String() == "activate vg0/1" {
				<-letGo
			}
		}}
		x := executorOf(a)
		x.Patience = 50 * time.Millisecond
		p := model.PlanOf(
			plan.Step{Change: model.Activate("vg0", "1")},
			plan.Step{Change: model.Activate("vg0", "2")},
			plan.Step{Change: model.Activate("vg1", "3")},
			plan.Step{Change: model.Activate("vg1", "4"), Needs: []plan.StepID{1}},
		)
		for range 2 {
			failed := x.Execute(ctx, p, nil, nil)
			Expect(failed).To(And(HaveLen(3), HaveKeyWithValue(plan.StepID(1), MatchError(ErrUnfinished)),
				HaveKeyWithValue(plan.StepID(2), MatchError(ErrUnfinished)), Or(
					HaveKeyWithValue(plan.StepID(4), MatchError(ErrNeeds)), HaveKeyWithValue(plan.StepID(4), MatchError(ErrUnfinished)))))
			Eventually(func() bool { return x.begin("vg/vg1") }).Should(BeTrue())
			x.end("vg/vg1")
		}
		close(letGo)
		Eventually(ctx, x.Freed()).Should(Receive())
		x.Wait()
		Expect(a.Applied).To(ConsistOf("activate vg0/1", "activate vg1/3", "activate vg1/3"), "nothing of an old plan is begun")
		Expect(x.Execute(ctx, p, nil, nil)).To(BeEmpty())
	}, SpecTimeout(10*time.Second))
	It("applies one step after the other where it is told to", func(ctx SpecContext) {
		a := &model.Actuator{}
		x := executorOf(a)
		x.OneByOne = true
		Expect(x.Execute(ctx, model.PlanOf(
			plan.Step{Change: model.Activate("vg1", "1")}, plan.Step{Change: model.Activate("vg0", "2")}, plan.Step{Change: model.Activate("vg1", "3")},
		), nil, nil)).To(BeEmpty())
		Expect(a.Applied).To(Equal([]string{"activate vg1/1", "activate vg0/2", "activate vg1/3"}))
	})
	It("leaves objects alone whose time has not come", func(ctx SpecContext) {
		a := &model.Actuator{}
		failed := executorOf(a).Execute(ctx, model.PlanOf(
			plan.Step{Object: model.VolumeID("a"), Change: model.Activate("vg0", "a")}, plan.Step{Object: model.VolumeID("b"), Change: model.Activate("vg0", "b")},
		), map[spec.ID]bool{model.VolumeID("a"): true}, nil)
		Expect(a.Applied).To(Equal([]string{"activate vg0/b"}))
		Expect(failed).To(Equal(map[plan.StepID]error{1: ErrBackingOff}))
	})
})
