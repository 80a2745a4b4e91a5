package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// phaseColumn is where objects' phases stand in the table.
const phaseColumn = 2

// writeStatus writes objects as a table, and below it what is wrong with the
// files.
func writeStatus(w io.Writer, node status.Report, wide bool, now time.Time) error {
	p := painterFor(w)
	if len(node.Objects) == 0 {
		if _, err := fmt.Fprintln(w, "There are no such objects."); err != nil {
			return err
		}
	} else if err := statusTable(node.Objects, wide, terminal(w), now).write(w, p, statusColour); err != nil {
		return err
	}
	for _, warning := range node.Warnings {
		if _, err := fmt.Fprintf(w, "\n%s %s\n", p.paint(yellow, "warning:"), warning); err != nil {
			return err
		}
	}
	if len(node.Findings) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(w, "\n%s:\n", p.paint(red, findingsSum(len(node.Findings)))); err != nil {
		return err
	}
	writeFindings(w, node.Findings)
	return nil
}

// statusTable returns objects as a table, with bars for a terminal.
func statusTable(objects []status.Object, wide, bars bool, now time.Time) *table {
	heading := []string{"KIND", "NAME", "PHASE", "REASON", "AGE"}
	if wide {
		heading = append(heading, "SIZE", "DEVICE/TARGET", "WWN", "SESSIONS")
	}
	t := &table{}
	t.add(append(heading, "MESSAGE")...)
	said := groups(objects)
	for _, o := range objects {
		o.Message = said[o.ID()].message(o)
		row := []string{string(o.Kind), o.Name, string(o.Phase), o.Reason, age(now.Sub(o.Since))}
		if wide {
			row = append(row, wideCells(o)...)
		}
		t.add(append(row, withBar(bars, o.Progress, oneLine(message(o, now))))...)
	}
	return t
}

// message is an object's message, with the time that an object in the trash has
// left in front. Of a Snapshot with which all is well it is since when its content is: its name
// may have been used before.
func message(o status.Object, now time.Time) string {
	v := volumeOf(o)
	if o.Message == "" && v != nil && !v.TakenAt.IsZero() {
		return fmt.Sprintf("taken %s (%s ago)", v.TakenAt.UTC().Format(time.RFC3339), age(now.Sub(v.TakenAt)))
	}
	if o.Reason != status.ReasonInTrash || v == nil || v.RemovedAfter.IsZero() {
		return o.Message
	}
	return left(v.RemovedAfter.Sub(now)) + "; " + o.Message
}

// wideCells returns size, device or target, WWN, and sessions.
func wideCells(o status.Object) []string {
	switch {
	case o.Pool != nil:
		return []string{bytes(o.Pool.Size), poolName(*o.Pool), "", ""}
	case o.Export != nil:
		return []string{"", o.Export.Target, "", few(sessionsOf(*o.Export))}
	case o.Image != nil:
		return []string{bytes(o.Image.Size), oneLine(o.Image.Path), "", ""}
	case volumeOf(o) != nil:
		v := volumeOf(o)
		return []string{bytes(v.Size), v.DevicePath, v.WWN, few(attachmentsOf(*v))}
	default:
		return []string{"", "", "", ""}
	}
}

// few is a list for a cell, with a few of many; describe has all.
func few(list []string) string {
	if more := len(list) - fewNames; more > 0 {
		list = append(list[:fewNames:fewNames], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ",")
}

// sessionsOf returns who is logged in to an export, each with the address as far as
// it is known.
func sessionsOf(e status.Export) []string {
	if len(e.Connections) == 0 {
		return e.Sessions
	}
	var who []string
	for _, c := range e.Connections {
		who = append(who, peer(c.Initiator, c.Address))
	}
	for _, name := range e.Sessions {
		named := func(c status.Connection) bool { return c.Initiator == name || c.Address == name }
		if !slices.ContainsFunc(e.Connections, named) {
			who = append(who, name)
		}
	}
	return who
}

// attachmentsOf returns who is logged in and sees a volume, and through which export.
func attachmentsOf(v status.Volume) []string {
	var who []string
	for _, a := range v.Attachments {
		who = append(who, a.Export+":"+peer(a.Initiator, a.Address))
	}
	return who
}

// peer is an initiator at its address; either may be unknown.
func peer(initiator, address string) string {
	switch {
	case address == "":
		return initiator
	case initiator == "":
		return address
	default:
		return initiator + "@" + address
	}
}

func poolName(p status.Pool) string {
	if p.ThinPool == "" {
		return p.VolumeGroup
	}
	return p.VolumeGroup + "/" + p.ThinPool
}

// volumeOf returns the logical volume of a Volume or Snapshot, nil if there is
// none.
func volumeOf(o status.Object) *status.Volume {
	if o.Volume != nil {
		return o.Volume
	}
	return o.Snapshot
}

func statusColour(column int, cell string) colour {
	if column != phaseColumn {
		return plain
	}
	return phaseColour(status.Phase(cell))
}

func phaseColour(phase status.Phase) colour {
	switch phase {
	case status.Ready:
		return green
	case status.Progressing, status.Deleting:
		return yellow
	case status.Blocked:
		return magenta
	case status.Failed:
		return red
	case status.Orphaned, status.Suspended, status.Foreign:
		return faint
	default:
		return plain // the heading
	}
}
