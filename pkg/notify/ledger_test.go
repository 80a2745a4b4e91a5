package notify

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// start is when the agent starts in these tests.
var start = time.Unix(1_800_000_000, 0)

// changed is an event of Volume vN, after seconds.
func changed(n int, phase status.Phase, reason string, at time.Time) status.Event {
	return status.Event{
		Time: at, Type: status.Changed, Kind: spec.KindVolume, Name: fmt.Sprintf("v%d", n), Phase: phase, Reason: reason,
		Message: reason + " after " + at.Sub(start).String(), PreviousPhase: status.Progressing,
	}
}

// told is what a target was told, and when.
type told struct {
	at time.Time
	batch
}

// play hands events to a ledger at their times, in which a target can always be told, and returns what
// it is told until nothing is due any more, or the end.
func play(l *ledger, events []status.Event, end time.Time) (all []told) {
	now := start
	tell := func(until time.Time) {
		for {
			next, some := l.next()
			if !some || next.After(until) {
				return
			}
			if next.After(now) {
				now = next
			}
			if b, due := l.due(now); due {
				l.delivered(b, now)
				all = append(all, told{now, b})
			} else if again, some := l.next(); some && !again.After(now) {
				panic("something is due, and nothing is told")
			}
		}
	}
	for i, e := range events {
		tell(e.Time.Add(-1))
		now = e.Time
		l.note(e, now)
		if i+1 < len(events) && events[i+1].Time.Equal(now) {
			continue // they come together, as from one pass
		}
		if b, due := l.due(now); due { // as a notifier asks, whatever woke it
			l.delivered(b, now)
			all = append(all, told{now, b})
		}
	}
	tell(end)
	return all
}

func namesOf(list []notice) (names []string) {
	for _, n := range list {
		names = append(names, n.object.Name+" "+n.name())
	}
	return names
}

// TestWhatATargetIsTold is a table of histories of one Volume or two.
func TestWhatATargetIsTold(t *testing.T) {
	at := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	failed := func(n, seconds int) status.Event { return changed(n, status.Failed, "NoSpace", at(seconds)) }
	ready := func(n, seconds int) status.Event { return changed(n, status.Ready, "AsDesired", at(seconds)) }
	blocked := func(n, seconds int) status.Event { return changed(n, status.Blocked, "Vanished", at(seconds)) }
	of := func(kind status.EventType, change string, seconds int) status.Event {
		e := ready(1, seconds)
		e.Type, e.Change = kind, change
		return e
	}
	first := func(phase status.Phase, reason string) status.Event {
		e := changed(1, phase, reason, start)
		e.PreviousPhase = ""
		return e
	}
	for name, c := range map[string]struct {
		when   []string
		events []status.Event
		want   []string
	}{
		"a state that lasts":          {nil, []status.Event{failed(1, 0)}, []string{"120: +v1 NoSpace"}},
		"and its end":                 {nil, []status.Event{failed(1, 0), ready(1, 1000)}, []string{"120: +v1 NoSpace", "1120: -v1 NoSpace"}},
		"one that ends at once":       {nil, []status.Event{failed(1, 0), ready(1, 119)}, nil},
		"one that ends for a moment":  {nil, []status.Event{failed(1, 0), ready(1, 300), failed(1, 400)}, []string{"120: +v1 NoSpace"}},
		"another reason":              {nil, []status.Event{failed(1, 0), blocked(1, 500)}, []string{"120: +v1 NoSpace", "620: +v1 Vanished ~v1 NoSpace"}},
		"one reason after the other":  {nil, []status.Event{failed(1, 0), blocked(1, 100), failed(1, 200), blocked(1, 300)}, []string{"240: +v1 NoSpace", "420: +v1 Vanished ~v1 NoSpace"}},
		"a Volume that is deleted":    {nil, []status.Event{failed(1, 0), of(status.Deleted, "", 500)}, []string{"120: +v1 NoSpace", "620: -v1 NoSpace"}},
		"two at different times":      {nil, []status.Event{failed(1, 0), failed(2, 100)}, []string{"120: +v1 NoSpace", "240: +v2 NoSpace"}},
		"what waits for an initiator": {nil, []status.Event{changed(1, status.Blocked, status.ReasonSessionsActive, at(0))}, nil},
		"that too, if asked for":      {[]string{"Blocked"}, []status.Event{changed(1, status.Blocked, status.ReasonSessionsActive, at(0))}, []string{"120: +v1 SessionsActive"}},
		"only a reason":               {[]string{"Vanished"}, []status.Event{failed(1, 0), blocked(2, 0)}, []string{"120: +v2 Vanished"}},
		"a drift, twice in an hour":   {nil, []status.Event{of(status.DriftCorrected, "enable", 0), of(status.DriftCorrected, "enable", 900)}, []string{"120: +v1 DriftCorrected", "4620: -v1 DriftCorrected"}},
		"two drifts":                  {nil, []status.Event{of(status.DriftCorrected, "enable", 0), of(status.DriftCorrected, "map", 0)}, []string{"120: +v1 DriftCorrected +v1 DriftCorrected", "3840: -v1 DriftCorrected -v1 DriftCorrected"}},
		"a deletion, if asked for":    {[]string{"Deleted"}, []status.Event{of(status.Deleted, "", 0)}, []string{"120: +v1 Deleted", "3840: -v1 Deleted"}},
		"a deletion that is not":      {nil, []status.Event{of(status.Deleted, "", 0)}, nil},
		"not well from the beginning": {nil, []status.Event{first(status.Failed, "NoSpace")}, []string{"120: +v1 NoSpace"}},
		"well from the beginning":     {[]string{"Changed"}, []status.Event{first(status.Orphaned, "Retained")}, nil},
		"all changes, if asked for":   {[]string{"Changed"}, []status.Event{ready(1, 0)}, []string{"120: +v1 AsDesired"}},
	} {
		var got []string
		for _, m := range play(newLedger(Target{When: c.when, Settle: DefaultSettle}), c.events, at(5000)) {
			line := fmt.Sprintf("%d:", int(m.at.Sub(start).Seconds()))
			for sign, list := range map[string][]notice{"+": m.begun} {
				for _, n := range namesOf(list) {
					line += " " + sign + n
				}
			}
			for _, n := range namesOf(m.ended) {
				line += " -" + n
			}
			for _, n := range namesOf(m.replaced) {
				line += " ~" + n
			}
			got = append(got, line)
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, not %q", name, got, c.want)
		}
	}
}

