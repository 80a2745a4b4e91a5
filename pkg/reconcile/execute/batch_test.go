package execute

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// batcher makes any changes together, but stops between two when ctx ends.
type batcher struct {
	model.Actuator
	most    int
	batches []string
}

func (b *batcher) Batch(changes []change.Change) int { return min(b.most, len(changes)) }

func (b *batcher) ApplyAll(ctx context.Context, changes []change.Change) []error {
	var names []string
	errs := make([]error, len(changes))
	for i, c := range changes {
		names = append(names, strings.TrimPrefix(c.String(), "activate "))
		if errs[i] = ctx.Err(); errs[i] == nil {
			errs[i] = b.Apply(ctx, c)
		}
	}
	b.batches = append(b.batches, strings.Join(names, " "))
	return errs
}

var _ = Describe("steps that an actuator makes together", func() {
	var (
		b        *batcher
		x        *Executor
		steps    = func(s ...plan.Step) plan.Plan { return model.PlanOf(s...) }
		activate = func(name string, needs ...plan.StepID) plan.Step {
			return plan.Step{Object: model.VolumeID(name), Change: model.Activate("vg0", name), Needs: needs}
		}
		mu       sync.Mutex
		reported []string
		report   = func(s plan.Step, err error) {
			mu.Lock()
			defer mu.Unlock()
			text := s.Change.String()
			if err != nil {
				text += ": " + err.Error()
			}
			reported = append(reported, text)
		}
	)
	BeforeEach(func() {
		b, reported = &batcher{most: 64}, nil
		x = &Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: b, observe.LIO: &b.Actuator}}
	})

	It("are all of a lane, no more than it takes, and are reported one by one", func(ctx SpecContext) {
		b.most = 3
		Expect(x.Execute(ctx, steps(activate("a"), activate("b"), activate("c"), activate("d")), nil, report)).To(BeEmpty())
		Expect(b.batches).To(Equal([]string{"vg0/a vg0/b vg0/c"}))
		Expect(reported).To(Equal([]string{"activate vg0/a", "activate vg0/b", "activate vg0/c", "activate vg0/d"}))
	})
	It("are none that needs another of them", func(ctx SpecContext) {
		Expect(x.Execute(ctx, steps(activate("a"), activate("b"), activate("c", 2), activate("d", 1)), nil, nil)).To(BeEmpty())
		Expect(b.batches).To(Equal([]string{"vg0/a vg0/b", "vg0/c vg0/d"}))
	})
	It("are none that needs a step of another lane which is not yet made", func(ctx SpecContext) {
		begun := make(chan struct{})
		b.Hook = func(c change.Change) {
			switch c.String() {
			case "activate vg0/a":
				close(begun)
			case "enable target t":
				<-begun // not before the first batch has begun
			}
		}
		Expect(x.Execute(ctx, steps(
			plan.Step{Change: change.EnableTarget{Target: change.Target{Fabric: observe.ISCSI, Name: "t"}}},
			activate("a"), activate("b"), activate("c", 1), activate("d"),
		), nil, nil)).To(BeEmpty())
		Expect(b.batches).To(Equal([]string{"vg0/a vg0/b", "vg0/c vg0/d"}))
	}, SpecTimeout(10*time.Second))
	It("are none of an object that backs off, and none that needs a failed step", func(ctx SpecContext) {
		b.Fail = map[string]error{"activate vg0/a": change.ErrNoSpace}
		failed := x.Execute(ctx, steps(activate("a"), activate("b"), activate("c"), activate("d", 1), activate("e")), map[spec.ID]bool{model.VolumeID("c"): true}, report)
		Expect(b.batches).To(Equal([]string{"vg0/a vg0/b"}))
		Expect(b.Applied).To(Equal([]string{"activate vg0/a", "activate vg0/b", "activate vg0/e"}))
		Expect(failed).To(And(HaveLen(3), HaveKeyWithValue(plan.StepID(1), MatchError(change.ErrNoSpace)),
			HaveKeyWithValue(plan.StepID(3), MatchError(ErrBackingOff)), HaveKeyWithValue(plan.StepID(4), MatchError(ErrNeeds))))
		Expect(reported).To(ContainElement("activate vg0/a: " + change.ErrNoSpace.Error()))
	})
	It("are no more when the agent ends, and those not made are not reported", func() {
		ctx, cancel := context.WithCancel(context.Background())
		b.Hook = func(change.Change) { cancel() }
		failed := x.Execute(ctx, steps(activate("a"), activate("b"), activate("c")), nil, report)
		Expect(reported).To(Equal([]string{"activate vg0/a"}))
		Expect(failed).To(And(HaveLen(2), HaveKeyWithValue(plan.StepID(2), MatchError(context.Canceled))))
	})
	It("are left to a newer plan when the plan is not waited for any more", func(ctx SpecContext) {
		letGo := make(chan struct{})
		b.Hook = func(change.Change) { <-letGo }
		x.Patience = 50 * time.Millisecond
		failed := x.Execute(ctx, steps(activate("a"), activate("b"), activate("c")), nil, report)
		Expect(slices.Collect(func(yield func(error) bool) {
			for _, err := range failed {
				yield(err)
			}
		})).To(HaveEach(MatchError(ErrUnfinished)))
		Expect(x.Busy()).To(HaveKey("vg/vg0"))
		close(letGo)
		Eventually(ctx, x.Freed()).Should(Receive())
		x.Wait()
		Expect(b.Applied).To(Equal([]string{"activate vg0/a"}), "nothing of an old plan is begun")
		Expect(reported).To(Equal([]string{"activate vg0/a"}))
		Expect(x.Busy()).To(BeEmpty())
	}, SpecTimeout(10*time.Second))
	It("leave the lane free before the last of them is known", func(ctx SpecContext) {
		for range 100 {
			Expect(x.Execute(ctx, steps(activate("a"), activate("b")), nil, nil)).To(BeEmpty())
			Expect(x.Busy()).To(BeEmpty())
		}
	})
	It("are made in the order of the plan where one is made after the other", func(ctx SpecContext) {
		x.OneByOne = true
		b.Fail = map[string]error{"activate vg0/b": errors.New("broken")}
		Expect(x.Execute(ctx, steps(activate("a"), activate("b"), activate("c")), nil, report)).To(HaveLen(1))
		Expect(reported).To(Equal([]string{"activate vg0/a", "activate vg0/b: broken", "activate vg0/c"}))
	})
})
