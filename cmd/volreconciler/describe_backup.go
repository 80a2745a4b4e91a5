package main

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// fewBackups is of how many Volumes describe shows the backups, those that are too old first. The others are in
// the answer as JSON.
const fewBackups = 20

func describeSchedule(field func(name, value string), s status.Schedule, now time.Time) {
	field("Volumes", strconv.Itoa(s.Volumes))
	field("Snapshots", strconv.Itoa(s.Snapshots))
	field("Last snapshot", pastOrNever(s.Last, now))
	next := "never"
	if !s.Next.IsZero() {
		next = fmt.Sprintf("%s (%s)", s.Next.UTC().Format(time.RFC3339), timeLeft(s.Next.Sub(now)))
	}
	field("Next run", next)
	backups := slices.Clone(s.Backups)
	slices.SortStableFunc(backups, func(a, b status.VolumeBackups) int {
		switch {
		case a.TooOld == b.TooOld:
			return 0
		case a.TooOld:
			return -1
		}
		return 1
	})
	for _, b := range backups[:min(len(backups), fewBackups)] {
		text := fmt.Sprintf("%s: %d, last %s", b.Volume, b.Count, pastOrNever(b.Last, now))
		if b.TooOld {
			text += ", too old"
		}
		if !b.Drilled.IsZero() {
			text += ", drilled " + pastOrNever(b.Drilled, now)
		}
		field("Backups", text)
	}
	if more := len(backups) - fewBackups; more > 0 {
		field("Backups", fmt.Sprintf("and those of %d more Volumes", more))
	}
}

func describeRepository(field func(name, value string), r status.Repository, now time.Time) {
	field("URL", oneLine(r.URL))
	if !r.Read.IsZero() {
		field("Backups", strconv.Itoa(r.Backups))
	}
	field("Read", pastOrNever(r.Read, now))
	field("Checked", pastOrNever(r.Checked, now))
	field("Pruned", pastOrNever(r.Pruned, now))
}

func describeBackup(field func(name, value string), b status.Backup, now time.Time) {
	field("Volume", b.Volume)
	field("Repository", b.Repository)
	field("Backup ID", b.ID)
	if !b.Time.IsZero() {
		field("Content of", pastOrNever(b.Time, now))
	}
}

// pastOrNever shows a time in UTC, and how long ago it was.
func pastOrNever(t, now time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return fmt.Sprintf("%s (%s ago)", t.UTC().Format(time.RFC3339), age(now.Sub(t)))
}
