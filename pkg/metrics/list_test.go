package metrics

import (
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("The list of metrics", func() {
	It("keeps to the conventions of Prometheus", func() {
		names := map[string]bool{}
		for _, m := range Metrics() {
			Expect(m.Name).To(HavePrefix(namespace))
			Expect(m.Help).To(HaveSuffix("."), m.Name)
			Expect(m.Help).To(MatchRegexp(`^[A-Z01]`), m.Name)
			Expect(slices.IsSorted(m.Labels)).To(BeTrue(), m.Name)
			Expect(strings.HasSuffix(m.Name, "_total")).To(Equal(m.Type == Counter), m.Name)
			names[m.Name] = true
		}
		Expect(names).To(HaveLen(len(Metrics())), "two have one name")
	})
	It("has the unit in each name that has one", func() {
		// What these count is in their names.
		numbers := []string{"objects", "object_ready", "findings", "changes", "drift_corrections", "audit_misses", "deletions_blocked", "volume_io_reads", "volume_io_writes", "export_sessions",
			"schedule_snapshots", "schedule_backups", "schedule_backup_too_old", "scheduled_snapshots_blocked", "repository_readable", "repository_backups"}
		for _, m := range Metrics() {
			name := strings.TrimSuffix(strings.TrimPrefix(m.Name, namespace), "_total")
			Expect(name).To(Or(BeElementOf(numbers), MatchRegexp("_(bytes|seconds|ratio|info)$")), m.Name)
		}
	})
	It("is answered with help and type of each metric, and with no metric besides", func() {
		c := New(published(everything()), files{diskstats: stats}, Build{})
		c.PassEnded(status.PassCost{Seconds: 2}, true)
		c.StepTried(spec.ID{}, "GrowVolume", reconcile.StepDone)
		now := time.Unix(1_700_000_000, 0)
		c.history.points = map[usage][]point{{"fast", whatData}: {{now, 0, 9}, {now.Add(time.Hour), 1, 9}, {now.Add(2 * time.Hour), 2, 9}}}
		var answered, want []string
		for line := range strings.Lines(metricsOf(c)) {
			if strings.HasPrefix(line, "# ") {
				answered = append(answered, strings.TrimSpace(line))
			}
		}
		for _, m := range Metrics() {
			want = append(want, "# HELP "+m.Name+" "+m.Help, "# TYPE "+m.Name+" "+string(m.Type))
		}
		Expect(answered).To(ConsistOf(want))
	})
})
