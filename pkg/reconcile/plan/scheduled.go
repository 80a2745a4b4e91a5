package plan

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/retention"
	"github.com/volreconciler/volreconciler/pkg/schedule"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// Scheduled is what is declared, with the snapshots of schedules as if a file declared each of them:
// those that exist, and those that are due.
type Scheduled struct {
	// Declared has them among its Snapshots.
	Declared spec.Set
	// snapshots are those that no file declares, by name.
	snapshots map[string]scheduledSnapshot
	// backups are those in repositories, by whose they are, the oldest first.
	backups backupIndex
	// drills are the scratch volumes of drills, by name.
	drills map[string]drill
	// runs are what is known of each schedule, by its name.
	runs map[string]*scheduleRuns
	// wake is when the next snapshot is due; zero: none is.
	wake time.Time
}

// scheduledSnapshot is a snapshot that a schedule made, or is to make.
type scheduledSnapshot struct {
	schedule, volume string
	moment           time.Time
	// lv is its logical volume; without a UUID it is to be made.
	lv observe.LogicalVolume
	// keep says whether it is kept, and why.
	keep retention.Verdict
}

// scheduleRuns are the snapshots of a schedule.
type scheduleRuns struct {
	volumes []string
	// byVolume are the names of the snapshots of each Volume that exist, the oldest first.
	byVolume map[string][]string
	lvs      map[string][]observe.LogicalVolume
	// next is when the next one is due of any Volume; zero: never.
	next time.Time
}

// Schedule adds the snapshots of schedules to what files declare. It is pure.
//
// A snapshot belongs to a schedule by its tags alone. Where the schedule or the Volume is no longer
// declared, or no longer has the other, the snapshot is not added: it is kept, as any logical volume that
// no file declares.
func Schedule(in Input) Scheduled {
	s := Scheduled{
		Declared: in.Declared, snapshots: map[string]scheduledSnapshot{}, runs: map[string]*scheduleRuns{}, backups: indexBackups(in.Observed.Repositories),
	}
	if len(in.Declared.Schedules) == 0 {
		return s
	}
	s.Declared.Snapshots = maps.Clone(in.Declared.Snapshots)
	made := madeBySchedules(in.Index)
	named := namedSnapshots(in.Declared)
	for _, name := range sorted(in.Declared.Schedules) {
		s.add(in, in.Declared.Schedules[name], made, named)
	}
	s.invalidateMissing(in.Declared, named)
	return s
}

// runKey is a Volume of a schedule.
type runKey struct{ schedule, volume string }

// madeBySchedules sorts the snapshots that exist by the tags of their schedules, the oldest first.
func madeBySchedules(index *Index) map[runKey][]observe.LogicalVolume {
	made := map[runKey][]observe.LogicalVolume{}
	for id, lvs := range index.current {
		if id.Kind != spec.KindSnapshot || len(lvs) != 1 || len(lvs[0].DeletedTags()) > 0 {
			continue
		}
		if by := lvs[0].TagsWith(ondisk.TagSchedule); len(by) == 1 {
			key := runKey{lvs[0].Tag(ondisk.TagSchedule), lvs[0].Tag(ondisk.TagVolume)}
			made[key] = append(made[key], lvs[0])
		}
	}
	for _, lvs := range made {
		slices.SortFunc(lvs, func(a, b observe.LogicalVolume) int { return momentOf(a).Compare(momentOf(b)) })
	}
	return made
}

// momentOf returns the moment for which a snapshot was taken; if its name does not say it, when it was created.
func momentOf(lv observe.LogicalVolume) time.Time {
	owner, _ := lv.Owner()
	if moment, is := spec.ScheduledAt(owner.Name); is {
		return moment
	}
	return lv.Created
}

