package scenario

import (
	"context"
	"regexp"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// All returns the histories.
func All() []Scenario {
	return append([]Scenario{
		everything(), growth(), deletion(), trash(), retained(), drift(), tags(), vanished(), adopted(), adoptedTarget(),
		cloned(), usedByOthers("iscsi"), usedByOthers("nvme-tcp"), foreign(), exportChanges(), portals(), sharing(), renamedTarget(), suspended(), broken(), full(), reboot(),
		mounted(), connected(), forced(), refused(), tooMany(), renamed(), leftovers(), snapshots(), nvme(), together(), rebooted(),
	}, slices.Concat(copies(), poolMoves(), safetyRules(), schedules(), backupsAndRestores())...)
}

// everything has one object of each kind, created in one pass, and removes all of them again.
func everything() Scenario {
	return Scenario{Name: "everything", Steps: []Step{
		{
			Name: "made at once",
			Files: map[string]string{
				"pools.yaml": file(thin, thick),
				"all.yaml": file(
					volume("data", "fast", "64Mi", "deletionPolicy: Delete"), snapshot("nightly", "data", "deletionPolicy: Delete"),
					volume("logs", "slow", "64Mi", "deletionPolicy: Delete"), snapshot("before", "logs", "size: 16Mi", "deletionPolicy: Delete"),
					export("db", luns("volume: data", "volume: logs", "snapshot: nightly, lun: 7, readOnly: true"), chap("db")),
					export("any", "portals: ['127.0.0.1:3261']", luns("snapshot: before, readOnly: true"), "allowAnyInitiator: true"),
				),
			},
		},
		{Name: "looked at again"},
		{Name: "gone at once", Files: map[string]string{"all.yaml": ""}},
	}}
}

func growth() Scenario {
	sizes := func(pool, data, logs, cow string) map[string]string {
		return map[string]string{"all.yaml": file(
			"kind: Pool\nmetadata: {name: fast}\nspec: {volumeGroup: vg0, thinPool: {name: pool0, size: "+pool+"}}", thick,
			volume("data", "fast", data), volume("logs", "slow", logs), volume("old", "slow", "32Mi"),
			snapshot("before", "old", "size: "+cow), export("db", luns("volume: data", "volume: logs"), open(hostA)),
		)}
	}
	return Scenario{Name: "growth", Steps: []Step{
		{Name: "small", Files: sizes("512Mi", "64Mi", "64Mi", "8Mi"), ByHand: nil},
		{
			Name: "larger, while exported, with data in it", Files: sizes("1Gi", "2Gi", "100Mi", "16Mi"),
			ByHand: all(write("vg0/data", "thin"), write("vg0/logs", "thick")), Content: map[string]string{"vg0/data": "thin", "vg0/logs": "thick"},
		},
		{Name: "smaller is refused", Files: sizes("512Mi", "1Gi", "64Mi", "16Mi"), Stand: map[string]string{
			"Volume/data": "Blocked: ShrinkRefused", "Volume/logs": "Blocked: ShrinkRefused",
		}, Content: map[string]string{"vg0/data": "thin", "vg0/logs": "thick"}},
	}}
}

// deletion takes things away in every order that their dependence allows.
func deletion() Scenario {
	return Scenario{Name: "deletion", Steps: []Step{
		{Name: "made", Files: map[string]string{
			"pools.yaml": file(thin, thick),
			"kept.yaml":  file(volume("data", "fast", "64Mi", "deletionPolicy: Delete"), volume("logs", "slow", "64Mi", "deletionPolicy: Delete")),
			"snaps.yaml": file(snapshot("nightly", "data", "deletionPolicy: Delete"), snapshot("before", "logs", "size: 16Mi", "deletionPolicy: Delete")),
			"db.yaml":    file(export("db", luns("volume: data", "volume: logs", "snapshot: nightly"), open(hostA))),
			"db2.yaml":   file(export("db2", luns("volume: data"), open(hostB))),
		}},
		{Name: "one export of two", Files: map[string]string{"db2.yaml": ""}},
		{Name: "the snapshots, and with them a LUN", Files: map[string]string{
			"snaps.yaml": "", "db.yaml": file(export("db", luns("volume: data", "volume: logs"), open(hostA))),
		}},
		{Name: "the rest", Files: map[string]string{"db.yaml": "", "kept.yaml": ""}},
	}}
}

// trash is the way back for what was deleted.
func trash() Scenario {
	objects := map[string]string{
		"volumes.yaml": file(volume("data", "fast", "64Mi", "deletionPolicy: Delete"), volume("logs", "slow", "64Mi", "deletionPolicy: Delete"), volume("other", "slow", "32Mi", "deletionPolicy: Delete")),
		"snaps.yaml":   file(snapshot("nightly", "data", "deletionPolicy: Delete"), snapshot("before", "logs", "size: 16Mi", "deletionPolicy: Delete")),
		"db.yaml":      file(export("db", luns("volume: data", "volume: logs, lun: 5", "snapshot: nightly, lun: 9"), open(hostA))),
	}
	content := map[string]string{"vg0/data": "thin", "vg0/logs": "thick"}
	deleted := map[string]string{
		"Volume/data": "Deleting: InTrash", "Volume/logs": "Deleting: InTrash", "Volume/other": "Deleting: InTrash",
		"Snapshot/nightly": "Deleting: InTrash", "Snapshot/before": "Deleting: InTrash",
	}
	pools := func(a, b string) map[string]string { return map[string]string{"pools.yaml": file(a, b)} }
	made := pools(thinTrash, thickTrash)
	for name, text := range objects {
		made[name] = text
	}
	return Scenario{Name: "trash", Steps: []Step{
		{Name: "made", Files: made},
		{
			Name: "thrown away", ByHand: all(write("vg0/data", "thin"), write("vg0/logs", "thick")),
			Files: map[string]string{"volumes.yaml": "", "snaps.yaml": "", "db.yaml": ""}, Stand: deleted,
		},
		{Name: "looked at again", Stand: deleted},
		{Name: "and taken out of the trash", Files: objects, Content: content},
		{Name: "thrown away once more", Files: map[string]string{"volumes.yaml": "", "snaps.yaml": "", "db.yaml": ""}, Stand: deleted},
		{Name: "and emptied", Files: pools(thin, thick)},
	}}
}

func retained() Scenario {
	objects := map[string]string{
		"volumes.yaml": file(volume("data", "fast", "64Mi"), volume("logs", "slow", "64Mi")),
		"snaps.yaml":   file(snapshot("nightly", "data"), snapshot("before", "logs", "size: 16Mi")),
		"db.yaml":      file(export("db", luns("volume: data", "snapshot: before"), open(hostA))),
	}
	made := map[string]string{"pools.yaml": file(thin, thick)}
	for name, text := range objects {
		made[name] = text
	}
	content := map[string]string{"vg0/data": "thin", "vg0/logs": "thick"}
	return Scenario{Name: "retained", Steps: []Step{
		{Name: "made", Files: made},
		{
			Name: "no longer named", ByHand: all(write("vg0/data", "thin"), write("vg0/logs", "thick")),
			Files: map[string]string{"volumes.yaml": "", "snaps.yaml": "", "db.yaml": ""},
			Stand: map[string]string{
				"Volume/data": "Orphaned: Retained", "Volume/logs": "Orphaned: Retained", "Snapshot/nightly": "Orphaned: Retained", "Snapshot/before": "Orphaned: Retained",
			}, Content: content,
		},
		{Name: "named again", Files: objects, Content: content},
		{Name: "deleted after all", Files: map[string]string{
			"volumes.yaml": file(volume("data", "fast", "64Mi", "deletionPolicy: Delete"), volume("logs", "slow", "64Mi")),
			"snaps.yaml":   file(snapshot("nightly", "data", "deletionPolicy: Delete"), snapshot("before", "logs", "size: 16Mi")),
		}, Content: content},
	}}
}

// drift is what people change in LIO by hand.
func drift() Scenario {
	tpg := "iscsi/" + target("db") + "/tpgt_1/"
	acl := tpg + "acls/" + hostA + "/"
	return Scenario{Name: "drift", Steps: []Step{
		{Name: "made", Files: map[string]string{"all.yaml": file(thin, thick,
			volume("data", "fast", "64Mi"), volume("logs", "slow", "64Mi"), export("db", luns("volume: data", "volume: logs"), chap("db")))}},
		{Name: "attributes and passwords", ByHand: configfs(
			[]string{"echo", "0", tpg + "attrib/authentication"}, []string{"echo", "1", tpg + "attrib/generate_node_acls"},
			[]string{"echo", "0", acl + "attrib/authentication"}, []string{"echo", "somebody", acl + "auth/userid"},
			[]string{"echo", "1", acl + "lun_0/write_protect"}, []string{"echo", "0", tpg + "enable"},
		)},
		{Name: "the mark of an older agent", ByHand: configfs(
			[]string{"echo", "NULL", tpg + "auth/userid_mutual"}, []string{"echo", "volreconciler:db", tpg + "param/TargetAlias"},
		)},
		{Name: "what is too much", ByHand: configfs(
			[]string{"mkdir", tpg + "np/127.0.0.1:3269"}, []string{"mkdir", tpg + "acls/" + hostB},
			[]string{"mkdir", tpg + "lun/lun_9"}, []string{"ln", "core/iblock_901/volreconciler:volume:logs", tpg + "lun/lun_9/x"},
		)},
		{Name: "what is missing", ByHand: configfs(
			[]string{"rm", acl + "lun_1/lun"}, []string{"rmdir", acl + "lun_1"}, []string{"rm", tpg + "lun/lun_1/backstore"}, []string{"rmdir", tpg + "lun/lun_1"},
			[]string{"rmdir", "core/iblock_901/volreconciler:volume:logs"}, []string{"rmdir", tpg + "np/0.0.0.0:3260"},
		)},
		{Name: "an initiator", ByHand: configfs(
			[]string{"rm", acl + "lun_0/lun"}, []string{"rmdir", acl + "lun_0"}, []string{"rm", acl + "lun_1/lun"}, []string{"rmdir", acl + "lun_1"}, []string{"rmdir", tpg + "acls/" + hostA},
		)},
	}}
}

// tags is what people change in LVM by hand.
func tags() Scenario {
	return Scenario{Name: "tags and activation", Steps: []Step{
		{Name: "made", Files: map[string]string{"all.yaml": file(thin, thick,
			volume("data", "fast", "64Mi", "deletionPolicy: Delete"), volume("logs", "slow", "64Mi"), volume("bare", "slow", "64Mi"))}},
		{Name: "changed", ByHand: all(write("vg0/data", "thin"), commands(
			[]string{"lvchange", "--deltag", "volreconciler/name=data", "vg0/data"},
			[]string{"lvchange", "--addtag", "theirs", "--deltag", "volreconciler/deletion=retain", "vg0/logs"},
			[]string{"lvchange", "--deltag", "volreconciler/name=bare", "--deltag", "volreconciler/kind=volume", "--deltag", "volreconciler/deletion=retain", "vg0/bare"},
			[]string{"lvchange", "-an", "vg0/logs"}, []string{"lvchange", "-an", "vg0/data"},
		)), Content: map[string]string{"vg0/data": "thin"}},
		{Name: "a second policy by hand keeps it", ByHand: commands(
			[]string{"lvchange", "--addtag", "volreconciler/deletion=never", "vg0/data"},
		), Files: map[string]string{"all.yaml": file(thin, thick, volume("logs", "slow", "64Mi"), volume("bare", "slow", "64Mi"))},
			Stand: map[string]string{"Volume/data": "Orphaned: Retained"}, Content: map[string]string{"vg0/data": "thin"}},
	}}
}

func vanished() Scenario {
	files := map[string]string{"all.yaml": file(thin, thick, volume("data", "fast", "64Mi"), snapshot("nightly", "data"), volume("logs", "slow", "64Mi"),
		export("db", luns("volume: logs"), open(hostA)))}
	uuid := regexp.MustCompile(`recreate: (\S+)`)
	return Scenario{Name: "vanished", Steps: []Step{
		{Name: "made", Files: files},
		{Name: "removed by hand", ByHand: commands([]string{"lvremove", "-y", "vg0/data"}, []string{"lvremove", "-y", "vg0/nightly"}),
			Stand: map[string]string{"Volume/data": "Blocked: Vanished", "Snapshot/nightly": "Blocked: Vanished"}},
		{Name: "given up", Answer: func(before status.Report) map[string]string {
			lost := map[string]string{}
			for _, o := range before.Objects {
				if m := uuid.FindStringSubmatch(o.Message); m != nil {
					lost[o.Name] = m[1]
				}
			}
			return map[string]string{"all.yaml": file(thin, thick,
				annotated(volume("data", "fast", "64Mi"), spec.AnnotationRecreate, lost["data"]),
				annotated(snapshot("nightly", "data"), spec.AnnotationRecreate, lost["nightly"]),
				volume("logs", "slow", "64Mi"), export("db", luns("volume: logs"), open(hostA)))}
		}},
	}}
}

func adopted() Scenario {
	return Scenario{Name: "adopted", Steps: []Step{
		{Name: "in the way", ByHand: all(commands([]string{"lvcreate", "-y", "-n", "legacy", "-L", "64m", "vg0"}), write("vg0/legacy", "old")),
			Files: map[string]string{"all.yaml": file(thick, volume("db", "slow", "128Mi", "lvName: legacy"), export("db", luns("volume: db"), open(hostA)))},
			Stand: map[string]string{"Volume/db": "Blocked: NotOwned", "Export/db": "Blocked: DependencyNotReady"}, Content: map[string]string{"vg0/legacy": "old"}},
		{Name: "taken over", Files: map[string]string{"all.yaml": file(thick, volume("db", "slow", "128Mi", "lvName: legacy", "adopt: true"), export("db", luns("volume: db"), open(hostA)))},
			Content: map[string]string{"vg0/legacy": "old"}},
	}}
}

// foreign is what is not ours, beside us and in the way.
func foreign() Scenario {
	theirs := "iscsi/" + target("taken") + "/"
	return Scenario{Name: "foreign", Steps: []Step{
		{
			Name: "in the way",
			ByHand: all(
				commands([]string{"lvcreate", "-y", "-n", "taken", "-L", "64m", "vg0"}, []string{"lvcreate", "-y", "-n", "beside", "-L", "64m", "--addtag", "theirs", "vg0"},
					[]string{"modprobe", "target_core_mod"}, []string{"modprobe", "iscsi_target_mod"}),
				write("vg0/taken", "theirs"), write("vg0/beside", "theirs"),
				configfs([]string{"mkdir", "core/iblock_0"}, []string{"mkdir", "core/iblock_0/theirs"},
					[]string{"echo", "udev_path=/dev/vg0/beside", "core/iblock_0/theirs/control"}, []string{"echo", "1", "core/iblock_0/theirs/enable"},
					[]string{"mkdir", "iscsi"}, []string{"mkdir", theirs}, []string{"mkdir", theirs + "tpgt_1"}, []string{"mkdir", theirs + "tpgt_1/lun/lun_0"},
					[]string{"ln", "core/iblock_0/theirs", theirs + "tpgt_1/lun/lun_0/x"}, []string{"echo", "1", theirs + "tpgt_1/enable"}),
			),
			Files: map[string]string{"pools.yaml": file(thick), "all.yaml": file(
				volume("taken", "slow", "64Mi", "deletionPolicy: Delete"), volume("free", "slow", "64Mi", "deletionPolicy: Delete"), export("taken", luns("volume: free"), open(hostA)))},
			Stand:   map[string]string{"Volume/taken": "Blocked: NotOwned", "Export/taken": "Blocked: NotOwned"},
			Content: map[string]string{"vg0/taken": "theirs", "vg0/beside": "theirs"},
		},
		{Name: "and not ours when our files go", Files: map[string]string{"all.yaml": ""}, Content: map[string]string{"vg0/taken": "theirs", "vg0/beside": "theirs"}},
	}}
}

func exportChanges() Scenario {
	with := func(fields ...string) map[string]string {
		return map[string]string{"all.yaml": file(thin, thick, volume("a", "fast", "64Mi"), volume("b", "slow", "64Mi"), snapshot("s", "a"), export("db", fields...))}
	}
	return Scenario{Name: "changes of an export", Steps: []Step{
		{Name: "one LUN", Files: with(luns("volume: a"), open(hostA))},
		{Name: "more LUNs and initiators", Files: with(luns("volume: a", "volume: b", "snapshot: s, readOnly: true"), open(hostA, hostB))},
		{Name: "other numbers", Files: with(luns("volume: b", "volume: a", "snapshot: s, lun: 200"), open(hostA, hostB))},
		{Name: "with a password", Files: with(luns("volume: b", "volume: a"), chap("db"))},
		{Name: "with another one", Files: with(luns("volume: b", "volume: a"), chap("other"))},
		{Name: "for anybody, read-only", Files: with(luns("volume: a, readOnly: true"), "allowAnyInitiator: true")},
		{Name: "for one again", Files: with(luns("volume: a"), open(hostB))},
	}}
}

func portals() Scenario {
	with := func(portals string) map[string]string {
		return map[string]string{"all.yaml": file(thick, volume("a", "slow", "64Mi"), export("db", "portals: ["+portals+"]", luns("volume: a"), open(hostA)))}
	}
	return Scenario{Name: "portals", Steps: []Step{
		{Name: "two", Files: with("'127.0.0.1:3260', '[::1]:3261'")},
		{Name: "another one", Files: with("'127.0.0.1:3260', '127.0.0.1:3262'")},
		{Name: "for all addresses, on another port", Files: with("'0.0.0.0:3270'")},
	}}
}

// sharing is one volume in several exports.
func sharing() Scenario {
	return Scenario{Name: "one volume in several exports", Steps: []Step{
		{Name: "made", Files: map[string]string{
			"all.yaml": file(thick, volume("a", "slow", "64Mi", "deletionPolicy: Delete"), export("one", luns("volume: a"), open(hostA))),
			"two.yaml": file(export("two", luns("volume: a, lun: 3, readOnly: true"), open(hostB))),
		}},
		{Name: "one less", Files: map[string]string{"two.yaml": ""}},
		{Name: "none", Files: map[string]string{"all.yaml": file(thick)}},
	}}
}

func renamedTarget() Scenario {
	with := func(name string) map[string]string {
		return map[string]string{"all.yaml": file(thick, volume("a", "slow", "64Mi"), export("db", "target: iqn.2026-11.org.example:"+name, luns("volume: a"), open(hostA)))}
	}
	return Scenario{Name: "another target name", Steps: []Step{{Name: "old", Files: with("old")}, {Name: "new", Files: with("new")}}}
}

func suspended() Scenario {
	volumes := func(size string) string { return volume("a", "slow", size) }
	exports := func(host string) string { return export("db", luns("volume: a"), open(host)) }
	frozen := func(document string) string { return annotated(document, spec.AnnotationReconcile, "suspended") }
	return Scenario{Name: "suspended", Steps: []Step{
		{Name: "made", Files: map[string]string{"all.yaml": file(thick, volumes("64Mi"), exports(hostA))}},
		{
			Name: "frozen", Files: map[string]string{"all.yaml": file(thick, frozen(volumes("128Mi")), frozen(exports(hostB)))},
			ByHand: commands([]string{"lvchange", "--addtag", "theirs", "vg0/a"}),
			Stand:  map[string]string{"Volume/a": "Suspended: Suspended", "Export/db": "Suspended: Suspended"},
		},
		{Name: "set free", Files: map[string]string{"all.yaml": file(thick, volumes("128Mi"), exports(hostB))}},
	}}
}

// broken is a mistake in a file, at the same time as other files go away.
func broken() Scenario {
	return Scenario{Name: "a broken file", Steps: []Step{
		{Name: "made", Files: map[string]string{
			"all.yaml": file(thick, volume("a", "slow", "64Mi", "deletionPolicy: Delete")), "b.yaml": file(volume("b", "slow", "64Mi", "deletionPolicy: Delete")),
			"c.yaml": file(volume("c", "slow", "64Mi"), export("c", luns("volume: c"), open(hostA))),
		}},
		{
			Name:    "while others go",
			Files:   map[string]string{"b.yaml": "", "c.yaml": file(volume("c", "slow", "64Mi")), "d.yaml": file(volume("d", "slow", "64Mi", "sise: 1")), "e.yaml": file(volume("e", "slow", "64Mi"))},
			ByHand:  write("vg0/b", "precious"),
			Stand:   map[string]string{"Volume/b": "Blocked: IncompleteInput", "Export/c": "Blocked: IncompleteInput", "Volume/d": "Blocked: Invalid"},
			Content: map[string]string{"vg0/b": "precious"},
		},
		{Name: "mended", Files: map[string]string{"d.yaml": file(volume("d", "slow", "64Mi"))}},
	}}
}

func full() Scenario {
	return Scenario{Name: "a full volume group", FakeOnly: "on a kernel it is tried until the time is over, and has a spec of its own", Steps: []Step{
		{
			Name:  "too much",
			Files: map[string]string{"all.yaml": file(thick, volume("a", "slow", "5Gi"), volume("b", "slow", "5Gi", "deletionPolicy: Delete"), volume("c", "slow", "64Mi"), export("c", luns("volume: c", "volume: b"), open(hostA)))},
			Stand: map[string]string{"Volume/b": "Failed: NoSpace", "Export/c": "Blocked: DependencyNotReady"},
		},
		{Name: "less", Files: map[string]string{"all.yaml": file(thick, volume("a", "slow", "5Gi"), volume("b", "slow", "1Gi", "deletionPolicy: Delete"), volume("c", "slow", "64Mi"), export("c", luns("volume: c", "volume: b"), open(hostA)))}},
	}}
}

func reboot() Scenario {
	return Scenario{Name: "a reboot", FakeOnly: "a guest that is booted again has lost its files", Steps: []Step{
		{Name: "made", Files: map[string]string{"all.yaml": file(thin, thick, volume("a", "fast", "64Mi"), snapshot("s", "a"), volume("b", "slow", "64Mi"),
			export("db", luns("volume: a", "snapshot: s, lun: 3", "volume: b, lun: 9"), chap("db")))}},
		{Name: "rebooted", ByHand: all(write("vg0/a", "thin"), func(ctx context.Context, m Machine) error { return m.Reboot(ctx) }), Content: map[string]string{"vg0/a": "thin"}},
	}}
}

func mounted() Scenario {
	return Scenario{Name: "a mounted volume", Steps: []Step{
		{Name: "made", Files: map[string]string{"pools.yaml": file(thick), "all.yaml": file(volume("a", "slow", "64Mi", "deletionPolicy: Delete"))}},
		{
			Name: "its file goes", Files: map[string]string{"all.yaml": ""},
			ByHand: func(ctx context.Context, m Machine) error { return m.Mount(ctx, "vg0/a", "/mnt") },
			Stand:  map[string]string{"Volume/a": "Blocked: InUse"},
		},
		{Name: "it is unmounted", ByHand: func(ctx context.Context, m Machine) error { return m.Unmount(ctx, "/mnt") }},
	}}
}

func connected() Scenario {
	return Scenario{Name: "a connected initiator", Steps: []Step{
		{Name: "made", Files: map[string]string{"pools.yaml": file(thick), "all.yaml": file(volume("a", "slow", "64Mi", "deletionPolicy: Delete"), export("db", luns("volume: a"), open(hostA)))}},
		{
			Name: "its export goes", Files: map[string]string{"all.yaml": ""},
			ByHand: func(ctx context.Context, m Machine) error { return m.Login(ctx, target("db"), hostA) },
			Stand:  map[string]string{"Export/db": "Blocked: SessionsActive", "Volume/a": "Blocked: InUse"},
		},
		{Name: "it logs out", ByHand: func(ctx context.Context, m Machine) error { return m.Logout(ctx, target("db"), hostA) }},
	}}
}

func forced() Scenario {
	return Scenario{Name: "an initiator that is disconnected", Steps: []Step{
		{Name: "made", Files: map[string]string{"pools.yaml": file(thick), "all.yaml": file(volume("a", "slow", "64Mi", "deletionPolicy: Delete"), export("db", "disconnect: Force", luns("volume: a"), open(hostA)))}},
		{
			Name: "its export goes", Files: map[string]string{"all.yaml": ""},
			ByHand: func(ctx context.Context, m Machine) error { return m.Login(ctx, target("db"), hostA) },
		},
	}}
}

func refused() Scenario {
	return Scenario{Name: "what cannot be changed", Steps: []Step{
		{Name: "made", Files: map[string]string{"all.yaml": file(thin, thick, volume("a", "fast", "64Mi"), volume("b", "slow", "64Mi"))}},
		{
			Name:  "smaller and renamed",
			Files: map[string]string{"all.yaml": file(thin, thick, volume("a", "fast", "32Mi"), volume("b", "slow", "64Mi", "lvName: c"))},
			Stand: map[string]string{"Volume/a": "Blocked: ShrinkRefused", "Volume/b": "Blocked: ImmutableField"},
		},
	}}
}

// tooMany is more deletions at once than are allowed.
func tooMany() Scenario {
	pools, volumes := file(thick), map[string]string{}
	gone, held := map[string]string{}, map[string]string{}
	for _, n := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"} {
		volumes[n+".yaml"] = file(volume(n, "slow", "8Mi", "deletionPolicy: Delete"))
		gone[n+".yaml"] = ""
		held["Volume/"+n] = "Blocked: TooManyDeletions"
	}
	made := map[string]string{"pools.yaml": pools}
	for name, text := range volumes {
		made[name] = text
	}
	token := regexp.MustCompile(`allow-deletions: "?(\w+)`)
	return Scenario{Name: "too many deletions", Steps: []Step{
		{Name: "made", Files: made},
		{Name: "all gone", Files: gone, Stand: held},
		{Name: "allowed", Answer: func(before status.Report) map[string]string {
			for _, o := range before.Objects {
				if m := token.FindStringSubmatch(o.Message); m != nil {
					return map[string]string{"pools.yaml": file(annotated(thick, spec.AnnotationAllowDeletions, m[1]))}
				}
			}
			return nil
		}},
	}}
}

