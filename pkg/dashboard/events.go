package dashboard

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// eventRow is an event as it is shown.
type eventRow struct {
	status.Event
	// What says in a few words what became of the object, and Before what it was.
	What, Before string
	// Who has changed it, as far as the kernel said.
	Who string
}

func eventRows(events []status.Event) (rows []eventRow) {
	for _, e := range events {
		row := eventRow{Event: e}
		switch e.Type {
		case status.DriftCorrected:
			row.What = "Drift corrected"
			row.Who = "unknown"
			if e.By != nil {
				row.Who = e.By.String()
			}
		case status.Deleted:
			row.What = "Deleted"
		default:
			row.Before = "new"
			if e.PreviousPhase != "" {
				row.Before = "was " + string(e.PreviousPhase)
				if e.PreviousReason != status.ReasonAsDesired {
					row.Before += ", " + e.PreviousReason
				}
			}
		}
		rows = append(rows, row)
	}
	return rows
}

// newest returns the last few events, the newest first.
func newest(events []status.Event, few int) []status.Event {
	last := slices.Clone(events[max(0, len(events)-few):])
	slices.Reverse(last)
	return last
}

// eventList is the view of many events, the newest first.
type eventList struct {
	Kind  spec.Kind
	Text  string
	Kinds []spec.Kind
	Rows  []eventRow
	Total int
	// Older is the address of what comes next, and Newest that of the first page; empty: this is it.
	Older, Newest string
}

func eventsPage(k known, r *http.Request) view {
	query := r.URL.Query()
	before, _ := strconv.ParseInt(query.Get("before"), 10, 64) // what is no number is the first page
	return ok("Events", eventsOf(k.events, spec.Kind(query.Get("kind")), strings.TrimSpace(query.Get("q")), before))
}

func eventsOf(events []status.Event, kind spec.Kind, text string, before int64) eventList {
	list := eventList{Kind: kind, Text: text, Kinds: kinds}
	words := strings.Fields(strings.ToLower(text))
	events = slices.DeleteFunc(slices.Clone(events), func(e status.Event) bool {
		return kind != "" && e.Kind != kind || slices.ContainsFunc(words, func(word string) bool { return !tells(e, word) })
	})
	list.Total = len(events)
	address := func(before int64) string {
		query := url.Values{}
		for name, value := range map[string]string{"kind": string(kind), "q": text} {
			if value != "" {
				query.Set(name, value)
			}
		}
		if before > 0 {
			query.Set("before", strconv.FormatInt(before, 10))
		}
		return strings.TrimSuffix("/events?"+query.Encode(), "?")
	}
	if before > 0 {
		events = slices.DeleteFunc(events, func(e status.Event) bool { return e.ID >= before })
		list.Newest = address(0)
	}
	shown := newest(events, perPage)
	if len(events) > len(shown) {
		list.Older = address(shown[len(shown)-1].ID)
	}
	list.Rows = eventRows(shown)
	return list
}

// tells reports whether a word in lower case is found in an event.
func tells(e status.Event, word string) bool {
	texts := []string{string(e.Kind) + "/" + e.Name, string(e.Type), string(e.Phase), e.Reason, e.Message, e.Change}
	if e.By != nil {
		texts = append(texts, e.By.String())
	}
	return slices.ContainsFunc(texts, func(text string) bool { return containsFold(text, word) })
}
