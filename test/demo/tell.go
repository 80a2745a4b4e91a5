package main

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// width is how long a line may be.
const width = 96

// step is a part of the story.
type step struct {
	title string
	// does is what happens, expects what should come of it.
	does, expects string
	// try does it, and returns what was seen. The error is why that is not as expected.
	try func(ctx context.Context) (saw string, err error)
}

// tell does a step, and shows it.
func (d *demo) tell(ctx context.Context, s step) error {
	d.steps++
	_, _ = fmt.Fprintf(d.out, "\n%d. %s\n%s%s", d.steps, s.title, paragraph("   does     ", s.does), paragraph("   expects  ", s.expects))
	began := time.Now()
	saw, err := s.try(ctx)
	took := time.Since(began).Round(100 * time.Millisecond)
	if saw != "" {
		_, _ = fmt.Fprint(d.out, paragraph("   saw      ", saw))
	}
	if ctx.Err() != nil {
		_, _ = fmt.Fprint(d.out, "   interrupted\n")
		return ctx.Err()
	}
	if err != nil {
		_, _ = fmt.Fprint(d.out, paragraph("   FAILED   ", err.Error()))
		return fmt.Errorf("step %d, %q, is not as expected: %w", d.steps, s.title, err)
	}
	_, _ = fmt.Fprintf(d.out, "   as expected, in %s\n", took)
	return nil
}

// quote shows lines of the agent's log.
func (d *demo) quote(lines []string) {
	for _, line := range lines {
		_, _ = fmt.Fprint(d.out, paragraph("   log      ", line))
	}
}

// paragraph returns a text in lines that are not too long, with a label before the first one. Line ends in
// it stay.
func paragraph(label, text string) string {
	indent := strings.Repeat(" ", utf8.RuneCountInString(label))
	var out strings.Builder
	for _, part := range strings.Split(text, "\n") {
		line := label
		for i, word := range strings.Fields(part) {
			switch {
			case i == 0:
			case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
				out.WriteString(line + "\n")
				line = indent
			default:
				line += " "
			}
			line += word
		}
		out.WriteString(strings.TrimRight(line, " ") + "\n")
		label = indent
	}
	return out.String()
}

// agentLog is what the agent writes.
type agentLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes in what the agent writes.
func (l *agentLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// timeAndLevel is what a line begins with.
var timeAndLevel = regexp.MustCompile(`^\S+Z +(INFO|WARN|ERROR|DEBUG) +`)

// lines returns the lines that match, without time and level.
func (l *agentLog) lines(pattern string) []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []string
	for _, line := range strings.Split(l.text.String(), "\n") {
		line = timeAndLevel.ReplaceAllString(line, "")
		if regexp.MustCompile(pattern).MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}

// last returns the end of the log.
func (l *agentLog) last(n int) string {
	lines := l.lines(".")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
