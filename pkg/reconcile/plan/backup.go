package plan

import (
	"fmt"
	"slices"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/retention"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// backupIndex are backups by whose they are, the oldest first.
type backupIndex map[backupKey][]observe.Backup

// backupKey is a Volume in a repository, and the schedule or the Backup that asked for its backups; with neither of
// them it stands for all.
type backupKey struct{ repository, volume, schedule, object string }

func indexBackups(repositories map[string]observe.Repository) backupIndex {
	x := backupIndex{}
	for name, r := range repositories {
		for _, b := range r.Backups {
			all := backupKey{repository: name, volume: b.Volume}
			x[all] = append(x[all], b)
			if one := (backupKey{name, b.Volume, b.Schedule, b.Object}); one != all {
				x[one] = append(x[one], b)
			}
		}
	}
	return x
}

// of returns the backups of a Volume that a schedule made. Those of another volume of that name are none of them:
// of one that was there before, or of another node that uses the same repository by mistake. Without an identity
// the Volume has no logical volume now, and nobody can tell.
func (x backupIndex) of(sched spec.SnapshotSchedule, volume, identity string) []observe.Backup {
	if sched.Spec.Backup == nil {
		return nil
	}
	return ofIdentity(x[backupKey{repository: sched.Spec.Backup.Repository, volume: volume, schedule: sched.Metadata.Name}], identity)
}

// ofObject returns what was made for a Backup, by the same rule.
func (x backupIndex) ofObject(b spec.Backup, identity string) []observe.Backup {
	return ofIdentity(x[backupKey{repository: b.Spec.Repository, volume: b.Spec.Volume, object: b.Metadata.Name}], identity)
}

// ofIdentity leaves out the backups of other volumes.
func ofIdentity(all []observe.Backup, identity string) []observe.Backup {
	isOther := func(b observe.Backup) bool { return isOfOther(b, identity) }
	if !slices.ContainsFunc(all, isOther) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), isOther)
}

func isOfOther(b observe.Backup, identity string) bool {
	return identity != "" && b.Identity != "" && b.Identity != identity
}

// identityOf returns by what initiators know a Volume; empty: it has no logical volume, or several.
func (x *Index) identityOf(volume string) string {
	lvs := x.current[spec.ID{Kind: spec.KindVolume, Name: volume}]
	if len(lvs) != 1 {
		return ""
	}
	return lvs[0].Identity()
}

// planScheduledBackups plans the backups of a schedule, and the removal of those that it no longer keeps.
func (d *differ) planScheduledBackups(s spec.SnapshotSchedule, shown *status.Schedule) {
	b := s.Spec.Backup
	id := spec.ID{Kind: spec.KindSnapshotSchedule, Name: s.Metadata.Name}
	repository := spec.ID{Kind: spec.KindRepository, Name: b.Repository}
	seen := d.in.Observed.Repositories[b.Repository]
	r, valid := d.in.Declared.Repositories[b.Repository]
	switch {
	case !valid:
		d.setBlocked(id, status.ReasonNotReady, "spec.backup: waiting until %s is valid: %v", repository, d.in.Declared.Invalid[repository])
		return
	case r.Metadata.Suspended():
		d.remark(id, "nothing is backed up: %s is suspended", repository)
		return
	case !seen.IsKnown():
		d.remark(id, "nothing is backed up: %s: %s", repository, d.object(repository).Message)
		d.plan.KeepJobs = true
		if seen.Err == nil {
			return // it is being read for the first time
		}
	}
	known := d.in.Known[id].Since
	for _, volume := range d.in.Scheduled.runs[s.Metadata.Name].volumes {
		one := status.VolumeBackups{Volume: volume.name, Count: len(volume.made), Last: d.lastBackup(s, volume, seen), Drilled: d.in.Known[id].Drilled[volume.name]}
		if age := time.Duration(b.MaxAge); age > 0 && !known.IsZero() && d.in.Now.Sub(later(one.Last, known)) > age {
			one.TooOld = true
		}
		shown.Backups = append(shown.Backups, one)
		if !seen.IsKnown() || seen.Err != nil {
			continue // what was read last may be outdated
		}
		d.planBackup(s, volume, r)
		d.forgetBackups(id, s, volume, seen, r)
	}
	if old := slices.DeleteFunc(slices.Clone(shown.Backups), func(v status.VolumeBackups) bool { return !v.TooOld }); len(old) > 0 {
		d.setStatus(id, status.Failed, status.ReasonBackupTooOld, "the last backup of %s is older than %s%s. See the status of %s and of the last Snapshot", old[0].Volume, b.MaxAge, andMore(len(old)-1), repository)
	}
}

