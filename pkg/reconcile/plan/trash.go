package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// stay is how long a logical volume has been in the trash.
type stay struct {
	// tags are those that say it is there.
	tags []string
	// since is the latest time in these tags; zero if one of them has no valid time.
	since time.Time
}

// stayInTrash reads the tags of a logical volume in the trash. It reports false if there are none,
// or if a file has declared the object since: then it is put into the trash again, for the whole
// period.
func (d *differ) stayInTrash(id spec.ID, lv observe.LogicalVolume) (stay, bool) {
	s := stay{tags: lv.DeletedTags()}
	readable, news := true, false
	for _, t := range s.tags {
		at, err := time.Parse(ondisk.TimeOfTag, strings.TrimPrefix(t, ondisk.TagDeleted))
		news = news || !slices.Contains(d.in.Known[id].Outdated, t)
		readable = readable && err == nil
		if at.After(s.since) {
			s.since = at
		}
	}
	// A clock that was wrong at that time must not shorten the period.
	if seen := d.in.Known[id].TrashedSince; seen.After(s.since) {
		s.since = seen
	}
	if !readable {
		s.since = time.Time{}
	}
	// A tag has no fractions of a second. The last declaration is known since the agent's start;
	// an earlier one, from the memory.
	outdated := readable && (!news || d.lastDeclared(id).Truncate(time.Second).After(s.since))
	return s, len(s.tags) > 0 && !outdated
}

// lastDeclared returns when a file last declared an object, for comparison with its tags.
func (d *differ) lastDeclared(id spec.ID) time.Time {
	then := d.in.LastDeclared[id]
	return earlierOf(then, d.in.Now, d.in.Now.Sub(then))
}

// earlierOf returns a time that was so long ago, by the wall clock of then or by that of now,
// whichever is earlier. When the clock was set back in between, no new tag could be later than
// that time by the old clock, and every pass would set another one.
func earlierOf(then, now time.Time, ago time.Duration) time.Time {
	then, byNow := then.Round(0), now.Round(0).Add(-ago)
	if byNow.Before(then) {
		return byNow
	}
	return then
}

// trashPeriod returns how long the trash keeps a logical volume, by the Pools that declare its
// place. If there are several it is the longest period. It reports false if there is none.
func (d *differ) trashPeriod(lv observe.LogicalVolume) (keep time.Duration, known bool) {
	for _, p := range d.refs.pools[lv.VolumeGroup] {
		thinPool := ""
		if p.Spec.ThinPool != nil {
			thinPool = p.Spec.ThinPool.Name
		}
		if thinPool != lv.Pool {
			continue
		}
		trash := spec.DefaultTrash
		if p.Spec.Trash != nil {
			trash = *p.Spec.Trash
		}
		keep, known = max(keep, time.Duration(trash)), true
	}
	return keep, known
}

// hasStayEnded reports whether a stay in the trash has lasted for the trash period.
func (d *differ) hasStayEnded(s stay, keep time.Duration) bool {
	return !s.since.IsZero() && !s.since.Add(keep).After(d.trashClock()) && d.in.Elapsed >= min(keep, d.in.TrashSettle)
}

// trashClock returns the time by which trash periods end: the wall clock, but no later than if
// nobody had set it since the agent started. A clock that jumps ahead empties nothing.
func (d *differ) trashClock() time.Time { return d.in.trashClock() }

func (in Input) trashClock() time.Time {
	now, unset := in.Now.Round(0), in.Started.Round(0).Add(in.Elapsed)
	if unset.Before(now) {
		return unset
	}
	return now
}

// trashVolume puts a logical volume into the trash: it is tagged and deactivated. Its data is
// kept.
func (d *differ) trashVolume(id spec.ID, lv observe.LogicalVolume, old stay) {
	if d.isGuarded(trashGuards, id, lv) {
		return
	}
	until := "a Pool sets its trash period"
	if keep, known := d.trashPeriod(lv); known {
		until = formatTime(d.in.Now.Add(keep))
	}
	set := change.SetTags{LV: nameOf(lv), Add: []string{ondisk.DeletedTag(d.in.Now)}, Remove: old.tags}
	step := d.removalStep(id, "undeclared, with deletionPolicy: Delete; it can be restored until "+until, Disruptive, nil,
		set, d.releaseSteps(id, lv)...)
	d.ledger.trashed[lv.FullName()] = step
	d.deactivate(id, lv, "in the trash", step)
}

// keepInTrash sets the status of a logical volume in the trash, and deactivates it.
func (d *differ) keepInTrash(id spec.ID, lv observe.LogicalVolume, shown *status.Volume, s stay) {
	d.ledger.trashed[lv.FullName()] = 0
	keep, known := d.trashPeriod(lv)
	shown.DeletedAt = s.since
	if known && !s.since.IsZero() {
		shown.RemovedAfter = s.since.Add(keep)
		if d.plan.Due.IsZero() || shown.RemovedAfter.Before(d.plan.Due) {
			d.plan.Due = shown.RemovedAfter
		}
	}
	message := fmt.Sprintf("in the trash since %s; ", formatTime(s.since))
	switch {
	case s.since.IsZero():
		message = fmt.Sprintf("in the trash; its tag %s has no valid time, so it is kept. Correct the tag, or declare it again", strings.Join(s.tags, ", "))
	case !known:
		message += fmt.Sprintf("kept until a Pool declares %s and its trash period", placeOf(lv))
	case s.since.After(d.trashClock()):
		message += "kept, because that time is in the future of the agent's clock. If the node's clock is right, restart the agent"
	default:
		message += fmt.Sprintf("removed after %s unless it is declared again", formatTime(shown.RemovedAfter))
	}
	d.setStatus(id, status.Deleting, status.ReasonInTrash, "%s", message)
	if !d.inDoubt() && d.graceLeft(id) <= 0 && !lv.Open {
		d.deactivate(id, lv, "in the trash")
	}
}

// deactivate deactivates a logical volume in the trash, so that nobody begins to use it. Thick
// snapshots are active together with their origin.
func (d *differ) deactivate(id spec.ID, lv observe.LogicalVolume, why string, needs ...StepID) {
	if !lv.Active || lv.Type == observe.ThickSnapshot {
		return
	}
	for _, name := range d.thickSnapshotsOf(lv) {
		if !d.ledger.isTrashed(name) || d.isHeldOpen(name) {
			return
		}
	}
	d.step(id, why, change.Deactivate{LV: nameOf(lv)}, needs...)
}

// isHeldOpen reports whether something other than a backstore that this plan removes holds a
// snapshot open.
func (d *differ) isHeldOpen(fullName string) bool {
	vg, name, _ := strings.Cut(fullName, "/")
	lv := d.in.Observed.VolumeGroups[vg].LogicalVolumes[name]
	owner, _ := lv.Owner()
	return lv.Open && !d.ledger.isReleased(owner) || len(lv.HeldBy) > 0
}

// formatTime formats a time as in statuses.
func formatTime(t time.Time) string { return t.UTC().Format(time.RFC3339) }
