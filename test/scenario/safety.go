package scenario

import (
	"context"
)

// safetyRules are those of docs/safety.md, as people meet them.
func safetyRules() []Scenario {
	return []Scenario{otherInstallation(), numbersKept(), numbersKeptOverReboot(), readOnlyWaits(), lostWhileFilled(), revertedOnce(), twoOfOneName()}
}

// otherMaker is the tag of an installation that is none of a machine's.
const otherMaker = "volreconciler/by=00000000cafecafe:elsewhere"

// madeElsewhere makes a thick volume as another installation does.
func madeElsewhere(vg, lv, name, deletion string) []string {
	return []string{
		"lvcreate", "-y", "-n", lv, "-L", "64m", "--addtag", "volreconciler/kind=volume", "--addtag", "volreconciler/name=" + name,
		"--addtag", "volreconciler/deletion=" + deletion, "--addtag", otherMaker, vg,
	}
}

// otherInstallation is the disks of another node, some of which are adopted.
func otherInstallation() Scenario {
	pools := map[string]string{"pools.yaml": file(thick)}
	foreign := map[string]string{"Volume/a": "Foreign: OtherInstallation", "Volume/b": "Foreign: OtherInstallation", "Volume/gone": "Foreign: NotDeclared"}
	contents := map[string]string{"vg0/a": "theirs", "vg0/gone": "precious"}
	return Scenario{Name: "another installation", Steps: []Step{
		{Name: "nothing here", Files: pools},
		{
			Name: "its disks", ByHand: all(commands(madeElsewhere("vg0", "a", "a", "delete"), madeElsewhere("vg0", "b", "b", "delete"), madeElsewhere("vg0", "gone", "gone", "delete")), write("vg0/a", "theirs"), write("vg0/gone", "precious")),
			Files: map[string]string{"all.yaml": file(volume("a", "slow", "64Mi"), volume("b", "slow", "96Mi"))},
			Stand: foreign, Content: contents,
		},
		{
			Name: "one of them is adopted", Files: map[string]string{"all.yaml": file(volume("a", "slow", "96Mi", "adopt: true"), volume("b", "slow", "96Mi"), export("db", luns("volume: a"), open(hostA)))},
			Stand: map[string]string{"Volume/b": "Foreign: OtherInstallation", "Volume/gone": "Foreign: NotDeclared"}, Content: contents,
		},
		{
			Name: "both say that it is theirs", ByHand: commands([]string{"lvchange", "--addtag", otherMaker, "vg0/a"}),
			Files: map[string]string{"all.yaml": file(volume("a", "slow", "96Mi"), export("db", luns("volume: a"), open(hostA)))},
			Stand: map[string]string{"Volume/a": "Foreign: OtherInstallation", "Volume/b": "Foreign: NotDeclared", "Volume/gone": "Foreign: NotDeclared", "Export/db": "Blocked: DependencyNotReady"}, Content: contents,
		},
		{
			Name: "the other installation's tag is removed", ByHand: commands([]string{"lvchange", "--deltag", otherMaker, "vg0/a"}),
			Stand: map[string]string{"Volume/b": "Foreign: NotDeclared", "Volume/gone": "Foreign: NotDeclared"}, Content: contents,
		},
	}}
}

// numbersKept is a list that loses its first entry while somebody is logged in.
func numbersKept() Scenario {
	volumes := file(thick, volume("a", "slow", "16Mi"), volume("b", "slow", "16Mi"), volume("c", "slow", "16Mi"))
	return Scenario{Name: "numbers under a connected initiator", Steps: []Step{
		{Name: "made", Files: map[string]string{"volumes.yaml": volumes, "all.yaml": file(export("db", luns("volume: a", "volume: b", "volume: c"), open(hostA)))}},
		{
			Name: "the first volume is removed", ByHand: all(func(ctx context.Context, m Machine) error { return m.Login(ctx, target("db"), hostA) }, write("vg0/a", "one"), write("vg0/b", "two"), write("vg0/c", "three")),
			Files:   map[string]string{"all.yaml": file(export("db", luns("volume: b", "volume: c"), open(hostA)))},
			Stand:   map[string]string{"Export/db": "Blocked: SessionsActive"},
			Content: map[string]string{"vg0/a": "one", "vg0/b": "two", "vg0/c": "three"},
		},
		{
			Name: "two swap", Files: map[string]string{"all.yaml": file(export("db", luns("volume: a", "volume: c", "volume: b"), open(hostA)))},
			Stand: map[string]string{"Export/db": "Blocked: SessionsActive"},
		},
		{Name: "it logs out", ByHand: func(ctx context.Context, m Machine) error { return m.Logout(ctx, target("db"), hostA) }},
	}}
}

// numbersKeptOverReboot is a list that is edited while the node is down.
func numbersKeptOverReboot() Scenario {
	volumes := file(thick, volume("a", "slow", "16Mi"), volume("b", "slow", "16Mi"))
	return Scenario{Name: "numbers over a reboot", FakeOnly: "a guest that is booted again has lost its files", Steps: []Step{
		{Name: "made", Files: map[string]string{"volumes.yaml": volumes, "all.yaml": file(export("db", luns("volume: a", "volume: b"), open(hostA)))}},
		{Name: "somebody logs in", ByHand: func(ctx context.Context, m Machine) error { return m.Login(ctx, target("db"), hostA) }},
		{
			Name: "a reboot, and another list", ByHand: func(ctx context.Context, m Machine) error { return m.Reboot(ctx) },
			Files: map[string]string{"all.yaml": file(export("db", luns("volume: b", "volume: a"), open(hostA)))},
			Stand: map[string]string{"Export/db": "Blocked: SessionsActive"},
		},
		{
			Name: "it comes back", ByHand: func(ctx context.Context, m Machine) error { return m.Login(ctx, target("db"), hostA) },
			Stand: map[string]string{"Export/db": "Blocked: SessionsActive"},
		},
		{Name: "it logs out", ByHand: func(ctx context.Context, m Machine) error { return m.Logout(ctx, target("db"), hostA) }},
	}}
}

