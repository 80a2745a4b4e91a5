package specdoc

import (
	"fmt"
	"strings"
)

// Manual returns the manual page volreconciler-specs(5) in Markdown, as go-md2man reads it.
func Manual() string {
	var b strings.Builder
	b.WriteString(`% "VOLRECONCILER-SPECS" "5" "" "volreconciler" "File Formats"

# NAME

volreconciler-specs - the YAML files that declare volumes, snapshots and exports

# DESCRIPTION

**volreconciler**(1) reads every file below its directory of specs whose name ends in .yaml or .yml. A file holds one
object or several, separated by lines with three hyphens. Unknown fields, duplicate keys, anchors and wrong types are
refused.

A size is ` + size.Text + `. A duration has ` + duration.Text + `, as in 1h30m.

`)
	b.WriteString("# FIELDS OF ALL OBJECTS\n\n")
	for _, f := range common() {
		items(&b, f.All())
	}
	for _, kind := range Kinds() {
		root := Of(kind)
		fmt.Fprintf(&b, "# %s\n\n%s\n\n%s\n", strings.ToUpper(string(kind)), root.Meaning, indented(root.Example))
		items(&b, root.field("spec").All()[1:])
	}
	b.WriteString("# SEE ALSO\n\n**volreconciler**(1), **volreconciler-explain**(1), **volreconciler-validate**(1)\n")
	return b.String()
}

// items writes fields as a list of terms.
func items(b *strings.Builder, fields []*Field) {
	for _, f := range fields {
		name := f.Path
		if strings.Contains(f.Name, "/") { // a key of a map, whose own name is the path that people know
			name = f.Name
		}
		facts := []string{f.TypeName()}
		if requirement := f.requirement(); requirement != "no" {
			facts = append(facts, strings.Replace(requirement, "yes", "required", 1))
		}
		if f.Default != "" {
			facts = append(facts, "default: "+f.Default)
		}
		if allowed := f.Allowed(); allowed != "" && f.Type != Boolean {
			facts = append(facts, "allowed: "+allowed)
		}
		fmt.Fprintf(b, "**%s** (%s)\n\n: %s\n\n", name, strings.Join(facts, "; "), f.Meaning)
	}
}

// indented makes an example of lines.
func indented(lines string) string {
	var b strings.Builder
	for line := range strings.Lines(lines) {
		b.WriteString("    " + line)
	}
	return b.String()
}
