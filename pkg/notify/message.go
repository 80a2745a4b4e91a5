package notify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

const (
	// maxObjects is how many objects a message lists, and maxNames how many a line of its text names.
	maxObjects = 1000
	maxNames   = 10
)

// notice is a state of an object, or an event, as it is reported.
type notice struct {
	kind   status.EventType
	object spec.ID
	phase  status.Phase
	reason string
	// message, change and by are texts without numbers that change.
	message, change, by string
	labels              map[string]string
	since               time.Time
}

func noticeOf(e status.Event) *notice {
	n := &notice{
		kind: e.Type, object: e.Object(), phase: e.Phase, reason: e.Reason,
		message: steady(e.Message), change: e.Change, labels: e.Labels, since: e.Time,
	}
	if e.By != nil {
		by := *e.By
		by.PID = 0
		n.by = by.String()
	}
	return n
}

// subject is what the notice is about.
func (n notice) subject() subject {
	if n.kind == status.Changed {
		return subject{id: n.object}
	}
	return subject{n.object, strings.Join([]string{string(n.kind), n.change, n.by}, "\x00")}
}

// same reports whether one notice says what the other does.
func same(a, b *notice) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.phase == b.phase && a.reason == b.reason && a.subject() == b.subject()
}

// name is the reason of a state, or the type of an event.
func (n notice) name() string {
	if n.kind == status.Changed {
		return n.reason
	}
	return string(n.kind)
}

// heading is what all notices of a group have in common.
func (n notice) heading() string {
	if n.kind == status.Changed {
		return fmt.Sprintf("%s (%s)", n.phase, n.reason)
	}
	return string(n.kind)
}

// details say more of a notice; empty: there is no more.
func (n notice) details() string {
	if n.kind == status.Changed {
		return n.message
	}
	if n.by == "" {
		return n.change
	}
	return n.change + "; last written by " + n.by
}

// compare sorts notices by what they have in common, and then by object.
func compare(a, b notice) int {
	return cmp.Or(
		cmp.Compare(a.kind, b.kind), cmp.Compare(a.phase, b.phase), cmp.Compare(a.reason, b.reason),
		spec.CompareIDs(a.object, b.object), cmp.Compare(a.change, b.change), cmp.Compare(a.by, b.by),
	)
}

// Message is what webhooks and commands receive, as JSON. Nothing in it depends on when it is sent or how
// often: the same states make the same message.
type Message struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"` // Notification
	Node       string `json:"node"`
	// Text says all of it in a few lines.
	Text   string  `json:"text"`
	Groups []Group `json:"groups"`
}

// Group are objects in the same state, or to which the same happened.
type Group struct {
	// Type is Changed for a state. Phase and Reason are empty for others.
	Type   status.EventType `json:"type"`
	Phase  status.Phase     `json:"phase,omitempty"`
	Reason string           `json:"reason,omitempty"`
	// Ended is true of a state that was reported and is over.
	Ended   bool     `json:"ended,omitempty"`
	Objects []Object `json:"objects"`
	// More is the number of objects that are not listed.
	More int `json:"more,omitempty"`
}

// Object is an object of a group.
type Object struct {
	Kind spec.Kind `json:"kind"`
	Name string    `json:"name"`
	// Message is that of the state. Numbers in it that may change are "…".
	Message string `json:"message,omitempty"`
	// Change is how a drift was corrected, and By who had caused it.
	Change string            `json:"change,omitempty"`
	By     string            `json:"by,omitempty"`
	Labels map[string]string `json:"labels,omitempty"`
}

// messageOf returns the message of a batch; false: it has none. That an event is over is no news.
func messageOf(node string, b batch) (Message, bool) {
	m := Message{APIVersion: spec.APIVersion, Kind: "Notification", Node: node}
	lines := []string{"volreconciler on " + node}
	room := maxObjects
	add := func(list []notice, ended bool) {
		for len(list) > 0 {
			n := list[0]
			end := slices.IndexFunc(list, func(o notice) bool { return o.heading() != n.heading() })
			if end < 0 {
				end = len(list)
			}
			m.Groups = append(m.Groups, groupOf(list[:end], ended, &room))
			lines = append(lines, lineOf(list[:end], ended))
			list = list[end:]
		}
	}
	add(b.begun, false)
	add(slices.DeleteFunc(slices.Clone(b.ended), func(n notice) bool { return n.kind != status.Changed }), true)
	m.Text = strings.Join(lines, "\n")
	return m, len(m.Groups) > 0
}

// groupOf lists as many objects as there is room for.
func groupOf(list []notice, ended bool, room *int) Group {
	g := Group{Type: list[0].kind, Ended: ended, Objects: []Object{}}
	if g.Type == status.Changed {
		g.Phase, g.Reason = list[0].phase, list[0].reason
	}
	listed := list[:min(len(list), *room)]
	for _, n := range listed {
		o := Object{Kind: n.object.Kind, Name: n.object.Name, Labels: n.labels}
		switch {
		case n.kind == status.Changed && !ended:
			o.Message = n.message
		case n.kind != status.Changed:
			o.Change, o.By = n.change, n.by
		}
		g.Objects = append(g.Objects, o)
	}
	*room -= len(listed)
	g.More = len(list) - len(listed)
	return g
}

// lineOf says what a group is: "Failed (NoSpace): Volume/a, Volume/b. Volume/a: cannot …".
func lineOf(list []notice, ended bool) string {
	var names []string
	for _, n := range list {
		if name := n.object.String(); !slices.Contains(names, name) && len(names) <= maxNames {
			names = append(names, name)
		}
	}
	text := list[0].heading() + ": "
	if ended {
		text = "over: " + text
	}
	if len(names) > maxNames {
		names = names[:maxNames]
		text += strings.Join(names, ", ") + fmt.Sprintf(" and %d more", len(list)-maxNames)
	} else {
		text += strings.Join(names, ", ")
	}
	details := oneLine(list[0].details())
	switch {
	case ended || details == "":
		return text
	case len(names) > 1:
		return text + ". " + list[0].object.String() + ": " + details
	default:
		return text + ": " + details
	}
}

// oneLine returns a text without line breaks.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }
