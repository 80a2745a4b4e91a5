package main

import (
	"io"
	"os"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
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

// When output is coloured: on a terminal, unless NO_COLOR is set (no-color.org); always; never.
const (
	colourAuto   = "auto"
	colourAlways = "always"
	colourNever  = "never"
)

// colourFlag gives a command --color. It is no setting: what a script reads must not depend on
// the environment.
func colourFlag(cmd *cobra.Command) *string {
	when, allowed := colourAuto, []string{colourAuto, colourAlways, colourNever}
	cmd.Flags().Var(text(&when, "when", oneOf(allowed...)), "color", "colour the output: auto (on a terminal, unless NO_COLOR is set), always or never")
	// It fails only for a flag that is not there.
	_ = cmd.RegisterFlagCompletionFunc("color", cobra.FixedCompletions(allowed, cobra.ShellCompDirectiveNoFileComp))
	return &when
}

// painterFor returns the painter for what is written to w.
func painterFor(w io.Writer, when string) painter {
	switch when {
	case colourAlways:
		return painter{true}
	case colourNever:
		return painter{}
	default:
		return painter{terminal(w) && os.Getenv("NO_COLOR") == ""}
	}
}

// screen is what people read on.
type screen struct {
	painter
	// width is how many columns it has; 0: lines may be as long as they like, as in files and
	// pipes.
	width int
}

func screenFor(w io.Writer, when string) screen {
	s := screen{painter: painterFor(w, when)}
	if terminal(w) {
		s.width = columns(w)
	}
	return s
}

// terminal reports whether w is a terminal on which lines can be drawn again.
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
// several lines.
func oneLine(text string) string {
	return visible(strings.ReplaceAll(strings.TrimSpace(text), "\n", "; "))
}

// visible returns a text without what must not reach a terminal: what tools print and files name
// may hold control characters, or others that change how the rest of a line looks.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r != '\n' && unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
			return ' '
		case unicode.Is(unicode.Cf, r): // U+202E writes backwards, U+200B is not seen
			return utf8.RuneError
		}
		return r // what is not UTF-8 is RuneError already
	}, text)
}
