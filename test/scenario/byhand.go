package scenario

// cloned has a thin volume that somebody made of a Volume, which LVM would remove with it.
func cloned() Scenario {
	return Scenario{Name: "a thin clone by hand", Steps: []Step{
		{Name: "made", Files: map[string]string{
			"pools.yaml": file(thin, thick), "golden.yaml": file(volume("golden", "slow", "64Mi", "deletionPolicy: Delete")),
		}},
		{
			Name: "cloned, and no longer named", Files: map[string]string{"golden.yaml": ""},
			ByHand: all(write("vg0/golden", "golden"), commands(
				[]string{"lvchange", "-an", "vg0/golden"}, []string{"lvchange", "-pr", "vg0/golden"},
				[]string{"lvcreate", "-y", "-s", "--thinpool", "vg0/pool0", "-n", "clone1", "vg0/golden"},
			)),
			Stand: map[string]string{"Volume/golden": "Blocked: SnapshotsExist"}, Content: map[string]string{"vg0/clone1": "golden"},
		},
		{Name: "alone again", ByHand: commands([]string{"lvremove", "-y", "vg0/clone1"}, []string{"lvchange", "-prw", "vg0/golden"})},
	}}
}
