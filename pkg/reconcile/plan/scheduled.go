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
	// volumes are those of the Volumes that it selects, in the order of their names.
	volumes []volumeRuns
	// due are the names of the snapshots that are to be made.
	due []string
	// next is when the next one is due of any Volume; zero: never.
	next time.Time
}

// volumeRuns are the snapshots and backups of a Volume that a schedule made.
type volumeRuns struct {
	name string
	// lvs are the snapshots that exist, and made the backups; the oldest first.
	lvs  []observe.LogicalVolume
	made []observe.Backup
	// awaited is the snapshot that is to be backed up; nil: none is.
	awaited *observe.LogicalVolume
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
	if !in.Declared.HasSchedules() {
		return s
	}
	s.Declared.Snapshots = cloneOf(in.Declared.Snapshots)
	named := namedSnapshots(in.Declared)
	for _, name := range sorted(in.Declared.Schedules) {
		s.add(in, in.Declared.Schedules[name], named)
	}
	s.invalidateMissing(in.Declared, named)
	s.protect(named)
	return s
}

// runKey is a Volume of a schedule.
type runKey struct{ schedule, volume string }

// scheduledSnapshots sorts the snapshots that exist by the tags of their schedules, the oldest first.
func (x *Index) scheduledSnapshots() map[runKey][]observe.LogicalVolume {
	made := map[runKey][]observe.LogicalVolume{}
	for id, lvs := range x.current {
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
	if moment, is := spec.ScheduledAt(ownerName(lv)); is {
		return moment
	}
	return lv.Created
}

// add adds the snapshots of one schedule.
func (s *Scheduled) add(in Input, sched spec.SnapshotSchedule, named map[string]string) {
	runs, times := &scheduleRuns{}, timesOf(sched)
	s.runs[sched.Metadata.Name] = runs
	known := in.Known[spec.ID{Kind: spec.KindSnapshotSchedule, Name: sched.Metadata.Name}]
	since := known.Since
	if since.IsZero() {
		since = in.Now // it was never seen before
	}
	for _, name := range in.Declared.Selected(sched) {
		volume := volumeRuns{
			name: name, lvs: in.Index.scheduled[runKey{sched.Metadata.Name, name}], made: s.backups.of(sched, name, in.Index.identityOf(name)),
		}
		due := func(at schedule.Schedule, done time.Time) time.Time {
			timing := schedule.Due(at, time.Duration(sched.Spec.Jitter), sched.Metadata.Name+"/"+name, schedule.State{Since: since, Done: done}, in.Now)
			runs.next = earlier(runs.next, timing.Wake)
			return timing.Run
		}
		if times.backup != nil {
			volume.await(due(*times.backup, lastMade(volume.made, in.Now)), in.Now)
		}
		s.addExisting(in, sched, volume, named)
		taken := lastTaken(volume.lvs, known.Taken[name], in.Now)
		for _, at := range times.all() {
			s.addDue(in, sched, runs, name, due(at, taken))
		}
		runs.volumes = append(runs.volumes, volume)
	}
	s.wake = earlier(s.wake, runs.next)
	s.addDrill(in, sched)
}

// addDue adds a snapshot that is to be made, unless there is one of that name: it was taken for this moment, and
// somebody made it their own.
func (s *Scheduled) addDue(in Input, sched spec.SnapshotSchedule, runs *scheduleRuns, volume string, moment time.Time) {
	name := sched.SnapshotName(volume, moment)
	taken := len(in.Index.current[spec.ID{Kind: spec.KindSnapshot, Name: name}]) > 0
	if moment.IsZero() || taken || sched.Metadata.Suspended() {
		return
	}
	if s.declare(in, sched, volume, scheduledSnapshot{moment: moment, keep: retention.Verdict{Rules: retention.Newest}}) {
		runs.due = append(runs.due, name)
	}
}

// await notes which snapshot is to be backed up for a moment: the first one that was taken since.
func (v *volumeRuns) await(moment, now time.Time) {
	if moment.IsZero() {
		return
	}
	for n, lv := range v.lvs {
		if at := momentOf(lv); !at.Before(moment) && !at.After(now) && !lv.SnapshotInvalid {
			v.awaited = &v.lvs[n]
			return
		}
	}
}

// lastMade returns the moment of the last of some backups that is not in the future; zero: there is none.
func lastMade(made []observe.Backup, now time.Time) time.Time {
	for _, b := range slices.Backward(made) {
		if !b.Time.After(now) {
			return b.Time
		}
	}
	return time.Time{}
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
func (s *Scheduled) addExisting(in Input, sched spec.SnapshotSchedule, volume volumeRuns, named map[string]string) {
	all := make([]retention.Snapshot, len(volume.lvs))
	for n, lv := range volume.lvs {
		all[n] = retention.Snapshot{Time: momentOf(lv), Incomplete: lv.SnapshotInvalid, Held: volume.heldBy(lv, sched, named[ownerName(lv)])}
	}
	verdicts := retention.Apply(retention.Keep(sched.Spec.Keep), all, in.trashClock())
	for n, lv := range volume.lvs {
		s.declare(in, sched, volume.name, scheduledSnapshot{moment: all[n].Time, lv: lv, keep: verdicts[n]})
	}
}

// heldBy says what else needs a snapshot; empty: nothing.
func (v *volumeRuns) heldBy(lv observe.LogicalVolume, sched spec.SnapshotSchedule, namedBy string) string {
	switch {
	case namedBy != "":
		return namedBy + " names it"
	case isBase(lv, sched), isLastBackupOf(lv, v.made):
		return "base of the next backup"
	case v.awaited != nil && v.awaited.UUID == lv.UUID:
		return "not backed up yet"
	default:
		return ""
	}
}

// declare adds a snapshot. It reports false if a file declares one of that name: then it is the file's.
func (s *Scheduled) declare(in Input, sched spec.SnapshotSchedule, volume string, one scheduledSnapshot) bool {
	name := sched.SnapshotName(volume, one.moment)
	if one.lv.UUID != "" {
		name = ownerName(one.lv)
	}
	id := spec.ID{Kind: spec.KindSnapshot, Name: name}
	if _, declared := s.Declared.Snapshots[name]; declared || in.Declared.Invalid[id] != nil {
		return false
	}
	one.schedule, one.volume = sched.Metadata.Name, volume
	s.snapshots[name] = one
	s.Declared.Snapshots[name] = spec.Snapshot{
		Metadata: spec.Metadata{Name: name, Labels: sched.Metadata.Labels},
		Spec:     spec.SnapshotSpec{Volume: volume, DeletionPolicy: spec.Retain},
	}
	return true
}

func ownerName(lv observe.LogicalVolume) string {
	owner, _ := lv.Owner()
	return owner.Name
}

// invalidateMissing makes those snapshots of schedules invalid that an object names and that no schedule has, so
// that an Export keeps its LUNs.
func (s *Scheduled) invalidateMissing(declared spec.Set, named map[string]string) {
	cloned := false
	for _, name := range sorted(named) {
		id := spec.ID{Kind: spec.KindSnapshot, Name: name}
		_, is := spec.ScheduledAt(name)
		if _, there := s.Declared.Snapshots[name]; there || !is || declared.Invalid[id] != nil {
			continue
		}
		if !cloned {
			s.Declared.Invalid, cloned = cloneOf(declared.Invalid), true
		}
		s.Declared.Invalid[id] = fmt.Errorf("%s names it, but no valid schedule has a snapshot of that name. Name another one; or, if there is such a logical volume, declare it as a Snapshot", named[name])
	}
}

// protect makes the LUNs of scheduled snapshots read-only: what a schedule keeps is what its Volume held then.
func (s *Scheduled) protect(named map[string]string) {
	if !slices.ContainsFunc(sorted(named), func(name string) bool { return s.snapshots[name].schedule != "" }) {
		return
	}
	s.Declared.Exports = cloneOf(s.Declared.Exports)
	for name, e := range s.Declared.Exports {
		for n, lun := range e.Spec.LUNs {
			if s.snapshots[lun.Snapshot].schedule == "" || lun.ReadOnly {
				continue
			}
			e.Spec.LUNs = slices.Clone(e.Spec.LUNs)
			e.Spec.LUNs[n].ReadOnly = true
			s.Declared.Exports[name] = e
		}
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

// times are when a schedule is due: for a snapshot, and for a backup, which needs a snapshot as well; nil: never.
type times struct{ snapshot, backup *schedule.Schedule }

func (t times) all() []schedule.Schedule {
	var all []schedule.Schedule
	for _, at := range []*schedule.Schedule{t.snapshot, t.backup} {
		if at != nil {
			all = append(all, *at)
		}
	}
	return all
}

// timesOf parses the times of a valid schedule.
func timesOf(sched spec.SnapshotSchedule) times {
	parse := func(expression string) *schedule.Schedule {
		zone, err := schedule.Zone(sched.Spec.TimeZone)
		if err != nil {
			return nil // package spec has refused it
		}
		at, err := schedule.Parse(expression, zone)
		if err != nil {
			return nil
		}
		return &at
	}
	t := times{snapshot: parse(sched.Spec.At)}
	if sched.Spec.Backup != nil {
		t.backup = parse(sched.Spec.Backup.At)
	}
	return t
}

// earlier returns the earlier of two times, of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
