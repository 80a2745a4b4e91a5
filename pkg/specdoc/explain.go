package specdoc

import (
	"fmt"
	"strings"
)

// plain returns a text without its backticks.
func plain(text string) string { return strings.ReplaceAll(text, "`", "") }

// Explain describes a field, and the fields in it, for a terminal of some columns.
func (f *Field) Explain(columns int) string {
	var b strings.Builder
	line := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "%-10s %s\n", name+":", hanging(plain(text), 11, columns))
		}
	}
	line("KIND", string(f.Kind))
	if f.Path != "" {
		line("FIELD", f.Path)
		line("TYPE", f.TypeName())
		line("REQUIRED", f.requirement())
		line("DEFAULT", f.Default)
		line("ALLOWED", f.Allowed())
		if f.Keys != nil {
			line("KEYS", f.Keys.String())
		}
		line("EXAMPLE", f.exampleLine())
		if f.See != "" {
			line("DETAILS", fmt.Sprintf("docs/reference.md, %q", f.See))
		}
	}
	fmt.Fprintf(&b, "\n%s\n", hanging(plain(f.Meaning), 0, columns))
	if len(f.Fields) > 0 {
		b.WriteString("\nFIELDS:\n")
	}
	for _, inner := range f.Fields {
		fmt.Fprintf(&b, "  %s  <%s>%s\n    %s\n", inner.Name, inner.TypeName(), inner.mark(), hanging(plain(inner.Meaning), 4, columns))
	}
	if f.Path == "" {
		b.WriteString("\nEXAMPLE:\n")
		for line := range strings.Lines(f.Example) {
			b.WriteString("  " + line)
		}
		fmt.Fprintf(&b, "\nSee also: volreconciler explain %s.spec\n", f.PlainPath())
	}
	return b.String()
}

// Tree lists the fields in a field, with those in them, one per line.
func (f *Field) Tree() string {
	var b strings.Builder
	longest := 0
	f.visit(0, func(depth int, inner *Field) { longest = max(longest, 2*depth+len(inner.Name)) })
	f.visit(0, func(depth int, inner *Field) {
		indented := strings.Repeat("  ", depth) + inner.Name
		fmt.Fprintf(&b, "%-*s  <%s>%s\n", longest, indented, inner.TypeName(), inner.mark())
	})
	return b.String()
}

// visit calls a function for each field in it, each before those in it.
func (f *Field) visit(depth int, do func(depth int, inner *Field)) {
	for _, inner := range f.Fields {
		do(depth, inner)
		inner.visit(depth+1, do)
	}
}

// requirement says whether a file must have the field.
func (f *Field) requirement() string {
	switch {
	case f.Required:
		return "yes"
	case f.Among != nil:
		return oneOf(f.Among)
	default:
		return "no"
	}
}

// mark is the requirement in a list of fields.
func (f *Field) mark() string {
	switch {
	case f.Required:
		return " required"
	case f.Among != nil:
		return " " + plain(oneOf(f.Among))
	default:
		return ""
	}
}

// Allowed describes the allowed values, with values in backticks. It is empty where the type says it.
func (f *Field) Allowed() string {
	switch {
	case f.Values != nil:
		return f.Values.String()
	case f.Type == Boolean:
		return "`true` or `false`"
	case f.OneOf != nil:
		return "exactly " + oneOf(f.OneOf)
	default:
		return ""
	}
}

func (f *Field) exampleLine() string {
	if f.Example == "" {
		return ""
	}
	return f.Name + ": " + f.Example
}

// hanging breaks a text into lines of some columns, all but the first of which are indented.
func hanging(text string, indent, columns int) string {
	var b strings.Builder
	at := indent
	for i, word := range strings.Fields(text) {
		switch {
		case i == 0:
		case at+1+len(word) > columns:
			b.WriteString("\n" + strings.Repeat(" ", indent))
			at = indent
		default:
			b.WriteString(" ")
			at++
		}
		b.WriteString(word)
		at += len(word)
	}
	return b.String()
}
