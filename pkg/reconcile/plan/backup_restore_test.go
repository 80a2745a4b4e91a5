package plan_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("Backups", func() {
	var n *backupHistory
	scheduleID := spec.ID{Kind: spec.KindSnapshotSchedule, Name: "hourly"}
	backupID := spec.ID{Kind: spec.KindBackup, Name: "now"}
	BeforeEach(func() { n = newBackupHistory() })

	Describe("by hand", func() {
		declare := func(policy spec.DeletionPolicy) {
			n.Declared.Backups = map[string]spec.Backup{"now": {Metadata: Meta("now"), Spec: spec.BackupSpec{Volume: "data", Repository: "offsite", DeletionPolicy: policy}}}
		}
		It("are made once, of a temporary snapshot", func() {
			declare(spec.Retain)
			Expect(backUps(n.pass())).To(ConsistOf(HaveField("Object", "now")))
			Expect(n.LVs("vg0")).NotTo(HaveKey("volreconciler-backup-now"))
			Expect(n.pass()).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), backupID).Backup.ID).To(Equal(n.seen().Backups[0].ID))
		})
		It("are none of those of the same name of another node", func() {
			declare(spec.Delete)
			n.pass()
			n.nextBackup()
			n.edit(func(r *observe.Repository) {
				other := r.Backups[0]
				other.ID, other.Identity = strings.Repeat("f", 64), "another"
				r.Backups = append([]observe.Backup{other}, r.Backups...)
			})
			Expect(ObjectOf(n.Plan(), backupID).Backup.ID).NotTo(HavePrefix("f"))
			n.Declared.Backups = nil
			n.after(time.Minute)
			n.after(time.Minute)
			Expect(n.seen().Backups).To(ContainElement(HaveField("ID", HavePrefix("f"))), "it is not this node's to remove")
		})
		It("read only what has changed since a schedule made one", func() {
			n.nextBackup()
			declare(spec.Retain)
			by := backUps(n.pass())
			Expect(by).To(HaveLen(1))
			Expect(by[0].Base.Name).To(Equal("hourly-20261123t013500z"))
			Expect(by[0].Parent).To(Equal(n.seen().Backups[0].ID))
		})
		It("stay, or go with their object, but for the last", func() {
			for _, policy := range []spec.DeletionPolicy{spec.Retain, spec.Delete} {
				declare(policy)
				n.pass()
				n.nextBackup()
				before := len(n.seen().Backups)
				n.Declared.Backups = nil
				n.after(time.Minute)
				n.after(time.Minute)
				left := before
				if policy == spec.Delete {
					left--
				}
				Expect(n.seen().Backups).To(HaveLen(left), string(policy))
				n.edit(func(r *observe.Repository) { r.Backups = nil })
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
			n.nextBackup()
			n.nextBackup()
		})
		// loseThinVolumes loses them, with all that is known of them, and asks for Volume data from its last backup.
		loseThinVolumes := func() {
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
		}
		It("fill a new Volume, which is another disk", func() {
			declare("copy", 200*MiB, source(spec.LatestBackup))
			Expect(n.pass()).To(ContainElement(And(BeAssignableToTypeOf(change.Populate{}), HaveField("Backup.ID", n.seen().Backups[1].ID))))
			Expect(n.LVs("vg0")["copy"].Identity()).To(Equal(n.LVs("vg0")["copy"].UUID))
		})
		DescribeTable("are those that are named", func(at func() string, index int) {
			declare("copy", 200*MiB, source(at()))
			Expect(n.pass()).To(ContainElement(And(BeAssignableToTypeOf(change.Populate{}), HaveField("Backup.ID", n.seen().Backups[index].ID))))
		},
			Entry("by a time", func() string { return "2026-11-23T12:00:00Z" }, 0),
			Entry("by an ID", func() string { return n.seen().Backups[0].ID[:64] }, 0),
		)
		It("need a Volume that is large enough, and a repository that can be read", func() {
			declare("copy", 50*MiB, source(spec.LatestBackup))
			Expect(n.pass()).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), VolumeID("copy"))).To(BeIn(status.Blocked, status.ReasonShrinkRefused))
			declare("copy", 200*MiB, source("2026-01-01T00:00:00Z"))
			Expect(n.pass()).To(BeEmpty())
			Expect(ObjectOf(n.Plan(), VolumeID("copy"))).To(BeIn(status.Blocked, status.ReasonNotReady))
		})
		It("take the place of the Volume that was lost, for initiators too", func() {
			lost := n.LVs("vg0")["data"].Identity()
			loseThinVolumes()
			n.pass()
			Expect(n.LVs("vg0")["data"].Identity()).To(Equal(lost))
		})
		It("are another disk on another node", func() {
			lost := n.LVs("vg0")["data"].Identity()
			n.edit(func(r *observe.Repository) {
				for i := range r.Backups {
					r.Backups[i].Host = "node7"
				}
			})
			loseThinVolumes()
			n.Input.Installation.Name = "test-bench"
			p := n.Pass(-1)
			Expect(n.LVs("vg0")["data"].Identity()).NotTo(Equal(lost))
			Expect(p.Warnings).To(ContainElement(HaveField("Message", ContainSubstring("made on node node7, and this is node test-bench"))))
			delete(n.LVs("vg0"), "data")
			n.Input.Known = map[spec.ID]Identity{}
			n.Input.Installation.Name = "node7"
			n.pass()
			Expect(n.LVs("vg0")["data"].Identity()).To(Equal(lost))
		})
		It("are kept for a Volume that waits for one of them", func() {
			oldest := n.seen().Backups[0].ID
			declare("copy", 200*MiB, source(oldest))
			v := n.Declared.Volumes["copy"]
			v.Spec.Pool = "missing"
			n.Declared.Pools = maps.Clone(n.Declared.Pools)
			n.Declared.Pools["missing"] = spec.Pool{Metadata: Meta("missing"), Spec: spec.PoolSpec{VolumeGroup: "vg9", Trash: Ptr(spec.Duration(0))}}
			n.Declared.Volumes["copy"] = v
			n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Keep = spec.Keep{Last: 1} })
			n.edit(func(r *observe.Repository) { r.Forgotten = nil })
			n.after(time.Minute)
			Expect(n.seen().Backups).To(ContainElement(HaveField("ID", oldest)))
			delete(n.Declared.Volumes, "copy")
			n.edit(func(r *observe.Repository) { r.Forgotten = nil })
			n.after(time.Minute)
			Expect(n.seen().Backups).NotTo(ContainElement(HaveField("ID", oldest)))
		})
		It("revert a Volume once nobody uses it", func() {
			n.Declared.Exports = map[string]spec.Export{}
			n.after(time.Minute)
			n.after(time.Minute)
			v := n.Declared.Volumes["data"]
			v.Spec.Revert = &spec.Revert{Backup: source(spec.LatestBackup).Backup, Request: "1"}
			n.Declared.Volumes["data"] = v
			Expect(n.pass()).To(ContainElement(And(BeAssignableToTypeOf(change.Restore{}), HaveField("Backup.ID", n.seen().Backups[1].ID))))
			Expect(n.pass()).To(BeEmpty())
		})
	})

	Describe("drilled", func() {
		const name = "hourly-data-drill"
		BeforeEach(func() {
			n.editSchedule(func(s *spec.SnapshotScheduleSpec) {
				s.Backup.Drill = &spec.Drill{Every: spec.Duration(70 * time.Hour), Pool: "slow"}
			})
		})
		drills := func(changes []change.Change) int {
			return len(slices.DeleteFunc(changes, func(c change.Change) bool { p, is := c.(change.Populate); return !is || p.Name != name }))
		}
		It("are restored into a scratch volume from time to time, which goes afterwards", func() {
			var made []int
			for range 7 {
				made = append(made, drills(n.nextBackup()))
				Expect(n.LVs("vg0")).NotTo(HaveKey(name))
			}
			Expect(made).To(Equal([]int{1, 0, 0, 1, 0, 0, 1}))
			Expect(ObjectOf(n.Plan(), scheduleID).Schedule.Backups[0].Drilled).NotTo(BeZero())
		})
		It("do not fill a thin pool", func() {
			n.editSchedule(func(s *spec.SnapshotScheduleSpec) { s.Backup.Drill.Pool = "fast" })
			n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.DataPercent = 100 })
			pool := n.LVs("vg0")["data"].Pool
			size := float64(n.LVs("vg0")[pool].Size)
			n.Edit("vg0/"+pool, func(lv *observe.LogicalVolume) { lv.DataPercent = 89.9 - 100*50*MiB/size })
			n.nextBackup()
			Expect(n.LVs("vg0")).NotTo(HaveKey(name))
			Expect(ObjectOf(n.Plan(), VolumeID(name))).To(BeIn(status.Blocked, status.ReasonNoSpace))
			n.Edit("vg0/data", func(lv *observe.LogicalVolume) { lv.DataPercent = 10 })
			Expect(drills(n.after(time.Minute))).To(Equal(1))
		})
		It("keep a volume of that name that is not theirs", func() {
			n.Add(observe.LogicalVolume{VolumeGroup: "vg0", Name: name, Type: observe.Thick, Size: 200 * MiB})
			n.nextBackup()
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
			n.pass()
			Expect(ObjectOf(n.Plan(), scheduleID).Schedule.Backups[0].Drilled).NotTo(BeZero())
		})
	})
})
