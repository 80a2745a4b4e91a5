package plan

import (
	"slices"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/publicurl"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// planRepository sets the status of a repository, and plans that it is created.
func (d *differ) planRepository(r spec.Repository) {
	id := spec.ID{Kind: spec.KindRepository, Name: r.Metadata.Name}
	seen := d.in.Observed.Repositories[id.Name]
	d.object(id).Repository = &status.Repository{
		URL: publicurl.InValue(r.Spec.Restic.URL), Backups: len(seen.Backups), Read: seen.Read, Pruned: seen.Pruned, Checked: seen.Checked,
	}
	switch {
	case d.blockedBySuspension(id, r.Metadata):
	case seen.Missing && seen.Seen:
		d.setBlocked(id, status.ReasonVanished, "there is no longer a repository at this address, and no other one is created there. Mount or restore it; or, to begin with an empty one, change spec.restic.url")
	case seen.Missing:
		d.step(id, "not there", change.InitRepository{OnRepository: change.OnRepository{Repository: repositoryOf(r)}})
	case seen.Err != nil:
		d.setStatus(id, status.Failed, status.ReasonObservationFailed, "cannot be read: %v", seen.Err)
	case !seen.IsKnown():
		d.setStatus(id, status.Progressing, status.ReasonConverging, "waiting until its list of backups is read")
	}
	if !seen.IsKnown() || seen.Err != nil {
		d.plan.KeepJobs = true // a job that has begun may still be needed
	}
}

// maintain plans that a repository is pruned and checked. Backups come first: both may take longer than the time after
// which they are due again.
func (d *differ) maintain(r spec.Repository) {
	id := spec.ID{Kind: spec.KindRepository, Name: r.Metadata.Name}
	seen, on := d.in.Observed.Repositories[id.Name], change.OnRepository{Repository: repositoryOf(r)}
	if r.Metadata.Suspended() || seen.Missing || seen.Err != nil || !seen.IsKnown() {
		return
	}
	clock := d.trashClock()
	due := func(every spec.Interval, last time.Time) bool {
		if every.Never || len(seen.Backups) == 0 {
			return false
		}
		next := last.Add(time.Duration(every.Duration))
		if last.IsZero() || !next.After(clock) {
			return true
		}
		d.plan.Wake = earlier(d.plan.Wake, next)
		return false
	}
	if due(r.Spec.Prune.Every, seen.Pruned) && !d.inDoubt() {
		d.stepWithoutStatus(id, "it was not pruned for "+r.Spec.Prune.Every.String(), Harmless, change.PruneRepository{OnRepository: on, MaxUnused: r.Spec.Prune.MaxUnused})
	}
	if due(r.Spec.Check.Every, seen.Checked) {
		d.stepWithoutStatus(id, "it was not checked for "+r.Spec.Check.Every.String(), Harmless, change.CheckRepository{OnRepository: on, ReadData: r.Spec.Check.ReadData})
	}
}

func repositoryOf(r spec.Repository) change.Repository {
	return change.Repository{Name: r.Metadata.Name, URL: r.Spec.Restic.URL, Password: r.Spec.Restic.Password, Environment: r.Spec.Restic.Environment}
}

// backupOf returns the backup that a Volume is filled from or reverted to. It reports false, and sets the status, if
// there is none now. A restore that was begun from a backup is completed from the same one, whatever is the
// latest meanwhile.
func (d *differ) backupOf(id spec.ID, field string, from spec.BackupSource, lv observe.LogicalVolume) (observe.Backup, change.Repository, bool) {
	r, declared := d.in.Declared.Repositories[from.Repository]
	repository := spec.ID{Kind: spec.KindRepository, Name: from.Repository}
	seen := d.in.Observed.Repositories[from.Repository]
	none := func(format string, args ...any) (observe.Backup, change.Repository, bool) {
		d.setBlocked(id, status.ReasonNotReady, field+": "+format, args...)
		d.plan.KeepJobs = true
		return observe.Backup{}, change.Repository{}, false
	}
	switch {
	case !declared:
		return none("%s is not declared. Declare it, or change the field", repository)
	case !seen.IsKnown() && seen.Err != nil:
		return none("waiting for %s, which cannot be read: %v", repository, seen.Err)
	case !seen.IsKnown():
		return none("waiting until the backups in %s are known", repository)
	}
	of := meant(seen.Backups, from, lv)
	switch {
	case len(of) == 0:
		return none("%s has no backup %s of volume %s. See: volreconciler backups", repository, from.At, from.Volume)
	case of[len(of)-1].Unreadable:
		return none("backup %s was made by a later volreconciler. Install that version", of[len(of)-1].ID)
	}
	return of[len(of)-1], repositoryOf(r), true
}

// neededBackups returns the backups in a repository that a Volume is being restored from, by their IDs, and which Volume
// that is. Without it, what it holds of its backup would be all that is left of both.
func (d *differ) neededBackups(repository string, seen observe.Repository) map[string]string {
	needed := map[string]string{}
	for name, v := range d.in.Declared.Volumes {
		id := spec.ID{Kind: spec.KindVolume, Name: name}
		for _, lv := range d.index.current[id] {
			from := (*spec.BackupSource)(nil)
			switch phase := lv.Phase(); {
			case phase == ondisk.Populating && v.Spec.Source != nil:
				from = v.Spec.Source.Backup
			case phase == ondisk.Reverting && v.Spec.Revert != nil:
				from = v.Spec.Revert.Backup
			}
			if from == nil || from.Repository != repository {
				continue
			}
			if of := meant(seen.Backups, *from, lv); len(of) > 0 {
				needed[of[len(of)-1].ID] = id.String() + " is restored from it"
			}
		}
	}
	return needed
}

// meant returns the backups that a source may mean, of which the last one is meant: the one from which a restore
// was begun, if there is any.
func meant(backups []observe.Backup, from spec.BackupSource, lv observe.LogicalVolume) []observe.Backup {
	of := slices.DeleteFunc(slices.Clone(backups), func(b observe.Backup) bool { return b.Volume != from.Volume })
	if begun := slices.IndexFunc(of, func(b observe.Backup) bool { return lv.Checkpoint(b.ID) > 0 }); begun >= 0 {
		return of[begun : begun+1]
	}
	return named(of, from.At)
}

// named returns the backups that a source may mean, of which the last one is meant.
func named(backups []observe.Backup, at string) []observe.Backup {
	if at == spec.LatestBackup {
		return backups
	}
	until, err := time.Parse(time.RFC3339, at)
	return slices.DeleteFunc(backups, func(b observe.Backup) bool {
		if err != nil {
			return len(b.ID) < len(at) || b.ID[:len(at)] != at
		}
		return b.Time.After(until)
	})
}

// holdsBackup reports whether a volume is large enough for a backup; if not, it sets the status.
func (d *differ) holdsBackup(id spec.ID, from observe.Backup, size uint64) bool {
	if from.Size > size {
		d.setBlocked(id, status.ReasonShrinkRefused, "spec.size: %s is smaller than the backup (%s). Increase it to at least as much", spec.Size(size), spec.Size(from.Size))
	}
	return from.Size <= size
}

// inheritedIdentity returns the tag by which initiators see the disk that they knew: a Volume that is restored
// from a backup of itself replaces the one that was lost. A second one beside that is another disk.
func (d *differ) inheritedIdentity(v spec.Volume, from observe.Backup) []string {
	if from.Identity == "" || from.Volume != v.Metadata.Name || len(d.in.Observed.Unknown) > 0 || d.in.Observed.UnknownGroups != nil {
		return nil
	}
	for _, vg := range d.in.Observed.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			if lv.Identity() == from.Identity {
				return nil
			}
		}
	}
	return []string{ondisk.TagIdentity + from.Identity}
}
