package plan

import (
	"fmt"
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
	b, found := d.meant(from, lv)
	switch {
	case !found:
		return none("%s has no backup %s of volume %s. See: volreconciler backups", repository, from.At, from.Volume)
	case b.Unreadable:
		return none("backup %s was made by a later volreconciler. Install that version", b.ID)
	}
	return b, repositoryOf(r), true
}

// neededBackups returns the backups in a repository that a Volume is to be restored from, by their IDs, and which
// Volume that is: one whose restore is under way, or waits. What was restored by then would be all that is left of both.
func (d *differ) neededBackups(repository string) map[string]string {
	if d.needed == nil {
		d.needed = map[string]map[string]string{}
		for name, v := range d.in.Declared.Volumes {
			id := spec.ID{Kind: spec.KindVolume, Name: name}
			lvs := d.index.current[id]
			if v.Spec.Source != nil && v.Spec.Source.Backup != nil && d.isBeingFilled(id) {
				d.need(id, *v.Spec.Source.Backup, lvs)
			}
			if r := v.Spec.Revert; r != nil && r.Backup != nil && !slices.ContainsFunc(lvs, func(lv observe.LogicalVolume) bool { return d.isReverted(id, lv, r.Request) }) {
				d.need(id, *r.Backup, lvs)
			}
		}
	}
	return d.needed[repository]
}

// need notes the backup that a Volume needs, whose logical volumes are given.
func (d *differ) need(id spec.ID, from spec.BackupSource, lvs []observe.LogicalVolume) {
	if len(lvs) == 0 {
		lvs = []observe.LogicalVolume{{}}
	}
	for _, lv := range lvs {
		if b, found := d.meant(from, lv); found {
			if d.needed[from.Repository] == nil {
				d.needed[from.Repository] = map[string]string{}
			}
			d.needed[from.Repository][b.ID] = id.String() + " is restored from it"
		}
	}
}

// meant returns the backup that a source means: the one from which a restore was begun, if there is any.
func (d *differ) meant(from spec.BackupSource, lv observe.LogicalVolume) (observe.Backup, bool) {
	of := d.in.Scheduled.backups[backupKey{repository: from.Repository, volume: from.Volume}]
	if begun := slices.IndexFunc(of, func(b observe.Backup) bool { return lv.Checkpoint(b.ID) > 0 }); begun >= 0 {
		return of[begun], true
	}
	return observe.ChooseBackup(of, from.At)
}

// holdsBackup reports whether a volume is large enough for a backup; if not, it sets the status.
func (d *differ) holdsBackup(id spec.ID, from observe.Backup, size uint64) bool {
	if from.Size > size {
		d.setBlocked(id, status.ReasonShrinkRefused, "spec.size: %s is smaller than the backup (%s). Increase it to at least as much", spec.Size(size), spec.Size(from.Size))
	}
	return from.Size <= size
}

// inheritedIdentity returns the tag by which initiators see the disk that they knew: a Volume that is restored
// from a backup of itself replaces the one that was lost. A second one beside that is another disk, and so is one on
// another node: whoever tries out a restore there must not give initiators two disks of one name.
func (d *differ) inheritedIdentity(id spec.ID, from observe.Backup) []string {
	if from.Identity == "" || from.Volume != id.Name || len(d.in.Observed.Unknown) > 0 || d.in.Observed.UnknownGroups != nil {
		return nil
	}
	for _, vg := range d.in.Observed.VolumeGroups {
		for _, lv := range vg.LogicalVolumes {
			if lv.Identity() == from.Identity {
				return nil
			}
		}
	}
	if node := d.in.Installation.Name; node != from.Host && node != "" && from.Host != "" {
		d.plan.Warnings = append(d.plan.Warnings, Warning{Object: id, Message: fmt.Sprintf(
			"initiators will see another disk than before: the backup was made on node %s, and this is node %s. To restore the same disk, give this node that host name first", from.Host, node)})
		return nil
	}
	return []string{ondisk.TagIdentity + from.Identity}
}
