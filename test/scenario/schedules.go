package scenario

import (
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// onlyClock is why the histories of schedules happen in memory only: they take days.
const onlyClock = "it sets the clock, and dies in the middle of backups"

// schedules are the histories of snapshots that schedules take.
func schedules() []Scenario {
	return []Scenario{hourly(), renamedSchedule(), wrongClock()}
}

// saves are the calls to LVM, to devices and to restic.
func saves(c fakehost.Call) bool { return moves(c) || c.Op == readRestic }

// clock is a time of the day on which most histories happen.
func clock(time string) string { return "2026-03-02T" + time + ":00Z" }

// every is a schedule of Volumes.
func every(name, at string, fields ...string) string {
	return object("SnapshotSchedule", name, append([]string{fmt.Sprintf("at: %q", at)}, fields...))
}

// hourly takes snapshots of a thin volume and of a thick one, and removes old ones. Another schedule of one of them does not
// care.
func hourly() Scenario {
	hours := every("hourly", "5 * * * *", "volumes: [thin, thick]", "keep: {last: 2}")
	return Scenario{Name: "scheduled snapshots", FakeOnly: onlyClock, Telling: saves, Steps: []Step{
		{Name: "declared", At: clock("12:00"), Files: with(sources(), map[string]string{
			"schedules.yaml": file(hours), "export.yaml": file(export("src", luns("volume: thin", "volume: thick"), open(hostA))),
		})},
		{
			Name: "the first", At: clock("12:06"), ByHand: used("vg0/thin", "vg0/thick"),
			Data: map[string]string{"vg0/hourly-thin-20260302t120500z": usedLV("vg0/thin"), "vg0/hourly-thick-20260302t120500z": usedLV("vg0/thick")},
		},
		{
			Name: "the second", At: clock("13:06"), ByHand: changed("vg0/thin", "vg0/thick"),
			Data: map[string]string{
				"vg0/hourly-thin-20260302t120500z": usedLV("vg0/thin"), "vg0/hourly-thick-20260302t120500z": usedLV("vg0/thick"),
				"vg0/hourly-thin-20260302t130500z": changedLV("vg0/thin"), "vg0/hourly-thick-20260302t130500z": changedLV("vg0/thick"),
			},
		},
		{Name: "the third, and the first is removed", At: clock("14:06")},
		{Name: "nothing is due", At: clock("14:30")},
		{
			Name: "two schedules on one volume", At: clock("15:06"),
			Files: map[string]string{"schedules.yaml": file(hours, every("daily", "0 15 * * *", "volumes: [thin]", "keep: {daily: 1}"))},
		},
		{Name: "both take one, once after two days", At: "2026-03-04T15:06:00Z"},
	}}
}

// renamedSchedule is a schedule that changes its name, and is removed.
func renamedSchedule() Scenario {
	declared := func(name string) map[string]string {
		return map[string]string{"schedules.yaml": file(every(name, "5 * * * *", "volumes: [thin]", "keep: {last: 1}"))}
	}
	left := func(moments ...string) map[string]string {
		stand := map[string]string{}
		for _, m := range moments {
			stand["Snapshot/"+m] = "Orphaned: Retained"
		}
		return stand
	}
	return Scenario{Name: "a schedule that is renamed and removed", FakeOnly: onlyClock, Telling: saves, Steps: []Step{
		{Name: "declared", At: clock("12:00"), Files: with(sources(), declared("old"))},
		{Name: "a snapshot", At: clock("12:06")},
		{Name: "renamed", At: clock("12:10"), Files: declared("new"), Stand: left("old-20260302t120500z")},
		{Name: "it continues under its new name", At: clock("13:06"), Stand: left("old-20260302t120500z")},
		{Name: "and removes only what it made", At: clock("14:06"), Stand: left("old-20260302t120500z")},
		{Name: "removed", At: clock("15:06"), Files: map[string]string{"schedules.yaml": ""}, Stand: left("old-20260302t120500z", "new-20260302t140500z")},
		{Name: "and declared again under its old name", At: clock("15:10"), Files: declared("old"), Stand: left("new-20260302t140500z")},
	}}
}

// wrongClock is a clock that is set a year ahead, and back.
func wrongClock() Scenario {
	return Scenario{Name: "a clock a year ahead", FakeOnly: onlyClock, Telling: saves, Steps: []Step{
		{Name: "declared", At: clock("12:00"), Files: with(saving(), map[string]string{"schedules.yaml": file(backedUp("last: 2", "last: 2"))})},
		{Name: "a backup", At: clock("12:36"), ByHand: used("vg0/thin")},
		{Name: "another", At: clock("13:36"), ByHand: changed("vg0/thin")},
		{Name: "a year ahead", At: "2027-03-02T14:36:00Z"},
		{Name: "and back", At: clock("14:36")},
		{Name: "an hour later", At: clock("15:36")},
	}}
}
