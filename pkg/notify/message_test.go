package notify

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestMessagesHaveNoNumbersThatChange(t *testing.T) {
	for message, want := range map[string]string{
		"thin pool vg0/tp2 is full (data 100.0%, metadata 41.5%): grow it":                           "thin pool vg0/tp2 is full (data …, metadata …): grow it",
		"insufficient free space: 1234 extents needed":                                               "insufficient free space: … extents needed",
		"vg0/db holds up to 20Gi, but thin pool vg1/tp has 5.5Gi left":                               "vg0/db holds up to …, but thin pool vg1/tp has … left",
		"removed in 25s unless it is declared again":                                                 "removed in … unless it is declared again",
		"held by process 4711, since 2026-01-02T03:04:05Z":                                           "held by process …, since …",
		"lvcreate: exit status 5: LUN 3 of iqn.2003-01.com.example:db, /dev/sdb1":                    "lvcreate: exit status 5: LUN 3 of iqn.2003-01.com.example:db, /dev/sdb1",
		"fill vg0/db: 42%, 1.2GiB/s, 3m left":                                                        "fill vg0/db: …, …, … left",
		"its logical volume (UUID Pv5Hdl-3kUX-yLbT-0eXc-Gm2J-d9Qs-aZ71Rf) is missing; see 192.0.2.1": "its logical volume (UUID Pv5Hdl-3kUX-yLbT-0eXc-Gm2J-d9Qs-aZ71Rf) is missing; see 192.0.2.1",
		"waiting 1h30m0s": "waiting …",
	} {
		if got := steady(message); got != want {
			t.Errorf("%q is %q, not %q", message, got, want)
		}
	}
}

// TestTheSameStateGivesTheSameMessage, whatever time it is, and whichever numbers come with it.
func TestTheSameStateGivesTheSameMessage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		say := func(label string) string {
			l := newLedger(Target{})
			at := start.Add(time.Duration(rapid.Int64Range(0, 1e15).Draw(t, label)))
			percent := rapid.Float64Range(0, 100).Draw(t, label)
			left := time.Duration(rapid.Int64Range(0, 1e14).Draw(t, label)).Truncate(time.Second)
			e := changed(1, status.Failed, "NoSpace", at)
			e.Message = fmt.Sprintf("thin pool vg0/tp is full (data %.1f%%), pid %d, %s left", percent, rapid.IntRange(1, 4<<20).Draw(t, label), left)
			drift := changed(2, status.Ready, "AsDesired", at)
			drift.Type, drift.Change = status.DriftCorrected, "enable target db"
			drift.By = &status.Actor{PID: rapid.IntRange(1, 4<<20).Draw(t, label), Command: "targetcli", LoginUID: 1000, LoginUser: "alice"}
			l.note(e, at)
			l.note(drift, at)
			b, _ := l.due(at)
			m, _ := messageOf("node7", b)
			data, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			return string(data)
		}
		if a, b := say("first"), say("second"); a != b {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

func TestTheTextOfAMessage(t *testing.T) {
	l := newLedger(Target{})
	for n := range 14 {
		e := changed(n, status.Failed, "NoSpace", start)
		e.Message = "not enough\nfree space"
		l.note(e, start)
	}
	one := changed(1, status.Blocked, "Vanished", start)
	one.Kind, one.Message, one.Labels = spec.KindExport, "restore it", map[string]string{"tier": "gold"}
	l.note(one, start)
	drift := one
	drift.Type, drift.Change, drift.By = status.DriftCorrected, "enable target db", &status.Actor{PID: 7, UID: -1, LoginUID: -1}
	l.note(drift, start)
	b, _ := l.due(start)
	l.delivered(b, start)
	m, _ := messageOf("node7", b)
	want := `volreconciler on node7
Blocked (Vanished): Export/v1: restore it
Failed (NoSpace): Volume/v0, Volume/v1, Volume/v10, Volume/v11, Volume/v12, Volume/v13, Volume/v2, Volume/v3, Volume/v4, Volume/v5 and 4 more. Volume/v0: not enough free space
DriftCorrected: Export/v1: enable target db; last written by a process`
	if m.Text != want {
		t.Errorf("%s\nnot\n%s", m.Text, want)
	}
	if g := m.Groups[0]; len(m.Groups) != 3 || g.Objects[0].Labels["tier"] != "gold" || g.Reason != "Vanished" || len(m.Groups[1].Objects) != 14 {
		t.Errorf("%+v", m.Groups)
	}
	l.note(changed(1, status.Ready, "AsDesired", start), start)
	later := start.Add(2 * eventLasts)
	b, _ = l.due(later)
	l.delivered(b, later)
	if m, _ = messageOf("node7", b); m.Text != "volreconciler on node7\nover: Failed (NoSpace): Volume/v1" || !m.Groups[0].Ended {
		t.Error(m.Text)
	}
}

// TestAMessageHasALimit: of very many objects it lists some, and says how many more there are.
func TestAMessageHasALimit(t *testing.T) {
	var b batch
	for n := range 3 * maxObjects {
		b.begun = append(b.begun, *noticeOf(changed(n, status.Failed, "NoSpace", start)))
	}
	m, _ := messageOf("node7", b)
	if g := m.Groups[0]; len(g.Objects) != maxObjects || g.More != 2*maxObjects || strings.Count(m.Text, "Volume/") != maxNames+1 {
		t.Errorf("%d objects and %d more: %s", len(g.Objects), g.More, m.Text)
	}
}

// TestAlertsHaveStableLabels: one alert for each name and object, which ends when none of its causes holds.
func TestAlertsHaveStableLabels(t *testing.T) {
	now := start.Add(time.Hour)
	drift := func(change string) notice {
		e := changed(1, status.Ready, "AsDesired", start)
		e.Type, e.Change = status.DriftCorrected, change
		return *noticeOf(e)
	}
	failed := *noticeOf(changed(2, status.Failed, "NoSpace", start))
	alerts := alertsOf("node7", batch{active: []notice{drift("a"), failed}, ended: []notice{drift("b")}}, time.Minute, now)
	if len(alerts) != 2 {
		t.Fatalf("%+v", alerts)
	}
	for i, want := range []string{"DriftCorrected", "NoSpace"} {
		a := alerts[i]
		if a.Labels["alertname"] != want || a.Labels["node"] != "node7" || a.Labels["kind"] != "Volume" || len(a.Labels) != 4 ||
			!a.StartsAt.Equal(start) || a.EndsAt.Sub(now) < alertsAgain+time.Minute {
			t.Errorf("%+v", a)
		}
	}
	alerts = alertsOf("node7", batch{ended: []notice{failed}}, time.Minute, now)
	if len(alerts) != 1 || !alerts[0].EndsAt.Equal(now) {
		t.Errorf("%+v", alerts)
	}
	if early := alertsOf("node7", batch{ended: []notice{failed}}, 0, start.Add(-time.Hour)); !early[0].StartsAt.IsZero() {
		t.Error("it begins after it has ended")
	}
}
