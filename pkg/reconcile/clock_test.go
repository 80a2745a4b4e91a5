package reconcile

import (
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
)

var _ = Describe("Loop and a clock that is set", func() {
	It("keeps in the trash, over a restart, what came there by a clock in the past", func(ctx SpecContext) {
		m := &machine{node: model.NewNode()}
		state := filepath.Join(GinkgoT().TempDir(), "identities.json")
		now, up := time.Date(1970, 1, 1, 0, 1, 0, 0, time.UTC), time.Minute
		m.node.Clock = func() time.Time { return now }
		agent := func() *Loop {
			loop := newLoop(m, state)
			loop.Clock, loop.uptime = func() time.Time { return now }, func() time.Duration { return up }
			loop.TrashSettle = time.Minute
			return loop
		}
		wait := func(d time.Duration) { now, up = now.Add(d), up+d }
		m.node.SetTrashPeriod(24 * time.Hour)
		loop := agent()
		loop.Pass(ctx)
		m.node.UndeclareAll()
		for range 3 {
			wait(time.Minute)
			loop.Pass(ctx)
		}
		Expect(m.node.LVs("vg0")["thick"].DeletedTags()).NotTo(BeEmpty())

		now = now.AddDate(56, 0, 0)
		wait(time.Minute)
		m.node.Declared.Complete = false // or it goes at once: without a monotonic reading, all this time went by
		loop.Pass(ctx)
		m.node.Declared.Complete = true
		loop = agent()
		loop.Pass(ctx)
		for range 23 {
			wait(time.Hour)
			loop.Pass(ctx)
			Expect(m.node.LVs("vg0")).To(HaveKey("thick"))
		}
		for range 3 {
			wait(time.Hour)
			loop.Pass(ctx)
		}
		Expect(m.node.LVs("vg0")).NotTo(HaveKey("thick"))
	})
	It("takes no notice of what goes wrong little by little, or back, or was known before", func() {
		var s clockWatch
		began := time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)
		ahead := func(clock, up time.Duration) time.Duration {
			by, _ := s.observe(began.Add(clock), up)
			return by
		}
		Expect(ahead(0, time.Hour)).To(BeZero())
		Expect(ahead(time.Hour+20*time.Second, 2*time.Hour)).To(BeZero())
		Expect(ahead(-time.Hour, 3*time.Hour)).To(BeZero(), "set back")
		by, since := s.observe(began.Add(5*time.Hour), 4*time.Hour)
		Expect(by).To(Equal(5 * time.Hour))
		Expect(since).To(Equal(began.Add(-3 * time.Hour)))
	})
})
