package scenario

import (
	"context"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// poolMoves are the histories in which Volumes move to other Pools.
func poolMoves() []Scenario {
	return []Scenario{moved(), interruptedMove(), withdrawnMove(), deletedMove()}
}

// placed are a Volume in a Pool and one in another, both exported.
func placed(one, other string) map[string]string {
	return map[string]string{
		"pools.yaml":   file(thin, thick),
		"volumes.yaml": file(volume("one", one, "16Mi", "deletionPolicy: Delete"), volume("other", other, "16Mi", "deletionPolicy: Delete"), export("both", luns("volume: one", "volume: other"), open(hostA))),
	}
}

func moved() Scenario {
	both := func(content func(string) string) map[string]string {
		return map[string]string{"vg0/one": content("vg0/one"), "vg0/other": content("vg0/other")}
	}
	return Scenario{Name: "moves to other pools", FakeOnly: onlyFake, Telling: cuts, Steps: []Step{
		{Name: "a thin volume and a thick one", Files: placed("fast", "slow")},
		{
			Name: "change places while somebody is logged in", Files: placed("slow", "fast"), Data: both(usedLV),
			ByHand: all(used("vg0/one", "vg0/other"), func(ctx context.Context, m Machine) error { return m.Login(ctx, target("both"), hostA) }),
		},
		{Name: "and back", Files: placed("fast", "slow"), ByHand: changed("vg0/one", "vg0/other"), Data: both(changedLV)},
	}}
}

// interruptedMove is one of a volume that is written to while nobody copies it.
func interruptedMove() Scenario {
	return Scenario{Name: "an interrupted move", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "two volumes", Files: placed("fast", "slow")},
		{Name: "begun", ByHand: used("vg0/one", "vg0/other"), Files: placed("slow", "fast"), Dies: killAt(3, "writeblocks /dev/vg0/volreconciler-moved-o")},
		{Name: "interrupted at the last moment", ByHand: changed("vg0/one", "vg0/other"), Dies: replaces},
		{
			Name: "ended", ByHand: all(fill("vg0/one", 15, 16, "last of one"), fill("vg0/other", 15, 16, "last of other")),
			Data: map[string]string{"vg0/one": changedLV("vg0/one") + ", 15-16 last of one", "vg0/other": changedLV("vg0/other") + ", 15-16 last of other"},
		},
	}}
}

// withdrawnMove is a move that is withdrawn: spec.pool is what it was before.
func withdrawnMove() Scenario {
	return Scenario{Name: "a withdrawn move", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "two volumes", Files: placed("fast", "slow")},
		{Name: "begun", ByHand: used("vg0/one", "vg0/other"), Files: placed("slow", "fast"), Dies: replaces},
		{
			Name: "put back", ByHand: changed("vg0/one", "vg0/other"), Files: placed("fast", "slow"),
			Data: map[string]string{"vg0/one": changedLV("vg0/one"), "vg0/other": changedLV("vg0/other")},
		},
	}}
}

// deletedMove is one whose Volumes are deleted.
func deletedMove() Scenario {
	return Scenario{Name: "a deleted move", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "two volumes", Files: placed("fast", "slow")},
		{Name: "begun", ByHand: used("vg0/one", "vg0/other"), Files: placed("slow", "fast"), Dies: killAt(3, "writeblocks /dev/vg0/volreconciler-moved-o")},
		{Name: "deleted", Files: map[string]string{"volumes.yaml": ""}},
	}}
}

// replaces is the moment at which a move happens.
func replaces() func(fakehost.Call) bool {
	return func(c fakehost.Call) bool { return strings.Contains(c.String(), ondisk.TagReplacedBy) }
}

// cuts are the calls of moves, and those that end sessions and take LUNs away.
func cuts(c fakehost.Call) bool {
	text := c.String()
	return moves(c) || strings.Contains(text, "/enable") || strings.Contains(text, "/lun")
}