// readOnlyWaits is a LUN that becomes read-only while somebody may have written to it.
func readOnlyWaits() Scenario {
	return Scenario{Name: "read-only under a connected initiator", Steps: []Step{
		{Name: "made", Files: map[string]string{"pools.yaml": file(thick, volume("a", "slow", "16Mi")), "all.yaml": file(export("db", luns("volume: a"), open(hostA)))}},
		{
			Name: "read-only", ByHand: func(ctx context.Context, m Machine) error { return m.Login(ctx, target("db"), hostA) },
			Files: map[string]string{"all.yaml": file(export("db", luns("volume: a, readOnly: true"), open(hostA)))},
			Stand: map[string]string{"Export/db": "Blocked: SessionsActive"},
		},
		{Name: "it logs out", ByHand: func(ctx context.Context, m Machine) error { return m.Logout(ctx, target("db"), hostA) }},
	}}
}

// lostWhileFilled is a copy whose tags somebody takes away before it is complete.
func lostWhileFilled() Scenario {
	const (
		populating = "volreconciler/phase=populating"
		// begun names the source, whose UUID is always that on a machine in memory.
		begun = "volreconciler/checkpoint=v6uDCZ-MqeH-Tgyg-EKDa-knId-XTCS-ilWqSX:0"
	)
	copied := map[string]string{"copy.yaml": file(volume("copy", "slow", "16Mi", "source: {volume: thick}"), export("copy", luns("volume: copy"), open(hostA)))}
	return Scenario{Name: "tags lost while a volume is filled", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "source", Files: sources()},
		{Name: "begun", ByHand: used("vg0/thick"), Dies: killAt(1, "writeblocks /dev/vg0/copy "), Files: copied},
		{
			Name: "tags lost", ByHand: commands([]string{"lvchange", "--deltag", populating, "--deltag", begun, "vg0/copy"}),
			Stand: map[string]string{"Volume/copy": "Blocked: Contradiction", "Export/copy": "Blocked: DependencyNotReady"},
		},
		{
			Name: "put back", ByHand: commands([]string{"lvchange", "--addtag", populating, "vg0/copy"}),
			Data: map[string]string{"vg0/copy": usedLV("vg0/thick"), "vg0/thick": usedLV("vg0/thick")},
		},
		{
			Name: "old metadata", ByHand: all(changed("vg0/copy"), commands([]string{"lvchange", "--addtag", populating, "vg0/copy"})),
			Stand: map[string]string{"Volume/copy": "Blocked: Contradiction", "Export/copy": "Blocked: DependencyNotReady"},
			Data:  map[string]string{"vg0/copy": "0-1 start of vg0/thick, 1-10 later in vg0/copy, 10-13 middle of vg0/thick"},
		},
	}}
}

// revertedOnce is a revert whose tag somebody takes away.
func revertedOnce() Scenario {
	volumes := map[string]string{"sources.yaml": file(volume("thin", "fast", "16Mi", `revert: {snapshot: thin-snap, request: "1"}`), volume("thick", "slow", "16Mi", `revert: {snapshot: thick-snap, request: "1"}`))}
	return Scenario{Name: "a revert whose tags are lost", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "volumes", Files: sources()},
		{Name: "snapshots", ByHand: used("vg0/thin", "vg0/thick"), Files: map[string]string{"snaps.yaml": file(snapshot("thin-snap", "thin"), snapshot("thick-snap", "thick"))}},
		{Name: "put back", ByHand: changed("vg0/thin", "vg0/thick"), Files: volumes, Data: map[string]string{"vg0/thin": usedLV("vg0/thin"), "vg0/thick": usedLV("vg0/thick")}},
		{
			Name: "written to, and without the tags", ByHand: all(changed("vg0/thin", "vg0/thick"), commands(
				[]string{"lvchange", "--deltag", "volreconciler/reverted=1", "vg0/thin"}, []string{"lvchange", "--deltag", "volreconciler/reverted=1", "vg0/thick"})),
			Data: map[string]string{"vg0/thin": changedLV("vg0/thin"), "vg0/thick": changedLV("vg0/thick")},
		},
	}}
}

// twoOfOneName is a volume that is declared again, with its name and LUN, after it was abandoned.
func twoOfOneName() Scenario {
	files := map[string]string{"all.yaml": file(volume("a", "slow", "16Mi", "deletionPolicy: Delete"), volume("b", "slow", "16Mi"), export("db", luns("volume: a", "volume: b"), open(hostA)))}
	without := map[string]string{"all.yaml": file(volume("b", "slow", "16Mi"), export("db", luns("volume: b, lun: 1"), open(hostA)))}
	return Scenario{Name: "a volume made anew under its name", Steps: []Step{
		{Name: "made", Files: with(files, map[string]string{"pools.yaml": file(thick)})},
		{
			Name: "its file goes", ByHand: all(func(ctx context.Context, m Machine) error { return m.Login(ctx, target("db"), hostA) }, write("vg0/a", "one")), Files: without,
			Stand:   map[string]string{"Export/db": "Blocked: SessionsActive", "Volume/a": "Blocked: InUse"},
			Content: map[string]string{"vg0/a": "one"},
		},
		{Name: "and is declared again", Files: files, Content: map[string]string{"vg0/a": "one"}},
		{Name: "it logs out, and the file is removed", ByHand: func(ctx context.Context, m Machine) error { return m.Logout(ctx, target("db"), hostA) }, Files: without},
		{Name: "another one", Files: files},
	}}
}
