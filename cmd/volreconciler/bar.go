package main

import (
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// barWidth is how many characters a bar has between its brackets.
const barWidth = 20

// bar draws how much of a job is done; empty if that is not known.
func bar(p *status.Progress) string {
	if p == nil || p.Waiting {
		return ""
	}
	percent, known := p.Percent()
	if !known {
		return ""
	}
	full := percent * barWidth / 100
	return "[" + strings.Repeat("#", full) + strings.Repeat("-", barWidth-full) + "]"
}

// withBar puts a bar before a text, where there is a terminal to draw it on.
func withBar(terminal bool, p *status.Progress, text string) string {
	if drawn := bar(p); terminal && drawn != "" {
		return drawn + " " + text
	}
	return text
}

// progressText says all that is known of a job's progress; empty if there is no job.
func progressText(p *status.Progress) string {
	switch {
	case p == nil:
		return ""
	case p.Total == 0 || p.Waiting:
		return p.String()
	default:
		return fmt.Sprintf("%s, %s of %s", p, bytes(p.Done), bytes(p.Total))
	}
}
