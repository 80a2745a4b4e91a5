package reconcile

import (
	"context"
	"errors"
	"path/filepath"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// forgetful notes what it is told to read again.
type forgetful struct {
	Observer
	again   []observe.Part
	audits  int
	missing []string
	said    []observe.Part
}

func (f *forgetful) Forget(parts ...observe.Part) { f.again = append(f.again, parts...) }
func (f *forgetful) Audit()                       { f.audits++ }
func (f *forgetful) EndAudit() bool               { return len(f.missing) > 0 }
func (f *forgetful) Missed(said ...observe.Part) []string {
	f.said = said
	return f.missing
}

// taken returns what is to be read again since the last call.
func (f *forgetful) taken() []observe.Part {
	again := f.again
	f.again = nil
	return again
}

// listed are events that a spec makes up.
type listed struct {
	waiting []watch.Event
	status  []watch.Status
	volumes []string
}

func (*listed) Changed() <-chan struct{} { return nil }
func (l *listed) Take() []watch.Event {
	taken := l.waiting
	l.waiting = nil
	return taken
}
func (l *listed) PhysicalVolumes(nodes []string) { l.volumes = nodes }
func (l *listed) Status() []watch.Status         { return l.status }

var _ = Describe("what a pass reads", func() {
	const (
		resync = time.Minute
		audit  = 10 * time.Minute
	)
	var (
		f      *forgetful
		events *listed
		l      *lookout
		now    time.Time
		idle   plan.Plan
	)
	everything := Equal([]observe.Part{observe.Everything})
	// pass begins a pass, and returns what it reads again.
	pass := func(timed bool) []observe.Part {
		l.begin(timed, false, now)
		l.observed(context.Background())
		return f.taken()
	}
	BeforeEach(func() {
		f, events = &forgetful{}, &listed{status: []watch.Status{{Source: watch.Configfs, Watching: true}, {Source: watch.Devices, Watching: true}}}
		l = &lookout{observer: f, events: events, audit: audit, resync: resync}
		now = time.Now()
		idle = plan.Plan{}
		Expect(pass(false)).To(BeEmpty())
		Expect(f.audits).To(Equal(1), "a pass begins with reading everything")
	})

	It("is nothing while nothing changes, until the next audit", func() {
		Expect(l.next(idle, now)).To(Equal(audit))
		now = now.Add(audit - time.Second)
		Expect(pass(false)).To(BeEmpty())
		Expect(l.next(idle, now)).To(Equal(resync), "no sooner than that")
		Expect(f.audits).To(Equal(1))
		now = now.Add(time.Second)
		Expect(pass(true)).To(BeEmpty())
		Expect(f.audits).To(Equal(2))
	})
	DescribeTable("is what events say", func(e watch.Event, part observe.Part) {
		events.waiting = []watch.Event{e}
		Expect(pass(false)).To(Equal([]observe.Part{part}))
		Expect(pass(false)).To(BeEmpty())
	},
		Entry("of a target", watch.Event{Source: watch.Configfs, Path: observe.ISCSIDir + "/a"}, observe.Part(observe.ISCSIDir+"/a")),
		Entry("of anything in configfs", watch.Event{Source: watch.Configfs}, observe.AllOfConfigFS),
		Entry("of metadata", watch.Event{Source: watch.Metadata, Path: "/dev/vda"}, observe.AllOfLVM),
		Entry("of a device", watch.Event{Source: watch.Devices, Path: "/dev/dm-0"}, observe.AllOfLVM),
		Entry("of any device", watch.Event{Source: watch.Devices}, observe.AllOfLVM),
	)
	It("is everything once per resync while something is pending, whatever events come meanwhile", func() {
		pending := plan.Plan{Objects: []status.Object{{Phase: status.Blocked, Reason: status.ReasonSessionsActive}}}
		busy := watch.Event{Source: watch.Devices, Path: "/dev/sdb"}
		for range 3 {
			Expect(l.next(pending, now)).To(Equal(resync))
			now = now.Add(resync / 2)
			events.waiting = []watch.Event{busy}
			Expect(pass(false)).To(Equal([]observe.Part{observe.AllOfLVM}))
			Expect(l.next(pending, now)).To(Equal(resync))
			now = now.Add(resync / 2)
			events.waiting = []watch.Event{busy}
			Expect(pass(false)).To(ContainElement(observe.Everything))
		}
	})
	DescribeTable("is everything each time", func(change func()) {
		change()
		for range 2 {
			Expect(pass(false)).To(everything)
			Expect(l.next(idle, now)).To(Equal(resync))
		}
	},
		Entry("where a source is not watched", func() { events.status[1].Watching = false }),
		Entry("where tgtd serves targets", func() { l.tgt = true }),
		Entry("where nothing announces anything", func() { l.events = nil }),
	)
	It("is everything where nothing is remembered, as ever", func() {
		l = &lookout{resync: resync}
		Expect(pass(true)).To(BeEmpty())
		Expect(l.next(idle, now)).To(Equal(resync))
		Expect(l.refreshFor(harmful, now)).To(BeFalse())
	})
	It("is what our own changes are only as they are made", func() {
		events.waiting = []watch.Event{{Source: watch.Metadata, Path: "/dev/vda", By: &watch.Process{Own: true}}, {Source: watch.Metadata, Path: "/dev/vda", By: &watch.Process{}}}
		Expect(pass(false)).To(Equal([]observe.Part{observe.AllOfLVM}))
	})
	It("is everything when an object is edited", func() {
		l.begin(false, true, now)
		Expect(f.taken()).To(everything)
	})
	It("is everything for whoever asks, once", func() {
		l.asked = true
		Expect(pass(false)).To(everything)
		Expect(l.polled).To(Equal(now))
		Expect(pass(false)).To(BeEmpty())
	})
	It("is everything when something is waited for that nothing announces, if nothing else starts a pass", func() {
		idle.Objects = []status.Object{{Phase: status.Blocked, Reason: status.ReasonInUse}}
		Expect(l.next(idle, now)).To(Equal(resync))
		Expect(pass(false)).To(BeEmpty())
		Expect(pass(true)).To(everything)
	})
	It("is nothing when only the time is waited for", func() {
		idle.Due = now.Add(3 * time.Minute)
		Expect(l.next(idle, now)).To(Equal(3 * time.Minute))
		Expect(pass(true)).To(BeEmpty())
		idle.Due = now
		Expect(l.next(idle, now)).To(Equal(resync))
		idle.Due = now.Add(time.Hour)
		Expect(l.next(idle, now)).To(Equal(audit))
	})
	It("follows LVM's devices, unless LVM could not be read", func() {
		s := observe.State{VolumeGroups: map[string]observe.VolumeGroup{
			"a": {PhysicalVolumes: []string{"/dev/b", "/dev/a"}}, "b": {PhysicalVolumes: []string{"/dev/b"}},
		}}
		l.follow(s)
		Expect(events.volumes).To(Equal([]string{"/dev/a", "/dev/b"}))
		l.follow(observe.State{Unknown: map[observe.System]error{observe.LVM: errors.New("locked")}})
		Expect(events.volumes).To(HaveLen(2))
	})

	It("is not LVM twice because of one event", func() {
		events.waiting = []watch.Event{{Source: watch.Metadata, Path: "/dev/vda"}}
		Expect(pass(false)).To(Equal([]observe.Part{observe.AllOfLVM}))
		made := steps(plan.Step{Danger: plan.Harmless, Change: change.Activate{}})
		Expect(l.refreshFor(made, now)).To(BeFalse(), "it was read in this pass")
		Expect(pass(false)).To(BeEmpty())
		Expect(l.refreshFor(made, now)).To(BeTrue(), "it was read in a pass of before")
		Expect(f.taken()).To(Equal([]observe.Part{observe.AllOfLVM}))
	})
	It("counts what an audit found, but for what is announced a moment later", func() {
		l.audited = time.Time{}
		l.begin(false, false, now)
		f.missing = []string{"LVM"}
		late := watch.Event{Source: watch.Configfs, Path: observe.ISCSIDir + "/a"}
		events.waiting = []watch.Event{late}
		Expect(l.observed(context.Background())).To(Equal([]string{"LVM"}))
		Expect(l.misses).To(Equal(1))
		Expect(f.said).To(Equal([]observe.Part{partOf(late)}))

		By("which is read again before anything is changed, and is an event of the next pass")
		Expect(f.taken()).To(Equal([]observe.Part{partOf(late)}))
		Expect(l.refreshFor(harmful, now)).To(BeTrue())
		Expect(f.taken()).To(everything)
		f.missing = nil
		Expect(l.begin(false, false, now)).To(Equal([]watch.Event{late}))
		Expect(l.begin(false, false, now)).To(BeEmpty())
	})

	DescribeTable("is before changes", func(p plan.Plan, parts ...observe.Part) {
		Expect(l.refreshFor(p, now)).To(BeFalse(), "an audit has just read everything")
		l.begin(false, false, now)
		f.taken()
		Expect(l.refreshFor(p, now)).To(Equal(len(parts) > 0))
		Expect(f.taken()).To(HaveExactElements(parts))
		Expect(l.refreshFor(p, now)).To(BeFalse(), "once is enough")
	},
		Entry("nothing, if there are none", plan.Plan{}),
		Entry("what they change", steps(plan.Step{Danger: plan.Harmless, Change: change.CreateTarget{Target: change.Target{Fabric: observe.ISCSI, Name: "a"}}}), observe.Part(observe.ISCSIDir+"/a")),
		Entry("everything, if any can do harm", harmful, observe.Everything),
		Entry("everything, if anybody may notice",
			steps(plan.Step{Danger: plan.Harmless, Change: change.CreateTarget{}, Affects: []string{"iqn.x"}}), observe.Everything),
		Entry("everything, if they depend on more than one part", steps(plan.Step{Danger: plan.Harmless, Change: change.WriteImage{}}), observe.Everything),
	)
})

var harmful = steps(plan.Step{Danger: plan.Disruptive, Change: change.CreateTarget{}})

func steps(all ...plan.Step) plan.Plan { return plan.Plan{Steps: all} }

// emptySource declares nothing, and counts the passes.
type emptySource struct{ passes atomic.Int64 }

func (s *emptySource) Load(context.Context) spec.Set {
	s.passes.Add(1)
	return spec.Set{}
}

// losing are events that can be lost.
type losing struct {
	*fakehost.Events
	lose atomic.Bool
}

func (l *losing) Take() []watch.Event {
	taken := l.Events.Take()
	if l.lose.Load() {
		return nil
	}
	return taken
}

// TestIdle: a node on which nothing happens costs nothing between audits.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := NewWithT(t)
		h, err := fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 << 20, Extents: 100}}})
		g.Expect(err).NotTo(HaveOccurred())
		var calls atomic.Int64
		o := observe.New(&fakehost.Tap{Host: h, Before: func(fakehost.Call) error {
			calls.Add(1)
			return nil
		}})
		o.Remember()
		memory, err := OpenMemory(filepath.Join(t.TempDir(), "identities.json"))
		g.Expect(err).NotTo(HaveOccurred())
		source := &emptySource{}
		events := &losing{Events: h.Watch()}
		loop := &Loop{
			Source: source, Observer: o, Events: events, Executor: &execute.Executor{}, Memory: memory,
			Status: &status.Board{}, Log: logr.Discard(), Resync: time.Minute, Audit: 10 * time.Minute,
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); loop.Run(ctx, nil) }()
		defer func() { cancel(); <-ended }()

		// since returns how many passes and calls there were.
		var passesBefore, callsBefore int64
		since := func() (passes, made int64) {
			synctest.Wait()
			p, c := source.passes.Load(), calls.Load()
			passes, made = p-passesBefore, c-callsBefore
			passesBefore, callsBefore = p, c
			return passes, made
		}
		time.Sleep(time.Minute)
		_, first := since()
		g.Expect(first).To(BeNumerically(">", 3))
		time.Sleep(8 * time.Minute)
		passes, made := since()
		g.Expect(passes).To(BeZero())
		g.Expect(made).To(BeZero())
		time.Sleep(2 * time.Minute)
		passes, _ = since()
		g.Expect(passes).To(BeEquivalentTo(1), "the audit")

		_, err = h.Run(ctx, "lvcreate", "-y", "-n", "a", "-L", "16m", "vg0")
		g.Expect(err).NotTo(HaveOccurred())
		time.Sleep(100 * time.Millisecond)
		passes, made = since()
		g.Expect(passes).To(BeEquivalentTo(1))
		g.Expect(made).To(BeNumerically(">", 0))

		// What is lost is found by the next audit, and counted.
		events.lose.Store(true)
		_, err = h.Run(ctx, "lvchange", "--addtag", "x", "vg0/a")
		g.Expect(err).NotTo(HaveOccurred())
		time.Sleep(time.Minute)
		_, made = since()
		g.Expect(made).To(BeNumerically("<", 10), "of what is read each time")
		misses := func() int {
			synctest.Wait()
			report, _ := loop.Status.Report()
			return report.AuditMisses
		}
		g.Expect(misses()).To(BeZero())
		time.Sleep(10 * time.Minute)
		g.Expect(misses()).To(Equal(1))
	})
}
