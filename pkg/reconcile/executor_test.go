package reconcile

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func executorOf(a *actuator) *Executor {
	return &Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: a, observe.LIO: a}}
}

var _ = Describe("Executor", func() {
	It("keeps the order of a lane and waits for what a step needs in another", func(ctx SpecContext) {
		a := &actuator{}
		failed := executorOf(a).Execute(ctx, planOf(
			Step{Change: activate("vg0", "1")},
			Step{Change: activate("vg1", "2")},
			Step{Change: activate("vg0", "3"), Needs: []StepID{2}},
			Step{Change: activate("vg0", "4")},
			Step{Change: change.EnableTarget{Target: change.Target{Fabric: observe.ISCSI, Name: "t"}}, Needs: []StepID{3, 4}},
		), nil, nil)
		Expect(failed).To(BeEmpty())
		Expect(a.applied[len(a.applied)-1]).To(Equal("enable target t"))
		var vg0 []string
		for _, s := range a.applied {
			if s != "activate vg1/2" && s != "enable target t" {
				vg0 = append(vg0, s)
			}
		}
		Expect(vg0).To(Equal([]string{"activate vg0/1", "activate vg0/3", "activate vg0/4"}))
	})
	It("runs lanes side by side", func(ctx SpecContext) {
		met := make(chan struct{})
		a := &actuator{hook: func(change.Change) {
			select {
			case met <- struct{}{}:
			case <-met:
			case <-ctx.Done():
			}
		}}
		executorOf(a).Execute(ctx, planOf(Step{Change: activate("vg0", "1")}, Step{Change: activate("vg1", "2")}), nil, nil)
		Expect(ctx.Err()).NotTo(HaveOccurred(), "the two never met")
	}, SpecTimeout(10*time.Second))
	It("holds back what needs a failed step, and nothing else", func(ctx SpecContext) {
		a := &actuator{fail: map[string]error{"activate vg0/1": change.ErrNoSpace}}
		failed := executorOf(a).Execute(ctx, planOf(
			Step{Change: activate("vg0", "1")},
			Step{Change: activate("vg0", "2"), Needs: []StepID{1}},
			Step{Change: activate("vg0", "3"), Needs: []StepID{2}},
			Step{Change: activate("vg0", "4")},
		), nil, nil)
		Expect(a.applied).To(ConsistOf("activate vg0/1", "activate vg0/4"))
		Expect(failed).To(And(HaveLen(3),
			HaveKeyWithValue(StepID(1), MatchError(change.ErrNoSpace)),
			HaveKeyWithValue(StepID(2), MatchError(ErrNeeds)),
			HaveKeyWithValue(StepID(3), MatchError(ErrNeeds))))
	})
	It("begins nothing when it is to end", func() {
		ctx, cancel := context.WithCancel(context.Background())
		a := &actuator{hook: func(change.Change) { cancel() }}
		failed := executorOf(a).Execute(ctx, planOf(Step{Change: activate("vg0", "1")}, Step{Change: activate("vg0", "2")}), nil, nil)
		Expect(a.applied).To(Equal([]string{"activate vg0/1"}))
		Expect(failed).To(HaveKeyWithValue(StepID(2), MatchError(context.Canceled)))
	})
	It("goes on without a lane that hangs, and does not touch that until it is free", func(ctx SpecContext) {
		letGo := make(chan struct{})
		a := &actuator{hook: func(c change.Change) {
			if c.String() == "activate vg0/1" {
				<-letGo
			}
		}}
		x := executorOf(a)
		x.Patience = 50 * time.Millisecond
		plan := planOf(
			Step{Change: activate("vg0", "1")},
			Step{Change: activate("vg0", "2")},
			Step{Change: activate("vg1", "3")},
			Step{Change: activate("vg1", "4"), Needs: []StepID{1}},
		)
		for range 2 {
			failed := x.Execute(ctx, plan, nil, nil)
			Expect(failed).To(And(HaveLen(3), HaveKeyWithValue(StepID(1), MatchError(ErrUnfinished)),
				HaveKeyWithValue(StepID(2), MatchError(ErrUnfinished)), Or(
					HaveKeyWithValue(StepID(4), MatchError(ErrNeeds)), HaveKeyWithValue(StepID(4), MatchError(ErrUnfinished)))))
			Eventually(func() bool { return x.begin("vg/vg1") }).Should(BeTrue())
			x.end("vg/vg1")
		}
		close(letGo)
		Eventually(ctx, x.Freed()).Should(Receive())
		x.Wait()
		Expect(a.applied).To(ConsistOf("activate vg0/1", "activate vg1/3", "activate vg1/3"), "nothing of an old plan is begun")
		Expect(x.Execute(ctx, plan, nil, nil)).To(BeEmpty())
	}, SpecTimeout(10*time.Second))
	It("applies one step after the other where it is told to", func(ctx SpecContext) {
		a := &actuator{}
		x := executorOf(a)
		x.OneByOne = true
		Expect(x.Execute(ctx, planOf(
			Step{Change: activate("vg1", "1")}, Step{Change: activate("vg0", "2")}, Step{Change: activate("vg1", "3")},
		), nil, nil)).To(BeEmpty())
		Expect(a.applied).To(Equal([]string{"activate vg1/1", "activate vg0/2", "activate vg1/3"}))
	})
	It("leaves objects alone whose time has not come", func(ctx SpecContext) {
		a := &actuator{}
		failed := executorOf(a).Execute(ctx, planOf(
			Step{Object: volumeID("a"), Change: activate("vg0", "a")}, Step{Object: volumeID("b"), Change: activate("vg0", "b")},
		), map[spec.ID]bool{volumeID("a"): true}, nil)
		Expect(a.applied).To(Equal([]string{"activate vg0/b"}))
		Expect(failed).To(Equal(map[StepID]error{1: ErrHeld}))
	})
})
