package plan_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// TestPropertiesSchedulesRemoveOnlyWhatTheyMade: schedules, Volumes and repositories come, change and go, by files and
// by hand; the clock jumps, the agent dies in the middle of passes and starts again. Nothing is ever removed but a snapshot
// that a declared schedule made, does not keep, and nothing needs; and of backups never the last, and no more than
// allowed.
func TestPropertiesSchedulesRemoveOnlyWhatTheyMade(t *testing.T) {
	RegisterTestingT(t)
	rapid.Check(t, func(t *rapid.T) {
		h := newScheduleHistory(t)
		for range rapid.IntRange(5, 60).Draw(t, "events") {
			h.event(t)
			h.pass(t)
		}
	})
}

// scheduleHistory is a node on which schedules are at work.
type scheduleHistory struct {
	*Node
	// mine are the UUIDs of what the property itself made, which no schedule may remove.
	mine map[string]bool
}

func newScheduleHistory(t *rapid.T) *scheduleHistory {
	n := NewNode()
	n.Input.Known, n.Input.MaxDeletions = map[spec.ID]Identity{}, 3
	n.Declared.Repositories = map[string]spec.Repository{"offsite": {Metadata: Meta("offsite"), Spec: spec.RepositorySpec{
		Restic: spec.ResticRepository{URL: "/srv/backups"},
		Prune:  &spec.RepositoryPrune{Every: spec.Interval{Duration: spec.DefaultPruneEvery}, MaxUnused: "10%"},
		Check:  &spec.RepositoryCheck{Every: spec.Interval{Never: true}, ReadData: "2%"},
	}}}
	n.State.Repositories = map[string]observe.Repository{"offsite": {Missing: true}}
	h := &scheduleHistory{Node: n, mine: map[string]bool{}}
	h.declareSchedule(t)
	return h
}

func (h *scheduleHistory) declareSchedule(t *rapid.T) {
	name := rapid.SampledFrom([]string{"hourly", "other"}).Draw(t, "name")
	keep := func() spec.Keep {
		k := spec.Keep{Last: rapid.IntRange(0, 3).Draw(t, "last"), Hourly: rapid.IntRange(0, 3).Draw(t, "hourly"), Daily: rapid.IntRange(0, 2).Draw(t, "daily")}
		if k == (spec.Keep{}) {
			k.Last = 1
		}
		return k
	}
	s := spec.SnapshotScheduleSpec{
		Volumes: rapid.SampledFrom([][]string{{"data"}, {"thick"}, {"data", "thick"}}).Draw(t, "volumes"),
		At:      rapid.SampledFrom([]string{"5 * * * *", "*/20 * * * *", "0 0 * * *"}).Draw(t, "at"), TimeZone: "UTC", Keep: keep(),
		Jitter: spec.Duration(rapid.SampledFrom([]time.Duration{0, 10 * time.Minute}).Draw(t, "jitter")),
	}
	if rapid.Bool().Draw(t, "backup") {
		s.Backup = &spec.ScheduledBackup{Repository: "offsite", At: "35 */6 * * *", Keep: keep(), Reread: spec.Duration(rapid.SampledFrom([]time.Duration{0, 20 * time.Hour}).Draw(t, "reread"))}
		if rapid.Bool().Draw(t, "drill") {
			s.Backup.Drill = &spec.Drill{Every: spec.Duration(30 * time.Hour), Pool: "slow"}
		}
	}
	h.Declared.Schedules = maps.Clone(h.Declared.Schedules)
	if h.Declared.Schedules == nil {
		h.Declared.Schedules = map[string]spec.SnapshotSchedule{}
	}
	h.Declared.Schedules[name] = spec.SnapshotSchedule{Metadata: Meta(name), Spec: s}
}

