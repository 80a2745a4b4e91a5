package scenario

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// onlyFake is why the histories of copies happen in memory only: what is in every
// part of a device, and how far a copy had come when the agent died, is not to be
// had on a kernel. The copies themselves have specs there.
const onlyFake = "it looks at all that is in devices, and dies in the middle of copies"

// copies are the histories in which data is moved.
func copies() []Scenario {
	return []Scenario{
		clones(), clonesOfSnapshots(), interruptedCopy(), withdrawnCopy(), reverts(), interruptedRevert(), withdrawnRevert(), keptBeforeRevert(), clearing(), interruptedClearing(), images(),
	}
}

// moves are the calls to LVM and to devices. How LUNs come and go is what other
// histories are about.
func moves(c fakehost.Call) bool {
	return c.Argv != nil || c.Op == "writeblocks" || c.Op == "create"
}

const mib = 1 << 20

// fill writes a text into a part of a logical volume, in MiB, as whoever uses it does.
func fill(lv string, from, to uint64, text string) func(context.Context, Machine) error {
	return func(_ context.Context, m Machine) error {
		f, ok := m.(*Fake)
		if !ok {
			return fmt.Errorf("%s can be filled in memory only", lv)
		}
		return f.Fill(lv, from*mib, to*mib, text)
	}
}

// used fills logical volumes of 16 MiB, so that there is data, zeroes, and other data.
func used(lvs ...string) func(context.Context, Machine) error {
	var doings []func(context.Context, Machine) error
	for _, lv := range lvs {
		doings = append(doings, fill(lv, 0, 16, ""), fill(lv, 0, 3, "start of "+lv), fill(lv, 8, 13, "middle of "+lv))
	}
	return all(doings...)
}

// changed writes over what used wrote.
func changed(lvs ...string) func(context.Context, Machine) error {
	var doings []func(context.Context, Machine) error
	for _, lv := range lvs {
		doings = append(doings, fill(lv, 1, 10, "later in "+lv))
	}
	return all(doings...)
}

// usedLV and changedLV are what is in a logical volume after that.
func usedLV(lv string) string { return "0-3 start of " + lv + ", 8-13 middle of " + lv }

func changedLV(lv string) string {
	return "0-1 start of " + lv + ", 1-10 later in " + lv + ", 10-13 middle of " + lv
}

// killAt returns a moment: the n-th call that begins with call.
func killAt(n int, call string) func() func(fakehost.Call) bool {
	return func() func(fakehost.Call) bool {
		left := n
		return func(c fakehost.Call) bool {
			if strings.HasPrefix(c.String(), call) {
				left--
			}
			return left == 0
		}
	}
}

// sources are a volume and a snapshot of it, thick and thin.
func sources() map[string]string {
	return map[string]string{
		"pools.yaml":   file(thin, thick),
		"sources.yaml": file(volume("thin", "fast", "16Mi"), volume("thick", "slow", "16Mi")),
	}
}

func with(files, more map[string]string) map[string]string {
	files = maps.Clone(files)
	maps.Copy(files, more)
	return files
}

