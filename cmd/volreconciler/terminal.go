package main

import (
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// colour is an ANSI escape sequence.
type colour string

const (
	plain   colour = ""
	bold    colour = "\x1b[1m"
	faint   colour = "\x1b[2m"
	red     colour = "\x1b[31m"
	green   colour = "\x1b[32m"
	yellow  colour = "\x1b[33m"
	magenta colour = "\x1b[35m"
	reset          = "\x1b[0m"
)

// painter colours text for a terminal, and leaves it alone for anything else.
type painter struct{ colours bool }

// painterFor returns the painter for what is written to w. NO_COLOR is the
// convention of no-color.org.
func painterFor(w io.Writer) painter { return painter{terminal(w) && os.Getenv("NO_COLOR") == ""} }

// terminal reports whether w is a terminal that one can draw on.
func terminal(w io.Writer) bool {
	f, isFile := w.(*os.File)
	return isFile && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}

// columns returns how wide a terminal is.
func columns(w io.Writer) int {
	const usual = 80
	f, isFile := w.(*os.File)
	if !isFile {
		return usual
	}
	width, _, err := term.GetSize(int(f.Fd()))
	if err != nil || width <= 0 {
		return usual
	}
	return width
}

func (p painter) paint(c colour, text string) string {
	if !p.colours || c == plain || text == "" {
		return text
	}
	return string(c) + text + reset
}

// oneLine makes a message fit for a line of its own: joined errors come on
// several lines, and what tools print may hold control characters, which must
// not reach a terminal.
func oneLine(text string) string {
	text = strings.ReplaceAll(strings.TrimSpace(text), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}
