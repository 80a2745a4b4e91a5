package main

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/execute"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// machine is a node with one volume group, on which volumes can be created and
// nothing else.
type machine struct {
	mu      sync.Mutex
	volumes map[string]observe.LogicalVolume
	// refusals is how many changes fail before one succeeds.
	refusals int
	passes   int
}

func (m *machine) Observe(context.Context, ...string) observe.State {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.passes++
	vg := observe.VolumeGroup{Name: "vg0", ExtentSize: 4 << 20, Size: 100 * gib, Free: 100 * gib, LogicalVolumes: map[string]observe.LogicalVolume{}}
	for name, lv := range m.volumes {
		vg.LogicalVolumes[name] = lv
	}
	return observe.State{VolumeGroups: map[string]observe.VolumeGroup{"vg0": vg}}
}

func (m *machine) Apply(_ context.Context, c change.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusals > 0 {
		m.refusals--
		return errors.New("not now")
	}
	create, ok := c.(change.CreateVolume)
	if !ok {
		return errors.New("cannot do that")
	}
	m.volumes[create.Name] = observe.LogicalVolume{
		VolumeGroup: create.VolumeGroup, Name: create.Name, UUID: "uuid-of-" + create.Name,
		Type: observe.Thick, Size: uint64(create.Size), Tags: create.Tags, Active: true,
	}
	return nil
}

// slowCopy is a job that never ends by itself.
type slowCopy struct {
	begun chan struct{}
	ended bool
}

func (c *slowCopy) Apply(ctx context.Context, _ change.Change) error {
	close(c.begun)
	<-ctx.Done()
	c.ended = true
	return ctx.Err()
}

// desired is a Source that says the same all the time.
type desired spec.Set

func (d desired) Load(context.Context) spec.Set { return spec.Set(d) }

func oneVolumeIn(vg string) desired {
	return desired{
		Complete: true,
		Pools:    map[string]spec.Pool{"slow": {Metadata: spec.Metadata{Name: "slow"}, Spec: spec.PoolSpec{VolumeGroup: vg}}},
		Volumes: map[string]spec.Volume{"db": {Metadata: spec.Metadata{Name: "db"}, Spec: spec.VolumeSpec{
			Pool: "slow", LVName: "db", Size: gib, DeletionPolicy: spec.Retain,
		}}},
	}
}

