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
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Backups", func() {
	var n *Node
	repositoryID := spec.ID{Kind: spec.KindRepository, Name: "offsite"}
	scheduleID := spec.ID{Kind: spec.KindSnapshotSchedule, Name: "hourly"}
	backupID := spec.ID{Kind: spec.KindBackup, Name: "now"}
	seen := func() observe.Repository { return n.State.Repositories["offsite"] }
	edit := func(f func(*observe.Repository)) {
		r := seen()
		f(&r)
		n.State.Repositories = map[string]observe.Repository{"offsite": r}
	}
	editSchedule := func(f func(*spec.SnapshotScheduleSpec)) {
		s := n.Declared.Schedules["hourly"]
		b := *s.Spec.Backup
		s.Spec.Backup = &b
		f(&s.Spec)
		n.Declared.Schedules = map[string]spec.SnapshotSchedule{"hourly": s}
	}
	// pass makes passes until one of them changes nothing, and returns all changes by their kinds.
	pass := func() (made []change.Change) {
		GinkgoHelper()
		for range 10 {
			p := n.Pass(-1)
			if p.Empty() {
				return made
			}
			for _, s := range p.Steps {
				made = append(made, s.Change)
			}
		}
		Fail("passes never end: " + strings.Join(ChangesIn(n.Pass(-1)), "; "))
		return nil
	}
	after := func(d time.Duration) []change.Change {
		GinkgoHelper()
		n.Wait(d)
		return pass()
	}
	backUps := func(changes []change.Change) (found []change.BackUp) {
		for _, c := range changes {
			if b, is := c.(change.BackUp); is {
				found = append(found, b)
			}
		}
		return found
	}
	snapshots := func() []string {
		return slices.Sorted(maps.Keys(maps.Collect(func(yield func(string, bool) bool) {
			for name := range n.LVs("vg0") {
				if strings.HasPrefix(name, "hourly-") && !yield(name, true) {
					return
				}
			}
		})))
	}
	BeforeEach(func() {
		n = Converged() // at 2026-11-22 12:00
		n.Input.MaxDeletions, n.Input.Known = 5, map[spec.ID]Identity{}
		n.Declared.Repositories = map[string]spec.Repository{"offsite": {Metadata: Meta("offsite"), Spec: spec.RepositorySpec{
			Restic: spec.ResticRepository{URL: "/srv/backups", Password: spec.NewSecret("secret")},
			Prune:  &spec.RepositoryPrune{Every: spec.Interval{Duration: spec.DefaultPruneEvery}, MaxUnused: "10%"},
			Check:  &spec.RepositoryCheck{Every: spec.Interval{Duration: spec.DefaultCheckEvery}, ReadData: "2%"},
		}}}
		n.Declared.Schedules = map[string]spec.SnapshotSchedule{"hourly": {Metadata: Meta("hourly"), Spec: spec.SnapshotScheduleSpec{
			Volumes: []string{"data"}, At: "5 * * * *", TimeZone: "UTC", Keep: spec.Keep{Last: 2},
			Backup: &spec.ScheduledBackup{Repository: "offsite", At: "35 1 * * *", Keep: spec.Keep{Daily: 3}},
		}}}
		edit(func(r *observe.Repository) { *r = observe.Repository{Read: n.Input.Now, Seen: true} })
		pass()
	})
	nextBackup := func() []change.Change {
		GinkgoHelper()
		at := time.Date(n.Input.Now.Year(), n.Input.Now.Month(), n.Input.Now.Day(), 1, 35, 0, 0, time.UTC)
		if !at.After(n.Input.Now) {
			at = at.AddDate(0, 0, 1)
		}
		return after(at.Sub(n.Input.Now))
	}

	It("are made of a snapshot at that time, and then of what has changed since the last one", func() {
		first := backUps(nextBackup())
		Expect(first).To(HaveLen(1))
		Expect(first[0].Name).To(Equal("hourly-20261123t013500z"))
		Expect(first[0].Parent).To(BeEmpty())
		Expect(first[0].Base).To(BeZero())
		Expect(n.LVs("vg0")[first[0].Name].Tags).To(ContainElement(ondisk.BaseTag("offsite", seen().Backups[0].ID)))
		second := backUps(nextBackup())
		Expect(second).To(HaveLen(1))
		Expect(second[0].Parent).To(Equal(seen().Backups[0].ID))
		Expect(second[0].Base.UUID).To(Equal(seen().Backups[0].LV))
		Expect(n.LVs("vg0")[first[0].Name].Tags).NotTo(ContainElement(HavePrefix(ondisk.TagBase)), "it is no longer the base")
	})

	It("need no tag to find the snapshot of the last one, which a crash or somebody may have kept from it", func() {
		first := backUps(nextBackup())
		edit(func(r *observe.Repository) { r.Err = errors.New("no route to host") })
		nextBackup()
		after(2 * time.Hour)
		base := n.LVs("vg0")[first[0].Name].UUID
		n.Edit("vg0/"+first[0].Name, func(lv *observe.LogicalVolume) {
			lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return strings.HasPrefix(t, ondisk.TagBase) })
		})
		edit(func(r *observe.Repository) { r.Err = nil })
		second := backUps(pass())
		Expect(second).To(HaveLen(1))
		Expect(second[0].Base.UUID).To(Equal(base))
	})

	It("keep the snapshot that they are made of until the next one, and the one that waits", func() {
		nextBackup()
		for range 5 {
			after(time.Hour)
		}
		Expect(snapshots()).To(ContainElement("hourly-20261123t013500z"))
		edit(func(r *observe.Repository) { r.Err = errors.New("no route to host") })
		nextBackup()
		for range 5 {
			after(time.Hour)
		}
		Expect(snapshots()).To(ContainElements("hourly-20261123t013500z", "hourly-20261124t013500z"))
		edit(func(r *observe.Repository) { r.Err = nil })
		Expect(backUps(after(time.Minute))).To(ConsistOf(HaveField("Name", "hourly-20261124t013500z")))
	})

	It("read everything again when the base is gone, or in another thin pool", func() {
		nextBackup()
		delete(n.LVs("vg0"), "hourly-20261123t013500z")
		b := backUps(nextBackup())
		Expect(b).To(HaveLen(1))
		Expect(b[0].Parent).NotTo(BeEmpty())
		Expect(b[0].Base).To(BeZero())
	})

	It("are removed when the schedule no longer keeps them, few a day, and never the last", func() {
		for range 6 {
			nextBackup()
		}
		Expect(seen().Backups).To(HaveLen(3))
		editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Keep = spec.Keep{Last: 1} })
		n.Input.MaxDeletions = 1
		edit(func(r *observe.Repository) { r.Forgotten = nil })
		after(time.Minute)
		Expect(seen().Backups).To(HaveLen(2))
		after(time.Minute)
		Expect(seen().Backups).To(HaveLen(2), "one a day")
		n.Declared.Schedules = nil
		edit(func(r *observe.Repository) { r.Forgotten = nil })
		after(48 * time.Hour)
		Expect(seen().Backups).To(HaveLen(2), "without a schedule none is removed")
	})

	It("are never removed from a repository that is never pruned", func() {
		r := n.Declared.Repositories["offsite"]
		r.Spec.Prune = &spec.RepositoryPrune{Every: spec.Interval{Never: true}}
		n.Declared.Repositories = map[string]spec.Repository{"offsite": r}
		for range 6 {
			nextBackup()
		}
		Expect(seen().Backups).To(HaveLen(6))
	})

	It("are caught up with once", func() {
		edit(func(r *observe.Repository) { r.Err = errors.New("down") })
		for range 5 {
			nextBackup()
		}
		edit(func(r *observe.Repository) { r.Err = nil })
		Expect(backUps(after(time.Hour))).To(HaveLen(1))
	})

	It("that are too old are said", func() {
		editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.MaxAge = spec.Duration(30 * time.Hour) })
		nextBackup()
		edit(func(r *observe.Repository) { r.Err = errors.New("down") })
		after(24 * time.Hour)
		Expect(ObjectOf(n.Plan(), scheduleID)).To(HaveField("Phase", status.Ready))
		after(7 * time.Hour)
		Expect(ObjectOf(n.Plan(), scheduleID)).To(BeIn(status.Failed, status.ReasonBackupTooOld))
	})

	It("read everything again after some time", func() {
		editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Reread = spec.Duration(60 * time.Hour) })
		var reread []bool
		for range 5 {
			for _, b := range backUps(nextBackup()) {
				reread = append(reread, b.Reread)
			}
		}
		Expect(reread).To(Equal([]bool{true, false, false, true, false}))
	})

	It("create a repository once, and not where one was", func() {
		edit(func(r *observe.Repository) { *r = observe.Repository{Missing: true} })
		Expect(after(time.Minute)).To(ContainElement(BeAssignableToTypeOf(change.InitRepository{})))
		edit(func(r *observe.Repository) { r.Missing = true })
		Expect(after(time.Minute)).To(BeEmpty())
		Expect(ObjectOf(n.Plan(), repositoryID)).To(BeIn(status.Blocked, status.ReasonVanished))
	})

	It("prune and check a repository when it is due", func() {
		changes := nextBackup()
		Expect(changes).To(ContainElements(BeAssignableToTypeOf(change.PruneRepository{}), BeAssignableToTypeOf(change.CheckRepository{})))
		Expect(after(time.Hour)).NotTo(ContainElement(BeAssignableToTypeOf(change.CheckRepository{})))
		changes = after(24 * time.Hour)
		Expect(changes).To(ContainElement(BeAssignableToTypeOf(change.CheckRepository{})))
		Expect(changes).NotTo(ContainElement(BeAssignableToTypeOf(change.PruneRepository{})))
	})

	It("that are too old are said while the repository was never read, or has vanished", func() {
		editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.MaxAge = spec.Duration(30 * time.Hour) })
		nextBackup()
		known := seen()
		for _, lost := range []observe.Repository{{Err: errors.New("down"), Seen: true}, {Err: errors.New("none"), Missing: true, Seen: true}} {
			edit(func(r *observe.Repository) { *r = lost })
			after(time.Hour)
			Expect(ObjectOf(n.Plan(), scheduleID)).NotTo(HaveField("Reason", status.ReasonBackupTooOld))
			after(31 * time.Hour)
			Expect(ObjectOf(n.Plan(), scheduleID)).To(BeIn(status.Failed, status.ReasonBackupTooOld))
			edit(func(r *observe.Repository) { *r = known })
			nextBackup()
			known = seen()
		}
	})

	It("that are too old are said also if a clock was once ahead", func() {
		editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.MaxAge = spec.Duration(30 * time.Hour) })
		nextBackup()
		edit(func(r *observe.Repository) {
			future := r.Backups[0]
			future.ID, future.Time, future.LV = strings.Repeat("f", 64), future.Time.AddDate(1, 0, 0), "gone"
			r.Backups = append(slices.Clone(r.Backups), future)
			r.Err = errors.New("down")
		})
		after(40 * time.Hour)
		Expect(ObjectOf(n.Plan(), scheduleID)).To(BeIn(status.Failed, status.ReasonBackupTooOld))
	})

	It("read everything again also if a clock was once ahead", func() {
		editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Reread = spec.Duration(60 * time.Hour) })
		nextBackup()
		edit(func(r *observe.Repository) {
			future := r.Backups[0]
			future.ID, future.Time, future.LV, future.Reread = strings.Repeat("f", 64), future.Time.AddDate(1, 0, 0), "gone", true
			r.Backups = append(slices.Clone(r.Backups), future)
		})
		var reread []bool
		for range 4 {
			for _, b := range backUps(nextBackup()) {
				reread = append(reread, b.Reread)
			}
		}
		Expect(reread).To(ContainElement(true))
	})

	It("do not rely on the base once the Volume was replaced by a clone of it", func() {
		n.Declared.Exports = map[string]spec.Export{}
		after(time.Minute)
		after(time.Minute)
		nextBackup()
		v := n.Declared.Volumes["data"]
		v.Spec.Revert = &spec.Revert{Snapshot: "hourly-20261123t013500z", Request: "1"}
		n.Declared.Volumes = maps.Clone(n.Declared.Volumes)
		n.Declared.Volumes["data"] = v
		was := n.LVs("vg0")["data"].UUID
		after(time.Minute)
		Expect(n.LVs("vg0")["data"].UUID).NotTo(Equal(was))
		// Somebody may have written to it after it was backed up.
		b := backUps(nextBackup())
		Expect(b).To(HaveLen(1))
		Expect(b[0].Base).To(BeZero())
	})

	It("of another node, or another volume of that name, are none of this one's", func() {
		nextBackup()
		edit(func(r *observe.Repository) {
			b := r.Backups[0]
			b.ID, b.Time, b.LV, b.Identity = strings.Repeat("e", 64), b.Time.AddDate(0, 0, 1), "elsewhere", "another"
			r.Backups = append(slices.Clone(r.Backups), b)
		})
		Expect(backUps(nextBackup())).To(HaveLen(1), "it was never backed up today")
		editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Keep = spec.Keep{Last: 1} })
		after(time.Minute)
		Expect(seen().Backups).To(ContainElement(HaveField("Identity", "another")), "its own node keeps it or not")
	})

	It("of which a Volume is being restored stay", func() {
		for range 3 {
			nextBackup()
		}
		first := seen().Backups[0].ID
		n.Declared.Exports = map[string]spec.Export{}
		after(time.Minute)
		after(time.Minute)
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
		editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Keep = spec.Keep{Last: 1} })
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
		nextBackup()
		s := n.Declared.Schedules["hourly"]
		s.Spec.Backup = nil
		n.Declared.Schedules = map[string]spec.SnapshotSchedule{"hourly": s}
		for range 5 {
			after(time.Hour)
		}
		Expect(snapshots()).NotTo(ContainElement("hourly-20261123t013500z"))
	})

	It("let go of their base when they are made elsewhere", func() {
		nextBackup()
		r := n.Declared.Repositories["offsite"]
		r.Metadata = Meta("other")
		n.Declared.Repositories = map[string]spec.Repository{"offsite": n.Declared.Repositories["offsite"], "other": r}
		n.State.Repositories["other"] = observe.Repository{Read: n.Input.Now, Seen: true}
		editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Repository = "other" })
		for range 30 {
			after(time.Hour)
		}
		Expect(snapshots()).NotTo(ContainElement("hourly-20261123t013500z"))
	})

	It("come before prune and check, which may take longer than the time after which they are due again", func() {
		nextBackup()
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

	Describe("by hand", func() {
		declare := func(policy spec.DeletionPolicy) {
			n.Declared.Backups = map[string]spec.Backup{"now": {Metadata: Meta("now"), Spec: spec.BackupSpec{Volume: "data", Repository: "offsite", DeletionPolicy: policy}}}
		}
		It("are made once, of a temporary snapshot", func() {
			declare(spec.Retain)
			Expect(backUps(pass())).To(ConsistOf(HaveField("Object", "now")))
			Expect(n.LVs("vg0")).NotTo(HaveKey("volreconciler-backup-now"))
			Expect(pass()).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), backupID).Backup.ID).To(Equal(seen().Backups[0].ID))
		})
		It("read only what has changed since a schedule made one", func() {
			nextBackup()
			declare(spec.Retain)
			by := backUps(pass())
			Expect(by).To(HaveLen(1))
			Expect(by[0].Base.Name).To(Equal("hourly-20261123t013500z"))
			Expect(by[0].Parent).To(Equal(seen().Backups[0].ID))
		})
		It("stay, or go with their object, but for the last", func() {
			for _, policy := range []spec.DeletionPolicy{spec.Retain, spec.Delete} {
				declare(policy)
				pass()
				nextBackup()
				before := len(seen().Backups)
				n.Declared.Backups = nil
				after(time.Minute)
				after(time.Minute)
				left := before
				if policy == spec.Delete {
					left--
				}
				Expect(seen().Backups).To(HaveLen(left), string(policy))
				edit(func(r *observe.Repository) { r.Backups = nil })
			}
		})
	})

	Describe("restored", func() {
		source := func(at string) *spec.VolumeSource {
			return &spec.VolumeSource{Backup: &spec.BackupSource{Repository: "offsite", Volume: "data", At: at}}
		}
		declare := func(name string, size spec.Size, s *spec.VolumeSource) {
			n.Declared.Volumes = maps.Clone(n.Declared.Volumes)
			n.Declared.Volumes[name] = spec.Volume{Metadata: Meta(name), Spec: spec.VolumeSpec{Pool: "slow", Size: size, LVName: name, DeletionPolicy: spec.Retain, Source: s}}
		}
		BeforeEach(func() {
			nextBackup()
			nextBackup()
		})
		It("fill a new Volume, which is another disk", func() {
			declare("copy", 200*MiB, source(spec.LatestBackup))
			Expect(pass()).To(ContainElement(And(BeAssignableToTypeOf(change.Populate{}), HaveField("Backup.ID", seen().Backups[1].ID))))
			Expect(n.LVs("vg0")["copy"].Identity()).To(Equal(n.LVs("vg0")["copy"].UUID))
		})
		DescribeTable("are those that are named", func(at func() string, index int) {
			declare("copy", 200*MiB, source(at()))
			Expect(pass()).To(ContainElement(And(BeAssignableToTypeOf(change.Populate{}), HaveField("Backup.ID", seen().Backups[index].ID))))
		},
			Entry("by a time", func() string { return "2026-11-23T12:00:00Z" }, 0),
			Entry("by an ID", func() string { return seen().Backups[0].ID[:64] }, 0),
		)
		It("need a Volume that is large enough, and a repository that can be read", func() {
			declare("copy", 50*MiB, source(spec.LatestBackup))
			Expect(pass()).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), VolumeID("copy"))).To(BeIn(status.Blocked, status.ReasonShrinkRefused))
			declare("copy", 200*MiB, source("2026-01-01T00:00:00Z"))
			Expect(pass()).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), VolumeID("copy"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		})
		It("take the place of the Volume that was lost, for initiators too", func() {
			lost := n.LVs("vg0")["data"].Identity()
			for _, lv := range n.AllLVs() {
				if lv.Type == observe.Thin {
					delete(n.LVs("vg0"), lv.Name)
				}
			}
			n.State.LIO.ISCSI, n.State.LIO.Backstores = map[string]observe.Target{}, map[string]observe.Backstore{}
			n.Input.Known = map[spec.ID]Identity{}
			declare("data", 100*MiB, source(spec.LatestBackup))
			v := n.Declared.Volumes["data"]
			v.Spec.Pool = "fast"
			n.Declared.Volumes["data"] = v
			pass()
			Expect(n.LVs("vg0")["data"].Identity()).To(Equal(lost))
		})
		It("revert a Volume once nobody uses it", func() {
			n.Declared.Exports = map[string]spec.Export{}
			after(time.Minute)
			after(time.Minute)
			v := n.Declared.Volumes["data"]
			v.Spec.Revert = &spec.Revert{Backup: source(spec.LatestBackup).Backup, Request: "1"}
			n.Declared.Volumes["data"] = v
			Expect(pass()).To(ContainElement(And(BeAssignableToTypeOf(change.Restore{}), HaveField("Backup.ID", seen().Backups[1].ID))))
			Expect(pass()).To(BeEmpty())
		})
	})

	Describe("drilled", func() {
		const name = "hourly-data-drill"
		BeforeEach(func() {
			editSchedule(func(s *spec.SnapshotScheduleSpec) {
				s.Backup.Drill = &spec.Drill{Every: spec.Duration(70 * time.Hour), Pool: "slow"}
			})
		})
		drills := func(changes []change.Change) int {
			return len(slices.DeleteFunc(changes, func(c change.Change) bool { p, is := c.(change.Populate); return !is || p.Name != name }))
		}
		It("are restored into a scratch volume from time to time, which goes afterwards", func() {
			var made []int
			for range 7 {
				made = append(made, drills(nextBackup()))
				Expect(n.LVs("vg0")).NotTo(HaveKey(name))
			}
			Expect(made).To(Equal([]int{1, 0, 0, 1, 0, 0, 1}))
			Expect(ObjectOf(n.Plan(), scheduleID).Schedule.Backups[0].Drilled).NotTo(BeZero())
		})
		It("do not fill a thin pool", func() {
			editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Drill.Pool = "fast" })
			n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.DataPercent = 100 })
			pool := n.LVs("vg0")["data"].Pool
			size := float64(n.LVs("vg0")[pool].Size)
			n.Edit("vg0/"+pool, func(lv *observe.LogicalVolume) { lv.DataPercent = 89.9 - 100*50*MiB/size })
			nextBackup()
			Expect(n.LVs("vg0")).NotTo(HaveKey(name))
			Expect(ObjectOf(n.Plan(), VolumeID(name))).To(BeIn(status.Blocked, status.ReasonNoSpace))
			n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.DataPercent = 10 })
			Expect(drills(after(time.Minute))).To(Equal(1))
		})
		It("keep a volume of that name that is not theirs", func() {
			n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: name, Type: observe.Thick, Size: 200 * MiB})
			nextBackup()
			Expect(n.LVs("vg0")).To(HaveKey(name))
			Expect(ObjectOf(n.Plan(), VolumeID(name)).Phase).To(Equal(status.Blocked))
		})
		It("begin again when somebody removed the scratch volume", func() {
			n.Wait(13*time.Hour + 35*time.Minute)
			for range 10 {
				if n.LVs("vg0")[name].UUID == "" {
					n.Pass(-1)
				}
			}
			Expect(n.LVs("vg0")).To(HaveKey(name))
			n.Pass(0)
			delete(n.LVs("vg0"), name)
			pass()
			Expect(ObjectOf(n.Plan(), scheduleID).Schedule.Backups[0].Drilled).NotTo(BeZero())
		})
	})
})