// event is something that happens to a node between two passes.
func (h *scheduleHistory) event(t *rapid.T) {
	editRepository := func(f func(*observe.Repository)) {
		r := h.State.Repositories["offsite"]
		r.Forgotten = nil
		f(&r)
		h.State.Repositories = map[string]observe.Repository{"offsite": r}
	}
	switch rapid.SampledFrom([]string{"wait", "wait", "wait", "wait", "wait", "edit", "remove", "clock", "hand", "tag", "down", "up", "older", "declare", "restart", "incomplete", "complete"}).Draw(t, "event") {
	case "wait":
		h.Wait(time.Duration(rapid.IntRange(1, 600).Draw(t, "minutes")) * time.Minute)
	case "edit":
		h.declareSchedule(t)
	case "remove":
		h.Declared.Schedules = nil
	case "clock":
		h.Input.Now = h.Input.Now.Add(time.Duration(rapid.IntRange(-400, 400).Draw(t, "days")) * 24 * time.Hour)
	case "hand":
		if lv, some := h.anyScheduled(t); some && !lv.Open {
			delete(h.LVs("vg0"), lv.Name)
		}
	case "tag":
		if lv, some := h.anyScheduled(t); some {
			h.mine[lv.UUID] = true
			h.Edit(lv.FullName(), func(lv *observe.LogicalVolume) {
				lv.Tags = slices.DeleteFunc(slices.Clone(lv.Tags), func(t string) bool { return strings.HasPrefix(t, ondisk.TagSchedule) })
			})
		}
	case "down":
		editRepository(func(r *observe.Repository) { r.Err = errors.New("no route to host") })
	case "up":
		editRepository(func(r *observe.Repository) { r.Err = nil })
	case "older":
		editRepository(func(r *observe.Repository) { r.Backups = r.Backups[:len(r.Backups)/2] })
	case "declare":
		if lv, some := h.anyScheduled(t); some {
			owner, _ := lv.Owner()
			h.Declared.Snapshots = maps.Clone(h.Declared.Snapshots)
			h.Declared.Snapshots[owner.Name] = spec.Snapshot{Metadata: Meta(owner.Name), Spec: spec.SnapshotSpec{Volume: lv.Tag(ondisk.TagVolume), DeletionPolicy: spec.Retain}}
			h.mine[lv.UUID] = true
		}
	case "restart":
		h.Restart()
		h.Input.Started, h.Input.Elapsed = h.Input.Now, 0
	case "incomplete":
		h.Declared.Complete = false
	case "complete":
		h.Declared.Complete = true
	}
}

func (h *scheduleHistory) anyScheduled(t *rapid.T) (observe.LogicalVolume, bool) {
	var lvs []observe.LogicalVolume
	for _, name := range slices.Sorted(maps.Keys(h.LVs("vg0"))) {
		if lv := h.LVs("vg0")[name]; lv.Tag(ondisk.TagSchedule) != "" && lv.Phase() == "" {
			lvs = append(lvs, lv)
		}
	}
	if len(lvs) == 0 {
		return observe.LogicalVolume{}, false
	}
	return rapid.SampledFrom(lvs).Draw(t, "snapshot"), true
}

// pass makes a pass that may die in the middle, and checks what it removes. The model itself panics at what must never be
// done to a repository.
func (h *scheduleHistory) pass(t *rapid.T) {
	before := maps.Clone(h.LVs("vg0"))
	repository := h.State.Repositories["offsite"]
	p := h.Pass(rapid.SampledFrom([]int{-1, -1, -1, 0, 1, 3}).Draw(t, "steps"))
	for _, s := range p.Steps {
		switch c := s.Change.(type) {
		case change.RemoveLV:
			h.mayGo(t, p, before[c.Name])
		case change.StartClearing:
			h.mayGo(t, p, before[c.Name])
		case change.ForgetBackups:
			if n := len(c.IDs) + repository.Forgotten[c.Volume]; n > 3 || len(h.Declared.Schedules) == 0 || !h.Declared.Complete {
				t.Fatalf("%d backups are removed: %s", n, c)
			}
		}
	}
}

func (h *scheduleHistory) mayGo(t *rapid.T, p Plan, lv observe.LogicalVolume) {
	owner, _ := lv.Owner()
	sched, declared := h.Declared.Schedules[lv.Tag(ondisk.TagSchedule)]
	scratch := lv.Tag(ondisk.TagDrill) != "" && slices.Contains(lv.Tags, ondisk.TagFilled)
	switch {
	case scratch || lv.Tag(ondisk.TagKind) == ondisk.KindSource:
	case owner.Kind != spec.KindSnapshot || !declared || h.mine[lv.UUID]:
		t.Fatalf("%s (%v) is removed: %v", lv.FullName(), lv.Tags, ChangesIn(p))
	case sched.Spec.Backup != nil && len(lv.TagsWith(ondisk.TagBase)) > 0:
		t.Fatalf("%s is removed, the base of the next backup: %v", lv.FullName(), lv.Tags)
	case !h.Declared.Complete:
		t.Fatalf("%s is removed while something is in doubt", lv.FullName())
	}
}
