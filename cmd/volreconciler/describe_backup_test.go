package main

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("What describe says of backups", func() {
	noon := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	of := func(o status.Object) string {
		o.Name, o.Phase, o.Reason, o.Since = "x", status.Ready, status.ReasonAsDesired, noon
		var out strings.Builder
		Expect(describe(&out, screen{}, o, noon)).To(Succeed())
		_, text, _ := strings.Cut(out.String(), "Since:")
		_, text, _ = strings.Cut(text, "\n")
		return text
	}
	DescribeTable("is", func(o status.Object, lines ...string) { Expect(of(o)).To(Equal(strings.Join(lines, "\n") + "\n")) },
		Entry("of a schedule", status.Object{Kind: spec.KindSnapshotSchedule, Schedule: &status.Schedule{
			Volumes: 2, Snapshots: 31, Last: noon.Add(-55 * time.Minute), Next: noon.Add(5 * time.Minute),
			Backups: []status.VolumeBackups{{Volume: "a", Count: 3, Last: noon.Add(-10 * time.Hour), Drilled: noon.Add(-96 * time.Hour)}, {Volume: "b", TooOld: true}},
		}},
			"Volumes:        2",
			"Snapshots:      31",
			"Last snapshot:  2026-11-22T11:05:00Z (55m ago)",
			"Next run:       2026-11-22T12:05:00Z (5m left)",
			"Backups:        b: 0, last never, too old",
			"Backups:        a: 3, last 2026-11-22T02:00:00Z (10h ago), drilled 2026-11-18T12:00:00Z (4d ago)"),
		Entry("of a schedule that has nothing yet", status.Object{Kind: spec.KindSnapshotSchedule, Schedule: &status.Schedule{}},
			"Volumes:        0", "Snapshots:      0", "Last snapshot:  never", "Next run:       never"),
		Entry("of a Repository", status.Object{Kind: spec.KindRepository, Repository: &status.Repository{
			URL: "sftp:backup@host:/srv", Backups: 12, Read: noon.Add(-time.Minute), Checked: noon.Add(-9 * time.Hour),
		}},
			"URL:      sftp:backup@host:/srv", "Backups:  12", "Read:     2026-11-22T11:59:00Z (60s ago)", "Checked:  2026-11-22T03:00:00Z (9h ago)", "Pruned:   never"),
		Entry("of a Repository that was not read yet", status.Object{Kind: spec.KindRepository, Repository: &status.Repository{URL: "/srv"}},
			"URL:      /srv", "Read:     never", "Checked:  never", "Pruned:   never"),
		Entry("of a Backup", status.Object{Kind: spec.KindBackup, Backup: &status.Backup{Volume: "db", Repository: "offsite", ID: "4f2a9c1b", Time: noon.Add(-time.Hour)}},
			"Volume:      db", "Repository:  offsite", "Backup ID:   4f2a9c1b", "Content of:  2026-11-22T11:00:00Z (60m ago)"),
	)
	It("is bounded, and the oldest are among it", func() {
		s := &status.Schedule{}
		for i := range 100 {
			s.Backups = append(s.Backups, status.VolumeBackups{Volume: fmt.Sprintf("v%02d", i), TooOld: i == 99})
		}
		text := of(status.Object{Kind: spec.KindSnapshotSchedule, Schedule: s})
		Expect(strings.Count(text, "Backups:")).To(Equal(fewBackups + 1))
		Expect(text).To(And(ContainSubstring("v99: 0, last never, too old\n"), HaveSuffix("and those of 80 more Volumes\n")))
	})
})
