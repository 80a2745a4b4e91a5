package dashboard

import (
	"cmp"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// volumeBackups are the backups of a Volume that a schedule made, as a page of either shows them.
type volumeBackups struct {
	status.VolumeBackups
	// ID is the Volume on the page of the schedule, and the schedule on that of the Volume.
	ID spec.ID
}

// backupsOfSchedule returns the backups of each Volume of a schedule, those that are too old first.
func backupsOfSchedule(s *status.Schedule) (all []volumeBackups) {
	for _, b := range s.Backups {
		all = append(all, volumeBackups{b, spec.ID{Kind: spec.KindVolume, Name: b.Volume}})
	}
	return tooOldFirst(all)
}

// backupsOfVolume returns the backups of a Volume by each schedule that makes any.
func backupsOfVolume(r status.Report, name string) (all []volumeBackups) {
	for i := range r.Objects {
		o := &r.Objects[i]
		if o.Schedule == nil {
			continue
		}
		for _, b := range o.Schedule.Backups {
			if b.Volume == name {
				all = append(all, volumeBackups{b, o.ID()})
			}
		}
	}
	return tooOldFirst(all)
}

func tooOldFirst(all []volumeBackups) []volumeBackups {
	rank := func(b volumeBackups) int {
		if b.TooOld {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(all, func(a, b volumeBackups) int { return cmp.Compare(rank(a), rank(b)) })
	return all
}

func factsOfSchedule(s *status.Schedule) []fact {
	var f facts
	f.text("Volumes", digits(s.Volumes))
	f.text("Snapshots", digits(s.Snapshots))
	f.time("Last snapshot", s.Last)
	f.time("Next run", s.Next)
	return f
}

func factsOfRepository(r *status.Repository) []fact {
	var f facts
	f.code("URL", r.URL)
	if !r.Read.IsZero() {
		f.text("Backups", digits(r.Backups))
	}
	f.time("Read", r.Read)
	f.time("Checked", r.Checked)
	f.time("Pruned", r.Pruned)
	return f
}

func factsOfBackup(b *status.Backup) []fact {
	var f facts
	f.code("ID", b.ID)
	f.time("Content of", b.Time)
	return f
}

func linksOfBackup(b *status.Backup) (all []links) {
	all = appendLinks(all, "Volume", named(spec.KindVolume, b.Volume), "")
	return appendLinks(all, "Repository", named(spec.KindRepository, b.Repository), "")
}

func linksOfRepository(r status.Report, name string) []links {
	backups := idsOf(r, func(o *status.Object) bool { return o.Backup != nil && o.Backup.Repository == name })
	return appendLinks(nil, "Backups by hand", backups, "")
}

// detailOfBackups says in a few words what people look for in objects of backups.
func detailOfBackups(o *status.Object, say func(string)) {
	switch {
	case o.Schedule != nil:
		say(count(o.Schedule.Snapshots, "snapshot"))
		backups, tooOld := 0, 0
		for _, b := range o.Schedule.Backups {
			backups += b.Count
			if b.TooOld {
				tooOld++
			}
		}
		if len(o.Schedule.Backups) > 0 {
			say(count(backups, "backup"))
		}
		if tooOld > 0 {
			say(digits(tooOld) + " too old")
		}
		if !o.Schedule.Next.IsZero() {
			say("next " + when(o.Schedule.Next))
		}
	case o.Repository != nil:
		if !o.Repository.Read.IsZero() {
			say(count(o.Repository.Backups, "backup"))
		}
	case o.Backup != nil:
		say("of " + o.Backup.Volume)
		say("in " + o.Backup.Repository)
		if !o.Backup.Time.IsZero() {
			say(when(o.Backup.Time))
		}
	}
}