// lastBackup returns the time of the last backup of a Volume that is not from the future, when a clock was ahead. While
// it is not known what the repository has, the mark of the snapshot that it was made of says so.
func (d *differ) lastBackup(s spec.SnapshotSchedule, volume volumeRuns, seen observe.Repository) time.Time {
	last := lastMade(volume.made, d.in.Now)
	if !last.IsZero() || seen.IsKnown() {
		return last
	}
	for _, lv := range volume.lvs {
		if moment := momentOf(lv); isBase(lv, s) && !moment.After(d.in.Now) {
			last = later(last, moment)
		}
	}
	return last
}

// isBase reports whether the last backup of a schedule was made of a snapshot. Marks of a repository that it no longer
// uses do not count.
func isBase(lv observe.LogicalVolume, s spec.SnapshotSchedule) bool {
	return s.Spec.Backup != nil && len(lv.TagsWith(ondisk.TagBase+s.Spec.Backup.Repository+"/")) > 0
}

func andMore(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(", and so are those of %d more", n)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// planBackup plans the next backup of a Volume, and the marks of the snapshots that backups were made of.
func (d *differ) planBackup(s spec.SnapshotSchedule, volume volumeRuns, r spec.Repository) {
	base := d.markBases(volume, r.Metadata.Name)
	if volume.awaited == nil || d.ledger.isRemoved(volume.awaited.FullName()) {
		return
	}
	snapshot := *volume.awaited
	c := d.backUp(snapshot, volume.name, momentOf(snapshot), volume.made, base, r)
	c.Schedule = s.Metadata.Name
	c.Reread = s.Spec.Backup.Reread > 0 && !slices.ContainsFunc(volume.made, func(b observe.Backup) bool {
		return b.Reread && !b.Time.After(c.Time) && c.Time.Sub(b.Time) < time.Duration(s.Spec.Backup.Reread)
	})
	d.stepWithoutStatus(spec.ID{Kind: spec.KindSnapshot, Name: ownerName(snapshot)}, "due", Harmless, c)
}

// backUp returns the backup of a snapshot.
func (d *differ) backUp(snapshot observe.LogicalVolume, volume string, moment time.Time, made []observe.Backup, base *observe.LogicalVolume, r spec.Repository) change.BackUp {
	v := d.in.Declared.Volumes[volume]
	of := d.backingOf(spec.ID{Kind: spec.KindVolume, Name: volume})
	c := change.BackUp{
		LV: nameOf(snapshot), Repository: repositoryOf(r), Size: spec.Size(snapshot.Size), Volume: volume, Time: moment,
		Description: describe(v),
	}
	if of.lv.UUID != "" {
		c.Identity = of.lv.Identity()
	}
	if readable := slices.DeleteFunc(slices.Clone(made), func(b observe.Backup) bool { return b.Unreadable }); len(readable) > 0 {
		c.Parent = readable[len(readable)-1].ID
	}
	// Of another origin the snapshot may be made of a clone of the base, to which somebody wrote after it was backed up.
	if base != nil && base.Type == observe.Thin && base.Pool == snapshot.Pool && base.VolumeGroup == snapshot.VolumeGroup &&
		base.Origin != "" && base.Origin == snapshot.Origin {
		c.Base = nameOf(*base)
	}
	return c
}

// describe returns the spec of a Volume, which has no secrets, as it is written into a backup.
func describe(v spec.Volume) string {
	v.Spec.Source, v.Spec.Revert = nil, nil
	text, err := yaml.Marshal(struct {
		APIVersion string          `yaml:"apiVersion"`
		Kind       spec.Kind       `yaml:"kind"`
		Metadata   spec.Metadata   `yaml:"metadata"`
		Spec       spec.VolumeSpec `yaml:"spec"`
	}{spec.APIVersion, spec.KindVolume, v.Metadata, v.Spec})
	if err != nil {
		return "" // it can be restored without
	}
	return string(text)
}

// isLastBackupOf reports whether the last of some backups was made of a snapshot: the next one needs it, with or without
// the tag that says so.
func isLastBackupOf(lv observe.LogicalVolume, made []observe.Backup) bool {
	return len(made) > 0 && made[len(made)-1].LV == lv.UUID
}

// markBases keeps the tag of the snapshot that the last backup was made of, takes it from the others, and returns
// that snapshot; nil: it is not there.
func (d *differ) markBases(volume volumeRuns, repository string) *observe.LogicalVolume {
	var base *observe.LogicalVolume
	made := volume.made
	for _, lv := range volume.lvs {
		if d.ledger.isRemoved(lv.FullName()) {
			continue
		}
		var want []string
		if isLastBackupOf(lv, made) {
			want, base = []string{ondisk.BaseTag(repository, made[len(made)-1].ID)}, &lv
		}
		set := change.SetTags{LV: nameOf(lv)}
		for _, tag := range want {
			if !slices.Contains(lv.Tags, tag) {
				set.Add = append(set.Add, tag)
			}
		}
		for _, tag := range lv.TagsWith(ondisk.TagBase + repository + "/") {
			if !slices.Contains(want, tag) {
				set.Remove = append(set.Remove, tag)
			}
		}
		if len(set.Add)+len(set.Remove) > 0 && len(made) > 0 {
			d.stepWithoutStatus(spec.ID{Kind: spec.KindSnapshot, Name: ownerName(lv)}, "the last backup of "+volume.name+" was made of it, or no longer is", Harmless, set)
		}
	}
	return base
}

// forgetBackups plans the removal of the backups of a Volume that its schedule no longer keeps.
func (d *differ) forgetBackups(id spec.ID, s spec.SnapshotSchedule, volume volumeRuns, seen observe.Repository, r spec.Repository) {
	if r.Spec.Prune.Every.Never || d.inDoubt() || d.index.identityOf(volume.name) == "" {
		return
	}
	made, needed := volume.made, d.neededBackups(r.Metadata.Name)
	all := make([]retention.Snapshot, len(made))
	for n, b := range made {
		all[n] = retention.Snapshot{Time: b.Time, Incomplete: b.Unreadable, Held: needed[b.ID]}
	}
	var ids []string
	for n, verdict := range retention.Apply(retention.Keep(s.Spec.Backup.Keep), all, d.trashClock()) {
		if !verdict.Keep() {
			ids = append(ids, made[n].ID)
		}
	}
	allowed := max(0, d.in.MaxDeletions-seen.Forgotten[volume.name])
	if len(ids) > allowed {
		d.remark(id, "%d backup(s) of %s are removed later: at most %d are in one day", len(ids)-allowed, volume.name, d.in.MaxDeletions)
		ids = ids[:allowed]
	}
	if len(ids) > 0 {
		d.stepWithoutStatus(id, "its schedule no longer keeps them", Destructive, change.ForgetBackups{OnRepository: change.OnRepository{Repository: repositoryOf(r)}, Volume: volume.name, IDs: ids})
	}
}

// planBackupObject plans a backup that was asked for by hand. It is made once.
func (d *differ) planBackupObject(b spec.Backup) {
	id := spec.ID{Kind: spec.KindBackup, Name: b.Metadata.Name}
	shown := &status.Backup{Volume: b.Spec.Volume, Repository: b.Spec.Repository}
	d.object(id).Backup = shown
	repository := spec.ID{Kind: spec.KindRepository, Name: b.Spec.Repository}
	seen := d.in.Observed.Repositories[b.Spec.Repository]
	r, valid := d.in.Declared.Repositories[b.Spec.Repository]
	suspended := d.blockedBySuspension(id, b.Metadata)
	if !valid || !seen.IsKnown() || seen.Err != nil {
		d.setBlocked(id, status.ReasonNotReady, "waiting for %s: %s", repository, d.object(repository).Message)
		d.plan.KeepJobs = true
		return
	}
	of, identity := d.in.Scheduled.backups, d.index.identityOf(b.Spec.Volume)
	if done := of.ofObject(b, identity); len(done) > 0 {
		shown.ID, shown.Time = done[0].ID, done[0].Time
		return
	}
	if suspended || r.Metadata.Suspended() || d.isUnreadable(id, observe.LVM) {
		return
	}
	source, ok := d.backupSource(id, b.Spec.Volume)
	if !ok {
		return
	}
	all := ofIdentity(of[backupKey{repository: b.Spec.Repository, volume: b.Spec.Volume}], identity)
	made, base := d.lastWithBase(all, r.Metadata.Name, source)
	c := d.backUp(source, b.Spec.Volume, source.Created, made, base, r)
	c.Object, c.Delete = id.Name, b.Spec.DeletionPolicy == spec.Delete
	d.step(id, "not there", c)
}

// lastWithBase returns the backups up to the last one of which the snapshot is still there, and that snapshot: a backup
// by hand reads only what has changed since a schedule made one. Without such a one it returns all, and nil.
func (d *differ) lastWithBase(all []observe.Backup, repository string, source observe.LogicalVolume) ([]observe.Backup, *observe.LogicalVolume) {
	if source.Origin == "" {
		return all, nil
	}
	siblings := d.index.snapshotsByOrigin[source.VolumeGroup+"/"+source.Origin]
	for n, b := range slices.Backward(all) {
		for _, lv := range siblings {
			if lv.UUID == b.LV && !b.Unreadable && slices.Contains(lv.Tags, ondisk.BaseTag(repository, b.ID)) {
				return all[:n+1], &lv
			}
		}
	}
	return all, nil
}

// backupSource returns the snapshot of a Volume from which a Backup is made. It reports false if there is none yet.
func (d *differ) backupSource(id spec.ID, volume string) (observe.LogicalVolume, bool) {
	made, there := d.index.sources[id]
	switch {
	case there && made.SnapshotInvalid:
		d.setStatus(id, status.Failed, status.ReasonSnapshotOverflow, "snapshot %s overflowed while it was backed up; retried from a new one", made.FullName())
		d.discard(id, made, d.withSignature(ondisk.SourceTags(id)), notToCopy)
		return made, false
	case there && !d.isSourceOf(volume, made):
		d.discardOther(id, made)
		return made, false
	case there:
		return made, true
	}
	of := spec.ID{Kind: spec.KindVolume, Name: volume}
	from := d.backingOf(of)
	if !from.exportable || from.lv.UUID == "" {
		d.setBlocked(id, status.ReasonNotReady, "waiting for %s: %s", of, d.object(of).Message)
		return from.lv, false
	}
	d.createSource(id, volume, from)
	return from.lv, false
}

// isBeingBackedUp reports whether a Backup is being made, or may be.
func (d *differ) isBeingBackedUp(id spec.ID) bool {
	b, valid := d.in.Declared.Backups[id.Name]
	if !valid {
		return d.isDeclared(id) || d.inDoubt()
	}
	seen := d.in.Observed.Repositories[b.Spec.Repository]
	done := d.in.Scheduled.backups.ofObject(b, d.index.identityOf(b.Spec.Volume))
	return !seen.IsKnown() || seen.Err != nil || len(done) == 0
}

// pruneBackups removes the backups of Backups that no file declares any more, if they said so. The policy is in the
// repository, with each of them.
func (d *differ) pruneBackups() {
	for _, name := range sorted(d.in.Declared.Repositories) {
		r := d.in.Declared.Repositories[name]
		seen := d.in.Observed.Repositories[name]
		if !seen.IsKnown() || seen.Err != nil || r.Metadata.Suspended() || r.Spec.Prune.Every.Never {
			continue
		}
		needed := d.neededBackups(name)
		for n, b := range seen.Backups {
			id := spec.ID{Kind: spec.KindBackup, Name: b.Object}
			if b.Object == "" || !b.Delete || d.isDeclared(id) || needed[b.ID] != "" || isOfOther(b, d.index.identityOf(b.Volume)) ||
				isOnlyBackup(seen.Backups, n) || seen.Forgotten[b.Volume] >= d.in.MaxDeletions {
				continue
			}
			d.ledger.addLoss(id, b.ID)
			if d.mayPrune(id) {
				d.removalStep(id, "undeclared, with deletionPolicy: Delete", Destructive, nil,
					change.ForgetBackups{OnRepository: change.OnRepository{Repository: repositoryOf(r)}, Volume: b.Volume, IDs: []string{b.ID}})
			}
		}
	}
}

// isOnlyBackup reports whether a backup is the last that can be restored of its Volume.
func isOnlyBackup(backups []observe.Backup, of int) bool {
	for n, b := range backups {
		if n != of && b.Volume == backups[of].Volume && !b.Unreadable {
			return false
		}
	}
	return true
}
