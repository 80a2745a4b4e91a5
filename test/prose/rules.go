package main

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/volreconciler/volreconciler/test/prose/retired"
)

// The limits, in characters, and in words for a sentence.
const (
	longestLine     = 120
	longestCell     = 200
	longestSentence = 45
)

// passage is text that belongs together: a paragraph, an item, a cell, a comment or a message.
type passage struct {
	text string
	// lines are the offsets at which another line of the file begins, with its number.
	lines []start
}

type start struct{ offset, line int }

// add appends what a line of the file has of it.
func (p *passage) add(line int, text string) {
	text = strings.TrimSpace(text)
	if text == "" {
		return
	}
	if p.text != "" {
		p.text += " "
	}
	p.lines = append(p.lines, start{len(p.text), line})
	p.text += text
}

// line returns the number of the line that an offset is in.
func (p passage) line(offset int) int {
	n := 0
	for _, s := range p.lines {
		if s.offset <= offset {
			n = s.line
		}
	}
	return n
}

var (
	codeSpan    = regexp.MustCompile("`[^`]*`")
	quoted      = regexp.MustCompile(`"[^"]*"|“[^”]*”`)
	linkTarget  = regexp.MustCompile(`\]\([^)]*\)`)
	endOfSpeech = regexp.MustCompile(`[.!?][)"]? +`)
)

// check finds retired words and sentences that are too long. What is in backticks or quotes is a name.
func (p passage) check(words retired.Words, file, group string) Findings {
	var found Findings
	plain := blank(blank(blank(p.text, codeSpan), linkTarget), quoted)
	for _, h := range words.In(plain) {
		found = append(found, Finding{file, p.line(h.From), group, p.text[h.From:h.To], "write " + h.Instead})
	}
	from := 0
	for from < len(plain) {
		to := len(plain)
		if end := endOfSpeech.FindStringIndex(plain[from:]); end != nil {
			to = from + end[1]
		}
		if n := spoken(plain[from:to]); n > longestSentence {
			found = append(found, Finding{
				file, p.line(from), group, fmt.Sprintf("a sentence of %d words", n),
				fmt.Sprintf("write several of at most %d", longestSentence),
			})
		}
		from = to
	}
	return found
}

// spoken is the number of words of a sentence without the names in backticks: a list of names is easy to read.
func spoken(sentence string) int {
	n := 0
	for _, word := range strings.Fields(sentence) {
		if !strings.HasPrefix(strings.TrimLeft(word, "(*|[`\"“"), "_") {
			n++
		}
	}
	return n
}

// blank replaces what matches by one name of the same length, so that offsets remain.
func blank(text string, pattern *regexp.Regexp) string {
	return pattern.ReplaceAllStringFunc(text, func(s string) string { return s[:1] + strings.Repeat("_", len(s)-1) })
}

// tooLong finds a line, or a cell of a table, with too many characters.
func tooLong(file string, line int, text string) Findings {
	if strings.HasPrefix(strings.TrimSpace(text), "|") {
		var found Findings
		for _, cell := range cells(text) {
			if n := utf8.RuneCountInString(cell); n > longestCell {
				found = append(found, Finding{
					file, line, file, fmt.Sprintf("a cell of %d characters", n),
					fmt.Sprintf("write at most %d, and details below the table", longestCell),
				})
			}
		}
		return found
	}
	if n := utf8.RuneCountInString(text); n > longestLine && strings.Contains(strings.TrimSpace(text), " ") {
		return Findings{{file, line, file, fmt.Sprintf("a line of %d columns", n), fmt.Sprintf("break it at %d", longestLine)}}
	}
	return nil
}

// cells splits a row of a table. A bar that is no border is written \|.
func cells(row string) []string {
	var all []string
	for _, c := range strings.Split(strings.ReplaceAll(row, `\|`, "\x00"), "|") {
		all = append(all, strings.ReplaceAll(strings.TrimSpace(c), "\x00", `\|`))
	}
	return all
}
