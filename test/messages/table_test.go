package messages

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// A table lists the messages of an area, in the order of the code:
//
//	# file.go
//	status: Pool/%s cannot take new volumes: %s
//	    eg: Pool/fast cannot take new volumes: thin pool vg0/tp is full. Extend it
//
// A text without verbs is its own example. A line "  none: WHY" tells that a status needs neither an action nor something it waits for.
type table struct{ entries []entry }

type entry struct {
	message
	eg   string
	none string
}

// newEntry has no example yet, unless the text is one.
func newEntry(m message) entry {
	if hasVerb(m.text) {
		return entry{message: m}
	}
	return entry{message: m, eg: m.text}
}

func tablePath(a area) string { return filepath.Join("table", a.name+".txt") }

func readTable(a area) (table, error) {
	content, err := os.ReadFile(tablePath(a))
	if os.IsNotExist(err) {
		return table{}, nil
	}
	if err != nil {
		return table{}, err
	}
	var t table
	file := ""
	for n, line := range strings.Split(string(content), "\n") {
		label, value, labelled := strings.Cut(strings.TrimLeft(line, " "), ":")
		value = unescape(strings.TrimPrefix(value, " "))
		switch {
		case line == "":
		case strings.HasPrefix(line, "# "):
			file = line[2:]
		case !labelled:
			return t, fmt.Errorf("%s:%d: no label", tablePath(a), n+1)
		case label == "eg" && len(t.entries) > 0:
			t.entries[len(t.entries)-1].eg = value
		case label == "none" && len(t.entries) > 0:
			t.entries[len(t.entries)-1].none = value
		default:
			t.entries = append(t.entries, newEntry(message{text: value, kind: kind(label), file: file}))
		}
	}
	return t, nil
}

func (t table) write(a area) error {
	var out strings.Builder
	file := ""
	for _, e := range t.entries {
		if e.file != file {
			file = e.file
			fmt.Fprintf(&out, "\n# %s\n\n", file)
		}
		fmt.Fprintf(&out, "%6s: %s\n", e.kind, escape(e.text))
		if hasVerb(e.text) {
			out.WriteString(strings.TrimRight(fmt.Sprintf("%6s: %s", "eg", escape(e.eg)), " ") + "\n")
		}
		if e.none != "" {
			fmt.Fprintf(&out, "%6s: %s\n", "none", e.none)
		}
	}
	return os.WriteFile(tablePath(a), []byte(strings.TrimLeft(out.String(), "\n")), 0o644)
}

// updated is the table with exactly the messages of the code, and the examples that it has.
func (t table) updated(messages []message) table {
	known := map[string]entry{}
	for _, e := range t.entries {
		known[e.text] = e
	}
	var after table
	for _, m := range messages {
		e := newEntry(m)
		if old, is := known[m.text]; is {
			e.eg, e.none = old.eg, old.none
		}
		after.entries = append(after.entries, e)
	}
	return after
}

// Trailing and leading blanks of a part would be lost in a table that an editor strips.
func escape(s string) string {
	s = strings.ReplaceAll(s, "\n", `\n`)
	if strings.HasPrefix(s, " ") {
		s = "␣" + s[1:]
	}
	if strings.HasSuffix(s, " ") {
		s = s[:len(s)-1] + "␣"
	}
	return s
}

func unescape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, "␣", " "), `\n`, "\n")
}

var verb = regexp.MustCompile(`%[-+#0]*\d*(\.\d+)?(\[\d+\])?[a-zA-Z%]`)

func hasVerb(text string) bool { return verb.MatchString(text) }

// pattern matches what a text can be rendered as.
func pattern(text string) *regexp.Regexp {
	var p strings.Builder
	p.WriteString(`(?s)^`)
	rest := 0
	for _, at := range verb.FindAllStringIndex(text, -1) {
		p.WriteString(regexp.QuoteMeta(text[rest:at[0]]))
		switch v := text[at[0]:at[1]]; v[len(v)-1] {
		case '%':
			p.WriteString(`%`)
		case 'd':
			p.WriteString(`-?\d+`)
		case 'q':
			p.WriteString(`(".*"|\[.*\])`)
		case 't':
			p.WriteString(`(true|false)`)
		case 'f':
			p.WriteString(`-?\d+(\.\d+)?`)
		default:
			p.WriteString(`.*`)
		}
		rest = at[1]
	}
	p.WriteString(regexp.QuoteMeta(text[rest:]) + `$`)
	return regexp.MustCompile(p.String())
}