// clones are volumes made of volumes that are exported and change.
func clones() Scenario {
	thinned, thickened := usedLV("vg0/thin"), usedLV("vg0/thick")
	return Scenario{Name: "clones", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "sources", Files: with(sources(), map[string]string{"export.yaml": file(export("src", luns("volume: thin", "volume: thick"), open(hostA)))})},
		{
			Name: "in the same pool and in the other pool, larger, and exported", ByHand: used("vg0/thin", "vg0/thick"),
			Files: map[string]string{"copies.yaml": file(
				volume("a", "fast", "24Mi", "source: {volume: thin}"), volume("b", "slow", "16Mi", "source: {volume: thin}"),
				volume("c", "fast", "16Mi", "source: {volume: thick}"), volume("d", "slow", "16Mi", "source: {volume: thick}"),
				export("copies", luns("volume: a", "volume: b"), open(hostB)),
			)},
			Data: map[string]string{
				"vg0/thin": thinned, "vg0/thick": thickened, "vg0/a": thinned, "vg0/b": thinned, "vg0/c": thickened, "vg0/d": thickened,
			},
		},
		{
			Name: "independent of their sources", ByHand: changed("vg0/thin", "vg0/thick"),
			Files: map[string]string{"copies.yaml": file(
				volume("a", "fast", "24Mi"), volume("b", "slow", "20Mi", "source: {volume: thin}"),
				volume("c", "fast", "16Mi"), volume("d", "slow", "16Mi", "source: {volume: thick}"),
			)},
			Data: map[string]string{
				"vg0/thin": changedLV("vg0/thin"), "vg0/thick": changedLV("vg0/thick"), "vg0/a": thinned, "vg0/c": thickened, "vg0/d": thickened,
			},
		},
	}}
}

func clonesOfSnapshots() Scenario {
	return Scenario{Name: "clones of snapshots", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "sources", Files: sources()},
		{
			Name: "snapshots", ByHand: used("vg0/thin", "vg0/thick"),
			Files: map[string]string{"snaps.yaml": file(snapshot("thin-snap", "thin"), snapshot("thick-snap", "thick", "size: 12Mi"))},
		},
		{
			Name: "copies of them", ByHand: changed("vg0/thin", "vg0/thick"),
			Files: map[string]string{"copies.yaml": file(
				volume("a", "fast", "24Mi", "source: {snapshot: thin-snap}"), volume("b", "slow", "16Mi", "source: {snapshot: thin-snap}"),
				volume("c", "fast", "16Mi", "source: {snapshot: thick-snap}"), volume("d", "slow", "16Mi", "source: {snapshot: thick-snap}"),
				volume("small", "slow", "8Mi", "source: {snapshot: thick-snap}"),
			)},
			Stand: map[string]string{"Volume/small": "Blocked: ShrinkRefused"},
			Data: map[string]string{
				"vg0/a": usedLV("vg0/thin"), "vg0/b": usedLV("vg0/thin"), "vg0/c": usedLV("vg0/thick"), "vg0/d": usedLV("vg0/thick"),
				"vg0/thin-snap": usedLV("vg0/thin"), "vg0/thick-snap": usedLV("vg0/thick"),
				"vg0/thin": changedLV("vg0/thin"), "vg0/thick": changedLV("vg0/thick"),
			},
		},
	}}
}

// interruptedCopy is a copy of a volume that changes while nobody copies.
func interruptedCopy() Scenario {
	return Scenario{Name: "an interrupted copy", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "source", Files: sources()},
		{
			Name: "begun", ByHand: used("vg0/thick"), Dies: killAt(3, "writeblocks /dev/vg0/copy "),
			Files: map[string]string{"copy.yaml": file(volume("copy", "slow", "16Mi", "source: {volume: thick}"), export("copy", luns("volume: copy"), open(hostA)))},
		},
		{
			Name: "ended, when its source holds something else", ByHand: changed("vg0/thick"),
			Data: map[string]string{"vg0/copy": usedLV("vg0/thick"), "vg0/thick": changedLV("vg0/thick")},
		},
	}}
}

// withdrawnCopy is a copy whose file is removed before it is complete, and written again.
func withdrawnCopy() Scenario {
	copied := map[string]string{"copy.yaml": file(volume("copy", "slow", "16Mi", "deletionPolicy: Delete", "source: {volume: thin}"), export("copy", luns("volume: copy"), open(hostA)))}
	return Scenario{Name: "a withdrawn copy", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "source", Files: sources()},
		{Name: "begun", ByHand: used("vg0/thin"), Dies: killAt(3, "writeblocks /dev/vg0/copy "), Files: copied},
		{Name: "withdrawn", Files: map[string]string{"copy.yaml": ""}, Data: map[string]string{"vg0/thin": usedLV("vg0/thin")}},
		{Name: "begun anew", ByHand: changed("vg0/thin"), Dies: killAt(3, "writeblocks /dev/vg0/copy "), Files: copied},
		{Name: "its removal begun", Files: map[string]string{"copy.yaml": ""}, Dies: killAt(2, "writeblocks /dev/vg0/copy ")},
		{
			Name: "back again", Files: copied,
			Data: map[string]string{"vg0/copy": changedLV("vg0/thin"), "vg0/thin": changedLV("vg0/thin")},
		},
	}}
}

