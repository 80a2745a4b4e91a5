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
	// tags are those that say so.
	tags []string
	// since is the latest time that they say; zero if one of them says none.
	since time.Time
}

// stayInTrash reads the tags that say that a logical volume is in the trash. It
// reports false if there are none, or if a file named the object after it was
// put there: it comes to the trash anew then, for the whole time.
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
	// A clock that was wrong then shortens no time that is left.
	if seen := d.in.Known[id].TrashedSince; seen.After(s.since) {
		s.since = seen
	}
	if !readable {
		s.since = time.Time{}
	}
	// A tag has no parts of a second. When a file named the object is known since
	// the agent's start, and from memory, that one did.
	outdated := readable && (!news || d.lastNamed(id).Truncate(time.Second).After(s.since))
	return s, len(s.tags) > 0 && !outdated
}

// lastNamed is when a file named an object last, to be compared with what its
// tags say.
func (d *differ) lastNamed(id spec.ID) time.Time {
	then := d.in.LastNamed[id]
	return earlier(then, d.in.Now, d.in.Now.Sub(then))
}

// earlier is a time that was so long ago, by the wall clock of then or by that of
// now, whichever says less. When the clock was set back meanwhile, no tag that is
// made now could be later than what it said then, and every pass would make
// another one.
func earlier(then, now time.Time, ago time.Duration) time.Time {
	then, byNow := then.Round(0), now.Round(0).Add(-ago)
	if byNow.Before(then) {
		return byNow
	}
	return then
}

// trashTime is how long the trash keeps a logical volume, by the Pools that name
// the place where it is. It reports false if there is none, so that nothing
// says for how long; if there are several, the longest time counts.
func (d *differ) trashTime(lv observe.LogicalVolume) (keep time.Duration, known bool) {
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

// over reports whether a stay in the trash has lasted long enough.
func (d *differ) over(s stay, keep time.Duration) bool {
	return !s.since.IsZero() && !s.since.Add(keep).After(d.trashClock()) && d.in.Elapsed >= min(keep, d.in.TrashSettle)
}

// trashClock is the time that counts for the trash: the wall clock, but no later
// than it would be had nobody set it since the agent started. A clock that
// jumps ahead empties nothing.
func (d *differ) trashClock() time.Time {
	now, unset := d.in.Now.Round(0), d.in.Started.Round(0).Add(d.in.Elapsed)
	if unset.Before(now) {
		return unset
	}
	return now
}

// trashVolume puts a logical volume into the trash: it is marked, and its device
// disappears. All that is in it stays.
func (d *differ) trashVolume(id spec.ID, lv observe.LogicalVolume, old stay) {
	if d.guarded(trashGuards, id, lv) {
		return
	}
	until := "a Pool sets its trash period"
	if keep, known := d.trashTime(lv); known {
		until = stamp(d.in.Now.Add(keep))
	}
	set := change.SetTags{LV: nameOf(lv), Add: []string{ondisk.DeletedTag(d.in.Now)}, Remove: old.tags}
	step := d.removal(id, "undeclared, with deletionPolicy: Delete; it can be restored until "+until, Disruptive, nil,
		set, d.released(id, lv)...)
	d.ledger.trashed[lv.FullName()] = step
	d.deactivate(id, lv, "in the trash", step)
}

// keepInTrash sees to a logical volume that stays in the trash for now.
func (d *differ) keepInTrash(id spec.ID, lv observe.LogicalVolume, shown *status.Volume, s stay) {
	d.ledger.trashed[lv.FullName()] = 0
	keep, known := d.trashTime(lv)
	shown.DeletedAt = s.since
	if known && !s.since.IsZero() {
		shown.RemovedAfter = s.since.Add(keep)
	}
	message := fmt.Sprintf("in the trash since %s; ", stamp(s.since))
	switch {
	case s.since.IsZero():
		message = fmt.Sprintf("in the trash; its tag %s has no valid time, so it is kept. Correct the tag, or declare it again", strings.Join(s.tags, ", "))
	case !known:
		message += fmt.Sprintf("kept until a Pool declares %s and its trash period", placeOf(lv))
	case s.since.After(d.trashClock()):
		message += "kept, because that time is in the future of the agent's clock. If the node's clock is right, restart the agent"
	default:
		message += fmt.Sprintf("removed after %s unless it is declared again", stamp(shown.RemovedAfter))
	}
	d.setStatus(id, status.Deleting, status.ReasonInTrash, "%s", message)
	if !d.inDoubt() && d.graceLeft(id) <= 0 && !lv.Open {
		d.deactivate(id, lv, "in the trash")
	}
}

// deactivate makes the device of a logical volume in the trash disappear, so
// that nobody begins to use it. Those of thick snapshots come and go with their
// origin's.
func (d *differ) deactivate(id spec.ID, lv observe.LogicalVolume, why string, needs ...StepID) {
	if !lv.Active || lv.Type == observe.ThickSnapshot {
		return
	}
	for _, name := range d.thickSnapshotsOf(lv) {
		if !d.ledger.isTrashed(name) || d.held(name) {
			return
		}
	}
	d.step(id, why, change.Deactivate{LV: nameOf(lv)}, needs...)
}

// held reports whether something but a backstore that this plan removes holds a
// snapshot open.
func (d *differ) held(fullName string) bool {
	vg, name, _ := strings.Cut(fullName, "/")
	lv := d.in.Observed.VolumeGroups[vg].LogicalVolumes[name]
	owner, _ := lv.Owner()
	return lv.Open && !d.ledger.releases(owner) || len(lv.HeldBy) > 0
}

// stamp writes a time as statuses do.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
