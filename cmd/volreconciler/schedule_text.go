package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// write writes a simulation as text.
func (s simulated) write(w io.Writer) error {
	for i, one := range s.Schedules {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		volumes := "each selected volume"
		switch len(one.Volumes) {
		case 0:
		case 1:
			volumes = one.Volumes[0]
		default:
			volumes = "each of " + strings.Join(one.Volumes, ", ")
		}
		if _, err := fmt.Fprintf(w, "SnapshotSchedule/%s of %s, %s to %s\n", oneLine(one.Name), oneLine(volumes),
			s.From.Format(time.RFC3339), s.Until.Format(time.RFC3339)); err != nil {
			return err
		}
		if err := one.Snapshots.write(w, "Snapshots"); err != nil {
			return err
		}
		if one.Backups != nil {
			if err := one.Backups.write(w, "Backups in Repository/"+one.Backups.Repository); err != nil {
				return err
			}
		}
	}
	return s.writeTotal(w)
}

// writeTotal adds up the volumes, unless there is only one.
func (s simulated) writeTotal(w io.Writer) error {
	snapshots, backups, volumes, selectors := 0, 0, 0, ""
	for _, one := range s.Schedules {
		n := len(one.Volumes)
		if n == 0 {
			n, selectors = 1, " (each selector counts as one volume)"
		}
		volumes += n
		snapshots += n * len(one.Snapshots.Kept)
		if one.Backups != nil {
			backups += n * len(one.Backups.Kept)
		}
	}
	if volumes < 2 {
		return nil
	}
	_, err := fmt.Fprintf(w, "\nTotal: %s, %s%s\n", count(snapshots, "snapshot"), count(backups, "backup"), selectors)
	return err
}

// write writes what is kept, the newest first.
func (c simulatedCopies) write(w io.Writer, what string) error {
	if _, err := fmt.Fprintf(w, "\n%s: %d made, %d removed, %d kept, at most %d at a time\n", what, c.Made, c.Removed, len(c.Kept), c.Most); err != nil {
		return err
	}
	if len(c.Kept) == 0 {
		return nil
	}
	t := &table{}
	t.add("TIME", "REASONS")
	for i := len(c.Kept) - 1; i >= 0; i-- {
		t.add(c.Kept[i].Time.Format(time.RFC3339), strings.Join(c.Kept[i].Reasons, ", "))
	}
	return t.write(w, screenFor(w, colourAuto), func(int, string) colour { return plain })
}
