package reconcile

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Jobs", func() {
	var (
		c  *copier
		a  *actuator
		x  *Executor
		do func(Plan) map[StepID]error
	)
	unfinished := func(n StepID) OmegaMatcher { return HaveKeyWithValue(n, MatchError(ErrUnfinished)) }

	BeforeEach(func() {
		before := goleak.IgnoreCurrent()
		c, a = newCopier(), &actuator{}
		x = &Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: a, observe.Data: c}}
		running, stop := context.WithCancel(context.Background())
		do = func(p Plan) map[StepID]error { return x.Execute(running, p, nil, nil) }
		DeferCleanup(func(ctx SpecContext) {
			stop()
			x.Wait()
			do(Plan{}) // forgets how those ended that no plan asked for
			Expect(x.JobsUnderWay()).To(BeZero(), "what was cancelled leaves nothing behind")
			Eventually(ctx, func() error { return goleak.Find(before) }).Should(Succeed())
		}, NodeTimeout(10*time.Second))
	})

	It("are begun and not waited for; their neighbours go on", func(ctx SpecContext) {
		plan := planOf(Step{Change: activate("vg0", "a")}, fill("a", gib), Step{Change: activate("vg0", "b")})
		plan.Steps[1].Needs = []StepID{1}
		for range 3 {
			Expect(do(plan)).To(And(HaveLen(1), unfinished(2)))
		}
		Eventually(ctx, c.begun).Should(Receive(Equal("a")))
		Expect(c.begun).NotTo(Receive(), "it is begun once")
		Expect(a.applied).To(HaveLen(6))
		Expect(x.Freed()).NotTo(Receive())
	}, SpecTimeout(10*time.Second))

	It("wait for what they need, and are not begun without", func() {
		a.fail = map[string]error{"activate vg0/a": change.ErrNoSpace}
		plan := planOf(Step{Change: activate("vg0", "a")}, fill("a", gib), Step{Change: activate("vg1", "b")})
		plan.Steps[1].Needs, plan.Steps[2].Needs = []StepID{1}, []StepID{2}
		Expect(do(plan)).To(And(HaveKeyWithValue(StepID(2), MatchError(ErrNeeds)), HaveKeyWithValue(StepID(3), MatchError(ErrNeeds))))
		x.Wait()
		Expect(c.begun).NotTo(Receive())
		Expect(x.Freed()).NotTo(Receive())
	})

	It("call for a pass when they fail, which takes up the error, and the one after begins them again", func(ctx SpecContext) {
		plan := planOf(fill("a", gib))
		do(plan)
		Eventually(ctx, c.begun).Should(Receive())
		c.job("a").end <- change.ErrSource
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(do(Plan{KeepJobs: true})).To(BeEmpty())
		Expect(do(plan)).To(HaveKeyWithValue(StepID(1), MatchError(change.ErrSource)))
		Expect(c.begun).NotTo(Receive())
		Expect(do(plan)).To(unfinished(1))
		Eventually(ctx, c.begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("end with a success, which is not repeated at once for a plan that was made before", func(ctx SpecContext) {
		var told []error
		plan := planOf(fill("a", gib))
		x.Execute(ctx, plan, nil, func(_ Step, err error) { told = append(told, err) })
		Eventually(ctx, c.begun).Should(Receive())
		c.job("a").end <- nil
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(told).To(Equal([]error{nil}))
		Expect(do(plan)).To(HaveKeyWithValue(StepID(1), MatchError(change.ErrStale)))
		Expect(c.begun).NotTo(Receive())
		Expect(do(Plan{})).To(BeEmpty())
		Expect(do(plan)).To(unfinished(1))
		Eventually(ctx, c.begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("are ended when no step is for them any more, which is no failure", func(ctx SpecContext) {
		do(planOf(fill("a", gib), fill("b", gib)))
		Eventually(ctx, c.begun).Should(Receive())
		Eventually(ctx, c.begun).Should(Receive())
		Expect(do(planOf(fill("b", gib)))).To(unfinished(1))
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(x.JobsUnderWay()).To(Equal(1))
		Expect(c.job("a")).To(BeNil())
		Expect(do(planOf(fill("b", gib), fill("a", gib)))).To(And(unfinished(1), unfinished(2)))
		Eventually(ctx, c.begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("go on when not all of the machine was seen", func(ctx SpecContext) {
		do(planOf(fill("a", gib)))
		Eventually(ctx, c.begun).Should(Receive())
		do(Plan{KeepJobs: true})
		Expect(x.Freed()).NotTo(Receive())
		Expect(do(planOf(fill("a", gib)))).To(unfinished(1))
		Expect(c.begun).NotTo(Receive())
		Expect(c.job("a")).NotTo(BeNil())
	}, SpecTimeout(10*time.Second))

	It("are begun anew for another source, once the old one has ended, and go on if they only came further", func(ctx SpecContext) {
		do(planOf(fill("a", gib)))
		Eventually(ctx, c.begun).Should(Receive())
		further := fill("a", gib).Change.(change.Populate)
		further.Done = 512 * mib
		Expect(do(planOf(Step{Change: further}))).To(unfinished(1))
		Expect(x.Freed()).NotTo(Receive())

		further.Volume.Name = "other"
		other := planOf(Step{Change: further})
		Expect(do(other)).To(unfinished(1))
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(c.begun).NotTo(Receive())
		Expect(do(other)).To(unfinished(1))
		Eventually(ctx, c.begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("share slots: first come, first served, and small ones never wait for big ones", func(ctx SpecContext) {
		x.Jobs = 2
		begin := func(steps ...Step) { // one after the other: the order counts
			for i := range steps {
				do(Plan{KeepJobs: true, Steps: planOf(steps[i]).Steps})
				Eventually(ctx, func() bool {
					x.mu.Lock()
					defer x.mu.Unlock()
					return len(waiting(x.jobs.queue.small))+len(waiting(x.jobs.queue.big))+x.jobs.all == len(x.jobs.byLane)
				}).Should(BeTrue())
			}
		}
		begin(fill("big1", 2*gib), fill("big2", 3*gib), fill("unknown", 0))
		Eventually(ctx, c.begun).Should(Receive(Equal("big1")))
		begin(fill("small1", mib), fill("small2", gib))
		Eventually(ctx, c.begun).Should(Receive(Equal("small1")))
		Expect(c.begun).NotTo(Receive())
		c.job("small1").end <- nil
		Eventually(ctx, c.begun).Should(Receive(Equal("small2")), "the slot for small ones is not given to big2")
		c.job("big1").end <- nil
		Eventually(ctx, c.begun).Should(Receive(Equal("big2")))
		c.job("small2").end <- nil
		Eventually(ctx, func() int {
			x.mu.Lock()
			defer x.mu.Unlock()
			return x.jobs.all
		}).Should(Equal(1))
		Expect(c.begun).NotTo(Receive(), "nor is it given to a job of unknown size")
		c.job("big2").end <- nil
		Eventually(ctx, c.begun).Should(Receive(Equal("unknown")))
	}, SpecTimeout(10*time.Second))

	It("get their slots in the order in which they came, big or small", func() {
		var q queue
		var jobs []*job
		for _, size := range []spec.Size{1, 2 * smallJob, 1, 2 * smallJob, 2 * smallJob} {
			step := fill("a", size)
			jobs = append(jobs, &job{step: step, change: step.Change.(change.Job)})
			q.add(jobs[len(jobs)-1])
		}
		Expect(q.next(true)).To(BeIdenticalTo(jobs[0]))
		Expect(q.next(true)).To(BeIdenticalTo(jobs[1]))
		jobs[3].queued = false // it waits no more
		Expect(q.next(false)).To(BeIdenticalTo(jobs[2]))
		Expect(q.next(false)).To(BeNil(), "there is no slot for the big one")
		Expect(q.next(true)).To(BeIdenticalTo(jobs[4]))
		Expect(q.next(true)).To(BeNil())
	})

	It("that wait for a slot end as well", func(ctx SpecContext) {
		x.Jobs = 1
		do(planOf(fill("a", gib)))
		Eventually(ctx, c.begun).Should(Receive())
		do(planOf(fill("a", gib), fill("b", gib)))
		do(planOf(fill("a", gib)))
		Eventually(ctx, x.JobsUnderWay).Should(Equal(1))
		c.job("a").end <- nil
		do(planOf(fill("c", gib)))
		Eventually(ctx, c.begun).Should(Receive(Equal("c")), "b has left no slot taken")
	}, SpecTimeout(10*time.Second))

	It("of objects whose time has not come are not begun", func(ctx SpecContext) {
		plan := planOf(fill("a", gib))
		held := map[spec.ID]bool{volumeID("a"): true}
		Expect(x.Execute(ctx, plan, held, nil)).To(HaveKeyWithValue(StepID(1), MatchError(ErrHeld)))
		Expect(x.JobsUnderWay()).To(BeZero())
	})

	It("are applied to the end, one by one, where that is asked for", func() {
		x.OneByOne = true
		x.Actuators[observe.Data] = a
		Expect(do(planOf(Step{Change: activate("vg0", "a")}, fill("a", gib), Step{Change: activate("vg0", "b")}))).To(BeEmpty())
		Expect(a.applied).To(Equal([]string{"activate vg0/a", "fill vg0/a from vg0/from", "activate vg0/b"}))
	})

	It("of one lane run one after the other", func(ctx SpecContext) {
		second := fill("a", gib)
		second.Change = change.Clear{LV: change.LV{VolumeGroup: "vg0", Name: "a"}}
		Expect(do(planOf(fill("a", gib), second))).To(And(unfinished(1), unfinished(2)))
		Eventually(ctx, c.begun).Should(Receive(Equal("a")))
		c.job("a").end <- nil
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(do(planOf(second))).To(unfinished(1))
		Eventually(ctx, c.begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("are not begun when the agent is to end", func() {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		Expect(x.Execute(ctx, planOf(fill("a", gib)), nil, nil)).To(HaveKeyWithValue(StepID(1), MatchError(context.Canceled)))
		Expect(c.begun).NotTo(Receive())
	})

	It("need somebody who does them", func() {
		delete(x.Actuators, observe.Data)
		Expect(do(planOf(fill("a", gib)))).To(HaveKeyWithValue(StepID(1), MatchError("no actuator for "+string(observe.Data))))
	})

	It("tell how far they have come, once a second at most", func(ctx SpecContext) {
		var s Status
		now := time.Now()
		x.Jobs, x.jobs.now = 1, func() time.Time { return now }
		x.TellProgress(s.Progressed)
		plan := planOf(fill("a", gib), fill("b", gib))
		plan.Objects = []Object{{Kind: spec.KindVolume, Name: "a", Phase: Progressing}, {Kind: spec.KindVolume, Name: "b", Phase: Blocked, Message: "no"}}
		shown := func(name string) Object {
			report, _ := s.Report()
			return objectOf(Plan{Objects: report.Objects}, volumeID(name))
		}
		s.Publish(plan.Objects, nil, PassCost{}, now)
		do(planOf(plan.Steps[0]))
		Eventually(ctx, c.begun).Should(Receive())
		do(plan)
		Eventually(ctx, func() *Progress { return shown("b").Progress }).Should(And(Not(BeNil()), HaveField("Waiting", true)))
		Expect(shown("b").Message).To(Equal("no"), "what is known already says more")

		_, changed := s.Report()
		c.job("a").report(change.Progress{Done: 430 << 20, Total: 1 << 30, Rate: 300 << 20, Left: 150 * time.Second})
		Expect(changed).To(BeClosed())
		Expect(shown("a").Message).To(Equal("fill vg0/a from vg0/from: 41%, 300MiB/s, 3m left"))
		Expect(*shown("a").Progress).To(And(HaveField("Type", "Populate"), HaveField("Done", uint64(430<<20)), HaveField("LeftSeconds", int64(150))))

		_, changed = s.Report()
		now = now.Add(tellEvery - 1)
		c.job("a").report(change.Progress{Done: 1 << 30, Total: 1 << 30})
		Expect(changed).NotTo(BeClosed())
		now = now.Add(1)
		c.job("a").report(change.Progress{Done: 1 << 30, Total: 1 << 30})
		Expect(changed).To(BeClosed())
		Expect(shown("a").Message).To(HaveSuffix(": 100%"))

		c.job("a").end <- nil
		Eventually(ctx, x.Freed()).Should(Receive())
		s.Publish(plan.Objects, nil, PassCost{}, now)
		Expect(shown("a").Progress).To(BeNil())
	}, SpecTimeout(10*time.Second))
})
