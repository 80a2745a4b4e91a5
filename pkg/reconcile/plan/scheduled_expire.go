package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// fewExpired is how many snapshots of one Volume a schedule may remove at once, whatever --max-deletions says: a
	// new snapshot of a schedule that keeps hourly, daily, … ones has that many old ones expire at most.
	fewExpired = 10
	// pressurePercent is how full the data or metadata of a thin pool is from which on schedules take no snapshots
	// in it: each makes writes to the origin take new space.
	pressurePercent = 90
)

// isSkipped reports whether a snapshot of a schedule is not taken now, and sets the status. What a file declares is
// never skipped.
func (d *differ) isSkipped(id, volume spec.ID, p pool) bool {
	run, is := d.in.Scheduled.snapshots[id.Name]
	if !is {
		return false
	}
	skip := func(format string, args ...any) bool {
		d.setBlocked(id, status.ReasonNotReady, "waiting for the next run: "+format, args...)
		d.remark(spec.ID{Kind: spec.KindSnapshotSchedule, Name: run.schedule}, "snapshot %s is skipped: %s", id.Name, fmt.Sprintf(format, args...))
		return true
	}
	lvs := d.index.current[volume]
	if len(lvs) != 1 {
		return false // the Volume's own obstacle is shown
	}
	left := d.index.leftoversOf(volume)
	switch pool, thin := p.vg.LogicalVolumes[lvs[0].Pool]; {
	case d.in.Declared.Volumes[volume.Name].Metadata.Suspended():
		return skip("%s is suspended", volume)
	case thin && max(pool.DataPercent, pool.MetadataPercent) >= pressurePercent:
		return skip("thin pool %s is nearly full (data %.1f%%, metadata %.1f%%). Grow it, or remove what is not needed", pool.FullName(), pool.DataPercent, pool.MetadataPercent)
	case lvs[0].Phase() == ondisk.Reverting:
		return skip("%s is being reverted", volume)
	case len(left.staged)+len(left.superseded) > 0:
		return skip("%s is being moved or reverted", volume)
	}
	return false
}

// expireSnapshots removes the snapshots that their schedules no longer keep. A schedule removes only what it made,
// as the tags say, and nothing that something else needs. They do not go into the trash: what is kept, and for how
// long, is what the schedule says.
func (d *differ) expireSnapshots() {
	expired, all := map[runKey][]spec.ID{}, []spec.ID{}
	for _, name := range sorted(d.in.Scheduled.snapshots) {
		run := d.in.Scheduled.snapshots[name]
		if run.lv.UUID == "" || run.keep.Keep() || d.isFrozen(run) {
			continue
		}
		key := runKey{run.schedule, run.volume}
		id := spec.ID{Kind: spec.KindSnapshot, Name: name}
		expired[key], all = append(expired[key], id), append(all, id)
	}
	for _, ids := range expired {
		if len(ids) <= max(d.in.MaxDeletions, fewExpired) {
			continue
		}
		for _, id := range ids {
			d.ledger.addLoss(id, d.in.Scheduled.snapshots[id.Name].lv.UUID)
		}
	}
	for _, id := range all {
		d.expireSnapshot(id, d.in.Scheduled.snapshots[id.Name])
	}
}

// isFrozen reports whether a snapshot, its Volume or its schedule is suspended.
func (d *differ) isFrozen(run scheduledSnapshot) bool {
	return d.in.Declared.Schedules[run.schedule].Metadata.Suspended() || d.in.Declared.Volumes[run.volume].Metadata.Suspended()
}

// expiryGuards are those of the guards of deletion that apply to what a schedule made. The schedule says that it
// may go, so there is no policy to ask, and no grace period.
var expiryGuards = slices.Concat([]guard{
	{"its tags say that this installation made it", (*differ).checkMadeHere},
	{"no other logical volume has the tags of its object", (*differ).checkUnambiguous},
	{"this version knows all that its tags say", (*differ).checkPhaseKnown},
	{"no volume is being reverted to it", (*differ).checkNoRevertTo},
	{"there is no finding anywhere in the specs, and every system could be read", func(d *differ, id spec.ID, _ observe.LogicalVolume) *Obstacle { return d.checkNotInDoubt(id) }},
	{"not many of its Volume are to be removed at once, or a Pool permits exactly these", (*differ).checkFewExpired},
	{"no physical volume of its volume group is missing", (*differ).checkNoMissingPVs},
}, removalGuards)

// expireSnapshot removes one snapshot.
func (d *differ) expireSnapshot(id spec.ID, run scheduledSnapshot) {
	lv := run.lv
	if d.results.of(id).status.Phase != status.Ready || d.isGuarded(expiryGuards, id, lv) {
		return
	}
	d.removeMade(id, lv, "its schedule no longer keeps it", ondisk.ScheduledTags(run.schedule, run.volume))
}

// removeMade removes what a schedule made, and sets the status.
func (d *differ) removeMade(id spec.ID, lv observe.LogicalVolume, why string, tags []string) {
	d.removeTagged(id, lv, why, tags)
	o := d.object(id)
	o.Phase, o.Reason, o.Message = status.Deleting, status.ReasonRemoving, why
}

// checkFewExpired: an edit of a schedule that would remove many snapshots at once may be a mistake.
func (d *differ) checkFewExpired(id spec.ID, _ observe.LogicalVolume) *Obstacle {
	if d.refused.objects[id] {
		return blocked(status.ReasonTooManyDeletions, "%s", d.refused.why)
	}
	return nil
}

// planSchedule sets the status of a schedule.
func (d *differ) planSchedule(s spec.SnapshotSchedule) {
	id := spec.ID{Kind: spec.KindSnapshotSchedule, Name: s.Metadata.Name}
	runs := d.in.Scheduled.runs[id.Name]
	shown := &status.Schedule{Volumes: len(runs.volumes), Next: runs.next}
	for _, volume := range runs.volumes {
		shown.Snapshots += len(volume.lvs)
		if len(volume.lvs) > 0 {
			shown.Last = later(shown.Last, momentOf(volume.lvs[len(volume.lvs)-1]))
		}
	}
	d.object(id).Schedule = shown
	if d.blockedBySuspension(id, s.Metadata) {
		return
	}
	if s.Spec.Backup != nil {
		d.planScheduledBackups(s, shown)
	}
	if len(runs.volumes) == 0 {
		d.remark(id, "it selects no Volume")
	}
	var failing []string
	for _, name := range runs.due {
		if o := d.object(spec.ID{Kind: spec.KindSnapshot, Name: name}); o.Phase == status.Blocked || o.Phase == status.Failed {
			failing = append(failing, d.in.Scheduled.snapshots[name].volume)
		}
	}
	if len(failing) > 0 {
		d.remark(id, "no snapshot was taken of %s; see the status of the Snapshots", strings.Join(failing[:min(len(failing), maxRefusedNames)], ", "))
	}
}
