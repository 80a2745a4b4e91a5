package reconcile

import (
	"errors"
	"maps"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The grace period of a loop", func() {
	const grace = 30 * time.Second
	var (
		m     *machine
		state string
		loop  *Loop
		now   time.Time
		all   spec.Set
	)
	start := func() {
		loop = newLoop(m, state)
		loop.Grace, loop.Clock = grace, func() time.Time { return now }
	}
	BeforeEach(func(ctx SpecContext) {
		m = &machine{node: model.Converged()}
		m.node.SetTrashPeriod(0)
		state = filepath.Join(GinkgoT().TempDir(), "identities.json")
		now, all = time.Now(), m.node.Declared
		start()
		loop.Pass(ctx)
	})
	// after makes a pass, some time after the last one.
	after := func(ctx SpecContext, d time.Duration) {
		GinkgoHelper()
		now = now.Add(d)
		loop.Pass(ctx)
	}
	incomplete := func() {
		m.node.Declared = spec.Set{Findings: []spec.Finding{{Err: errors.New("the directory has no file")}}}
	}
	pools := func() {
		m.node.Declared = all
		m.node.UndeclareAll()
	}
	volumes := func() {
		m.node.Declared.Volumes = maps.Clone(all.Volumes)
		delete(m.node.Declared.Volumes, "thick")
	}
	expectAll := func() {
		GinkgoHelper()
		Expect(m.node.LVs("vg0")).To(HaveLen(5))
		Expect(m.node.State.LIO.ISCSI).To(HaveLen(1))
	}
	expectGone := func() {
		GinkgoHelper()
		Expect(m.node.LVs("vg0")).To(HaveLen(1))
	}

	It("begins anew when what was incomplete at the start is complete", func(ctx SpecContext) {
		incomplete()
		start()
		loop.Pass(ctx)
		after(ctx, 40*time.Second)
		pools()
		after(ctx, 0)
		expectAll()
		after(ctx, 5*time.Second)
		m.node.Declared = all
		after(ctx, 0)
		after(ctx, time.Hour)
		expectAll()
	})
	It("ends all the same", func(ctx SpecContext) {
		pools()
		after(ctx, 0)
		after(ctx, 29*time.Second)
		expectAll()
		after(ctx, time.Second)
		after(ctx, 0)
		expectGone()
	})
	It("begins anew with every finding that comes and goes", func(ctx SpecContext) {
		pools()
		for range 5 {
			m.node.Declared.Complete = false
			after(ctx, 10*time.Second)
			m.node.Declared.Complete = true
			after(ctx, 10*time.Second)
			after(ctx, 19*time.Second)
		}
		expectAll()
	})
	It("begins with the pass that does not find the file, however long the last one is ago", func(ctx SpecContext) {
		after(ctx, time.Hour)
		pools()
		after(ctx, time.Hour)
		expectAll()
	})
	It("waits for files that come one after the other after a start", func(ctx SpecContext) {
		pools()
		start()
		loop.Pass(ctx)
		after(ctx, 25*time.Second)
		volumes()
		after(ctx, 0)
		after(ctx, 25*time.Second)
		Expect(m.node.LVs("vg0")).To(HaveLen(5))
		m.node.Declared = all
		after(ctx, 0)
		after(ctx, time.Hour)
		expectAll()
	})
	It("waits for files that are put back one after the other, in a running agent", func(ctx SpecContext) {
		after(ctx, time.Hour)
		pools() // a link that was switched to a checkout that goes on
		after(ctx, time.Second)
		after(ctx, 25*time.Second)
		volumes()
		after(ctx, 0)
		after(ctx, 25*time.Second)
		Expect(m.node.LVs("vg0")).To(HaveLen(5))
		m.node.Declared = all
		after(ctx, 0)
		after(ctx, time.Hour)
		Expect(m.node.LVs("vg0")).To(HaveLen(5))
	})
	It("does not wait for new objects that come all the time", func(ctx SpecContext) {
		after(ctx, time.Hour)
		delete(m.node.Declared.Volumes, "thick")
		delete(m.node.Declared.Snapshots, "tnightly")
		m.node.Declared.Exports = nil
		after(ctx, 0)
		for _, name := range []string{"new1", "new2", "new3"} {
			after(ctx, 10*time.Second)
			v := m.node.Declared.Volumes["data"]
			v.Metadata.Name, v.Spec.LVName = name, name
			m.node.Declared.Volumes[name] = v
			after(ctx, 0)
		}
		after(ctx, 0)
		Expect(m.node.LVs("vg0")).To(And(HaveKey("new3"), Not(HaveKey("thick"))))
	})
	It("holds for what others were to be filled from", func(ctx SpecContext) {
		n := m.node
		n.DeclareCopy("slow", 200*model.MiB, spec.VolumeSource{Volume: "data"})
		n.Apply(n.Plan())
		delete(n.LVs("vg0"), "copy")
		delete(n.Declared.Volumes, "copy")
		start()
		loop.Pass(ctx)
		Expect(n.LVs("vg0")).To(HaveKey("volreconciler-source-copy"))
		after(ctx, grace)
		Expect(n.LVs("vg0")).NotTo(HaveKey("volreconciler-source-copy"))
	})
})
