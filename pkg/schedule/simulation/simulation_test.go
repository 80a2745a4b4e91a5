package simulation_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/retention"
	"github.com/volreconciler/volreconciler/pkg/schedule"
	"github.com/volreconciler/volreconciler/pkg/schedule/simulation"
)

func TestSimulation(t *testing.T) {
	RegisterFailHandler(Fail)
	RunSpecs(t, "simulation")
}

func line(expr string, keep retention.Keep) simulation.Line {
	GinkgoHelper()
	s, err := schedule.Parse(expr, time.UTC)
	Expect(err).NotTo(HaveOccurred())
	return simulation.Line{At: s, Keep: keep}
}

var from = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func after(days int) time.Time { return from.AddDate(0, 0, days) }

var _ = Describe("Run", func() {
	It("makes and removes what the schedule says", func() {
		plan := simulation.Plan{Name: "db", Snapshots: line("5 * * * *", retention.Keep{Last: 3, Hourly: 24, Daily: 7})}
		got := simulation.Run(plan, from, after(400)).Snapshots
		Expect(got.Made).To(Equal(400 * 24))
		Expect(got.Kept).To(HaveLen(24+6), "the newest one is also that of its day, and of the last three")
		Expect(got.Removed).To(Equal(got.Made - len(got.Kept)))
		Expect(got.Most).To(Equal(len(got.Kept) + 1))
		Expect(got.Kept[0]).To(Equal(simulation.Copy{Time: time.Date(2027, 1, 29, 23, 5, 0, 0, time.UTC), Reasons: []string{"daily snapshot"}}))
		newest := got.Kept[len(got.Kept)-1]
		Expect(newest.Time).To(Equal(time.Date(2027, 2, 4, 23, 5, 0, 0, time.UTC)))
		Expect(newest.Reasons).To(Equal([]string{"last snapshot", "hourly snapshot", "daily snapshot", "newest complete"}))
	})

	It("takes a snapshot for each backup, and keeps that of the last one", func() {
		backups := line("35 1 * * *", retention.Keep{Daily: 14, Weekly: 8, Monthly: 12, Yearly: 3})
		plan := simulation.Plan{Name: "db", Jitter: 5 * time.Minute, Snapshots: line("0 12 * * *", retention.Keep{Last: 1}), Backups: &backups}
		got := simulation.Run(plan, from, after(400))
		Expect(got.Snapshots.Made).To(Equal(800))
		Expect(describe(got.Snapshots.Kept)).To(Equal([]string{
			`2027-02-04 01:35 ["base of the next backup"]`, `2027-02-04 12:00 ["last snapshot" "newest complete"]`,
		}))
		Expect(got.Backups.Made).To(Equal(400))
		Expect(describe(got.Backups.Kept)).To(ContainElements(
			`2026-01-01 01:35 ["oldest snapshot"]`, `2026-12-31 01:35 ["monthly snapshot" "yearly snapshot"]`,
		))
	})

	It("takes one snapshot if both are due", func() {
		backups := line("0 0 * * *", retention.Keep{Last: 2})
		plan := simulation.Plan{Snapshots: line("@hourly", retention.Keep{Last: 1}), Backups: &backups}
		got := simulation.Run(plan, from, after(2))
		Expect(got.Snapshots.Made).To(Equal(48))
		Expect(got.Backups.Made).To(Equal(2))
	})

	It("makes nothing if nothing is due", func() {
		plan := simulation.Plan{Snapshots: line("0 0 29 2 *", retention.Keep{Last: 1})}
		Expect(simulation.Run(plan, from, after(400))).To(Equal(simulation.Result{Snapshots: simulation.Copies{Kept: []simulation.Copy{}}}))
	})

	It("is the same with any jitter, once all is done", func() {
		var results []simulation.Result
		for _, jitter := range []time.Duration{0, time.Minute, 40 * time.Minute} {
			plan := simulation.Plan{Name: "db", Jitter: jitter, Snapshots: line("5 * * * *", retention.Keep{Hourly: 6, Weekly: 4})}
			results = append(results, simulation.Run(plan, from, after(60)))
		}
		Expect(slices.IndexFunc(results, func(r simulation.Result) bool { return fmt.Sprint(r) != fmt.Sprint(results[0]) })).To(Equal(-1))
	})
})

func describe(copies []simulation.Copy) []string {
	var texts []string
	for _, c := range copies {
		texts = append(texts, fmt.Sprintf("%s %q", c.Time.Format("2006-01-02 15:04"), c.Reasons))
	}
	return texts
}