// renamed is an object that is given another name and means the same data.
func renamed() Scenario {
	return Scenario{Name: "another name for the same data", Steps: []Step{
		{Name: "made", Files: map[string]string{"all.yaml": file(thick, volume("old", "slow", "64Mi", "deletionPolicy: Delete"))}},
		{
			Name: "renamed", ByHand: write("vg0/old", "precious"),
			Files: map[string]string{"all.yaml": file(thick, volume("new", "slow", "64Mi", "lvName: old", "deletionPolicy: Delete"))},
			Stand: map[string]string{"Volume/old": "Blocked: InUse", "Volume/new": "Blocked: NotOwned"}, Content: map[string]string{"vg0/old": "precious"},
		},
		{Name: "handed over", ByHand: commands([]string{"lvchange", "--deltag", "volreconciler/name=old", "--addtag", "volreconciler/name=new", "vg0/old"}),
			Content: map[string]string{"vg0/old": "precious"}},
	}}
}

// leftovers is what somebody, or a crash, left half made under our names.
func leftovers() Scenario {
	return Scenario{Name: "leftovers", Steps: []Step{
		{
			Name: "half made",
			ByHand: all(commands([]string{"lvcreate", "-y", "-n", "a", "-L", "64m", "--addtag", "volreconciler/kind=volume", "--addtag", "volreconciler/name=a", "--addtag", "volreconciler/deletion=retain", "vg0"},
				[]string{"modprobe", "target_core_mod"}, []string{"modprobe", "iscsi_target_mod"}),
				configfs([]string{"mkdir", "core/iblock_900"}, []string{"mkdir", "core/iblock_900/volreconciler:volume:a"}, []string{"mkdir", "core/iblock_900/volreconciler:volume:nobody"},
					[]string{"mkdir", "iscsi"}, []string{"mkdir", "iscsi/" + target("db")})),
			Files: map[string]string{"all.yaml": file(thick, volume("a", "slow", "64Mi", "adopt: true"), export("db", luns("volume: a"), open(hostA)))},
			Stand: map[string]string{"Volume/nobody": "Orphaned: NotDeclared"},
		},
	}}
}

