package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// many returns Volumes v00, v01 … that stand like this; NAME is the name of each.
func many(n int, phase status.Phase, reason, message string) []status.Object {
	var all []status.Object
	for i := range n {
		name := fmt.Sprintf("v%02d", i)
		all = append(all, status.Object{Kind: spec.KindVolume, Name: name, Phase: phase, Reason: reason, Message: strings.ReplaceAll(message, "NAME", name)})
	}
	return all
}

var _ = Describe("One reason for many objects", func() {
	var (
		long  = "more objects than one mistake may cost would be deleted: " + strings.Repeat("so many ", 60)
		own   = "vg0/NAME is not managed by volreconciler and " + strings.Repeat("stays as it is ", 30)
		table = func(objects []status.Object) string {
			var out strings.Builder
			Expect(writeStatus(&out, screen{}, status.Report{Objects: objects}, false, time.Now())).To(Succeed())
			return out.String()
		}
		planned = func(made plan.Plan) string { return planText(made, painter{}) }
	)

	It("is said once in a plan", func() {
		text := planned(plan.Plan{Objects: many(42, status.Blocked, "TooManyDeletions", long)})
		Expect(text).To(HavePrefix("! 42 objects: Volume/v00, Volume/v01, Volume/v02 and 39 more Blocked (TooManyDeletions): more objects than"))
		Expect(strings.Count(text, "\n")).To(Equal(3), "with the sum and what is between")
		Expect(text).To(HaveSuffix("Plan: nothing to do; 42 objects are blocked.\n"))
	})

	It("is said once though each has its own name in it", func() {
		text := planned(plan.Plan{Objects: many(42, status.Blocked, "NotOwned", own)})
		Expect(strings.Count(text, "not managed by volreconciler")).To(Equal(1))
		Expect(text).To(ContainSubstring("Blocked (NotOwned): for example Volume/v00: vg0/v00 is not managed"))
	})

	It("is said once in a plan for those that have steps", func() {
		made := plan.Plan{Objects: many(42, status.Blocked, "NotOwned", own)}
		for i, o := range made.Objects {
			made.Steps = append(made.Steps, plan.Step{ID: plan.StepID(i), Object: o.ID(), Change: change.Activate{LV: change.LV{VolumeGroup: "vg0", Name: o.Name}}, Why: "inactive"})
		}
		text := planned(made)
		Expect(strings.Count(text, "not managed by volreconciler")).To(Equal(1))
		Expect(strings.Count(text, "activate vg0/")).To(Equal(42), "all steps are there")
		Expect(text).To(ContainSubstring("! Blocked (NotOwned): as Volume/v00\n"))
	})

	It("is said once in a status, in which each has its line", func() {
		text := table(many(42, status.Blocked, "NotOwned", own))
		Expect(strings.Count(text, "not managed by volreconciler")).To(Equal(1))
		Expect(text).To(ContainSubstring("42 objects: vg0/v00 is not managed"))
		Expect(strings.Count(text, "\n")).To(Equal(43))
		Expect(text).To(MatchRegexp(`Volume +v41 +Blocked +NotOwned .* as Volume/v00\n`))
	})

	It("has a few of many sessions in a wide status", func() {
		var sessions []string
		for i := range 42 {
			sessions = append(sessions, fmt.Sprintf("iqn.2026-11.org.example:%d", i))
		}
		last := detailsOf(spec.KindExport, true, false)[4].cell(status.Object{Kind: spec.KindExport, Export: &status.Export{Sessions: sessions}})
		Expect(last).To(Equal("iqn.2026-11.org.example:0,iqn.2026-11.org.example:1,iqn.2026-11.org.example:2,and 39 more"))
	})

	It("is said of each if they are few, if it is short, or if it is not the same", func() {
		Expect(strings.Count(table(many(3, status.Blocked, "NotOwned", own)), "not managed")).To(Equal(3))
		Expect(strings.Count(table(many(42, status.Orphaned, "Orphaned", "no file names it")), "no file names it")).To(Equal(42))
		objects := many(42, status.Blocked, "InUse", own)
		for i := range objects {
			objects[i].Message = fmt.Sprintf("vg0/x is open by process %d %s", i, long)
		}
		Expect(strings.Count(table(objects), "open by process")).To(Equal(42))
		Expect(strings.Count(planned(plan.Plan{Objects: objects}), "open by process")).To(Equal(42))
		Expect(strings.Count(table(append(many(2, status.Blocked, "NotOwned", own), many(2, status.Failed, "NotOwned", own)...)), "not managed")).To(Equal(4))
	})

	It("does not take a longer name for an object's own", func() {
		Expect(withoutName("vg0/a, vg0/ab, vg0/a-b and a", "a")).To(Equal("vg0/\x00, vg0/ab, vg0/a-b and \x00"))
		Expect(withoutName("aa", "a")).To(Equal("aa"))
		Expect(withoutName("aa", "")).To(Equal("aa"))
	})

	It("is said once by apply of what failed", func() {
		var out strings.Builder
		p := newProgress(&out)
		for _, o := range many(42, status.Failed, "", "") {
			p.done(plan.Step{Object: o.ID(), Change: change.Activate{LV: change.LV{VolumeGroup: "vg0", Name: o.Name}}}, errors.New(long))
		}
		Expect(strings.Count(out.String(), "more objects than")).To(Equal(1))
		Expect(out.String()).To(ContainSubstring("failed Volume/v41: activate vg0/v41, for the same reason as Volume/v00\n"))
	})
})

var _ = Describe("The sum of what is not as desired", func() {
	sum := func(objects []status.Object) string { return notReadyError(status.Report{Objects: objects}).Error() }

	It("has the number of objects for each reason, and a few names", func() {
		Expect(sum(append(many(40, status.Blocked, "TooManyDeletions", ""), many(2, status.Blocked, "InUse", "")...))).To(Equal(
			"42 objects not as declared: 40 TooManyDeletions (Volume/v00, Volume/v01, Volume/v02 and 37 more), 2 InUse (Volume/v00, Volume/v01)"))
	})

	It("fits on a screen, whatever there is", func() {
		var objects []status.Object
		for i := range 1000 {
			objects = append(objects, status.Object{Kind: spec.KindVolume, Name: fmt.Sprintf("%0200d", i), Phase: status.Failed, Reason: fmt.Sprintf("CreateThisAndThatFailed%d", i%20)})
		}
		Expect(len(sum(objects))).To(BeNumerically("<", longSum))
		Expect(sum(objects)).To(HaveSuffix("50 CreateThisAndThatFailed12, 50 CreateThisAndThatFailed13, and 14 more reasons"))
		Expect(len(sum(objects[:3]))).To(BeNumerically("<", longSum))
	})

	It("fits on a screen when nothing can be read", func() {
		var unread []error
		for i := range 100 {
			unread = append(unread, fmt.Errorf("volume group vg%d: no answer", i))
		}
		err := planExit(plan.Plan{}, observe.State{UnknownGroups: errors.Join(unread...)})
		Expect(strings.Split(err.Error(), "\n")).To(HaveLen(fewReasons + 1))
		Expect(err).To(MatchError(HaveSuffix("\nand 94 more")))
	})
})
