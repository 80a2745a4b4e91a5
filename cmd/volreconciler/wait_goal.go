package main

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// goal is what wait waits for. All of it is decided on a report, without a look at anything else.
type goal struct {
	ids []spec.ID // none: the whole node, which must have converged
	// revision is what the agent must have read of the spec files; empty: anything.
	revision string
	wanted   wanted
}

// wanted is the state that each object must reach.
type wanted struct {
	text string // as it was written
	// reached decides on an object that exists, or has in the trash what is left of it.
	reached func(status.Object) bool
	// gone is true if an object that does not exist has reached it.
	gone bool
}

// unmet is a part of a goal that is not reached.
type unmet struct {
	what    string // a sentence without its full stop
	stalled bool   // it will not be reached unless somebody does something
}

// wantedOf reads the value of --for.
func wantedOf(text string) (wanted, error) {
	w := wanted{text: text}
	kind, value, _ := strings.Cut(text, "=")
	switch {
	case text == "Ready":
		w.reached = func(o status.Object) bool { return o.Phase == status.Ready }
	case text == "Deleted":
		w.gone = true
		w.reached = func(o status.Object) bool { return o.Reason == status.ReasonInTrash }
	case kind == "phase":
		if !slices.Contains(allPhases(), value) {
			return w, fmt.Errorf("%q is not a phase (allowed: %s)", value, strings.Join(allPhases(), ", "))
		}
		w.reached = func(o status.Object) bool { return string(o.Phase) == value }
	case kind == "reason":
		if !reasonForm.MatchString(value) {
			return w, fmt.Errorf("%q is not a reason; write one in CamelCase, for example reason=SessionsActive", value)
		}
		w.reached = func(o status.Object) bool { return o.Reason == value }
	case kind == "condition":
		return conditionWanted(w, value)
	default:
		return w, fmt.Errorf("unknown state %q; write Ready, Deleted, phase=PHASE, reason=REASON or condition=TYPE", text)
	}
	return w, nil
}

var reasonForm = regexp.MustCompile(`^[A-Z][A-Za-z]+$`)

// conditionWanted reads TYPE, TYPE=True, TYPE=False or TYPE=Unknown.
func conditionWanted(w wanted, text string) (wanted, error) {
	types, values := status.ConditionTypes(), []string{"True", "False", "Unknown"}
	kind, value, given := strings.Cut(text, "=")
	if !given {
		value = "True"
	}
	if !slices.Contains(types, kind) || !slices.Contains(values, value) {
		return w, fmt.Errorf("condition=%s: write %s, and =False or =Unknown for another status than True", text, alternatives(types))
	}
	w.reached = func(o status.Object) bool { return conditionOf(o, kind) == value }
	return w, nil
}

// conditionOf returns the status of a condition. As with kstatus, one that is not there is False.
func conditionOf(o status.Object, kind string) string {
	for _, c := range o.Conditions() {
		if c.Type == kind {
			return c.Status
		}
	}
	return "False"
}

// unmet returns what of the goal a report does not show.
func (g goal) unmet(node status.Report) []unmet {
	switch {
	case g.revision != "" && node.ObservedRevision != g.revision:
		// What it says of objects is about other files.
		return []unmet{{what: fmt.Sprintf("the agent has read revision %s of the spec files, not %s", orNone(node.ObservedRevision), g.revision)}}
	case len(g.ids) == 0:
		return unconvergedParts(node)
	}
	var open []unmet
	for _, id := range g.ids {
		o, exists := node.Object(id)
		switch {
		case !exists && !g.wanted.gone:
			open = append(open, unmet{what: fmt.Sprintf("%s does not exist", id)})
		case exists && !g.wanted.reached(o):
			open = append(open, unmetObject(o))
		}
	}
	return open
}

// unconvergedParts returns what keeps a node from being as declared.
func unconvergedParts(node status.Report) []unmet {
	var open []unmet
	for _, f := range node.Findings {
		open = append(open, unmet{what: findingLine(f), stalled: true})
	}
	for _, o := range unconverged(node) {
		open = append(open, unmetObject(o))
	}
	return open
}

func unmetObject(o status.Object) unmet {
	text := fmt.Sprintf("%s is %s (%s)", o.ID(), o.Phase, o.Reason)
	if o.Message != "" {
		text += ": " + o.Message
	}
	return unmet{what: oneLine(text), stalled: conditionOf(o, "Stalled") == "True"}
}

func isStalled(u unmet) bool { return u.stalled }

// reachedText says that the goal is reached, one line per object.
func (g goal) reachedText(node status.Report) string {
	if len(g.ids) == 0 {
		return fmt.Sprintf("all as declared (%s)\n", count(len(node.Objects), "object"))
	}
	var text strings.Builder
	for _, id := range g.ids {
		if o, exists := node.Object(id); exists {
			fmt.Fprintf(&text, "%s is %s (%s)\n", visible(id.String()), o.Phase, o.Reason)
		} else {
			fmt.Fprintf(&text, "%s does not exist\n", visible(id.String()))
		}
	}
	return text.String()
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// allPhases are the phases, the usual ones first.
func allPhases() []string {
	var names []string
	for _, p := range []status.Phase{
		status.Ready, status.Progressing, status.Blocked, status.Failed, status.Deleting, status.Orphaned, status.Foreign, status.Suspended,
	} {
		names = append(names, string(p))
	}
	return names
}
