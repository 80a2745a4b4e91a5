package main

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table is text in columns. The first row is the heading.
type table struct{ rows [][]string }

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// write writes the table. colours says how a cell is painted, which must not
// count for the width of its column.
func (t *table) write(w io.Writer, p painter, colours func(column int, cell string) colour) error {
	widths := t.widths()
	var out strings.Builder
	for _, row := range t.rows {
		for i, cell := range row {
			out.WriteString(p.paint(colours(i, cell), cell))
			if i < len(row)-1 {
				out.WriteString(strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		out.WriteString("\n")
	}
	_, err := io.WriteString(w, trimLines(out.String()))
	return err
}

func (t *table) widths() []int {
	var widths []int
	for _, row := range t.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	return widths
}

// trimLines removes the spaces before line ends, which empty last cells leave.
func trimLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