func reverts() Scenario {
	volumes := func(thinRequest, thickRequest string) map[string]string {
		revert := func(snapshot, request string) string {
			if request == "" {
				return "deletionPolicy: Retain"
			}
			return fmt.Sprintf("revert: {snapshot: %s, request: %q}", snapshot, request)
		}
		return map[string]string{"sources.yaml": file(
			volume("thin", "fast", "16Mi", revert("thin-snap", thinRequest)), volume("thick", "slow", "16Mi", revert("thick-snap", thickRequest)))}
	}
	back := map[string]string{
		"vg0/thin": usedLV("vg0/thin"), "vg0/thick": usedLV("vg0/thick"), "vg0/thin-snap": usedLV("vg0/thin"), "vg0/thick-snap": usedLV("vg0/thick"),
	}
	now := map[string]string{
		"vg0/thin": changedLV("vg0/thin"), "vg0/thick": changedLV("vg0/thick"), "vg0/thin-snap": usedLV("vg0/thin"), "vg0/thick-snap": usedLV("vg0/thick"),
	}
	return Scenario{Name: "reverts", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "volumes", Files: sources()},
		{
			Name: "snapshots", ByHand: used("vg0/thin", "vg0/thick"),
			Files: map[string]string{
				"snaps.yaml":  file(snapshot("thin-snap", "thin"), snapshot("thick-snap", "thick", "size: 12Mi")),
				"export.yaml": file(export("both", luns("volume: thin", "volume: thick", "snapshot: thick-snap"), open(hostA))),
			},
		},
		{Name: "put back", ByHand: changed("vg0/thin", "vg0/thick"), Files: volumes("one", "one"), Data: back},
		{Name: "not once more for the same", ByHand: changed("vg0/thin", "vg0/thick"), Data: now},
		{Name: "but for another one", Files: volumes("two", ""), Data: with(now, map[string]string{"vg0/thin": usedLV("vg0/thin")})},
		{
			Name: "not while it is used", Files: volumes("two", "three"), Data: with(now, map[string]string{"vg0/thin": usedLV("vg0/thin")}),
			ByHand: func(ctx context.Context, m Machine) error { return m.Login(ctx, target("both"), hostA) },
			Stand:  map[string]string{"Volume/thick": "Blocked: SessionsActive"},
		},
		{
			Name: "but afterwards", Files: volumes("two", "three"), Data: back,
			ByHand: func(ctx context.Context, m Machine) error { return m.Logout(ctx, target("both"), hostA) },
		},
	}}
}

