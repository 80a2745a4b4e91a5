package reconcile

import (
	"errors"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("attempts", func() {
	now := time.Now()
	failing := model.PlanOf(plan.Step{Object: model.VolumeID("a"), Change: model.Activate("vg0", "a")})
	boom := map[plan.StepID]error{1: errors.New("boom")}

	It("wait longer after every failure, and not at all after a success", func() {
		var a attempts
		var last time.Duration
		for range 12 {
			a.record(failing, boom, spec.Set{}, now)
			wait := a.failed[model.VolumeID("a")].next.Sub(now)
			Expect(wait).To(BeNumerically("<=", maxDelay*12/10))
			if wait < maxDelay/4 {
				Expect(wait).To(BeNumerically(">", last))
			}
			last = wait
		}
		Expect(a.isBackingOff(model.VolumeID("a"), now)).To(BeTrue())
		Expect(a.isBackingOff(model.VolumeID("b"), now)).To(BeFalse())
		a.record(failing, nil, spec.Set{}, now)
		Expect(a.isBackingOff(model.VolumeID("a"), now)).To(BeFalse())
	})
	It("do not forget an object while it is held", func() {
		var a attempts
		a.record(failing, boom, spec.Set{}, now)
		a.record(failing, map[plan.StepID]error{1: execute.ErrBackingOff}, spec.Set{}, now)
		Expect(a.isBackingOff(model.VolumeID("a"), now)).To(BeTrue())
	})
	It("count on when the time comes during a pass that held the object", func() {
		var a attempts
		a.record(failing, boom, spec.Set{}, now)
		later := a.failed[model.VolumeID("a")].next.Add(time.Second)
		a.record(failing, map[plan.StepID]error{1: execute.ErrBackingOff}, spec.Set{}, later)
		next, ok := a.next(later)
		Expect(ok).To(BeTrue())
		Expect(next).To(Equal(later))
		a.record(failing, boom, spec.Set{}, later)
		Expect(a.failed[model.VolumeID("a")].count).To(Equal(2))
		next, _ = a.next(later)
		Expect(next).To(BeTemporally(">", later))
	})
	It("end at once when the spec is changed", func() {
		var a attempts
		set := spec.Set{Volumes: map[string]spec.Volume{"a": {Spec: spec.VolumeSpec{Size: 1}}}}
		a.record(failing, boom, set, now)
		a.forgetChanged(set)
		Expect(a.isBackingOff(model.VolumeID("a"), now)).To(BeTrue())
		a.forgetChanged(spec.Set{Volumes: map[string]spec.Volume{"a": {Spec: spec.VolumeSpec{Size: 2}}}})
		Expect(a.isBackingOff(model.VolumeID("a"), now)).To(BeFalse())
	})
	It("do not count a stale plan as a failure, unless it is stale again and again", func() {
		var a attempts
		for range maxStale {
			a.record(failing, map[plan.StepID]error{1: change.ErrStale}, spec.Set{}, now)
			Expect(a.failed).To(BeEmpty())
		}
		a.record(failing, map[plan.StepID]error{1: change.ErrStale}, spec.Set{}, now)
		Expect(a.isBackingOff(model.VolumeID("a"), now)).To(BeTrue())
		a.record(plan.Plan{}, nil, spec.Set{}, now)
		a.record(failing, map[plan.StepID]error{1: change.ErrStale}, spec.Set{}, now)
		Expect(a.failed).To(BeEmpty())
	})
	It("do not keep the loop awake for what waits for another object", func() {
		var a attempts
		a.record(failing, boom, spec.Set{}, now)
		later := now.Add(time.Hour)
		a.record(failing, map[plan.StepID]error{1: execute.ErrNeeds}, spec.Set{}, later)
		_, due := a.next(later)
		Expect(due).To(BeFalse())
	})
})

var _ = Describe("attempts at a job", func() {
	now := time.Now()
	p := model.PlanOf(model.Fill("a", model.GiB))
	result := func(err error) map[plan.StepID]error { return map[plan.StepID]error{1: err} }

	It("wait longer after every failure, and do not show the last one while they run", func() {
		var a attempts
		at := now
		for n := range 4 {
			a.record(p, result(execute.ErrUnfinished), spec.Set{}, at)
			Expect(outcome(plan.Plan{Objects: []status.Object{{Kind: spec.KindVolume, Name: "a", Phase: status.Progressing}}}, a.failed, nil)[0].Phase).To(Equal(status.Progressing))
			_, due := a.next(at)
			Expect(due).To(BeFalse(), "a job that runs calls for no pass")
			a.record(p, result(change.ErrSource), spec.Set{}, at)
			Expect(a.failed[model.VolumeID("a")].count).To(Equal(n + 1))
			o := outcome(plan.Plan{Objects: []status.Object{{Kind: spec.KindVolume, Name: "a", Phase: status.Progressing}}}, a.failed, nil)[0]
			Expect(o).To(model.BeIn(status.Failed, status.ReasonSourceInvalid))
			a.record(p, result(execute.ErrBackingOff), spec.Set{}, at)
			at = a.failed[model.VolumeID("a")].next.Add(time.Second)
		}
		a.record(plan.Plan{}, nil, spec.Set{}, at)
		Expect(a.failed).To(BeEmpty())
	})
	It("count as failures if they are stale again and again", func() {
		var a attempts
		for range maxStale {
			a.record(p, result(execute.ErrUnfinished), spec.Set{}, now)
			a.record(p, result(change.ErrStale), spec.Set{}, now)
			Expect(a.failed).To(BeEmpty())
		}
		a.record(p, result(execute.ErrUnfinished), spec.Set{}, now)
		a.record(p, result(change.ErrStale), spec.Set{}, now)
		Expect(a.isBackingOff(model.VolumeID("a"), now)).To(BeTrue())
	})
})
