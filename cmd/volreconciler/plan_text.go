package main

import (
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// effect is a [plan.Effect], or that the object is blocked.
type effect plan.Effect

const blocked effect = "!"

func (e effect) colour() colour {
	switch e {
	case effect(plan.Creates):
		return green
	case effect(plan.Changes):
		return yellow
	case effect(plan.Removes):
		return red
	default:
		return magenta
	}
}

// planText writes a plan for people: the steps under the object for which they
// are made, then the thin pools that they fill, then the sum.
func planText(made plan.Plan, p painter) string {
	t := &planWriter{painter: p, steps: stepsByObject(made.Steps)}
	var idle, busy []status.Object
	for _, o := range made.Objects {
		switch hasSteps := len(t.steps[o.ID()]) > 0; {
		case hasSteps && tellsWithSteps(o):
			busy = append(busy, o)
		case !hasSteps && isStuck(o):
			idle = append(idle, o)
		}
	}
	t.idle, t.busy = groups(idle), groups(busy)
	for _, o := range made.Objects {
		t.object(o)
	}
	for _, o := range made.Objects {
		if text := provisioningText(o.Pool); text != "" {
			t.text.WriteString(text + "\n\n")
		}
	}
	t.warnings(made.Warnings)
	t.text.WriteString(planSum(made))
	return t.text.String()
}

func stepsByObject(steps []plan.Step) map[spec.ID][]plan.Step {
	of := map[spec.ID][]plan.Step{}
	for _, s := range steps {
		of[s.Object] = append(of[s.Object], s)
	}
	return of
}

type planWriter struct {
	painter
	text  strings.Builder
	steps map[spec.ID][]plan.Step
	// idle and busy are the groups of the objects that are stuck, or orphaned with steps: those
	// that have no steps are in one line, the others each where their steps are.
	idle, busy map[spec.ID]*group
}

func (t *planWriter) line(indent int, e effect, text string) {
	fmt.Fprintf(&t.text, "%s%s %s\n", strings.Repeat(" ", indent), t.paint(e.colour(), string(e)), text)
}

func (t *planWriter) object(o status.Object) {
	steps := t.steps[o.ID()]
	name := t.paint(bold, visible(o.ID().String()))
	obstacle := oneLine(fmt.Sprintf("%s (%s): %s", o.Phase, o.Reason, t.busy[o.ID()].message(o)))
	all := t.idle[o.ID()]
	switch {
	case len(steps) > 0:
		t.line(0, effect(plan.EffectOf(steps)), name)
		for _, s := range steps {
			t.step(s)
		}
		if tellsWithSteps(o) {
			t.line(4, blocked, obstacle)
		}
	case isStuck(o) && all == nil:
		t.line(0, blocked, name+" "+obstacle)
	case isStuck(o) && all.ids[0] == o.ID():
		if !all.same {
			obstacle = strings.Replace(obstacle, ": ", ": for example "+visible(o.ID().String())+": ", 1)
		}
		t.line(0, blocked, fmt.Sprintf("%s: %s %s", t.paint(bold, count(len(all.ids), "object")), visible(names(all.ids, fewNames)), obstacle))
	default:
		return
	}
	t.text.WriteString("\n")
}

// tellsWithSteps reports whether the state of an object is shown below its steps: why it is stuck,
// or that its data is kept while what served it is removed.
func tellsWithSteps(o status.Object) bool {
	return isStuck(o) || o.Phase == status.Orphaned
}

func (t *planWriter) step(s plan.Step) {
	text := oneLine(fmt.Sprintf("%s (%s)", s.Change, s.Why))
	if s.Danger != plan.Harmless {
		text += " " + t.paint(red, strings.ToUpper(string(s.Danger)))
	}
	t.line(4, effect(s.OnThing()), text)
	for _, who := range s.Affects {
		fmt.Fprintf(&t.text, "      %s %s\n", t.paint(red, "hits"), oneLine(who))
	}
}

// provisioningText says how much of a thin pool is provisioned, if that changes.
func provisioningText(p *status.Pool) string {
	if p == nil || p.ThinPool == "" || p.Provisioned == p.ProvisionedAfter {
		return ""
	}
	free := bytes(p.Free) + " of it free"
	if p.UsageUnknown {
		free = "inactive, so its usage is unknown"
	}
	return fmt.Sprintf("Thin pool %s/%s has %s, %s; provisioned: %s now, %s after.",
		visible(p.VolumeGroup), visible(p.ThinPool), bytes(p.Size), free, share(p.Provisioned, p.Size), share(p.ProvisionedAfter, p.Size))
}

// warnings names a few objects for each warning, and counts the others.
func (t *planWriter) warnings(all []plan.Warning) {
	for i, w := range all {
		if i == fewNames {
			fmt.Fprintf(&t.text, "%s %s more have the same warning; use -o json to list all.\n\n", t.paint(yellow, "warning:"), count(len(all)-i, "object"))
			return
		}
		fmt.Fprintf(&t.text, "%s %s: %s.\n\n", t.paint(yellow, "warning:"), visible(w.Object.String()), oneLine(w.Message))
	}
}

func share(part, whole uint64) string {
	if whole == 0 {
		return bytes(part)
	}
	return fmt.Sprintf("%s (%.0f%%)", bytes(part), 100*float64(part)/float64(whole))
}

// planSum sums a plan up in a line.
func planSum(made plan.Plan) string {
	if len(made.Objects) == 0 {
		return "No object is declared, and none on this node belongs to volreconciler.\n"
	}
	var sum strings.Builder
	stepsOf := stepsByObject(made.Steps)
	effects := map[plan.Effect]int{}
	phases := map[status.Phase]int{}
	for _, o := range made.Objects {
		phases[o.Phase]++
		if steps := stepsOf[o.ID()]; len(steps) > 0 {
			effects[plan.EffectOf(steps)]++
		}
	}
	if made.Empty() {
		sum.WriteString("Plan: nothing to do")
	} else {
		fmt.Fprintf(&sum, "Plan: %d to create, %d to change, %d to remove", effects[plan.Creates], effects[plan.Changes], effects[plan.Removes])
	}
	separator := "; "
	if n := destructive(made.Steps); n == 1 {
		sum.WriteString("; 1 step destroys data")
		separator = ", "
	} else if n > 1 {
		fmt.Fprintf(&sum, "; %d steps destroy data", n)
		separator = ", "
	}
	if n := inTrash(made.Objects); n > 0 {
		fmt.Fprintf(&sum, "%s%s in the trash", separator, count(n, "object"))
		separator = ", "
	}
	for _, phase := range []status.Phase{status.Blocked, status.Failed, status.Suspended, status.Orphaned, status.Foreign} {
		if n := phases[phase]; n > 0 {
			fmt.Fprintf(&sum, "%s%s %s", separator, count(n, "object"), isOrAre(n, phase))
			separator = ", "
		}
	}
	sum.WriteString(".\n")
	return sum.String()
}

func destructive(steps []plan.Step) int {
	n := 0
	for _, s := range steps {
		if s.Danger == plan.Destructive {
			n++
		}
	}
	return n
}

func inTrash(objects []status.Object) int {
	n := 0
	for _, o := range objects {
		if o.Reason == status.ReasonInTrash {
			n++
		}
	}
	return n
}

func isOrAre(n int, phase status.Phase) string {
	verb := "are"
	switch {
	case n == 1 && phase == status.Failed:
		verb = "has"
	case phase == status.Failed:
		verb = "have"
	case n == 1:
		verb = "is"
	}
	return verb + " " + strings.ToLower(string(phase))
}

// isStuck reports whether something blocks an object.
func isStuck(o status.Object) bool {
	return o.Phase == status.Blocked || o.Phase == status.Failed || o.Reason == status.ReasonNotDeclared
}
