package reconcile

import (
	"fmt"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// inBubble checks a property where waiting takes no time.
func inBubble(t *testing.T, property func(*rapid.T)) {
	t.Helper()
	rapid.Check(t, func(r *rapid.T) {
		var failed any
		synctest.Test(t, func(*testing.T) {
			defer func() { failed = recover() }()
			property(r)
		})
		switch {
		case failed == nil:
		case fmt.Sprintf("%T", failed) == "rapid.invalidData": // which must be told apart by its place
			panic(failed)
		default:
			panic(failed)
		}
	})
}

// TestEventsAreEnough: who reads again only what events say has changed knows the machine as well as
// who reads everything.
func TestEventsAreEnough(t *testing.T) {
	inBubble(t, func(t *rapid.T) {
		m := newWatchedMachine(t)
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			if rapid.IntRange(0, 24).Draw(t, "reboots") == 0 {
				t.Log("reboot")
				m.host.Reboot()
				m.begin()
			}
			if by, lines := m.next(); rapid.Bool().Draw(t, "while it is read") {
				m.lvm, m.call = rapid.Bool().Draw(t, "LVM"), rapid.IntRange(0, 100).Draw(t, "call")
				if m.lvm {
					m.call %= 2
				}
				atOnce := rapid.Bool().Draw(t, "told at once")
				m.meanwhile = func() {
					m.do(by, lines...)
					if atOnce {
						m.tell(m.events.Take()...)
					}
				}
				m.remembering.Forget(observe.Everything) // so that there is something to read
				m.observe(m.remembering)
				m.meanwhile = nil
			} else {
				m.do(by, lines...)
			}
			m.tell(m.events.Take()...)
			if d := m.difference(m.observe(m.remembering), m.really()); d != "" {
				t.Fatal(d)
			}
		}
		m.remembering.Audit()
		if d := difference(m.observe(m.remembering), m.really()); d != "" {
			t.Fatalf("after an audit: %s", d)
		}
		if m.remembering.EndAudit() {
			t.Fatalf("an audit found what was announced: %q", m.remembering.Missed())
		}
	})
}

// TestLostEventsAreFound: whatever becomes of the events, after an audit the machine is known, and
// what was lost is named; nothing else is.
func TestLostEventsAreFound(t *testing.T) {
	inBubble(t, func(t *rapid.T) {
		m := newWatchedMachine(t)
		var lost, late []watch.Event
		for range rapid.IntRange(1, 25).Draw(t, "steps") {
			m.happen()
			events := append(late, m.events.Take()...)
			var told []watch.Event
			late = nil
			for _, e := range events {
				switch rapid.IntRange(0, 5).Draw(t, "fate") {
				case 0:
					t.Logf("lost: %s %s", e.Source, e.Path)
					lost = append(lost, e)
				case 1:
					told = append(told, e, e)
				case 2:
					late = append(late, e)
				default:
					told = append(told, e)
				}
			}
			if len(told) > 1 {
				told = rapid.Permutation(told).Draw(t, "told")
			}
			m.tell(told...)
			m.observe(m.remembering)
		}
		m.tell(late...)
		m.tell(m.events.Take()...)
		before, really := m.observe(m.remembering), m.really()

		m.remembering.Audit()
		after := m.observe(m.remembering)
		if d := difference(after, really); d != "" {
			t.Fatalf("after the audit %s", d)
		}
		found := m.remembering.EndAudit()
		var said []observe.Part
		for _, e := range lost {
			said = append(said, partOf(e))
		}
		if rapid.Bool().Draw(t, "said after all") {
			if missed := m.remembering.Missed(said...); len(missed) > 0 {
				t.Fatalf("%q were missed, but lost were only %q", missed, said)
			}
			return
		}
		missed := m.remembering.Missed()
		if d := m.difference(before, really); d != "" && len(missed) == 0 || found != (len(missed) > 0) {
			t.Fatalf("found: %t, and missed are %q of %q: %s", found, missed, said, d)
		}
	})
}