var _ = Describe("apply", func() {
	var (
		node *machine
		out  *strings.Builder

		executor *execute.Executor
	)
	BeforeEach(func() {
		node = &machine{volumes: map[string]observe.LogicalVolume{}}
		out = &strings.Builder{}
		executor = &execute.Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: node}}
	})
	run := func(ctx context.Context, want desired, timeout time.Duration) status.Report {
		memory, err := reconcile.OpenMemory(filepath.Join(GinkgoT().TempDir(), "identities.json"))
		Expect(err).NotTo(HaveOccurred())
		progress := newProgress(out)
		loop := &reconcile.Loop{
			Source: want, Observer: node, Memory: memory, Status: &status.Board{}, Log: logr.Discard(), Resync: timeout,
			Executor: executor,
			OnStep:   progress.done,
		}
		return converge(ctx, loop, progress, time.Now().Add(timeout))
	}

	It("ends once it has seen that all is as desired", func(ctx SpecContext) {
		Expect(run(ctx, oneVolumeIn("vg0"), time.Minute).Converged()).To(BeTrue())
		Expect(node.passes).To(Equal(2))
		Expect(out.String()).To(Equal("done   Volume/db: create thick volume vg0/db, 1Gi\n"))
	}, SpecTimeout(20*time.Second))

	It("tries again what fails", func(ctx SpecContext) {
		node.refusals = 2
		Expect(run(ctx, oneVolumeIn("vg0"), time.Minute).Converged()).To(BeTrue())
		Expect(out.String()).To(MatchRegexp(`^failed Volume/db: create thick volume vg0/db, 1Gi: not now
trying again in 1s
failed Volume/db: create thick volume vg0/db, 1Gi, as before
trying again in 2s
done   Volume/db: create thick volume vg0/db, 1Gi
$`))
	}, SpecTimeout(20*time.Second))

	It("tries again an object of which one step failed, though others were done after it", func() {
		export := spec.ID{Kind: spec.KindExport, Name: "db"}
		target := change.Target{Fabric: observe.ISCSI, Name: "iqn.2026-11.org.example:db", Export: "db"}
		p := newProgress(out)
		p.begin()
		p.done(plan.Step{Object: export, Change: change.AddInitiator{Target: target, Initiator: "iqn.1993-08.org.debian:a"}}, errors.New("not now"))
		p.done(plan.Step{Object: export, Change: change.EnableTarget{Target: target}}, nil)
		p.begin() // a pass in which it waits for its time
		Expect(p.mayContinue(status.Report{Objects: []status.Object{
			{Kind: spec.KindExport, Name: "db", Phase: status.Failed, Reason: "AddInitiatorFailed"},
		}})).To(BeTrue())
	})

	It("gives up what goes on failing when its time is over", func(ctx SpecContext) {
		node.refusals = 1000
		status := run(ctx, oneVolumeIn("vg0"), 0)
		Expect(notReadyError(status)).To(MatchError("1 object not as declared: Volume/db (CreateVolumeFailed)"))
	}, SpecTimeout(20*time.Second))

	It("does not wait for what waits for somebody", func(ctx SpecContext) {
		status := run(ctx, oneVolumeIn("elsewhere"), time.Minute)
		Expect(node.passes).To(Equal(1))
		Expect(notReadyError(status)).To(MatchError(
			"2 objects not as declared: Pool/slow (VolumeGroupMissing), Volume/db (DependencyNotReady)"))
	}, SpecTimeout(20*time.Second))

	It("does not wait for what is in the trash", func(ctx SpecContext) {
		id := spec.ID{Kind: spec.KindVolume, Name: "old"}
		node.volumes["old"] = observe.LogicalVolume{VolumeGroup: "vg0", Name: "old", UUID: "abc", Type: observe.Thick,
			Tags: append(ondisk.OwnerTags(id), ondisk.DeletionTag(spec.Delete), ondisk.DeletedTag(time.Now()))}
		status := run(ctx, oneVolumeIn("vg0"), time.Minute)
		Expect(status.Converged()).To(BeTrue())
		Expect(node.passes).To(Equal(2))
		Expect(node.volumes).To(HaveKey("old"))
	}, SpecTimeout(20*time.Second))

	It("ends when the jobs have ended that it began", func(ctx SpecContext) {
		data := &slowCopy{begun: make(chan struct{})}
		executor = &execute.Executor{Actuators: map[observe.System]change.Actuator{observe.LVM: node, observe.Data: data}}
		job := plan.Step{ID: 1, Change: change.Clear{LV: change.LV{VolumeGroup: "vg0", Name: "old"}}}
		executor.Execute(ctx, plan.Plan{Steps: []plan.Step{job}}, nil, nil)
		Eventually(ctx, data.begun).Should(BeClosed())
		// Nothing plans the job, so the first pass tells it to end.
		Expect(run(ctx, oneVolumeIn("vg0"), time.Minute).Converged()).To(BeTrue())
		Expect(node.passes).To(BeNumerically(">", 1))
		Expect(data.ended).To(BeTrue())
		Expect(executor.JobsUnderWay()).To(BeZero())
	}, SpecTimeout(20*time.Second))

	It("does what it can despite findings, and reports them", func(ctx SpecContext) {
		want := oneVolumeIn("vg0")
		want.Complete, want.Findings = false, []spec.Finding{{File: "a.yaml", Line: 1, Err: errors.New("no")}}
		status := run(ctx, want, time.Minute)
		Expect(node.volumes).To(HaveKey("db"))
		var stdout, stderr strings.Builder
		Expect(writeOutcome(&stdout, &stderr, status)).To(Succeed())
		Expect(stdout.String()).To(MatchRegexp(`Volume +db +Ready`))
		Expect(stderr.String()).To(Equal("a.yaml:1: no\n"))
		Expect(notReadyError(status)).To(MatchError("1 finding in the spec files; nothing is removed until all are fixed"))
	}, SpecTimeout(20*time.Second))
})
