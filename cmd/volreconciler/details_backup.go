package main

import (
	"strconv"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

func repositoryDetails() (details, more []detail) {
	return []detail{
			ofRepository("BACKUPS", func(r status.Repository) string { return strconv.Itoa(r.Backups) }),
			ofRepository("CHECKED", func(r status.Repository) string { return moment(r.Checked) }),
			ofRepository("PRUNED", func(r status.Repository) string { return moment(r.Pruned) }),
		}, []detail{
			ofRepository("DEVICE/TARGET", func(r status.Repository) string { return r.URL }),
		}
}

func scheduleDetails() (details, more []detail) {
	return []detail{
			ofSchedule("VOLUMES", func(s status.Schedule) string { return strconv.Itoa(s.Volumes) }),
			ofSchedule("SNAPSHOTS", func(s status.Schedule) string { return strconv.Itoa(s.Snapshots) }),
			ofSchedule("LAST", func(s status.Schedule) string { return moment(s.Last) }),
			ofSchedule("NEXT", func(s status.Schedule) string { return moment(s.Next) }),
		}, []detail{
			ofSchedule("LAST BACKUP", func(s status.Schedule) string { return moment(oldestBackup(s)) }),
		}
}

func backupDetails() (details, more []detail) {
	return []detail{
			ofBackup("VOLUME", func(b status.Backup) string { return b.Volume }),
			ofBackup("REPOSITORY", func(b status.Backup) string { return b.Repository }),
			ofBackup("TIME", func(b status.Backup) string { return moment(b.Time) }),
		}, []detail{
			ofBackup("ID", func(b status.Backup) string { return b.ID }),
		}
}

// oldestBackup is the moment of the last backup of the Volume that has waited longest for the next one; zero: one
// has none.
func oldestBackup(s status.Schedule) time.Time {
	var oldest time.Time
	for n, b := range s.Backups {
		if n == 0 || b.Last.Before(oldest) {
			oldest = b.Last
		}
	}
	return oldest
}

// moment shows a time in UTC; empty: there is none.
func moment(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04Z")
}

func ofRepository(title string, cell func(status.Repository) string) detail {
	return detail{title, func(o status.Object) string { return of(o.Repository, cell) }}
}

func ofSchedule(title string, cell func(status.Schedule) string) detail {
	return detail{title, func(o status.Object) string { return of(o.Schedule, cell) }}
}

func ofBackup(title string, cell func(status.Backup) string) detail {
	return detail{title, func(o status.Object) string { return of(o.Backup, cell) }}
}
