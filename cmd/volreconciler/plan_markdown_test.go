package main

import (
	"errors"
	"fmt"
	"html"
	"regexp"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	tables "github.com/yuin/goldmark/extension/ast"
	markdown "github.com/yuin/goldmark/text"
	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// rendered is what readers see of Markdown.
type rendered struct {
	tables int
	rows   [][]string // the cells of all tables, headings too
	bare   string     // what is not code, in which forges look for references
	nodes  []string   // what should not be there
}

// render parses Markdown as forges do.
func render(source string) rendered {
	data := []byte(source)
	document := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(markdown.NewReader(data))
	var r rendered
	inCode, inSpan := 0, false
	var cell strings.Builder
	write := func(words string) {
		if !inSpan { // there, &amp; is that
			words = html.UnescapeString(words)
		}
		cell.WriteString(words)
		if inCode == 0 {
			r.bare += words
		}
	}
	_ = ast.Walk(document, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if k := n.Kind(); k != ast.KindText && k != ast.KindString {
			r.bare += "\n" // what is in two nodes is not one word
		}
		switch n := n.(type) {
		case *ast.CodeSpan:
			inSpan = entering
			if entering {
				inCode++
			} else {
				inCode--
			}
		case *ast.Text:
			if entering {
				write(string(n.Segment.Value(data)))
			}
		case *ast.String:
			if entering {
				write(string(n.Value))
			}
		case *ast.RawHTML:
			if !entering {
				break
			}
			switch tag := string(n.Segments.Value(data)); tag {
			case "<code>":
				inCode++
			case "</code>":
				inCode--
			default:
				r.nodes = append(r.nodes, tag)
			}
		case *ast.HTMLBlock:
			if block := strings.TrimSpace(string(n.Lines().Value(data))); entering && !ownHTML.MatchString(block) {
				r.nodes = append(r.nodes, block)
			}
		case *tables.Table:
			if entering {
				r.tables++
			}
		case *tables.TableHeader, *tables.TableRow:
			if entering {
				r.rows = append(r.rows, nil)
			}
		case *tables.TableCell:
			if entering {
				cell.Reset()
			} else {
				r.rows[len(r.rows)-1] = append(r.rows[len(r.rows)-1], cell.String())
			}
		case *ast.Document, *ast.Paragraph, *ast.Heading, *ast.Emphasis, *ast.List, *ast.ListItem, *ast.TextBlock:
		default:
			r.nodes = append(r.nodes, n.Kind().String())
		}
		if inCode < 0 {
			r.nodes = append(r.nodes, "an end of code")
		}
		return ast.WalkContinue, nil
	})
	return r
}

var (
	ownHTML = regexp.MustCompile(`^(<!-- volreconciler plan -->|<details><summary>[0-9]+ harmless steps?</summary>|</details>)$`)
	// references are what GitHub or GitLab make something of.
	references = regexp.MustCompile(`[@#!&%~^$\[\]<>]\w|:\w+:|www\.|://|\b[0-9a-f]{7,}\b|(?i)\bgh-\d`)
)

// hostile are pieces of names that mean something in Markdown, HTML or to a forge.
var hostile = []string{
	"@everyone", "@org/team", "#1", "GH-12", "org/repo#3", "!4", "&5", "%6", "~bug", "$7", ":tada:", "/close", "[a](http://x)", "![a](http://x)",
	"http://evil.example", "www.evil.example", "a@evil.example", "<script>", "</details>", "<!--", "-->", "</code>", "<b>", "`", "``", "```", "|", "\\|",
	"\\", "\\`", "\n", "\r\n\r\n", "\n# h", "\n---\n", "*a*", "_a_", "~~a~~", "- [ ] a", "&#64;you", "&lt;", "\x1b[31m", "\u202e", " ", "  ", "a", "db", ":", ": ", "'", `"`,
	"0123456789abcdef0123456789abcdef01234567", "\t", "1. ", "> ", "{{x}}", "$$x$$", "[^1]", "データ", "",
}

func hostileText(t *rapid.T, label string) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom(hostile), 1, 6).Draw(t, label), "")
}

// hostilePlan is a plan whose every word comes from somebody else.
func hostilePlan(t *rapid.T) plan.Plan {
	draw := func(label string) string { return hostileText(t, label) }
	id := func() spec.ID { return spec.ID{Kind: spec.KindExport, Name: draw("name")} }
	var made plan.Plan
	for i, danger := range []plan.Danger{plan.Harmless, plan.Disruptive, plan.Destructive} {
		for range rapid.IntRange(0, 2).Draw(t, "steps") {
			made.Steps = append(made.Steps, plan.Step{
				ID: plan.StepID(i), Object: id(), Change: change.RemoveTarget{Target: change.Target{Name: draw("target")}}, Why: draw("why"),
				Danger: danger, Affects: []string{draw("affects")}[:rapid.IntRange(0, 1).Draw(t, "hits")],
			})
		}
	}
	for range rapid.IntRange(0, 3).Draw(t, "objects") {
		made.Objects = append(made.Objects, status.Object{
			Kind: spec.KindVolume, Name: draw("name"), Phase: status.Blocked, Reason: draw("reason"), Message: draw("message"),
		})
	}
	if rapid.Bool().Draw(t, "warning") {
		made.Warnings = append(made.Warnings, plan.Warning{Object: id(), Message: draw("warning")})
		made.Objects = append(made.Objects, status.Object{Kind: spec.KindPool, Name: "p", Pool: &status.Pool{
			VolumeGroup: draw("vg"), ThinPool: "x" + draw("pool"), ProvisionedAfter: gib,
		}})
		made.Findings = append(made.Findings, spec.Finding{File: draw("file"), Line: 3, Path: draw("path"), Err: errors.New(draw("finding"))})
	}
	return made
}