// add adds the snapshots of one schedule.
func (s *Scheduled) add(in Input, sched spec.SnapshotSchedule, made map[runKey][]observe.LogicalVolume, named map[string]string) {
	runs := &scheduleRuns{volumes: in.Declared.Selected(sched), byVolume: map[string][]string{}, lvs: map[string][]observe.LogicalVolume{}}
	s.runs[sched.Metadata.Name] = runs
	times := timesOf(sched)
	known := in.Known[spec.ID{Kind: spec.KindSnapshotSchedule, Name: sched.Metadata.Name}]
	since := known.Since
	if since.IsZero() {
		since = in.Now // it was never seen before
	}
	for _, volume := range runs.volumes {
		lvs := made[runKey{sched.Metadata.Name, volume}]
		s.addExisting(in, sched, volume, lvs, runs, named)
		state := schedule.State{Since: since, Done: lastTaken(lvs, known.Taken[volume], in.Now)}
		for _, at := range times {
			due := schedule.Due(at, time.Duration(sched.Spec.Jitter), sched.Metadata.Name+"/"+volume, state, in.Now)
			runs.next = earlier(runs.next, due.Wake)
			id := spec.ID{Kind: spec.KindSnapshot, Name: sched.SnapshotName(volume, due.Run)}
			// One of that name was taken for this moment, and somebody made it their own.
			taken := len(in.Index.current[id]) > 0
			if !due.Run.IsZero() && !taken && !sched.Metadata.Suspended() {
				s.declare(in, sched, volume, scheduledSnapshot{moment: due.Run, keep: retention.Verdict{Rules: retention.Newest}})
			}
		}
	}
	s.wake = earlier(s.wake, runs.next)
	s.addDrill(in, sched)
}

// cloneOf returns a copy of a map, which is not nil.
func cloneOf[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return map[K]V{}
	}
	return maps.Clone(m)
}

// lastTaken returns the last moment of which there was a snapshot, and which is not in the future: what was taken
// while a clock was ahead does not hold up what is due now. What is remembered is from a snapshot that somebody
// may have removed: its moment is not taken again.
func lastTaken(lvs []observe.LogicalVolume, remembered, now time.Time) time.Time {
	var last time.Time
	if !remembered.After(now) {
		last = remembered
	}
	for _, lv := range lvs {
		if moment := momentOf(lv); moment.After(last) && !moment.After(now) {
			last = moment
		}
	}
	return last
}

// addExisting adds the snapshots of a Volume that exist, with what is to become of them.
func (s *Scheduled) addExisting(in Input, sched spec.SnapshotSchedule, volume string, lvs []observe.LogicalVolume, runs *scheduleRuns, named map[string]string) {
	runs.lvs[volume] = lvs
	made := s.backups.of(sched, volume, in.Index.identityOf(volume))
	awaited, isAwaited, wake := in.awaited(sched, made, volume, lvs)
	runs.next = earlier(runs.next, wake)
	all := make([]retention.Snapshot, len(lvs))
	for n, lv := range lvs {
		owner, _ := lv.Owner()
		all[n] = retention.Snapshot{Time: momentOf(lv), Incomplete: lv.SnapshotInvalid, Held: heldBy(lv, sched, named[owner.Name], isLastBackupOf(lv, made), isAwaited && lv.UUID == awaited.UUID)}
	}
	verdicts := retention.Apply(retention.Keep(sched.Spec.Keep), all, in.trashClock())
	for n, lv := range lvs {
		owner, _ := lv.Owner()
		runs.byVolume[volume] = append(runs.byVolume[volume], owner.Name)
		s.declare(in, sched, volume, scheduledSnapshot{moment: all[n].Time, lv: lv, keep: verdicts[n]})
	}
}

// heldBy says what else needs a snapshot; empty: nothing.
func heldBy(lv observe.LogicalVolume, sched spec.SnapshotSchedule, namedBy string, isLast, isAwaited bool) string {
	switch {
	case namedBy != "":
		return namedBy + " names it"
	case isBase(lv, sched), isLast:
		return "base of the next backup"
	case isAwaited:
		return "not backed up yet"
	default:
		return ""
	}
}