// TestTargetsAreToldWhatLasts: properties of random histories. What does not last is not told, what lasts
// is told once, and nothing twice.
func TestTargetsAreToldWhatLasts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := Target{Settle: time.Duration(rapid.IntRange(0, 300).Draw(t, "settle")) * time.Second}
		l := newLedger(target)
		type state struct {
			phase  status.Phase
			reason string
		}
		states := []state{
			{status.Ready, "AsDesired"}, {status.Progressing, "Converging"}, {status.Failed, "NoSpace"}, {status.Failed, "DeviceMissing"},
			{status.Blocked, "Vanished"}, {status.Blocked, status.ReasonSessionsActive},
		}
		isTold := func(s state) bool { return s.phase == status.Failed || s.reason == "Vanished" }
		type span struct {
			state
			from, to time.Time
		}
		histories := map[string][]span{}
		var events []status.Event
		at := start
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			at = at.Add(time.Duration(rapid.IntRange(0, 200).Draw(t, "wait")) * time.Second)
			n := rapid.IntRange(1, 3).Draw(t, "volume")
			s := rapid.SampledFrom(states).Draw(t, "state")
			e := changed(n, s.phase, s.reason, at)
			if h := histories[e.Name]; len(h) > 0 {
				if h[len(h)-1].state == s {
					continue // no edge
				}
				h[len(h)-1].to = at
			}
			histories[e.Name] = append(histories[e.Name], span{state: s, from: at})
			events = append(events, e)
		}
		end := at.Add(10 * l.interval)
		for _, h := range histories {
			h[len(h)-1].to = end
		}
		messages := play(l, events, end)

		knows := map[string]string{}
		for i, m := range messages {
			if i > 0 && m.at.Sub(messages[i-1].at) < l.interval {
				t.Fatalf("two messages within %s", m.at.Sub(messages[i-1].at))
			}
			for _, n := range m.ended {
				if knows[n.object.Name] != n.reason {
					t.Fatalf("%s ends, which the target was not told", n.reason)
				}
				delete(knows, n.object.Name)
			}
			for _, n := range m.begun {
				if knows[n.object.Name] == n.reason {
					t.Fatalf("%s is told twice of %s", n.reason, n.object)
				}
				knows[n.object.Name] = n.reason
				unwell := time.Duration(0)
				lasted := time.Duration(-1)
				for _, s := range histories[n.object.Name] {
					if s.from.After(m.at) {
						break
					}
					if !isTold(s.state) {
						unwell = 0
						continue
					}
					unwell += min(s.to.Sub(s.from), m.at.Sub(s.from))
					if s.reason == n.reason {
						lasted = m.at.Sub(s.from)
					}
				}
				if lasted < target.Settle && unwell < 2*target.Settle {
					t.Fatalf("%s of %s had lasted %s, and is told", n.reason, n.object, lasted)
				}
			}
		}
		for name, h := range histories {
			last, want := h[len(h)-1].state, ""
			if isTold(last) {
				want = last.reason
			}
			if knows[name] != want {
				t.Fatalf("in the end the target knows %q of %s, not %q", knows[name], name, want)
			}
			for _, s := range h {
				heard := slices.ContainsFunc(messages, func(m told) bool {
					return slices.ContainsFunc(slices.Concat(m.begun, m.active), func(n notice) bool {
						return n.object.Name == name && n.reason == s.reason && !m.at.Before(s.from) && !m.at.After(s.to.Add(1))
					})
				})
				if knew := knewBefore(messages, name, s.from) == s.reason; isTold(s.state) && s.to.Sub(s.from) > target.Settle+l.interval && !heard && !knew {
					t.Fatalf("%s of %s lasted %s, and is not told", s.reason, name, s.to.Sub(s.from))
				}
			}
		}
	})
}