// snapshots keep what their volumes held.
func snapshots() Scenario {
	volumes := file(thin, thick, volume("a", "fast", "64Mi"), volume("b", "slow", "64Mi"))
	return Scenario{Name: "snapshots", Steps: []Step{
		{Name: "made", Files: map[string]string{"all.yaml": volumes}},
		{
			Name: "taken", ByHand: all(write("vg0/a", "one"), write("vg0/b", "two")),
			Files:   map[string]string{"snaps.yaml": file(snapshot("as", "a"), snapshot("bs", "b", "size: 16Mi"), export("s", luns("snapshot: as", "snapshot: bs"), open(hostA)))},
			Content: map[string]string{"vg0/as": "one", "vg0/bs": "two"},
		},
		{
			Name: "kept", ByHand: all(write("vg0/a", "three"), write("vg0/b", "four")),
			Content: map[string]string{"vg0/as": "one", "vg0/bs": "two", "vg0/a": "three", "vg0/b": "four"},
		},
	}}
}

// nvme is the life of exports over NVMe that share a port and a host.
func nvme() Scenario {
	const a, b = "nqn.2014-08.org.example:a", "nqn.2014-08.org.example:b"
	over := func(name string, fields ...string) string {
		return object("Export", name, append([]string{"protocol: nvme-tcp"}, fields...))
	}
	volumes := func(size string) string {
		return file(volume("data", "fast", size, "deletionPolicy: Delete"), volume("logs", "slow", "64Mi", "deletionPolicy: Delete"))
	}
	return Scenario{Name: "nvme", FakeOnly: "it boots in the middle", Steps: []Step{
		{Name: "made", Files: map[string]string{
			"pools.yaml": file(thin, thick), "volumes.yaml": volumes("64Mi"),
			"db.yaml":    file(over("db", luns("volume: data", "volume: logs, lun: 5"), open(a, b))),
			"share.yaml": file(over("share", "portals: ['0.0.0.0:4420', '127.0.0.1:4421']", luns("volume: logs"), open(b))),
		}},
		{
			Name: "grown, with another LUN and without a host", ByHand: all(write("vg0/data", "thin"), write("vg0/logs", "thick")),
			Files: map[string]string{
				"volumes.yaml": volumes("96Mi"),
				"db.yaml":      file(over("db", luns("volume: logs", "volume: data, lun: 3"), open(a))),
			},
			Content: map[string]string{"vg0/data": "thin", "vg0/logs": "thick"},
		},
		{Name: "with another protocol, and for anybody", Files: map[string]string{
			"db.yaml":    file(export("db", luns("volume: data"), open(hostA))),
			"share.yaml": file(over("share", luns("volume: logs"), "allowAnyInitiator: true")),
		}},
		{Name: "after a boot", ByHand: func(ctx context.Context, m Machine) error { return m.Reboot(ctx) }, Content: map[string]string{"vg0/data": "thin", "vg0/logs": "thick"}},
		{Name: "gone", Files: map[string]string{"db.yaml": "", "share.yaml": "", "volumes.yaml": ""}},
	}}
}
