package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// writeStatus writes objects as a table for each kind, and below them what is wrong with the
// files.
func writeStatus(w io.Writer, s screen, node status.Report, wide bool, now time.Time) error {
	if len(node.Objects) == 0 {
		if _, err := fmt.Fprintln(w, "There are no such objects."); err != nil {
			return err
		}
	}
	if err := writeObjects(w, s, node.Objects, wide, now); err != nil {
		return err
	}
	for _, warning := range node.Warnings {
		const word = "warning:"
		if _, err := fmt.Fprintf(w, "\n%s %s\n", s.paint(yellow, word), s.wrapped(oneLine(warning), plain, len(word)+1)); err != nil {
			return err
		}
	}
	if err := writeUnwatched(w, s, node.Sources); err != nil {
		return err
	}
	return writeFindingsOf(w, s, node)
}

// writeUnwatched writes why the agent learns of some changes only when it reads the machine.
func writeUnwatched(w io.Writer, s screen, sources []status.Source) error {
	for _, source := range sources {
		if source.Watching {
			continue
		}
		const word = "note:"
		text := fmt.Sprintf("changes of %s are not announced, so the agent reads everything again after each --resync: %s", source.Name, source.Why)
		if _, err := fmt.Fprintf(w, "\n%s %s\n", word, s.wrapped(oneLine(text), plain, len(word)+1)); err != nil {
			return err
		}
	}
	return nil
}

// writeFindingsOf writes what is wrong with the files below the status that follows from them.
func writeFindingsOf(w io.Writer, s screen, node status.Report) error {
	if len(node.Findings) == 0 {
		return nil
	}
	if _, err := fmt.Fprintf(w, "\n%s:\n", s.paint(red, findingsSummary(len(node.Findings)))); err != nil {
		return err
	}
	writeFindings(w, node.Findings)
	return nil
}

// writeObjects writes objects as a table for each kind.
func writeObjects(w io.Writer, s screen, objects []status.Object, wide bool, now time.Time) error {
	kinds := byKind(objects)
	for i, kind := range kinds {
		if i > 0 {
			if _, err := fmt.Fprintln(w); err != nil {
				return err
			}
		}
		t := statusTable(kind, len(kinds) == 1, s, wide, now)
		if err := t.write(w, s, t.phases()); err != nil {
			return err
		}
	}
	return nil
}

// byKind returns the objects of each kind, in the order of the first of each.
func byKind(objects []status.Object) [][]status.Object {
	place := map[spec.Kind]int{}
	var kinds [][]status.Object
	for _, o := range objects {
		n, known := place[o.Kind]
		if !known {
			n = len(kinds)
			place[o.Kind] = n
			kinds = append(kinds, nil)
		}
		kinds[n] = append(kinds[n], o)
	}
	return kinds
}

// statusTable returns objects of one kind as a table. On a terminal it has bars, and only columns
// for which there is room, unless wide: a message that does not fit is below its object, and
// objects with one long message are one row. That it is alone leaves no doubt of its kind.
func statusTable(objects []status.Object, alone bool, s screen, wide bool, now time.Time) *table {
	t, said := &table{below: map[int]string{}}, groups(objects)
	short := s.width > 0 && !wide
	if short {
		objects = firstOfGroups(objects, said)
	}
	details := detailsOf(objects[0].Kind, wide, short)
	heading := []string{"KIND", "NAME", "PHASE", "REASON", "AGE"}
	for _, d := range details {
		heading = append(heading, d.title)
	}
	t.add(heading...)
	for _, o := range objects {
		all := said[o.ID()]
		row := []string{string(o.Kind), o.Name, string(o.Phase), o.Reason, age(now.Sub(o.Since))}
		if short && all != nil {
			row[1] = fmt.Sprintf("%s and %d more", o.Name, len(all.ids)-1)
		}
		for _, d := range details {
			cell := ""
			if !short || all == nil {
				cell = d.cell(o)
			}
			row = append(row, cmp.Or(cell, "-"))
		}
		t.add(row...)
	}
	if short {
		t.narrow(s.width, alone)
	}
	t.messages(objects, said, s, now)
	return t
}

// firstOfGroups returns only the first object of each group: its message names the others.
func firstOfGroups(objects []status.Object, said map[spec.ID]*group) []status.Object {
	return slices.DeleteFunc(slices.Clone(objects), func(o status.Object) bool {
		all := said[o.ID()]
		return all != nil && all.ids[0] != o.ID()
	})
}

// leastTarget is how narrow the names of targets may become before other columns are left out instead.
const leastTarget = 16

// narrow makes the table fit: it removes the age, and the kind if there is only one, shortens names of
// targets if that is enough, and then removes details from the right.
func (t *table) narrow(width int, oneKind bool) {
	fixed := 4 // kind, name, phase and reason
	if t.width() > width {
		t.without(fixed)
	}
	if oneKind && t.width() > width {
		t.without(0)
		fixed--
	}
	if column := slices.Index(t.rows[0], "TARGET"); column >= 0 && t.width() > width {
		if left := t.widths()[column] - (t.width() - width); left >= leastTarget {
			t.shorten(column, left)
		}
	}
	for t.width() > width && len(t.rows[0]) > fixed {
		t.without(len(t.rows[0]) - 1)
	}
}

// messages adds the message of each object, in a last column or, on a terminal, below it where it
// does not fit.
func (t *table) messages(objects []status.Object, said map[spec.ID]*group, s screen, now time.Time) {
	const title = "MESSAGE"
	left, column := s.width-t.width()-2, s.width == 0
	texts := make([]string, len(objects))
	for i, o := range objects {
		o.Message = said[o.ID()].message(o)
		texts[i] = withBar(s.width > 0, o.Progress, oneLine(message(o, now)))
		if s.width > 0 && max(widthOf(title), widthOf(texts[i])) > left {
			t.below[i+1], texts[i] = texts[i], ""
		}
		column = column || texts[i] != ""
	}
	if !column {
		return
	}
	t.rows[0] = append(t.rows[0], title)
	for i, text := range texts {
		t.rows[i+1] = append(t.rows[i+1], text)
	}
}

// phases returns how the cells of a table of objects are painted.
func (t *table) phases() func(column int, cell string) colour {
	of := slices.Index(t.rows[0], "PHASE")
	return func(column int, cell string) colour {
		if column != of {
			return plain
		}
		return phaseColour(status.Phase(cell))
	}
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
	return timeLeft(v.RemovedAfter.Sub(now)) + "; " + o.Message
}

// few is a list for a cell, with a few of many; describe has all.
func few(list []string) string {
	if more := len(list) - fewNames; more > 0 {
		list = append(list[:fewNames:fewNames], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(list, ",")
}

// firstOf is a list for a narrow cell: its first and the number of the others.
func firstOf(list []string) string {
	if len(list) < 2 {
		return strings.Join(list, "")
	}
	return fmt.Sprintf("%s,+%d", list[0], len(list)-1)
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