// interruptedRevert is one that is asked for by another request before it ended.
func interruptedRevert() Scenario {
	asked := func(revert string) map[string]string {
		return map[string]string{"all.yaml": file(thick, volume("v", "slow", "16Mi", revert), snapshot("one", "v", "size: 16Mi"), snapshot("two", "v", "size: 16Mi"), export("v", luns("volume: v"), open(hostA)))}
	}
	return Scenario{Name: "an interrupted revert", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "a volume", Files: map[string]string{"all.yaml": file(thick, volume("v", "slow", "16Mi"))}},
		{Name: "its snapshot", ByHand: used("vg0/v"), Files: map[string]string{"all.yaml": file(thick, volume("v", "slow", "16Mi"), snapshot("one", "v", "size: 16Mi"))}},
		{Name: "another one", ByHand: changed("vg0/v"), Files: asked("deletionPolicy: Retain")},
		{Name: "begun", ByHand: fill("vg0/v", 0, 16, "mistake"), Files: asked("revert: {snapshot: one, request: a}"), Dies: killAt(3, "writeblocks /dev/vg0/v ")},
		{
			Name: "no longer asked for", Files: asked("deletionPolicy: Retain"), Stand: map[string]string{"Volume/v": "Blocked: Reverting", "Export/v": "Blocked: DependencyNotReady"},
			Data: map[string]string{"vg0/one": usedLV("vg0/v"), "vg0/two": changedLV("vg0/v")},
		},
		{
			Name: "to the other snapshot", Files: asked("revert: {snapshot: two, request: b}"),
			Data: map[string]string{"vg0/v": changedLV("vg0/v"), "vg0/one": usedLV("vg0/v"), "vg0/two": changedLV("vg0/v")},
		},
	}}
}

// withdrawnRevert is one that no file asks for any more before it happened, and then
// another one does.
func withdrawnRevert() Scenario {
	asked := func(revert string) map[string]string {
		return map[string]string{"all.yaml": file(thin, volume("v", "fast", "24Mi", revert), snapshot("s", "v", "deletionPolicy: Delete"), export("v", luns("volume: v"), open(hostA)))}
	}
	old := map[string]string{"vg0/v": usedLV("vg0/v"), "vg0/s": usedLV("vg0/v")}
	return Scenario{Name: "a withdrawn revert", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "a volume", Files: map[string]string{"all.yaml": file(thin, volume("v", "fast", "16Mi"))}},
		{Name: "its snapshot", ByHand: used("vg0/v"), Files: map[string]string{"all.yaml": file(thin, volume("v", "fast", "16Mi"), snapshot("s", "v"))}},
		{Name: "it grows", Files: asked("deletionPolicy: Retain")},
		{Name: "begun", ByHand: changed("vg0/v"), Files: asked("revert: {snapshot: s, request: a}"), Dies: replaces},
		{
			Name: "no longer asked for", Files: asked("deletionPolicy: Retain"),
			Data: map[string]string{"vg0/v": changedLV("vg0/v"), "vg0/s": usedLV("vg0/v")},
		},
		{Name: "asked for again", Files: asked("revert: {snapshot: s, request: b}"), Data: old},
		{Name: "and once more", ByHand: changed("vg0/v"), Files: asked("revert: {snapshot: s, request: c}"), Data: old},
		{Name: "the snapshot deleted", Files: map[string]string{"all.yaml": file(thin, volume("v", "fast", "24Mi"), export("v", luns("volume: v"), open(hostA)))}, Data: map[string]string{"vg0/v": usedLV("vg0/v")}},
	}}
}

// keptBeforeRevert is what an administrator writes to revert to a snapshot, but keep the
// present content.
func keptBeforeRevert() Scenario {
	all := func(thinMore, thickMore string, more ...string) map[string]string {
		return map[string]string{"all.yaml": file(append([]string{thin, thick, volume("thin", "fast", "16Mi", thinMore), volume("thick", "slow", "16Mi", thickMore)}, more...)...)}
	}
	const none = "deletionPolicy: Retain"
	snaps := []string{snapshot("thin-snap", "thin"), snapshot("thick-snap", "thick", "size: 16Mi")}
	kept := append(slices.Clone(snaps), snapshot("thin-now", "thin"), snapshot("thick-now", "thick", "size: 16Mi"),
		volume("thin-copy", "slow", "16Mi", "source: {volume: thin}"), volume("thick-copy", "fast", "16Mi", "source: {volume: thick}"))
	return Scenario{Name: "kept before a revert", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "volumes", Files: all(none, none)},
		{Name: "snapshots", ByHand: used("vg0/thin", "vg0/thick"), Files: all(none, none, snaps...)},
		{
			Name: "kept and reverted in one edit", ByHand: changed("vg0/thin", "vg0/thick"),
			Files: all("revert: {snapshot: thin-snap, request: a}", "revert: {snapshot: thick-snap, request: a}", kept...),
			Data: map[string]string{
				"vg0/thin": usedLV("vg0/thin"), "vg0/thin-now": changedLV("vg0/thin"), "vg0/thin-copy": changedLV("vg0/thin"),
				"vg0/thick": usedLV("vg0/thick"), "vg0/thick-now": changedLV("vg0/thick"), "vg0/thick-copy": changedLV("vg0/thick"),
			},
		},
	}}
}

