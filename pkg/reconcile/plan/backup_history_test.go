package plan_test

import (
	"maps"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/internal/model"
	. "github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// backupHistory is a node with a schedule that takes snapshots each hour, and backs one up each night.
type backupHistory struct{ *Node }

// newBackupHistory returns one on which nothing was taken yet: it is 2026-11-22 12:00.
func newBackupHistory() *backupHistory {
	GinkgoHelper()
	n := &backupHistory{Converged()}
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
	n.edit(func(r *observe.Repository) { *r = observe.Repository{Read: n.Input.Now, Seen: true} })
	n.pass()
	return n
}

// seen is what is known of the repository.
func (n *backupHistory) seen() observe.Repository { return n.State.Repositories["offsite"] }

// edit changes that.
func (n *backupHistory) edit(f func(*observe.Repository)) {
	r := n.seen()
	f(&r)
	n.State.Repositories = map[string]observe.Repository{"offsite": r}
}

// editSchedule edits the file of the schedule.
func (n *backupHistory) editSchedule(f func(*spec.SnapshotScheduleSpec)) {
	s := n.Declared.Schedules["hourly"]
	b := *s.Spec.Backup
	s.Spec.Backup = &b
	f(&s.Spec)
	n.Declared.Schedules = map[string]spec.SnapshotSchedule{"hourly": s}
}

// pass makes passes until one of them changes nothing, and returns all changes by their kinds.
func (n *backupHistory) pass() (made []change.Change) {
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

// after lets time pass, and makes passes.
func (n *backupHistory) after(d time.Duration) []change.Change {
	GinkgoHelper()
	n.Wait(d)
	return n.pass()
}

// nextBackup makes passes at the next time of a backup.
func (n *backupHistory) nextBackup() []change.Change {
	GinkgoHelper()
	at := time.Date(n.Input.Now.Year(), n.Input.Now.Month(), n.Input.Now.Day(), 1, 35, 0, 0, time.UTC)
	if !at.After(n.Input.Now) {
		at = at.AddDate(0, 0, 1)
	}
	return n.after(at.Sub(n.Input.Now))
}

// backUps are the backups among some changes.
func backUps(changes []change.Change) (found []change.BackUp) {
	for _, c := range changes {
		if b, is := c.(change.BackUp); is {
			found = append(found, b)
		}
	}
	return found
}

// snapshots are the names of the snapshots of the schedule.
func (n *backupHistory) snapshots() []string {
	return slices.Sorted(maps.Keys(maps.Collect(func(yield func(string, bool) bool) {
		for name := range n.LVs("vg0") {
			if strings.HasPrefix(name, "hourly-") && !yield(name, true) {
				return
			}
		}
	})))
}
