package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// What people read names a few of many. Scripts read JSON, which is complete.
const (
	// fewNames is how many of many objects are named.
	fewNames = 3
	// fewReasons is how many reasons a sum names.
	fewReasons = 6
	// longMessage is what is not worth being read again, in characters.
	longMessage = 60
	// longSum is how long a sum may be that still is read, in bytes.
	longSum = 500
)

// group is objects with one reason, whose message is shown at the first of them.
type group struct {
	ids []spec.ID
	// same is true if the message is the same for all, to the letter: otherwise
	// each has its own name in it.
	same bool
}

// groups returns the groups of objects, by object, that have more than a few members. Only messages that are
// long count.
func groups(objects []status.Object) map[spec.ID]*group {
	type saying struct {
		phase         status.Phase
		reason, about string
	}
	said, first := map[saying]*group{}, map[saying]string{}
	for _, o := range objects {
		if utf8.RuneCountInString(o.Message) < longMessage {
			continue
		}
		s := saying{o.Phase, o.Reason, withoutName(o.Message, o.Name)}
		g := said[s]
		if g == nil {
			g = &group{same: true}
			said[s], first[s] = g, o.Message
		}
		g.ids = append(g.ids, o.ID())
		g.same = g.same && o.Message == first[s]
	}
	of := map[spec.ID]*group{}
	for _, g := range said {
		if len(g.ids) <= fewNames {
			continue
		}
		for _, id := range g.ids {
			of[id] = g
		}
	}
	return of
}

// withoutName returns a text without a name, where that is not part of a longer word.
func withoutName(text, name string) string {
	if name == "" {
		return text
	}
	var out strings.Builder
	inWord := func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '-' || r == '_' }
	done := 0
	for at := 0; at < len(text); {
		next := strings.Index(text[at:], name)
		if next < 0 {
			break
		}
		begin, end := at+next, at+next+len(name)
		before, _ := utf8.DecodeLastRuneInString(text[:begin])
		after, _ := utf8.DecodeRuneInString(text[end:])
		if !inWord(before) && !inWord(after) {
			out.WriteString(text[done:begin])
			out.WriteByte(0)
			done = end
		}
		at = end
	}
	out.WriteString(text[done:])
	return out.String()
}

// message returns the message of an object of the group: in full only for the first.
func (g *group) message(o status.Object) string {
	switch {
	case g == nil:
		return o.Message
	case g.ids[0] != o.ID():
		return "as " + g.ids[0].String()
	default:
		return count(len(g.ids), "object") + ": " + o.Message
	}
}

// names names the first few objects.
func names(ids []spec.ID, few int) string {
	var list []string
	for _, id := range ids[:min(few, len(ids))] {
		list = append(list, id.String())
	}
	text := strings.Join(list, ", ")
	if more := len(ids) - few; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// summarizeNotReady sums up what is not as declared, in a line that always fits on a screen.
func summarizeNotReady(objects []status.Object) string {
	begin := count(len(objects), "object") + " not as declared: "
	if len(objects) <= fewNames {
		var each []string
		for _, o := range objects {
			each = append(each, fmt.Sprintf("%s (%s)", o.ID(), o.Reason))
		}
		if sum := begin + strings.Join(each, ", "); len(sum) <= longSum {
			return sum
		}
	}
	byReason := map[string][]spec.ID{}
	for _, o := range objects {
		byReason[o.Reason] = append(byReason[o.Reason], o.ID())
	}
	reasons := slices.SortedFunc(maps.Keys(byReason), func(a, b string) int {
		return cmp.Or(len(byReason[b])-len(byReason[a]), strings.Compare(a, b))
	})
	var long, short []string
	for _, reason := range reasons[:min(fewReasons, len(reasons))] {
		n := fmt.Sprintf("%d %s", len(byReason[reason]), reason)
		short = append(short, n)
		long = append(long, n+" ("+names(byReason[reason], fewNames)+")")
	}
	end := ""
	if more := len(reasons) - fewReasons; more > 0 {
		end = fmt.Sprintf(", and %d more reasons", more)
	}
	if sum := begin + strings.Join(long, ", ") + end; len(sum) <= longSum {
		return sum
	}
	return begin + strings.Join(short, ", ") + end
}

// fewLines returns the first few lines of a text, and how many more there are.
func fewLines(text string) string {
	lines := strings.Split(text, "\n")
	if more := len(lines) - fewReasons; more > 0 {
		lines = append(lines[:fewReasons:fewReasons], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(lines, "\n")
}