// clearing is the removal of what has data in it.
func clearing() Scenario {
	return Scenario{Name: "clearing", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "a volume", Files: map[string]string{
			"pools.yaml": file(thick), "v.yaml": file(volume("v", "slow", "16Mi", "deletionPolicy: Delete")), "other.yaml": file(volume("other", "slow", "16Mi")),
		}},
		{Name: "a snapshot", ByHand: used("vg0/v", "vg0/other"), Files: map[string]string{
			"s.yaml": file(snapshot("s", "v", "size: 16Mi", "deletionPolicy: Delete")), "t.yaml": file(snapshot("t", "v", "size: 8Mi", "deletionPolicy: Delete")),
		}},
		{
			Name: "without the snapshot", ByHand: changed("vg0/v"), Files: map[string]string{"s.yaml": ""},
			Data: map[string]string{"vg0/v": changedLV("vg0/v"), "vg0/t": usedLV("vg0/v"), "vg0/other": usedLV("vg0/other")},
		},
		{Name: "without either", Files: map[string]string{"t.yaml": "", "v.yaml": ""}, Data: map[string]string{"vg0/other": usedLV("vg0/other")}},
	}}
}

// interruptedClearing is the removal of an object that is declared again before all of it
// was wiped.
func interruptedClearing() Scenario {
	v := map[string]string{"v.yaml": file(volume("v", "slow", "16Mi", "deletionPolicy: Delete"), export("v", luns("volume: v"), open(hostA)))}
	return Scenario{Name: "an interrupted clearing", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "a volume", Files: with(v, map[string]string{"pools.yaml": file(thick)})},
		{Name: "its removal begun", ByHand: used("vg0/v"), Files: map[string]string{"v.yaml": ""}, Dies: killAt(3, "writeblocks /dev/vg0/v ")},
		{Name: "named again", Files: v},
		{Name: "with data", ByHand: used("vg0/v"), Data: map[string]string{"vg0/v": usedLV("vg0/v")}},
	}}
}

// images are read, and written.
func images() Scenario {
	return Scenario{Name: "images", FakeOnly: onlyFake, Telling: moves, Steps: []Step{
		{Name: "read", Files: map[string]string{"pools.yaml": file(thin, thick), "volumes.yaml": file(
			volume("a", "fast", "16Mi", "source: {image: {path: /images/disk.raw}}"), volume("b", "slow", "16Mi", "source: {image: {path: /images/disk.raw}}"),
			volume("none", "slow", "16Mi", "source: {image: {path: /images/none.raw}}"),
			export("b", luns("volume: b"), open(hostA)),
		)}, Stand: map[string]string{"Volume/none": "Failed: SourceInvalid"}, Data: map[string]string{"vg0/a": diskImage, "vg0/b": diskImage}},
		{
			Name: "written", ByHand: fill("vg0/b", 0, 16, "later in vg0/b"),
			Files: map[string]string{"images.yaml": file(
				object("Image", "a", []string{"volume: a", "path: /images/a.raw", "format: raw"}), object("Image", "b", []string{"volume: b", "path: /images/b.raw", "format: raw"}),
			)},
			Stand: map[string]string{"Volume/none": "Failed: SourceInvalid"}, Data: map[string]string{"vg0/a": diskImage, "vg0/b": "0-16 later in vg0/b"},
		},
	}}
}
