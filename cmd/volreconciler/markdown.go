package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Comments on merge requests are Markdown in which forges find more than Markdown has: @people are
// notified, #1 and others become links, and all that is looked for after rendering, so that escaping
// alone does not prevent it. Nothing is looked for in code. So a text is code unless nothing in it can
// mean anything.

const (
	// maxCell is how long a text may be in a comment, in characters.
	maxCell = 400
	// maxComment is how long a comment may be, in bytes: GitHub's limit is 65,536 characters, and whoever
	// posts it may add something.
	maxComment = 60_000
	// commentReserve is what is kept of that for the ends of tables.
	commentReserve = 2_000
)

var (
	// plainWords are what is the same in Markdown and in no reference of a forge.
	plainWords = regexp.MustCompile(`^(?:[\p{L}\p{N} .,;()/='"+?-]|: )+$`)
	// links are what plainWords has, and forges may make links of.
	links = regexp.MustCompile(`(?i)www\.|\bgh-[0-9]|\b[0-9a-f]{7,}\b|://`)
)

// markdownText returns a text for a table or a line of Markdown.
func markdownText(text string) string {
	text = shortened(oneLine(text))
	if plainWords.MatchString(text) && !links.MatchString(text) {
		return text
	}
	return markdownCode(text)
}

// markdownCode returns a text as code.
func markdownCode(text string) string {
	text = shortened(oneLine(text))
	switch {
	case text == "":
		return ""
	case !strings.ContainsAny(text, "`|\\") && strings.TrimSpace(text) == text:
		return "`" + text + "`"
	}
	// No code span can hold all of these in a table. As numbers they mean nothing.
	var code strings.Builder
	for _, r := range text {
		if r >= utf8.RuneSelf || r == ' ' || r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' || r >= 'a' && r <= 'z' {
			code.WriteRune(r)
		} else {
			fmt.Fprintf(&code, "&#%d;", r)
		}
	}
	return "<code>" + code.String() + "</code>"
}

func shortened(text string) string {
	if runes := []rune(text); len(runes) > maxCell {
		return string(runes[:maxCell-1]) + "…"
	}
	return text
}

// comment is Markdown that ends before it is too long.
type comment struct{ text strings.Builder }

// table adds a table, with as many of its rows as there is room for.
func (c *comment) table(heading []string, rows [][]string) {
	c.row(heading)
	c.text.WriteString(strings.Repeat("|---", len(heading)) + "|\n")
	for i, cells := range rows {
		if !c.hasRoom(cells) {
			fmt.Fprintf(&c.text, "\nAnd %d more, for which there is no room.\n", len(rows)-i)
			break
		}
		c.row(cells)
	}
	c.text.WriteString("\n")
}

func (c *comment) row(cells []string) {
	c.text.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// list adds a list, with as many of its items as there is room for.
func (c *comment) list(items []string) {
	for i, item := range items {
		if !c.hasRoom([]string{item}) {
			fmt.Fprintf(&c.text, "- and %d more, for which there is no room\n", len(items)-i)
			break
		}
		c.text.WriteString("- " + item + "\n")
	}
	c.text.WriteString("\n")
}

func (c *comment) hasRoom(cells []string) bool {
	size := c.text.Len() + commentReserve
	for _, cell := range cells {
		size += len(cell) + len(" | ")
	}
	return size <= maxComment
}

// folded adds what is written by a function, behind a line that opens it.
func (c *comment) folded(summary string, write func()) {
	fmt.Fprintf(&c.text, "<details><summary>%s</summary>\n\n", summary)
	write()
	c.text.WriteString("</details>\n\n")
}
