package main

import (
	"regexp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/docs"
	"github.com/volreconciler/volreconciler/pkg/change"
)

// changeFailed is the entry for the reasons of all changes that failed.
const changeFailed = "A change failed"

var markdownLink = regexp.MustCompile(`\[([^\]]*)\]\(([^)]*)\)`)

// reasonEntries are the entries of docs/troubleshooting.md by reason.
func reasonEntries() map[string]string {
	_, section, _ := strings.Cut(docs.Troubleshooting, "\n## Reasons\n")
	section, _, _ = strings.Cut(section, "\n## ")
	entries := map[string]string{}
	for _, entry := range strings.Split(section, "\n### ")[1:] {
		name, text, _ := strings.Cut(entry, "\n")
		entries[name] = strings.TrimSpace(text)
	}
	return entries
}

// reasons returns the names of all reasons that have an entry of their own, sorted.
func reasons() []string {
	var names []string
	for name := range reasonEntries() {
		if name != changeFailed {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// explainReason returns what a reason means and what to do, as plain text. Its case does not matter. It
// reports false if there is no such reason.
func explainReason(name string) (string, bool) {
	entries := reasonEntries()
	for reason, text := range entries {
		if strings.EqualFold(reason, name) {
			return "REASON:  " + reason + "\n\n" + plainMarkdown(text) + "\n", true
		}
	}
	if change, failed := strings.CutSuffix(name, "Failed"); failed && isChange(change) {
		return "REASON:  " + name + "\n\n" + plainMarkdown(entries[changeFailed]) + "\n", true
	}
	return "", false
}

func isChange(name string) bool {
	return slices.ContainsFunc(change.Kinds(), func(c change.Change) bool { return strings.EqualFold(change.Name(c), name) })
}

// plainMarkdown returns a text without fences, and with the addresses of links behind their names.
func plainMarkdown(text string) string {
	text = markdownLink.ReplaceAllString(text, "$1 (docs/$2)")
	var lines []string
	fenced := false
	for line := range strings.SplitSeq(text, "\n") {
		switch {
		case strings.HasPrefix(line, "```"):
			fenced = !fenced
		case fenced:
			lines = append(lines, "    "+line)
		default:
			lines = append(lines, strings.ReplaceAll(line, "`", ""))
		}
	}
	return strings.Join(lines, "\n")
}
