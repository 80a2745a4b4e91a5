package reconcile

import (
	"errors"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A snapshot of a schedule that fails", func() {
	It("is not tried in every pass, although no file declares it", func(ctx SpecContext) {
		now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
		m := &machine{node: model.NewNode()}
		m.node.Declared.Schedules = map[string]spec.SnapshotSchedule{"hourly": {Metadata: model.Meta("hourly"), Spec: spec.SnapshotScheduleSpec{
			Volumes: []string{"data"}, At: "5 * * * *", TimeZone: "UTC", Keep: spec.Keep{Last: 2},
		}}}
		loop := newLoop(m, filepath.Join(GinkgoT().TempDir(), "identities.json"))
		began := now
		loop.Clock, loop.uptime = func() time.Time { return now }, func() time.Duration { return time.Hour + now.Sub(began) }
		for range 4 {
			loop.Pass(ctx)
		}
		tries := 0
		m.fail = func(c change.Change) error {
			if s, is := c.(change.CreateSnapshot); is && s.Name == "hourly-20261122t120500z" {
				tries++
				return errors.New("boom")
			}
			return nil
		}
		now = now.Add(6 * time.Minute)
		for range 5 {
			loop.Pass(ctx)
		}
		Expect(tries).To(Equal(1))
		report, _ := loop.Status.Report()
		Expect(report.Objects).To(ContainElement(And(HaveField("Name", "hourly-20261122t120500z"), HaveField("Phase", status.Failed))))
		now = now.Add(2 * time.Second)
		wait := loop.Pass(ctx)
		Expect(tries).To(Equal(2))
		Expect(wait).To(BeNumerically(">", 1500*time.Millisecond), "longer after every failure")
	})
})