// knewBefore is the reason that a target knew of a Volume before a time.
func knewBefore(messages []told, name string, at time.Time) (reason string) {
	for _, m := range messages {
		if !m.at.Before(at) {
			break
		}
		for _, n := range m.ended {
			if n.object.Name == name {
				reason = ""
			}
		}
		for _, n := range m.begun {
			if n.object.Name == name {
				reason = n.reason
			}
		}
	}
	return reason
}

// TestAStormIsTwoMessages: whatever befalls 500 objects within the time that a state must last, or half a
// minute, is told in two messages at most, and so is its end.
func TestAStormIsTwoMessages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLedger(Target{Settle: rapid.SampledFrom([]time.Duration{0, time.Second, DefaultSettle, time.Hour}).Draw(t, "settle")})
		const objects, passes = 500, 25
		storm := func(from time.Time, phase status.Phase, reasons ...string) (events []status.Event) {
			for n := range objects {
				at := from.Add(time.Duration(rapid.IntRange(0, passes-1).Draw(t, "pass")) * l.interval / passes)
				events = append(events, changed(n, phase, reasons[n%len(reasons)], at))
			}
			slices.SortFunc(events, func(a, b status.Event) int { return a.Time.Compare(b.Time) })
			return events
		}
		over := start.Add(10 * l.interval)
		all := play(l, slices.Concat(storm(start, status.Failed, "NoSpace", "DeviceMissing"), storm(over, status.Ready, "AsDesired")), start.Add(100*l.interval))
		begun, ended, messages := 0, 0, map[bool]int{}
		for _, m := range all {
			begun, ended = begun+len(m.begun), ended+len(m.ended)
			messages[m.at.Before(over)]++
			if text, _ := messageOf("node", m.batch); len(text.Text) > 1000 || len(text.Groups) > 2 {
				t.Fatalf("%d groups: %s", len(text.Groups), text.Text)
			}
		}
		if begun != objects || ended != objects || messages[true] > 2 || messages[false] > 2 {
			t.Fatalf("%d objects are told in %d messages, and %d ends in %d", begun, messages[true], ended, messages[false])
		}
	})
}

// TestLostEventsAreMadeUpFor: the states of all objects replace events.
func TestLostEventsAreMadeUpFor(t *testing.T) {
	l := newLedger(Target{})
	object := func(name string, phase status.Phase, reason string) status.Object {
		return status.Object{Kind: spec.KindVolume, Name: name, Phase: phase, Reason: reason, Since: start}
	}
	l.note(changed(1, status.Failed, "NoSpace", start), start)
	l.note(changed(2, status.Failed, "NoSpace", start), start)
	l.note(changed(3, status.Failed, "NoSpace", start), start)
	b, _ := l.due(start)
	l.delivered(b, start)
	l.sync([]status.Object{object("v1", status.Failed, "NoSpace"), object("v2", status.Ready, "AsDesired"), object("v4", status.Blocked, "Vanished")}, start)
	b, _ = l.due(start.Add(time.Hour))
	if got := fmt.Sprint(namesOf(b.begun), namesOf(b.ended), namesOf(b.active)); got != "[v4 Vanished] [v2 NoSpace v3 NoSpace] [v4 Vanished v1 NoSpace]" {
		t.Error(got)
	}
}

// TestEventsAreLimited: a fight that is another one each time does not fill the memory.
func TestEventsAreLimited(t *testing.T) {
	l := newLedger(Target{})
	for n := range 3 * maxEvents {
		e := changed(n, status.Ready, "AsDesired", start)
		e.Type = status.DriftCorrected
		l.note(e, start)
	}
	b, _ := l.due(start)
	if len(b.begun) != maxEvents || l.events != maxEvents {
		t.Fatal(len(b.begun), l.events)
	}
	l.delivered(b, start)
	b, _ = l.due(start.Add(2 * eventLasts))
	l.delivered(b, start.Add(2*eventLasts))
	if len(l.subjects) != 0 || l.events != 0 {
		t.Error(len(l.subjects), l.events)
	}
}