// declare adds a snapshot, unless a file declares one of that name: then it is the file's.
func (s *Scheduled) declare(in Input, sched spec.SnapshotSchedule, volume string, one scheduledSnapshot) {
	name := sched.SnapshotName(volume, one.moment)
	if one.lv.UUID != "" {
		owner, _ := one.lv.Owner()
		name = owner.Name
	}
	id := spec.ID{Kind: spec.KindSnapshot, Name: name}
	if _, declared := s.Declared.Snapshots[name]; declared || in.Declared.Invalid[id] != nil {
		return
	}
	one.schedule, one.volume = sched.Metadata.Name, volume
	s.snapshots[name] = one
	s.Declared.Snapshots[name] = spec.Snapshot{
		Metadata: spec.Metadata{Name: name, Labels: sched.Metadata.Labels},
		Spec:     spec.SnapshotSpec{Volume: volume, DeletionPolicy: spec.Retain},
	}
}

// invalidateMissing makes those snapshots of schedules invalid that an object names and that do not exist, so
// that an Export keeps its other LUNs.
func (s *Scheduled) invalidateMissing(declared spec.Set, named map[string]string) {
	cloned := false
	for _, name := range sorted(named) {
		id := spec.ID{Kind: spec.KindSnapshot, Name: name}
		_, is := spec.ScheduledAt(name)
		if _, there := s.Declared.Snapshots[name]; there || !is || declared.Invalid[id] != nil {
			continue
		}
		if !cloned {
			s.Declared.Invalid, cloned = maps.Clone(declared.Invalid), true
			if s.Declared.Invalid == nil {
				s.Declared.Invalid = map[spec.ID]error{}
			}
		}
		s.Declared.Invalid[id] = fmt.Errorf("%s names it, but no schedule has a snapshot of that name. Name one that exists", named[name])
	}
}

// namedSnapshots returns the names of the Snapshots that other objects name, and one of these objects each.
func namedSnapshots(set spec.Set) map[string]string {
	named := map[string]string{}
	note := func(snapshot string, by spec.ID) {
		if snapshot != "" && (named[snapshot] == "" || by.String() < named[snapshot]) {
			named[snapshot] = by.String()
		}
	}
	for name, v := range set.Volumes {
		id := spec.ID{Kind: spec.KindVolume, Name: name}
		if v.Spec.Source != nil {
			note(v.Spec.Source.Snapshot, id)
		}
		if v.Spec.Revert != nil {
			note(v.Spec.Revert.Snapshot, id)
		}
	}
	for name, i := range set.Images {
		note(i.Spec.Snapshot, spec.ID{Kind: spec.KindImage, Name: name})
	}
	for _, exports := range []map[string]spec.Export{set.Exports, set.Withheld} {
		for name, e := range exports {
			for _, lun := range e.Spec.LUNs {
				note(lun.Snapshot, spec.ID{Kind: spec.KindExport, Name: name})
			}
		}
	}
	return named
}

// timesOf returns when a schedule is due: for a snapshot, and for a backup, which needs a snapshot as well.
func timesOf(sched spec.SnapshotSchedule) []schedule.Schedule {
	zone, err := time.LoadLocation(sched.Spec.TimeZone)
	if err != nil {
		return nil // package spec has refused it
	}
	expressions := []string{sched.Spec.At}
	if sched.Spec.Backup != nil {
		expressions = append(expressions, sched.Spec.Backup.At)
	}
	var times []schedule.Schedule
	for _, expression := range expressions {
		if at, err := schedule.Parse(expression, zone); err == nil {
			times = append(times, at)
		}
	}
	return times
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// lvsOf returns the snapshots of a Volume of a schedule, the oldest first.
func (s *Scheduled) lvsOf(schedule, volume string) []observe.LogicalVolume {
	if runs := s.runs[schedule]; runs != nil {
		return runs.lvs[volume]
	}
	return nil
}
