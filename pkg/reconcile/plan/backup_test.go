package plan_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Backups", func() {
	var n *backupHistory
	repositoryID := spec.ID{Kind: spec.KindRepository, Name: "offsite"}
	scheduleID := spec.ID{Kind: spec.KindSnapshotSchedule, Name: "hourly"}
	BeforeEach(func() { n = newBackupHistory() })

	It("are made of a snapshot at that time, and then of what has changed since the last one", func() {
		first := backUps(n.nextBackup())
		Expect(first).To(HaveLen(1))
		Expect(first[0].Name).To(Equal("hourly-20261123t013500z"))
		Expect(first[0].Parent).To(BeEmpty())
		Expect(first[0].Base).To(BeZero())
		Expect(n.LVs("vg0")[first[0].Name].Tags).To(ContainElement(ondisk.BaseTag("offsite", n.seen().Backups[0].ID)))
		second := backUps(n.nextBackup())
		Expect(second).To(HaveLen(1))
		Expect(second[0].Parent).To(Equal(n.seen().Backups[0].ID))
		Expect(second[0].Base.UUID).To(Equal(n.seen().Backups[0].LV))
		Expect(n.LVs("vg0")[first[0].Name].Tags).NotTo(ContainElement(HavePrefix(ondisk.TagBase)), "it is no longer the base")
	})

	It("need no tag to find the snapshot of the last one, which a crash or somebody may have kept from it", func() {
		first := backUps(n.nextBackup())
		n.edit(func(r *observe.Repository) { r.Err = errors.New("no route to host") })
		n.nextBackup()
		n.after(2 * time.Hour)
		base := n.LVs("vg0")[first[0].Name].UUID
		n.Edit("vg0/"+first[0].Name, func(lv *observe.LogicalVolume) {
			lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return strings.HasPrefix(t, ondisk.TagBase) })
		})
		n.edit(func(r *observe.Repository) { r.Err = nil })
		second := backUps(n.pass())
		Expect(second).To(HaveLen(1))
		Expect(second[0].Base.UUID).To(Equal(base))
	})

	It("keep the snapshot that they are made of until the next one, and the one that waits", func() {
		n.nextBackup()
		for range 5 {
			n.after(time.Hour)
		}
		Expect(n.snapshots()).To(ContainElement("hourly-20261123t013500z"))
		n.edit(func(r *observe.Repository) { r.Err = errors.New("no route to host") })
		n.nextBackup()
		for range 5 {
			n.after(time.Hour)
		}
		Expect(n.snapshots()).To(ContainElements("hourly-20261123t013500z", "hourly-20261124t013500z"))
		n.edit(func(r *observe.Repository) { r.Err = nil })
		Expect(backUps(n.after(time.Minute))).To(ConsistOf(HaveField("Name", "hourly-20261124t013500z")))
	})

	It("read everything again when the base is gone, or in another thin pool", func() {
		n.nextBackup()
		delete(n.LVs("vg0"), "hourly-20261123t013500z")
		b := backUps(n.nextBackup())
		Expect(b).To(HaveLen(1))
		Expect(b[0].Parent).NotTo(BeEmpty())
		Expect(b[0].Base).To(BeZero())
	})

	It("are removed when the schedule no longer keeps them, few a day, and never the last", func() {
		for range 6 {
			n.nextBackup()
		}
		Expect(n.seen().Backups).To(HaveLen(3))
		n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Keep = spec.Keep{Last: 1} })
		n.Input.MaxDeletions = 1
		n.edit(func(r *observe.Repository) { r.Forgotten = nil })
		n.after(time.Minute)
		Expect(n.seen().Backups).To(HaveLen(2))
		n.after(time.Minute)
		Expect(n.seen().Backups).To(HaveLen(2), "one a day")
		n.Declared.Schedules = nil
		n.edit(func(r *observe.Repository) { r.Forgotten = nil })
		n.after(48 * time.Hour)
		Expect(n.seen().Backups).To(HaveLen(2), "without a schedule none is removed")
	})

	It("are never removed from a repository that is never pruned", func() {
		r := n.Declared.Repositories["offsite"]
		r.Spec.Prune = &spec.RepositoryPrune{Every: spec.Interval{Never: true}}
		n.Declared.Repositories = map[string]spec.Repository{"offsite": r}
		for range 6 {
			n.nextBackup()
		}
		Expect(n.seen().Backups).To(HaveLen(6))
	})

	It("are caught up with once", func() {
		n.edit(func(r *observe.Repository) { r.Err = errors.New("down") })
		for range 5 {
			n.nextBackup()
		}
		n.edit(func(r *observe.Repository) { r.Err = nil })
		Expect(backUps(n.after(time.Hour))).To(HaveLen(1))
	})

	It("that are too old are said", func() {
		n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.MaxAge = spec.Duration(30 * time.Hour) })
		n.nextBackup()
		n.edit(func(r *observe.Repository) { r.Err = errors.New("down") })
		n.after(24 * time.Hour)
		Expect(ObjectOf(n.Plan(), scheduleID)).To(HaveField("Phase", status.Ready))
		n.after(7 * time.Hour)
		Expect(ObjectOf(n.Plan(), scheduleID)).To(BeIn(status.Failed, status.ReasonBackupTooOld))
	})

	It("read everything again after some time", func() {
		n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Reread = spec.Duration(60 * time.Hour) })
		var reread []bool
		for range 5 {
			for _, b := range backUps(n.nextBackup()) {
				reread = append(reread, b.Reread)
			}
		}
		Expect(reread).To(Equal([]bool{true, false, false, true, false}))
	})

	It("create a repository once, and not where one was", func() {
		n.edit(func(r *observe.Repository) { *r = observe.Repository{Missing: true} })
		Expect(n.after(time.Minute)).To(ContainElement(BeAssignableToTypeOf(change.InitRepository{})))
		n.edit(func(r *observe.Repository) { r.Missing = true })
		Expect(n.after(time.Minute)).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), repositoryID)).To(BeIn(status.Blocked, status.ReasonVanished))
	})

	It("prune and check a repository when it is due", func() {
		changes := n.nextBackup()
		Expect(changes).To(ContainElements(BeAssignableToTypeOf(change.PruneRepository{}), BeAssignableToTypeOf(change.CheckRepository{})))
		Expect(n.after(time.Hour)).NotTo(ContainElement(BeAssignableToTypeOf(change.CheckRepository{})))
		changes = n.after(24 * time.Hour)
		Expect(changes).To(ContainElement(BeAssignableToTypeOf(change.CheckRepository{})))
		Expect(changes).NotTo(ContainElement(BeAssignableToTypeOf(change.PruneRepository{})))
	})

	It("that are too old are said while the repository was never read, or has vanished", func() {
		n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.MaxAge = spec.Duration(30 * time.Hour) })
		n.nextBackup()
		known := n.seen()
		for _, lost := range []observe.Repository{{Err: errors.New("down"), Seen: true}, {Err: errors.New("none"), Missing: true, Seen: true}} {
			n.edit(func(r *observe.Repository) { *r = lost })
			n.after(time.Hour)
			Expect(ObjectOf(n.Plan(), scheduleID)).NotTo(HaveField("Reason", status.ReasonBackupTooOld))
			n.after(31 * time.Hour)
			Expect(ObjectOf(n.Plan(), scheduleID)).To(BeIn(status.Failed, status.ReasonBackupTooOld))
			n.edit(func(r *observe.Repository) { *r = known })
			n.nextBackup()
			known = n.seen()
		}
	})

	It("that are too old are said also if a clock was once ahead", func() {
		n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.MaxAge = spec.Duration(30 * time.Hour) })
		n.nextBackup()
		n.edit(func(r *observe.Repository) {
			future := r.Backups[0]
			future.ID, future.Time, future.LV = strings.Repeat("f", 64), future.Time.AddDate(1, 0, 0), "gone"
			r.Backups = append(slices.Clone(r.Backups), future)
			r.Err = errors.New("down")
		})
		n.after(40 * time.Hour)
		Expect(ObjectOf(n.Plan(), scheduleID)).To(BeIn(status.Failed, status.ReasonBackupTooOld))
	})

	It("read everything again also if a clock was once ahead", func() {
		n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Reread = spec.Duration(60 * time.Hour) })
		n.nextBackup()
		n.edit(func(r *observe.Repository) {
			future := r.Backups[0]
			future.ID, future.Time, future.LV, future.Reread = strings.Repeat("f", 64), future.Time.AddDate(1, 0, 0), "gone", true
			r.Backups = append(slices.Clone(r.Backups), future)
		})
		var reread []bool
		for range 4 {
			for _, b := range backUps(n.nextBackup()) {
				reread = append(reread, b.Reread)
			}
		}
		Expect(reread).To(ContainElement(true))
	})

	It("do not rely on the base once the Volume was replaced by a clone of it", func() {
		n.Declared.Exports = map[string]spec.Export{}
		n.after(time.Minute)
		n.after(time.Minute)
		n.nextBackup()
		v := n.Declared.Volumes["data"]
		v.Spec.Revert = &spec.Revert{Snapshot: "hourly-20261123t013500z", Request: "1"}
		n.Declared.Volumes = maps.Clone(n.Declared.Volumes)
		n.Declared.Volumes["data"] = v
		was := n.LVs("vg0")["data"].UUID
		n.after(time.Minute)
		Expect(n.LVs("vg0")["data"].UUID).NotTo(Equal(was))
		// Somebody may have written to it after it was backed up.
		b := backUps(n.nextBackup())
		Expect(b).To(HaveLen(1))
		Expect(b[0].Base).To(BeZero())
	})

	It("of another node, or another volume of that name, are none of this one's", func() {
		n.nextBackup()
		n.edit(func(r *observe.Repository) {
			b := r.Backups[0]
			b.ID, b.Time, b.LV, b.Identity = strings.Repeat("e", 64), b.Time.AddDate(0, 0, 1), "elsewhere", "another"
			r.Backups = append(slices.Clone(r.Backups), b)
		})
		Expect(backUps(n.nextBackup())).To(HaveLen(1), "it was never backed up today")
		n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Keep = spec.Keep{Last: 1} })
		n.after(time.Minute)
		Expect(n.seen().Backups).To(ContainElement(HaveField("Identity", "another")), "its own node keeps it or not")
	})

	It("of which a Volume is being restored stay", func() {
		for range 3 {
			n.nextBackup()
		}
		first := n.seen().Backups[0].ID
		n.Declared.Exports = map[string]spec.Export{}
		n.after(time.Minute)
		n.after(time.Minute)
		v := n.Declared.Volumes["data"]
		v.Spec.Revert = &spec.Revert{Backup: &spec.BackupSource{Repository: "offsite", Volume: "data", At: first}, Request: "1"}
		n.Declared.Volumes = maps.Clone(n.Declared.Volumes)
		n.Declared.Volumes["data"] = v
		for range 10 {
			if n.LVs("vg0")["data"].Phase() != ondisk.Reverting {
				n.Pass(-1)
			}
		}
		Expect(n.LVs("vg0")["data"].Phase()).To(Equal(ondisk.Reverting))
		n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Keep = spec.Keep{Last: 1} })
		for _, c := range ChangesIn(n.Plan()) {
			GinkgoWriter.Println(c)
		}
		for _, s := range n.Plan().Steps {
			if f, is := s.Change.(change.ForgetBackups); is {
				Expect(f.IDs).NotTo(ContainElement(first))
			}
		}
	})

	It("let go of their base when they are no longer made", func() {
		n.nextBackup()
		s := n.Declared.Schedules["hourly"]
		s.Spec.Backup = nil
		n.Declared.Schedules = map[string]spec.SnapshotSchedule{"hourly": s}
		for range 5 {
			n.after(time.Hour)
		}
		Expect(n.snapshots()).NotTo(ContainElement("hourly-20261123t013500z"))
	})

	It("let go of their base when they are made elsewhere", func() {
		n.nextBackup()
		r := n.Declared.Repositories["offsite"]
		r.Metadata = Meta("other")
		n.Declared.Repositories = map[string]spec.Repository{"offsite": n.Declared.Repositories["offsite"], "other": r}
		n.State.Repositories["other"] = observe.Repository{Read: n.Input.Now, Seen: true}
		n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Repository = "other" })
		for range 30 {
			n.after(time.Hour)
		}
		Expect(n.snapshots()).NotTo(ContainElement("hourly-20261123t013500z"))
	})

	It("come before prune and check, which may take longer than the time after which they are due again", func() {
		n.nextBackup()
		r := n.Declared.Repositories["offsite"]
		r.Spec.Prune = &spec.RepositoryPrune{Every: spec.Interval{Duration: 1}, MaxUnused: "10%"}
		n.Declared.Repositories = map[string]spec.Repository{"offsite": r}
		n.Declared.Backups = map[string]spec.Backup{"now": {Metadata: Meta("now"), Spec: spec.BackupSpec{Volume: "data", Repository: "offsite", DeletionPolicy: spec.Retain}}}
		n.Wait(time.Hour)
		n.Pass(-1)
		n.Wait(time.Hour)
		var order []string
		for _, s := range n.Plan().Steps {
			if s.Change.System() == observe.Repositories {
				order = append(order, change.Name(s.Change))
			}
		}
		Expect(order).To(Equal([]string{"BackUp", "PruneRepository"}))
	})
})
