package dashboard

import (
	"fmt"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
	"github.com/volreconciler/volreconciler/test/dashboard/sample"
)

var _ = Describe("Backups", func() {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	report, _ := sample.Board(now).Report()
	k := known{report: report}
	page := func(kind spec.Kind, name string) oneObject { return objectOf(k, spec.ID{Kind: kind, Name: name}) }
	texts := func(facts []fact) (all []string) {
		for _, f := range facts {
			value := f.Value
			if !f.Time.IsZero() {
				value = iso(f.Time)
			}
			all = append(all, f.Name+": "+value)
		}
		return all
	}
	It("are on the page of their schedule, those that are too old first", func() {
		o := page(spec.KindSnapshotSchedule, "nightly")
		Expect(texts(o.Facts)).To(Equal([]string{"Volumes: 2", "Snapshots: 14", "Last snapshot: 2026-11-22T02:00:00Z", "Next run: 2026-11-23T02:00:00Z"}))
		Expect(o.Backups).To(HaveLen(2))
		Expect(o.Backups[0].ID).To(Equal(spec.ID{Kind: spec.KindVolume, Name: "db-log"}))
		Expect(o.Backups[0].TooOld).To(BeTrue())
	})
	It("are on the page of their Volume, with their schedule", func() {
		o := page(spec.KindVolume, "db-data")
		Expect(o.Backups).To(HaveLen(1))
		Expect(o.Backups[0].ID).To(Equal(spec.ID{Kind: spec.KindSnapshotSchedule, Name: "nightly"}))
		Expect(page(spec.KindVolume, "web-1").Backups).To(BeEmpty())
	})
	It("are described by their Repository, and by themselves", func() {
		o := page(spec.KindRepository, "offsite")
		Expect(texts(o.Facts)).To(Equal([]string{
			"URL: sftp:backup@backup.example.org:/srv/restic/node7", "Backups: 29", "Read: 2026-11-22T11:49:00Z", "Checked: 2026-11-22T03:00:00Z"}))
		Expect(o.Links).To(Equal([]links{{Name: "Backups by hand", IDs: []spec.ID{{Kind: spec.KindBackup, Name: "before-upgrade"}}}}))
		o = page(spec.KindBackup, "before-upgrade")
		Expect(texts(o.Facts)).To(Equal([]string{"ID: 4f2a9c1be07d63a8", "Content of: 2026-11-20T12:00:00Z"}))
		Expect(o.Links).To(HaveLen(2))
	})
	It("of very many Volumes are not all shown", func() {
		s := status.Object{Kind: spec.KindSnapshotSchedule, Name: "s", Schedule: &status.Schedule{}}
		for i := range maxPeers + 5 {
			s.Schedule.Backups = append(s.Schedule.Backups, status.VolumeBackups{Volume: fmt.Sprint(i)})
		}
		o := objectOf(known{report: status.Report{Objects: []status.Object{s}}}, s.ID())
		Expect(o.Backups).To(HaveLen(maxPeers))
		Expect(o.MoreBackups).To(Equal(5))
	})
	DescribeTable("have a short line in the list", func(kind spec.Kind, name, want string) {
		o := page(kind, name).Object
		Expect(detailOf(&o)).To(Equal(want))
	},
		Entry(nil, spec.KindSnapshotSchedule, "nightly", "14 snapshots · 28 backups · 1 too old · next "+when(now.Add(14*time.Hour))),
		Entry(nil, spec.KindRepository, "offsite", "29 backups"),
		Entry(nil, spec.KindBackup, "before-upgrade", "of db-data · in offsite · "+when(now.Add(-48*time.Hour))),
	)
	DescribeTable("are found", func(text string, want int) {
		Expect(objectsOf(report.Objects, filter{Text: text, Page: 1}).Total).To(Equal(want))
	}, Entry("by their address", "backup.example.org", 1), Entry("by their ID", "4f2a9c1be07d", 1), Entry("by what they are of", "backup/ db-data", 1))
})
