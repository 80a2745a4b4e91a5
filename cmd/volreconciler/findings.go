package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// findingsSummary says how many findings there are, and their consequence.
func findingsSummary(n int) string {
	return count(n, "finding") + " in the spec files; nothing is removed until all are fixed"
}

// writeFindings writes findings one per line, in the form in which editors find
// the place: file:line:column: field: what is wrong.
func writeFindings(w io.Writer, findings []status.Finding) {
	for _, f := range findings {
		// If nobody reads it, nobody misses it.
		_, _ = fmt.Fprintln(w, findingLine(f))
	}
}

func findingLine(f status.Finding) string {
	var line strings.Builder
	line.WriteString(f.File)
	for _, n := range []int{f.Line, f.Column} {
		if n > 0 {
			fmt.Fprintf(&line, ":%d", n)
		}
	}
	if f.File != "" {
		line.WriteString(": ")
	}
	if f.Path != "" {
		line.WriteString(f.Path + ": ")
	}
	return oneLine(line.String() + f.Message)
}
