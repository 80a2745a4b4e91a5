package status

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/volreconciler/volreconciler/pkg/spec"
)

func TestEventsAreWhatBecameOfObjects(t *testing.T) {
	object := func(name string, phase Phase, reason string) Object {
		return Object{Kind: spec.KindVolume, Name: name, Phase: phase, Reason: reason}
	}
	drifted := func(name string, times int) Object {
		o := object(name, Ready, ReasonAsDesired)
		o.Drift = &Drift{Change: "activate", Corrected: times, By: &Actor{PID: 7}}
		return o
	}
	var b Board
	last := int64(0)
	start := time.Unix(1000, 0)
	for n, pass := range []struct {
		objects []Object
		want    []string
	}{
		{[]Object{object("a", Ready, ReasonAsDesired), object("b", Blocked, ReasonInUse)}, []string{"Changed b /->Blocked/InUse"}},
		{[]Object{object("a", Ready, ReasonAsDesired), object("b", Blocked, ReasonInUse)}, nil},
		{[]Object{object("a", Ready, ReasonAsDesired), object("b", Blocked, ReasonSessionsActive), object("c", Ready, ReasonAsDesired)},
			[]string{"Changed b Blocked/InUse->Blocked/SessionsActive", "Changed c /->Ready/AsDesired"}},
		{[]Object{drifted("a", 1), object("c", Ready, ReasonAsDesired)},
			[]string{"DriftCorrected a Ready/AsDesired->Ready/AsDesired", "Deleted b Blocked/SessionsActive->Blocked/SessionsActive"}},
		{[]Object{drifted("a", 1), object("c", Ready, ReasonAsDesired)}, nil},
		{[]Object{drifted("a", 2)}, []string{"DriftCorrected a Ready/AsDesired->Ready/AsDesired", "Deleted c Ready/AsDesired->Ready/AsDesired"}},
		{nil, []string{"Deleted a Ready/AsDesired->Ready/AsDesired"}},
	} {
		b.Publish(pass.objects, nil, PassCost{}, start.Add(time.Duration(n)*time.Second))
		events, _ := b.Events(last)
		var got []string
		for _, e := range events {
			got = append(got, fmt.Sprintf("%s %s %s/%s->%s/%s", e.Type, e.Name, e.PreviousPhase, e.PreviousReason, e.Phase, e.Reason))
			if e.ID <= last {
				t.Errorf("event %d after %d", e.ID, last)
			}
			if last = e.ID; e.Type == DriftCorrected && (e.By == nil || e.Change == "") {
				t.Errorf("%+v does not say who did what", e)
			}
		}
		if !slices.Equal(got, pass.want) {
			t.Errorf("report %d: %q, not %q", n, got, pass.want)
		}
	}
}

// TestEventsAreKeptUpToALimit: the last ones are kept, and who waits is told.
func TestEventsAreKeptUpToALimit(t *testing.T) {
	var b Board
	all := func(phase Phase) (objects []Object) {
		for n := range MaxEvents {
			objects = append(objects, Object{Kind: spec.KindVolume, Name: fmt.Sprintf("v%04d", n), Phase: phase})
		}
		return objects
	}
	now := time.Unix(1000, 0)
	b.Publish(all(Ready), nil, PassCost{}, now)
	events, more := b.Events(0)
	if len(events) != 0 {
		t.Fatalf("%d objects were as declared from the beginning", len(events))
	}
	b.Publish(all(Failed), nil, PassCost{}, now)
	<-more
	b.Publish(append(all(Failed), Object{Kind: spec.KindVolume, Name: "w"}), nil, PassCost{}, now)
	events, _ = b.Events(0)
	if len(events) != MaxEvents || events[MaxEvents-1].Name != "w" || events[0].Name != "v0001" {
		t.Fatalf("%d events, from %+v", len(events), events[0])
	}
	if later, _ := b.Events(events[MaxEvents-2].ID); len(later) != 1 {
		t.Fatalf("%d events after the last but one", len(later))
	}
}

// TestConditionsSayWhatThePhaseSays: each phase is told apart by those who know conditions alone.
func TestConditionsSayWhatThePhaseSays(t *testing.T) {
	for phase, want := range map[Phase]string{
		Ready: "Ready=True", Progressing: "Ready=False Reconciling=True", Deleting: "Ready=False Reconciling=True",
		Failed: "Ready=False Reconciling=True Stalled=True", Blocked: "Ready=False Stalled=True",
		Orphaned: "Ready=Unknown", Foreign: "Ready=Unknown", Suspended: "Ready=Unknown",
	} {
		data, err := json.Marshal(Object{Kind: spec.KindVolume, Name: "a", Phase: phase, Reason: "Why", Volume: &Volume{Size: 1}})
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Volume     Volume
			Conditions []Condition
		}
		if err := json.Unmarshal(data, &got); err != nil || got.Volume.Size != 1 {
			t.Fatalf("%s: %v", data, err)
		}
		var said string
		for _, c := range got.Conditions {
			if said += " " + c.Type + "=" + c.Status; c.Reason != "Why" {
				t.Errorf("%s: %+v", phase, c)
			}
		}
		if said != " "+want {
			t.Errorf("%s is%s, not %s", phase, said, want)
		}
	}
}

// TestABackupThatIsTooOldIsACondition: of its own, for those who wait for it.
func TestABackupThatIsTooOldIsACondition(t *testing.T) {
	old := Object{Kind: spec.KindSnapshotSchedule, Name: "a", Phase: Failed, Reason: ReasonBackupTooOld}.Conditions()
	if last := old[len(old)-1]; last.Type != "BackupTooOld" || last.Status != "True" {
		t.Errorf("%+v", old)
	}
}

// TestTheListsAreComplete: they name every constant.
func TestTheListsAreComplete(t *testing.T) {
	list := func(file, pattern string) (names []string) {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range regexp.MustCompile(pattern).FindAllSubmatch(source, -1) {
			names = append(names, string(match[1]))
		}
		return names
	}
	texts := func(list any) string { return strings.Trim(fmt.Sprint(list), "[]") }
	for want, got := range map[string]string{
		texts(list("object.go", `(?m)^\tReason\w+ += "(\w+)"`)):     texts(Reasons()),
		texts(list("object.go", `(?m)^\t\w+ +Phase = "(\w+)"`)):     texts(Phases()),
		texts(list("events.go", `(?m)^\t\w+ +EventType = "(\w+)"`)): texts(EventTypes()),
	} {
		if want != got || want == "" {
			t.Errorf("%s, not %s", got, want)
		}
	}
}

// TestAnActorOfWhichLittleIsKnown is named by what is.
func TestAnActorOfWhichLittleIsKnown(t *testing.T) {
	for want, a := range map[string]Actor{
		"a process (pid 7)":      {PID: 7, UID: -1, LoginUID: -1},
		"a process":              {UID: -1, LoginUID: -1},
		"targetcli (uid 0 root)": {Command: "targetcli", User: "root", LoginUID: -1},
	} {
		if got := a.String(); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}
