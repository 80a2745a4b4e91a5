//go:build man

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"github.com/volreconciler/volreconciler/pkg/specdoc"
)

// manCommands returns the generator of the manual pages. It is built with the tag man only (make
// man), so that the agent does not contain it.
func manCommands() []*cobra.Command {
	return []*cobra.Command{{
		Use:    "man DIR",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE:   func(cmd *cobra.Command, args []string) error { return writeManual(cmd.Root(), args[0]) },
	}}
}

// writeManual writes a page for each command, and one for the specs.
func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	date, err := builtAt()
	if err != nil {
		return err
	}
	root.InitDefaultCompletionCmd()
	root.DisableAutoGenTag = true
	asMarkdown(root)
	if err := writeCommands(root, dir, date); err != nil {
		return err
	}
	return writePage(dir, "volreconciler-specs.5", date, string(md2man.Render([]byte(specdoc.Manual()))))
}

// writeCommands writes the page of a command, and of those below it.
func writeCommands(cmd *cobra.Command, dir string, date time.Time) error {
	header := &doc.GenManHeader{Section: "1", Source: "volreconciler", Manual: "User Commands", Date: &date}
	var page strings.Builder
	if err := doc.GenMan(cmd, header, &page); err != nil {
		return err
	}
	if err := writePage(dir, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1", date, page.String()); err != nil {
		return err
	}
	for _, inner := range cmd.Commands() {
		if inner.IsAvailableCommand() && inner.Name() != "help" {
			if err := writeCommands(inner, dir, date); err != nil {
				return err
			}
		}
	}
	return nil
}

var (
	title  = regexp.MustCompile(`(?m)^(\.TH "[^"]*" "[^"]*") "[^"]*"`)
	option = regexp.MustCompile(`(?m)^(?:\.PP\n)?(\\fB-.*)\n\t`)
)

// writePage writes a page with its date, and with options as tagged paragraphs, in the form that man and
// mandoc both read without a warning.
func writePage(dir, name string, date time.Time, page string) error {
	page = title.ReplaceAllString(page, "$1 \""+date.Format(time.DateOnly)+"\"")
	page = option.ReplaceAllString(page, ".TP\n$1\n")
	return os.WriteFile(filepath.Join(dir, name), []byte(page), 0o644)
}

// builtAt returns the time that the pages show: that of SOURCE_DATE_EPOCH if it is set, so that the same source
// gives the same pages.
func builtAt() (time.Time, error) {
	text := os.Getenv("SOURCE_DATE_EPOCH")
	if text == "" {
		return time.Now().UTC(), nil
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("environment variable SOURCE_DATE_EPOCH: %q is not a number of seconds", text)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// asMarkdown prepares the texts of a command and those below it: cobra/doc takes them for Markdown,
// where a list that is indented by two spaces would become one paragraph.
func asMarkdown(cmd *cobra.Command) {
	cmd.Long = withCodeBlocks(cmd.Long)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(escaped(f.Usage), "`", "*") })
	for _, inner := range cmd.Commands() {
		asMarkdown(inner)
	}
}

// withCodeBlocks makes code blocks of indented lines, and escapes the others.
func withCodeBlocks(text string) string {
	var b strings.Builder
	fenced := false
	for line := range strings.SplitSeq(text, "\n") {
		if isCode := strings.HasPrefix(line, "  ") || strings.HasPrefix(line, "\t"); isCode != fenced && (isCode || line != "") {
			fenced = isCode
			b.WriteString("\n```\n")
		}
		if !fenced {
			line = escaped(line)
		}
		b.WriteString(line + "\n")
	}
	if fenced {
		b.WriteString("```\n")
	}
	return b.String()
}

// escaped returns a text in which Markdown sees no markup.
func escaped(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `_`, `\_`, `<`, `\<`, `[`, `\[`).Replace(text)
}
