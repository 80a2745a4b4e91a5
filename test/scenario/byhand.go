package scenario

import (
	"context"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
)

// cloned has a thin volume that somebody made of a Volume, which LVM would remove with it.
func cloned() Scenario {
	return Scenario{Name: "a thin clone by hand", FakeOnly: "on a kernel there is a spec of its own, with more kinds of dependants", Steps: []Step{
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

// usedByOthers has volumes that somebody uses on the node before they are exported, also
// again after a reboot.
func usedByOthers(protocol string) Scenario {
	initiator, portal := hostA, "'127.0.0.1:3260'"
	if protocol == "nvme-tcp" {
		initiator, portal = "nqn.2014-08.org.nvmexpress:uuid:01234567-89ab-cdef-0123-456789abcdef", "'127.0.0.1:4420'"
	}
	db := object("Export", "db", []string{"protocol: " + protocol, "portals: [" + portal + "]", luns("volume: a", "volume: b"), open(initiator)})
	blocked := func(volume string) map[string]string {
		return map[string]string{"Volume/" + volume: "Blocked: InUse", "Export/db": "Blocked: DependencyNotReady"}
	}
	edit := func(f func(*fakehost.Node)) func(context.Context, Machine) error {
		return func(_ context.Context, m Machine) error { return m.(*Fake).Edit(f) }
	}
	reboot := func(ctx context.Context, m Machine) error { return m.Reboot(ctx) }
	mount := func(ctx context.Context, m Machine) error { return m.Mount(ctx, "vg0/a", "/mnt") }
	unmount := func(ctx context.Context, m Machine) error { return m.Unmount(ctx, "/mnt") }
	process := func(p fakehost.Process) func(context.Context, Machine) error {
		return edit(func(n *fakehost.Node) { n.Processes = []fakehost.Process{p} })
	}
	return Scenario{Name: "volumes in use on the node, over " + protocol, FakeOnly: "of its processes the fake alone has some", Steps: []Step{
		{Name: "made", Files: map[string]string{"all.yaml": file(thick, volume("a", "slow", "64Mi"), volume("b", "slow", "64Mi"))}},
		{Name: "exported while one is mounted", Files: map[string]string{"db.yaml": file(db)}, ByHand: mount, Stand: blocked("a")},
		{Name: "unmounted", ByHand: unmount},
		{Name: "mounted on the way up", ByHand: all(reboot, mount), Stand: blocked("a")},
		{Name: "unmounted, and a machine runs on the other", ByHand: all(reboot, process(fakehost.Process{PID: 77, Command: "qemu", LV: "vg0/b"})), Stand: blocked("b")},
		{Name: "mounted where the agent does not see it", ByHand: all(reboot, process(fakehost.Process{PID: 78, Command: "runc", LV: "vg0/b", Mounted: "/data"})), Stand: blocked("b")},
		{Name: "free again", ByHand: edit(func(n *fakehost.Node) { n.Processes = nil })},
		{Name: "opened while it is served", ByHand: process(fakehost.Process{PID: 79, Command: "dd", LV: "vg0/b"})},
	}}
}

// adoptedTarget has a target that somebody made by hand, with a session. It is adopted once it is as declared, and
// made again with the same disk after a reboot.
func adoptedTarget() Scenario {
	theirs := "iscsi/" + target("db") + "/"
	tpg := theirs + "tpgt_1/"
	made := all(
		commands([]string{"lvcreate", "-y", "-n", "legacy", "-L", "64m", "vg0"}, []string{"modprobe", "target_core_mod"}, []string{"modprobe", "iscsi_target_mod"}),
		write("vg0/legacy", "old"),
		configfs(
			[]string{"mkdir", "core/iblock_0"}, []string{"mkdir", "core/iblock_0/disk0"}, []string{"echo", "udev_path=/dev/vg0/legacy", "core/iblock_0/disk0/control"},
			[]string{"echo", "0a1b2c3d-by-hand", "core/iblock_0/disk0/wwn/vpd_unit_serial"}, []string{"echo", "disk0", "core/iblock_0/disk0/wwn/product_id"},
			[]string{"echo", "1", "core/iblock_0/disk0/enable"},
			[]string{"mkdir", "iscsi"}, []string{"mkdir", theirs}, []string{"mkdir", tpg}, []string{"mkdir", tpg + "np/127.0.0.1:3260"},
			[]string{"mkdir", tpg + "lun/lun_4"}, []string{"ln", "core/iblock_0/disk0", tpg + "lun/lun_4/x"}, []string{"echo", "0", tpg + "attrib/authentication"},
			[]string{"mkdir", tpg + "acls/" + hostA}, []string{"mkdir", tpg + "acls/" + hostA + "/lun_4"},
			[]string{"ln", tpg + "lun/lun_4", tpg + "acls/" + hostA + "/lun_4/x"}, []string{"echo", "1", tpg + "enable"},
		),
		func(ctx context.Context, m Machine) error { return m.Login(ctx, target("db"), hostA) },
	)
	with := func(serial, lun string) map[string]string {
		return map[string]string{"all.yaml": file(thick, volume("db", "slow", "64Mi", "lvName: legacy", "adopt: true", "serial: "+serial),
			export("db", "adopt: true", "portals: ['127.0.0.1:3260']", luns("volume: db, lun: "+lun), open(hostA)))}
	}
	content := map[string]string{"vg0/legacy": "old"}
	refused := map[string]string{"Export/db": "Blocked: NotOwned"}
	return Scenario{Name: "an adopted target", FakeOnly: "on a kernel there is a spec of its own, with targetcli", Steps: []Step{
		{Name: "with another serial", ByHand: made, Files: with("ffff", "4"), Stand: map[string]string{"Volume/db": "Blocked: ImmutableField", "Export/db": "Blocked: NotOwned"}, Content: content},
		{Name: "with another number", Files: with("0a1b2c3d-by-hand", "0"), Stand: refused, Content: content},
		{Name: "as it is", Files: with("0a1b2c3d-by-hand", "4"), Content: content},
		{Name: "after a reboot", ByHand: func(ctx context.Context, m Machine) error { return m.Reboot(ctx) }, Content: content},
		{Name: "no longer named", Files: map[string]string{"all.yaml": file(thick)}, Stand: map[string]string{"Volume/db": "Orphaned: Retained"}, Content: content},
	}}
}
