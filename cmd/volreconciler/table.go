package main

import (
	"io"
	"strings"

	"github.com/mattn/go-runewidth"
)

// leastText is how narrow a column of text may become before it is not worth reading.
const leastText = 24

// letters tells how wide letters are. Those about which terminals differ are narrow, whatever the
// locale says, so that output is the same everywhere.
var letters = &runewidth.Condition{StrictEmojiNeutral: true}

// widthOf returns how many columns a text takes on a terminal.
func widthOf(text string) int { return letters.StringWidth(text) }

// cut returns as much of a text as fits into some columns.
func cut(text string, width int) string { return letters.Truncate(text, max(0, width), "") }

// table is text in columns. The first row is the heading, if there is one.
type table struct {
	rows [][]string
	// below is what is written under a row, by its number.
	below map[int]string
}

func (t *table) add(cells ...string) {
	for i := range cells {
		cells[i] = oneLine(cells[i])
	}
	t.rows = append(t.rows, cells)
}

// write writes the table. colours says how a cell is painted, which must not
// count for the width of its column. On a terminal the last cells are wrapped.
func (t *table) write(w io.Writer, s screen, colours func(column int, cell string) colour) error {
	widths := t.widths()
	var out strings.Builder
	for n, row := range t.rows {
		var line strings.Builder
		at := 0
		for i, cell := range row {
			if i == len(row)-1 {
				line.WriteString(s.wrapped(cell, colours(i, cell), at))
				break
			}
			line.WriteString(s.paint(colours(i, cell), cell))
			line.WriteString(strings.Repeat(" ", widths[i]-widthOf(cell)+2))
			at += widths[i] + 2
		}
		out.WriteString(strings.TrimRight(line.String(), " ") + "\n")
		if text := t.below[n]; text != "" {
			out.WriteString("    " + s.wrapped(text, plain, 4) + "\n")
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (t *table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], widthOf(cell))
		}
	}
	return widths
}

// width is how wide the table is as a whole.
func (t *table) width() int {
	sum := 0
	for _, width := range t.widths() {
		sum += width + 2
	}
	return max(0, sum-2)
}

// shorten leaves out the beginnings of a column's cells, so that it is of some width at most. Names of
// targets differ at their ends.
func (t *table) shorten(column, width int) {
	const left = "…"
	for _, row := range t.rows {
		if more := widthOf(row[column]) - width; more > 0 {
			row[column] = left + letters.TruncateLeft(row[column], more+widthOf(left), "")
		}
	}
}

// without removes a column.
func (t *table) without(column int) {
	for n, row := range t.rows {
		if column < len(row) {
			t.rows[n] = append(row[:column:column], row[column+1:]...)
		}
	}
}

// wrapped returns a text that begins in a column in lines that fit on the screen and begin there,
// each painted.
func (s screen) wrapped(text string, c colour, at int) string {
	if s.width-at < leastText {
		return s.paint(c, text)
	}
	lines := wrap(text, s.width-at)
	for i := range lines {
		lines[i] = s.paint(c, lines[i])
	}
	return strings.Join(lines, "\n"+strings.Repeat(" ", at))
}

// wrap breaks a text between words. A word that is longer is not broken, so that it can be
// copied.
func wrap(text string, width int) []string {
	if widthOf(text) <= width {
		return []string{text}
	}
	var lines []string
	line, used := "", 0
	for _, word := range strings.Fields(text) {
		n := widthOf(word)
		if line != "" && used+1+n > width {
			lines = append(lines, line)
			line, used = "", 0
		}
		if line != "" {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	return append(lines, line)
}
