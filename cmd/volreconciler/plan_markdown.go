package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// planMarker begins each comment, so that a script finds its own among others and replaces it.
const planMarker = "<!-- volreconciler plan -->\n"

// maxHit is how many initiators of a step are named.
const maxHit = 10

// planMarkdown writes a plan as a comment on a merge request: the sum, the steps grouped by what they
// can harm, the worst first, what is wrong with the files, and what is blocked. Exit is how plan ends:
// an error means that the plan is not to be relied on.
func planMarkdown(made plan.Plan, exit error) string {
	c := &comment{}
	c.text.WriteString(planMarker + "### volreconciler\n\n")
	var status exitStatus
	if exit != nil && !errors.As(exit, &status) {
		c.text.WriteString("**Not complete:** " + markdownText(exit.Error()) + "\n\n")
	}
	c.text.WriteString("**" + strings.TrimSuffix(planSum(made), "\n") + "**\n\n")

	steps := map[plan.Danger][]plan.Step{}
	for _, s := range made.Steps {
		steps[s.Danger] = append(steps[s.Danger], s)
	}
	c.steps(steps[plan.Destructive], "1 step destroys data", "%d steps destroy data")
	c.steps(steps[plan.Disruptive], "1 step takes something from initiators", "%d steps take something from initiators")
	c.findings(made.Findings)
	c.stuck(made.Objects)
	c.warnings(made)
	if rest := steps[plan.Harmless]; len(rest) > 0 {
		c.folded(count(len(rest), "harmless step"), func() { c.stepTable(rest) })
	}
	return c.text.String()
}

func (c *comment) findings(findings []spec.Finding) {
	if len(findings) == 0 {
		return
	}
	c.text.WriteString("#### " + findingsSummary(len(findings)) + "\n\n")
	var items []string
	for _, f := range status.Findings(findings) {
		items = append(items, markdownCode(findingLine(f)))
	}
	c.list(items)
}

// steps adds a group of steps, with a heading for one or for several.
func (c *comment) steps(steps []plan.Step, one, several string) {
	switch len(steps) {
	case 0:
		return
	case 1:
		c.text.WriteString("#### " + one + "\n\n")
	default:
		c.text.WriteString("#### " + fmt.Sprintf(several, len(steps)) + "\n\n")
	}
	c.stepTable(steps)
}

func (c *comment) stepTable(steps []plan.Step) {
	heading := []string{"", "object", "step", "why"}
	var hits bool
	for _, s := range steps {
		hits = hits || len(s.Affects) > 0
	}
	if hits {
		heading = append(heading, "hits")
	}
	var rows [][]string
	for _, s := range steps {
		row := []string{markdownCode(string(s.OnThing())), markdownCode(s.Object.String()), markdownText(s.Change.String()), markdownText(s.Why)}
		if hits {
			row = append(row, hitsOf(s.Affects))
		}
		rows = append(rows, row)
	}
	c.table(heading, rows)
}

func hitsOf(who []string) string {
	var shown []string
	for i, name := range who {
		if i == maxHit {
			shown = append(shown, fmt.Sprintf("and %d more", len(who)-i))
			break
		}
		shown = append(shown, markdownCode(name))
	}
	return strings.Join(shown, ", ")
}

// stuck adds what is blocked, and why. Objects with one long message are one row.
func (c *comment) stuck(objects []status.Object) {
	var stuck []status.Object
	for _, o := range objects {
		if isStuck(o) {
			stuck = append(stuck, o)
		}
	}
	if len(stuck) == 0 {
		return
	}
	c.text.WriteString("#### " + count(len(stuck), "object") + " not changed\n\n")
	said := groups(stuck)
	var rows [][]string
	for _, o := range stuck {
		who, all := markdownCode(o.ID().String()), said[o.ID()]
		if all != nil && all.ids[0] != o.ID() {
			continue
		}
		if all != nil {
			who += fmt.Sprintf(" and %d more", len(all.ids)-1)
		}
		rows = append(rows, []string{who, markdownText(string(o.Phase)), markdownText(o.Reason), markdownText(o.Message)})
	}
	c.table([]string{"object", "phase", "reason", "message"}, rows)
}

func (c *comment) warnings(made plan.Plan) {
	var items []string
	for _, w := range made.Warnings {
		items = append(items, "warning: "+markdownCode(w.Object.String())+": "+markdownText(w.Message))
	}
	for _, o := range made.Objects {
		if text := provisioningText(o.Pool); text != "" {
			items = append(items, markdownText(text))
		}
	}
	if len(items) > 0 {
		c.list(items)
	}
}