func withBackquotes(text string) string { return strings.ReplaceAll(text, "§", "`") }

var _ = Describe("A plan as a comment", func() {
	It("shows the worst first, and folds what is harmless", func() {
		made := aPlan()
		made.Warnings = []plan.Warning{{Object: spec.ID{Kind: spec.KindExport, Name: "web"}, Message: "by their positions"}}
		Expect(planMarkdown(made, exitChanges)).To(Equal("<!-- volreconciler plan -->\n" + withBackquotes(`### volreconciler

**Plan: 1 to create, 1 to change, 1 to remove; 1 step destroys data, 2 objects are blocked, 1 object is orphaned.**

#### 1 step destroys data

|  | object | step | why |
|---|---|---|---|
| §-§ | §Volume/old§ | remove vg0/old and the data in it | no file names it |

#### 1 step takes something from initiators

|  | object | step | why | hits |
|---|---|---|---|---|
| §-§ | §Export/web§ | §remove LUN 3 from iqn.2026-11.io.volreconciler:web§ | not in the spec | §iqn.1993-08.org.debian:01:abc§ |

#### 2 objects not changed

| object | phase | reason | message |
|---|---|---|---|
| §Volume/small§ | Blocked | ShrinkRefused | spec.size: no; really |
| §Export/web§ | Blocked | DependencyNotReady | waits for Volume/small |

- warning: §Export/web§: by their positions
- §Thin pool vg0/fast has 100Gi, 60Gi of it free; provisioned: 120Gi (120%) now, 140Gi (140%) after.§

<details><summary>2 harmless steps</summary>

|  | object | step | why |
|---|---|---|---|
| §+§ | §Volume/db§ | create thin volume vg0/db, 20Gi, in fast | not there |
| §+§ | §Volume/db§ | §create backstore iblock_900/volreconciler:volume:db on /dev/vg0/db§ | not there |

</details>

`)))
	})

	It("says that there is nothing to do, and what it does not know", func() {
		ready := plan.Plan{Objects: []status.Object{{Kind: spec.KindVolume, Name: "db", Phase: status.Ready}}}
		Expect(planMarkdown(ready, nil)).To(Equal(planMarker + "### volreconciler\n\n**Plan: nothing to do.**\n\n"))
		Expect(planMarkdown(ready, exitStuck)).NotTo(ContainSubstring("Not complete"))
		Expect(planMarkdown(ready, errors.New("cannot read all of the node"))).To(ContainSubstring("\n**Not complete:** cannot read all of the node\n"))
	})

	It("is what it is whatever names there are", func() {
		rapid.Check(GinkgoT(), func(t *rapid.T) {
			made := hostilePlan(t)
			source := planMarkdown(made, errors.New(hostileText(t, "error")))
			r := render(source)
			groups, rows := map[plan.Danger]bool{}, 0
			for _, s := range made.Steps {
				groups[s.Danger] = true
			}
			rows += len(made.Steps) + len(groups)
			tables := len(groups)
			if stuck := len(made.Objects) - len(made.Warnings); stuck > 0 {
				tables, rows = tables+1, rows+stuck+1
			}
			switch {
			case r.tables != tables || len(r.rows) != rows:
				t.Fatalf("%d tables and %d rows, not %d and %d:\n%s", r.tables, len(r.rows), tables, rows, source)
			case len(r.nodes) > 0:
				t.Fatalf("holds %q:\n%s", r.nodes, source)
			case references.MatchString(r.bare):
				t.Fatalf("refers to %q:\n%s", references.FindString(r.bare), source)
			}
			cells := fmt.Sprint(r.rows)
			for _, s := range made.Steps {
				if name := oneLine(s.Object.String()); !strings.Contains(cells, name) {
					t.Fatalf("does not hold %q:\n%q\n%s", name, cells, source)
				}
			}
		})
	})

	It("is never longer than a comment may be", func() {
		made := aPlan()
		for n := range 3_000 {
			id := spec.ID{Kind: spec.KindVolume, Name: fmt.Sprintf("v%d", n)}
			step := made.Steps[n%len(made.Steps)]
			step.Object, step.Affects = id, strings.Fields(strings.Repeat("iqn.1993-08.org.debian:01:abc ", 40))
			made.Steps = append(made.Steps, step)
			made.Objects = append(made.Objects, status.Object{Kind: id.Kind, Name: id.Name, Phase: status.Failed, Reason: "NoSpace", Message: strings.Repeat("|", n)})
			made.Warnings = append(made.Warnings, plan.Warning{Object: id, Message: strings.Repeat("データ@", 400)})
			made.Findings = append(made.Findings, spec.Finding{File: "a.yaml", Err: errors.New(strings.Repeat("`", n))})
		}
		source := planMarkdown(made, errors.New(strings.Repeat("`", 10_000)))
		Expect(len(source)).To(And(BeNumerically("<=", maxComment), BeNumerically(">", maxComment-2*commentReserve)))
		Expect(source).To(HaveSuffix("</details>\n\n"))
		Expect(source).To(MatchRegexp(`\n- and [0-9]+ more, for which there is no room\n`))
		Expect(render(source).nodes).To(BeEmpty())
	})
})
