package scenario

import "context"

// together has several thin volumes, which are created and activated together: the agent may die
// when some of them are created and none is active.
func together() Scenario {
	volumes := func(names ...string) string {
		var all []string
		for _, name := range names {
			all = append(all, volume(name, "fast", "16Mi", "deletionPolicy: Delete"), export(name, luns("volume: "+name), open(hostA)))
		}
		return file(all...)
	}
	return Scenario{Name: "several volumes at once", Steps: []Step{
		{Name: "made", Files: map[string]string{"pools.yaml": file(thin), "all.yaml": volumes("a", "b", "c")}},
		{
			Name: "more of them, and copies", ByHand: write("vg0/a", "of a"),
			Files: map[string]string{"more.yaml": volumes("d", "e"), "copies.yaml": file(
				volume("f", "fast", "16Mi", "deletionPolicy: Delete", "source: {volume: a}"), volume("g", "fast", "16Mi", "deletionPolicy: Delete", "source: {volume: a}"),
			)},
			Content: map[string]string{"vg0/a": "of a", "vg0/f": "of a", "vg0/g": "of a"},
		},
		{
			Name: "all inactive", ByHand: commands([]string{"lvchange", "-an", "vg0/f", "vg0/g"}),
			Content: map[string]string{"vg0/f": "of a", "vg0/g": "of a"},
		},
		{Name: "some gone", Files: map[string]string{"more.yaml": "", "copies.yaml": ""}},
	}}
}

// rebooted has several volumes whose exports the agent restores.
func rebooted() Scenario {
	return Scenario{Name: "a reboot with several volumes", FakeOnly: "a guest that is booted again has lost its files", Steps: []Step{
		{Name: "made", Files: map[string]string{"all.yaml": file(thin, volume("a", "fast", "16Mi"), volume("b", "fast", "16Mi"), volume("c", "fast", "16Mi"),
			export("db", luns("volume: a", "volume: b", "volume: c"), open(hostA)))}},
		{Name: "rebooted", ByHand: func(ctx context.Context, m Machine) error { return m.Reboot(ctx) }},
	}}
}
