package execute

import (
	"context"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"go.uber.org/goleak"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Jobs", func() {
	var (
		c  *model.Copier
		a  *model.Actuator
		x  *Executor
		do func(plan.Plan) map[plan.StepID]error
	)
	unfinished := func(n plan.StepID) OmegaMatcher { return HaveKeyWithValue(n, MatchError(ErrUnfinished)) }

	BeforeEach(func() {
		before := goleak.IgnoreCurrent()
		c, a = model.NewCopier(), &model.Actuator{}
		x = &Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: a, observe.Data: c}}
		running, stop := context.WithCancel(context.Background())
		do = func(p plan.Plan) map[plan.StepID]error { return x.Execute(running, p, nil, nil) }
		DeferCleanup(func(ctx SpecContext) {
			stop()
			x.Wait()
			do(plan.Plan{}) // forgets how those ended that no plan asked for
			Expect(x.JobsUnderWay()).To(BeZero(), "what was cancelled leaves nothing behind")
			Eventually(ctx, func() error { return goleak.Find(before) }).Should(Succeed())
		}, NodeTimeout(10*time.Second))
	})

	It("are begun and not waited for; their neighbours go on", func(ctx SpecContext) {
		p := model.PlanOf(plan.Step{Change: model.Activate("vg0", "a")}, model.Fill("a", model.GiB), plan.Step{Change: model.Activate("vg0", "b")})
		p.Steps[1].Needs = []plan.StepID{1}
		for range 3 {
			Expect(do(p)).To(And(HaveLen(1), unfinished(2)))
		}
		Eventually(ctx, c.Begun).Should(Receive(Equal("a")))
		Expect(c.Begun).NotTo(Receive(), "it is begun once")
		Expect(a.Applied).To(HaveLen(6))
		Expect(x.Freed()).NotTo(Receive())
	}, SpecTimeout(10*time.Second))

	It("wait for what they need, and are not begun without", func() {
		a.Fail = map[string]error{"activate vg0/a": change.ErrNoSpace}
		p := model.PlanOf(plan.Step{Change: model.Activate("vg0", "a")}, model.Fill("a", model.GiB), plan.Step{Change: model.Activate("vg1", "b")})
		p.Steps[1].Needs, p.Steps[2].Needs = []plan.StepID{1}, []plan.StepID{2}
		Expect(do(p)).To(And(HaveKeyWithValue(plan.StepID(2), MatchError(ErrNeeds)), HaveKeyWithValue(plan.StepID(3), MatchError(ErrNeeds))))
		x.Wait()
		Expect(c.Begun).NotTo(Receive())
		Expect(x.Freed()).NotTo(Receive())
	})

	It("call for a pass when they fail, which takes up the error, and the one after begins them again", func(ctx SpecContext) {
		p := model.PlanOf(model.Fill("a", model.GiB))
		do(p)
		Eventually(ctx, c.Begun).Should(Receive())
		c.Job("a").End <- change.ErrSource
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(do(plan.Plan{KeepJobs: true})).To(BeEmpty())
		Expect(do(p)).To(HaveKeyWithValue(plan.StepID(1), MatchError(change.ErrSource)))
		Expect(c.Begun).NotTo(Receive())
		Expect(do(p)).To(unfinished(1))
		Eventually(ctx, c.Begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("end with a success, which is not repeated at once for a plan that was made before", func(ctx SpecContext) {
		var told []error
		p := model.PlanOf(model.Fill("a", model.GiB))
		x.Execute(ctx, p, nil, func(_ plan.Step, err error) { told = append(told, err) })
		Eventually(ctx, c.Begun).Should(Receive())
		c.Job("a").End <- nil
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(told).To(Equal([]error{nil}))
		Expect(do(p)).To(HaveKeyWithValue(plan.StepID(1), MatchError(change.ErrStale)))
		Expect(c.Begun).NotTo(Receive())
		Expect(do(plan.Plan{})).To(BeEmpty())
		Expect(do(p)).To(unfinished(1))
		Eventually(ctx, c.Begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("are ended when no step is for them any more, which is no failure", func(ctx SpecContext) {
		do(model.PlanOf(model.Fill("a", model.GiB), model.Fill("b", model.GiB)))
		Eventually(ctx, c.Begun).Should(Receive())
		Eventually(ctx, c.Begun).Should(Receive())
		Expect(do(model.PlanOf(model.Fill("b", model.GiB)))).To(unfinished(1))
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(x.JobsUnderWay()).To(Equal(1))
		Expect(c.Job("a")).To(BeNil())
		Expect(do(model.PlanOf(model.Fill("b", model.GiB), model.Fill("a", model.GiB)))).To(And(unfinished(1), unfinished(2)))
		Eventually(ctx, c.Begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("go on when not all of the machine was seen", func(ctx SpecContext) {
		do(model.PlanOf(model.Fill("a", model.GiB)))
		Eventually(ctx, c.Begun).Should(Receive())
		do(plan.Plan{KeepJobs: true})
		Expect(x.Freed()).NotTo(Receive())
		Expect(do(model.PlanOf(model.Fill("a", model.GiB)))).To(unfinished(1))
		Expect(c.Begun).NotTo(Receive())
		Expect(c.Job("a")).NotTo(BeNil())
	}, SpecTimeout(10*time.Second))

	It("are begun anew for another source, once the old one has ended, and go on if they only came further", func(ctx SpecContext) {
		do(model.PlanOf(model.Fill("a", model.GiB)))
		Eventually(ctx, c.Begun).Should(Receive())
		further := model.Fill("a", model.GiB).Change.(change.Populate)
		further.Done = 512 * model.MiB
		Expect(do(model.PlanOf(plan.Step{Change: further}))).To(unfinished(1))
		Expect(x.Freed()).NotTo(Receive())

		further.Volume.Name = "other"
		other := model.PlanOf(plan.Step{Change: further})
		Expect(do(other)).To(unfinished(1))
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(c.Begun).NotTo(Receive())
		Expect(do(other)).To(unfinished(1))
		Eventually(ctx, c.Begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("share slots: first come, first served, and small ones never wait for big ones", func(ctx SpecContext) {
		x.Jobs = 2
		begin := func(steps ...plan.Step) { // one after the other: the order counts
			for i := range steps {
				do(plan.Plan{KeepJobs: true, Steps: model.PlanOf(steps[i]).Steps})
				Eventually(ctx, func() bool {
					x.mu.Lock()
					defer x.mu.Unlock()
					return len(waiting(x.jobs.queue.small))+len(waiting(x.jobs.queue.big))+x.jobs.all == len(x.jobs.byLane)
				}).Should(BeTrue())
			}
		}
		begin(model.Fill("big1", 2*model.GiB), model.Fill("big2", 3*model.GiB), model.Fill("unknown", 0))
		Eventually(ctx, c.Begun).Should(Receive(Equal("big1")))
		begin(model.Fill("small1", model.MiB), model.Fill("small2", model.GiB))
		Eventually(ctx, c.Begun).Should(Receive(Equal("small1")))
		Expect(c.Begun).NotTo(Receive())
		c.Job("small1").End <- nil
		Eventually(ctx, c.Begun).Should(Receive(Equal("small2")), "the slot for small ones is not given to big2")
		c.Job("big1").End <- nil
		Eventually(ctx, c.Begun).Should(Receive(Equal("big2")))
		c.Job("small2").End <- nil
		Eventually(ctx, func() int {
			x.mu.Lock()
			defer x.mu.Unlock()
			return x.jobs.all
		}).Should(Equal(1))
		Expect(c.Begun).NotTo(Receive(), "nor is it given to a job of unknown size")
		c.Job("big2").End <- nil
		Eventually(ctx, c.Begun).Should(Receive(Equal("unknown")))
	}, SpecTimeout(10*time.Second))

	It("that wait for the network leave their slots to others, and have one again before they go on", func(ctx SpecContext) {
		x.Jobs = 1
		came, back := make(chan error), make(chan error)
		x.Actuators[observe.Data] = downloading{c, "slow", came, back}
		step := model.Fill("slow", 0)
		do(model.PlanOf(step))
		do(model.PlanOf(step, model.Fill("other", model.GiB)))
		Eventually(ctx, c.Begun).Should(Receive(Equal("other")), "the download holds no slot")
		came <- nil
		Consistently(back, 50*time.Millisecond).ShouldNot(Receive(), "the other one has the slot")
		c.Job("other").End <- nil
		Eventually(ctx, back).Should(Receive(BeNil()))
		Eventually(ctx, c.Begun).Should(Receive(Equal("slow")))
		c.Job("slow").End <- nil
		Eventually(ctx, func() int {
			x.mu.Lock()
			defer x.mu.Unlock()
			return x.jobs.all
		}).Should(BeZero())

		By("ending a download that fails, or that nobody wants any more")
		for range 2 { // what ended is taken up first
			do(model.PlanOf(step))
		}
		came <- change.ErrSource
		Eventually(ctx, back).Should(Receive(MatchError(change.ErrSource)))
		do(model.PlanOf(model.Fill("other", model.GiB)))
		Eventually(ctx, c.Begun).Should(Receive(Equal("other")))
		c.Job("other").End <- nil
		Eventually(ctx, func() int {
			x.mu.Lock()
			defer x.mu.Unlock()
			return x.jobs.all + x.jobs.big
		}).Should(BeZero(), "no slot is left twice")
	}, SpecTimeout(10*time.Second))

	It("get their slots in the order in which they came, big or small", func() {
		var q queue
		var jobs []*job
		for _, size := range []spec.Size{1, 2 * smallJob, 1, 2 * smallJob, 2 * smallJob} {
			step := model.Fill("a", size)
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
		do(model.PlanOf(model.Fill("a", model.GiB)))
		Eventually(ctx, c.Begun).Should(Receive())
		do(model.PlanOf(model.Fill("a", model.GiB), model.Fill("b", model.GiB)))
		do(model.PlanOf(model.Fill("a", model.GiB)))
		Eventually(ctx, x.JobsUnderWay).Should(Equal(1))
		c.Job("a").End <- nil
		do(model.PlanOf(model.Fill("c", model.GiB)))
		Eventually(ctx, c.Begun).Should(Receive(Equal("c")), "b has left no slot taken")
	}, SpecTimeout(10*time.Second))

	It("of objects whose time has not come are not begun", func(ctx SpecContext) {
		p := model.PlanOf(model.Fill("a", model.GiB))
		held := map[spec.ID]bool{model.VolumeID("a"): true}
		Expect(x.Execute(ctx, p, held, nil)).To(HaveKeyWithValue(plan.StepID(1), MatchError(ErrBackingOff)))
		Expect(x.JobsUnderWay()).To(BeZero())
	})

	It("are applied to the end, one by one, where that is asked for", func() {
		x.OneByOne = true
		x.Actuators[observe.Data] = a
		Expect(do(model.PlanOf(plan.Step{Change: model.Activate("vg0", "a")}, model.Fill("a", model.GiB), plan.Step{Change: model.Activate("vg0", "b")}))).To(BeEmpty())
		Expect(a.Applied).To(Equal([]string{"activate vg0/a", "fill vg0/a from vg0/from", "activate vg0/b"}))
	})

	It("of one lane run one after the other", func(ctx SpecContext) {
		second := model.Fill("a", model.GiB)
		second.Change = change.Clear{LV: change.LV{VolumeGroup: "vg0", Name: "a"}}
		Expect(do(model.PlanOf(model.Fill("a", model.GiB), second))).To(And(unfinished(1), unfinished(2)))
		Eventually(ctx, c.Begun).Should(Receive(Equal("a")))
		c.Job("a").End <- nil
		Eventually(ctx, x.Freed()).Should(Receive())
		Expect(do(model.PlanOf(second))).To(unfinished(1))
		Eventually(ctx, c.Begun).Should(Receive(Equal("a")))
	}, SpecTimeout(10*time.Second))

	It("are not begun when the agent is to end", func() {
		ctx, stop := context.WithCancel(context.Background())
		stop()
		Expect(x.Execute(ctx, model.PlanOf(model.Fill("a", model.GiB)), nil, nil)).To(HaveKeyWithValue(plan.StepID(1), MatchError(context.Canceled)))
		Expect(c.Begun).NotTo(Receive())
	})

	It("need somebody who does them", func() {
		delete(x.Actuators, observe.Data)
		Expect(do(model.PlanOf(model.Fill("a", model.GiB)))).To(HaveKeyWithValue(plan.StepID(1), MatchError("no actuator for "+string(observe.Data))))
	})

	It("tell how far they have come, once a second at most", func(ctx SpecContext) {
		var s status.Board
		now := time.Now()
		x.Jobs, x.jobs.now = 1, func() time.Time { return now }
		x.OnProgress(s.SetProgress)
		p := model.PlanOf(model.Fill("a", model.GiB), model.Fill("b", model.GiB))
		p.Objects = []status.Object{{Kind: spec.KindVolume, Name: "a", Phase: status.Progressing}, {Kind: spec.KindVolume, Name: "b", Phase: status.Blocked, Message: "no"}}
		shown := func(name string) status.Object {
			report, _ := s.Report()
			return model.ObjectOf(plan.Plan{Objects: report.Objects}, model.VolumeID(name))
		}
		s.Publish(p.Objects, nil, status.PassCost{}, now)
		do(model.PlanOf(p.Steps[0]))
		Eventually(ctx, c.Begun).Should(Receive())
		do(p)
		Eventually(ctx, func() *status.Progress { return shown("b").Progress }).Should(And(Not(BeNil()), HaveField("Waiting", true)))
		Expect(shown("b").Message).To(Equal("no"), "what is known already says more")

		_, changed := s.Report()
		c.Job("a").Report(change.Progress{Done: 430 << 20, Total: 1 << 30, Rate: 300 << 20, Left: 150 * time.Second})
		Expect(changed).To(BeClosed())
		Expect(shown("a").Message).To(Equal("fill vg0/a from vg0/from: 41%, 300MiB/s, 3m left"))
		Expect(*shown("a").Progress).To(And(HaveField("Type", "Populate"), HaveField("Done", uint64(430<<20)), HaveField("LeftSeconds", int64(150))))

		_, changed = s.Report()
		now = now.Add(reportInterval - 1)
		c.Job("a").Report(change.Progress{Done: 1 << 30, Total: 1 << 30})
		Expect(changed).NotTo(BeClosed())
		now = now.Add(1)
		c.Job("a").Report(change.Progress{Done: 1 << 30, Total: 1 << 30})
		Expect(changed).To(BeClosed())
		Expect(shown("a").Message).To(HaveSuffix(": 100%"))

		c.Job("a").End <- nil
		Eventually(ctx, x.Freed()).Should(Receive())
		s.Publish(p.Objects, nil, status.PassCost{}, now)
		Expect(shown("a").Progress).To(BeNil())
	}, SpecTimeout(10*time.Second))
})

// downloading is a copier whose job in one lane downloads first, until something comes.
type downloading struct {
	*model.Copier
	lane       string
	came, back chan error
}

func (d downloading) Apply(ctx context.Context, c change.Change) error {
	if c.Lane() == "data/vg0/"+d.lane {
		err := change.WaitAside(ctx, func() error {
			select {
			case err := <-d.came:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		select {
		case d.back <- err:
		case <-ctx.Done():
		}
		if err != nil {
			return err
		}
	}
	return d.Copier.Apply(ctx, c)
}
