package plan_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

var _ = Describe("A schedule", func() {
	var n *Node
	scheduleID := spec.ID{Kind: spec.KindSnapshotSchedule, Name: "hourly"}
	declare := func(edit func(*spec.SnapshotScheduleSpec)) {
		s := spec.SnapshotScheduleSpec{Volumes: []string{"data"}, At: "5 * * * *", TimeZone: "UTC", Keep: spec.Keep{Last: 2}}
		if edit != nil {
			edit(&s)
		}
		n.Declared.Schedules = map[string]spec.SnapshotSchedule{"hourly": {Metadata: Meta("hourly"), Spec: s}}
	}
	// settle makes passes until one of them changes nothing.
	settle := func() Plan {
		GinkgoHelper()
		for range 8 {
			if p := n.Pass(-1); p.Empty() {
				return p
			}
		}
		Fail("passes never end: " + strings.Join(ChangesIn(n.Pass(-1)), "; "))
		return Plan{}
	}
	after := func(d time.Duration) Plan {
		GinkgoHelper()
		n.Wait(d)
		return settle()
	}
	// taken are the names of the snapshots of the schedule, sorted.
	taken := func() []string {
		var names []string
		for name, lv := range n.LVs("vg0") {
			if strings.HasPrefix(name, "hourly-") && slices.ContainsFunc(lv.Tags, func(t string) bool { return t == ondisk.TagSchedule+"hourly" }) {
				names = append(names, name)
			}
		}
		slices.Sort(names)
		return names
	}
	BeforeEach(func() {
		n = Converged() // at 2026-11-22 12:00
		n.Input.MaxDeletions = 5
		n.Declared.Schedules = nil
		settle()
		declare(nil)
	})

	It("takes nothing for a moment before it was declared, and then one snapshot for each", func() {
		Expect(settle().Wake).To(Equal(time.Date(2026, 11, 22, 12, 5, 0, 0, time.UTC)))
		Expect(taken()).To(BeEmpty())
		p := after(5 * time.Minute)
		Expect(taken()).To(Equal([]string{"hourly-20261122t120500z"}))
		Expect(ObjectOf(p, SnapshotID("hourly-20261122t120500z"))).To(BeIn(status.Ready, status.ReasonAsDesired))
		Expect(ObjectOf(p, scheduleID).Schedule).To(HaveField("Snapshots", 1))
		after(time.Minute)
		Expect(taken()).To(HaveLen(1))
	})

	It("keeps what it is to keep, and removes the others", func() {
		settle()
		for range 4 {
			after(time.Hour)
		}
		Expect(taken()).To(Equal([]string{"hourly-20261122t140500z", "hourly-20261122t150500z"}))
	})

	It("catches up once, however many moments were missed", func() {
		settle()
		after(50*time.Hour + time.Minute)
		Expect(taken()).To(Equal([]string{"hourly-20261124t130500z"}))
	})

	It("removes nothing that it did not make, or that something needs", func() {
		settle()
		for range 2 {
			after(time.Hour)
		}
		first, second := taken()[0], taken()[1]
		n.Declared.Exports = maps.Clone(n.Declared.Exports)
		e := n.Declared.Exports["db"]
		e.Spec.LUNs = append(slices.Clone(e.Spec.LUNs), spec.LUN{Snapshot: first, Number: Ptr(9), ReadOnly: true})
		n.Declared.Exports["db"] = e
		n.Edit("vg0/"+second, func(lv *observe.LogicalVolume) {
			lv.Tags = slices.DeleteFunc(lv.Tags, func(t string) bool { return strings.HasPrefix(t, ondisk.TagSchedule) })
		})
		for range 4 {
			after(time.Hour)
		}
		Expect(n.LVs("vg0")).To(And(HaveKey(first), HaveKey(second)))
		e.Spec.LUNs = e.Spec.LUNs[:len(e.Spec.LUNs)-1]
		n.Declared.Exports["db"] = e
		after(time.Hour)
		Expect(n.LVs("vg0")).NotTo(HaveKey(first))
	})

	Describe("of which an Export has a snapshot", func() {
		var first string
		BeforeEach(func() {
			settle()
			after(time.Hour)
			first = taken()[0]
			n.EditExport(func(e *spec.ExportSpec) {
				e.LUNs = append(slices.Clone(e.LUNs), spec.LUN{Snapshot: first, Number: Ptr(9)})
			})
			settle()
		})
		served := func() any { return n.State.LIO.ISCSI[IQN].LUNs[9] }

		It("serves it read-only, whatever the file says", func() {
			Expect(n.State.LIO.ISCSI[IQN].ACLs[Initiator].LUNs[9].WriteProtect).To(BeTrue())
		})
		It("serves it while its own file has a mistake", func() {
			before := served()
			Expect(before).NotTo(BeZero())
			n.Declared.Schedules, n.Declared.Complete = nil, false
			n.Declared.Invalid = map[spec.ID]error{scheduleID: errors.New("a typing error")}
			p := settle()
			Expect(served()).To(Equal(before))
			Expect(ObjectOf(p, ExportID("db"))).To(HaveField("Phase", status.Ready))
		})
	})

	It("keeps its snapshots when it is renamed or removed", func() {
		settle()
		for range 3 {
			after(time.Hour)
		}
		before := taken()
		n.Declared.Schedules = nil
		p := after(48 * time.Hour)
		Expect(taken()).To(Equal(before))
		Expect(ObjectOf(p, SnapshotID(before[0]))).To(BeIn(status.Orphaned, status.ReasonRetained))
	})

	It("does not take the same moment again when somebody removed the snapshot", func() {
		settle()
		after(time.Hour)
		delete(n.LVs("vg0"), taken()[0])
		Expect(taken()).To(BeEmpty())
		after(time.Minute)
		Expect(taken()).To(BeEmpty())
		after(time.Hour)
		Expect(taken()).To(HaveLen(1))
	})

	It("asks before it removes very many", func() {
		declare(func(s *spec.SnapshotScheduleSpec) { s.Keep.Last = 20 })
		settle()
		for range 20 {
			after(time.Hour)
		}
		declare(func(s *spec.SnapshotScheduleSpec) { s.Keep.Last = 1 })
		p := after(time.Minute)
		Expect(taken()).To(HaveLen(20))
		Expect(ObjectOf(p, SnapshotID(taken()[0]))).To(BeIn(status.Blocked, status.ReasonTooManyDeletions))
		n.Permit(SnapshotID(taken()[0]))
		settle()
		Expect(taken()).To(HaveLen(1))
	})

	It("removes nothing while its clock is ahead, and goes on when it is back", func() {
		settle()
		for range 2 {
			after(time.Hour)
		}
		before := taken()
		n.Input.Now = n.Input.Now.Add(365 * 24 * time.Hour)
		for range 3 {
			n.Input.Now, n.Input.Elapsed = n.Input.Now.Add(time.Hour), n.Input.Elapsed+time.Hour
			settle()
		}
		Expect(taken()).To(ContainElements(before))
		n.Input.Now = n.Input.Now.Add(-365 * 24 * time.Hour)
		settle()
		Expect(taken()).To(ContainElement(before[1]), "snapshots from the future push out none")
		made := len(taken())
		after(time.Hour)
		Expect(taken()).To(ContainElement(HavePrefix("hourly-20261122t17")))
		Expect(len(taken())).To(BeNumerically("<=", made+1))
	})

	DescribeTable("takes none, and says why, while", func(happen func(), why string) {
		settle()
		happen()
		n.Wait(time.Hour)
		p := n.Pass(-1)
		Expect(taken()).To(BeEmpty())
		Expect(ObjectOf(p, scheduleID).Message).To(ContainSubstring(why))
	},
		Entry("the thin pool is nearly full", func() {
			n.Edit("vg0/pool0", func(lv *observe.LogicalVolume) { lv.DataPercent = 91 })
		}, "nearly full"),
		Entry("the Volume is suspended", func() { n.Suspend("data") }, "Volume/data is suspended"),
	)

	It("takes snapshots of all Volumes that its selector selects", func() {
		for name, v := range n.Declared.Volumes {
			v.Metadata.Labels = map[string]string{"backup": "yes"}
			n.Declared.Volumes[name] = v
		}
		declare(func(s *spec.SnapshotScheduleSpec) {
			s.Volumes, s.Selector = nil, &spec.LabelSelector{MatchLabels: map[string]string{"backup": "yes"}}
		})
		settle()
		after(time.Hour)
		Expect(taken()).To(Equal([]string{"hourly-data-20261122t120500z", "hourly-thick-20261122t120500z"}))
	})
})
