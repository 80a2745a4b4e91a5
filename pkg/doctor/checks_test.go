package doctor

import (
	"errors"
	"net/netip"

	. "github.com/onsi/ginkgo/v2"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func config(key, value string) func(*Facts) {
	return func(f *Facts) { f.LVM.Config[key] = value }
}

func listens(at, process string, pid int) func(*Facts) {
	return func(f *Facts) {
		f.Listeners = append(f.Listeners, Listener{At: netip.MustParseAddrPort(at), Process: process, PID: pid})
	}
}

func also(changes ...func(*Facts)) func(*Facts) {
	return func(f *Facts) {
		for _, change := range changes {
			change(f)
		}
	}
}

var _ = DescribeTable("Kernel and programs:", judge,
	row("a module that the kernel does not have", declared+iscsiExport, func(f *Facts) { f.Kernel.Modules["iscsi_target_mod"] = false },
		"error kernel-module: kernel 6.1.0-28-amd64 has no module iscsi_target_mod"),
	row("a module that nothing needs", declared+nvmeExport, func(f *Facts) { f.Kernel.Modules["iscsi_target_mod"] = false }),
	row("modules of iSCSI, which tgtd serves", declared+iscsiExport, func(f *Facts) {
		f.TGT, f.Kernel.Modules, f.Kernel.Loaded = true, nil, map[string]bool{"dm_mod": true, "dm_thin_pool": true, "dm_snapshot": true}
	}),
	row("no modules of the running kernel", declared, func(f *Facts) { f.Kernel.Modules, f.Kernel.NoneInstalled = nil, true },
		"error kernel-module: dm_mod is not loaded, and no modules are installed", "error kernel-module: dm_thin_pool", "error kernel-module: dm_snapshot"),
	row("no modules of the running kernel, which has them loaded", declared, func(f *Facts) {
		f.Kernel.Modules, f.Kernel.NoneInstalled = nil, true
		f.Kernel.Loaded = map[string]bool{"dm_mod": true, "dm_thin_pool": true, "dm_snapshot": true}
	}),
	row("a module that may not be loaded", declared+nvmeExport, func(f *Facts) { f.Kernel.Forbidden = map[string]string{"nvmet_tcp": "/etc/modprobe.d/hard.conf"} },
		"error kernel-module: /etc/modprobe.d/hard.conf keeps it from being loaded"),
	row("a module that may not be loaded, and is", declared+nvmeExport, func(f *Facts) {
		f.Kernel.Forbidden, f.Kernel.Loaded = map[string]string{"nvmet_tcp": "x"}, map[string]bool{"nvmet_tcp": true}
	}),
	row("no loading of modules", "Pool thick {volumeGroup: vg0}\n", func(f *Facts) { f.Kernel.LoadingDisabled = true }, "error kernel-module: modules_disabled = 1"),
	row("either module for Fibre Channel", declared+fcExport, func(f *Facts) { f.Kernel.Modules["tcm_qla2xxx"], f.Kernel.Modules["tcm_fc"] = false, true }),
	row("no module for Fibre Channel", declared+fcExport, func(f *Facts) { f.Kernel.Modules["tcm_qla2xxx"] = false }, "error kernel-module: tcm_qla2xxx or tcm_fc"),
	row("no configfs", declared+nvmeExport, func(f *Facts) { f.Kernel.ConfigFS = false }, "error configfs: not mounted"),
	row("no configfs and no Export", declared, func(f *Facts) { f.Kernel.ConfigFS = false }),
	row("no RDMA device", declared+iserExport, func(f *Facts) { f.Kernel.RDMA = nil }, "error rdma-device: Export/rdma"),
	row("no RDMA device and no need", declared+iscsiExport, func(f *Facts) { f.Kernel.RDMA = nil }),
	row("no LVM", declared, func(f *Facts) {
		f.Programs["lvm"] = false
		f.State = observe.State{Unknown: map[observe.System]error{observe.LVM: errors.New("not found")}}
	}, "error program: lvm", "error volume-group: not found"),
	row("no thin_check", declared, func(f *Facts) { f.Programs["/usr/sbin/thin_check"] = false }, "warning program: /usr/sbin/thin_check"),
	row("no thin_check, which LVM does not want", declared, also(config("global/thin_check_executable", `""`), func(f *Facts) { delete(f.Programs, "/usr/sbin/thin_check") })),
	row("no qemu-img", declared+"Image i {volume: a, path: /srv/a.qcow2, format: qcow2}\n", func(f *Facts) { f.Programs["qemu-img"] = false }, "error program: qemu-img"),
	row("no qemu-img and no image", declared, func(f *Facts) { f.Programs["qemu-img"] = false }),
	row("no xz for an image", "Pool p {volumeGroup: vg0}\nVolume v {pool: p, size: 1Gi, source: {image: {path: /srv/a.raw.xz}}}\n", func(f *Facts) { f.Programs["xz"] = false }, "error program: xz"),
	row("an old version", declared, func(f *Facts) {
		f.Tools = []ToolRemark{{Tool: "lvm2", Text: "lvm2 2.03.02 is older", Consequence: "fails", Warning: true}}
	}, "warning tool-version: older"),
	row("a new version", declared, func(f *Facts) { f.Tools = []ToolRemark{{Tool: "lvm2", Text: "is newer", Consequence: "nothing"}} }, "note tool-version: newer"),
	row("no udev", declared, func(f *Facts) { f.Udev = false }, "warning udev: not running"),
)

var _ = DescribeTable("LVM:", judge,
	row("no volume group", declared, func(f *Facts) { f.State.VolumeGroups = nil }, "error volume-group: no volume group vg0"),
	row("a volume group that lacks a disk", declared, func(f *Facts) { f.State.VolumeGroups["vg0"] = observe.VolumeGroup{MissingPVs: 1} }, "error volume-group: lacks 1"),
	row("a volume group that cannot be used", declared, func(f *Facts) {
		f.State.VolumeGroups, f.State.UnusableGroups = nil, map[string]error{"vg0": errors.New("volume group vg0 is exported")}
	}, "error volume-group: is exported"),
	row("a disk that is not in the devices file", declared, func(f *Facts) {
		f.State.VolumeGroups = nil
		f.LVM.Excluded = []Excluded{{Device: "/dev/sdb", Group: "vg0", By: "devices file x", DevicesFile: true}, {Device: "/dev/sdc", Group: "other"}}
	}, "error lvm-device-excluded: /dev/sdb: holds a physical volume of volume group vg0 and is not in LVM's devices file"),
	row("a disk that a filter excludes", declared, func(f *Facts) {
		f.State.VolumeGroups = nil
		f.LVM.Excluded = []Excluded{{Device: "/dev/sdb", Group: "vg0", By: "devices/filter"}}
	}, "error lvm-device-excluded: excluded by devices/filter"),
	row("a volume_list without the volume group", declared, config("activation/volume_list", `["vg9","vg0/a"]`), "error lvm-volume-list: may not activate vg0/b, vg0/pool0, vg0/s"),
	row("a volume_list with the volume group", declared, config("activation/volume_list", `["vg9","vg0"]`)),
	row("a volume_list with a tag of ours", declared, config("activation/volume_list", `["@volreconciler/kind=volume"]`)),
	row("a volume_list with a tag of the volume group", declared, also(config("activation/volume_list", `["@data"]`), func(f *Facts) { f.LVM.Groups["vg0"] = Group{Tags: []string{"data"}} })),
	row("a volume_list with a tag that the volume group does not have", "Pool p {volumeGroup: vg0}\nVolume v {pool: p, size: 1Gi}\n", config("activation/volume_list", `["@data"]`), "error lvm-volume-list: vg0/v"),
	row("host tags without volume_list", "Pool p {volumeGroup: vg0}\nVolume v {pool: p, size: 1Gi}\n", func(f *Facts) { f.LVM.HostTags = []string{"node1"} }, "error lvm-volume-list: the host tags of lvm.conf (node1)"),
	row("host tags that the volume group has", declared, func(f *Facts) {
		f.LVM.HostTags, f.LVM.Groups["vg0"] = []string{"node1"}, Group{Tags: []string{"node1"}}
	}),
	row("scan_lvs", declared, config("devices/scan_lvs", "1"), "error lvm-scan-lvs: devices/scan_lvs = 1"),
	row("scan_lvs behind a filter", declared, also(config("devices/scan_lvs", "1"), config("devices/global_filter", `["a|^/dev/sd|","r|.*|"]`))),
	row("scan_lvs behind a filter for others", declared, also(config("devices/scan_lvs", "1"), config("devices/global_filter", `["r|^/dev/vg9/|"]`)), "error lvm-scan-lvs: scan_lvs"),
	row("a metadata area that is full", declared, func(f *Facts) { f.LVM.Groups["vg0"] = Group{MetadataSize: 1044480, MetadataFree: 1500, Volumes: 1200} },
		"error lvm-metadata-area: room for about 3 more logical volumes; 4 of the declared volumes do not exist yet"),
	row("a metadata area that is almost full", declared, func(f *Facts) { f.LVM.Groups["vg0"] = Group{MetadataSize: 1044480, MetadataFree: 40000, Volumes: 1200} },
		"warning lvm-metadata-area: room for about 99 more"),
	row("a metadata area that is full, and nothing to be created", declared, func(f *Facts) {
		f.LVM.Groups["vg0"] = Group{MetadataSize: 1044480, MetadataFree: 100, Volumes: 1200}
		f.State.VolumeGroups["vg0"] = observe.VolumeGroup{LogicalVolumes: map[string]observe.LogicalVolume{"a": {}, "b": {}, "s": {}, "pool0": {}}}
	}, "warning lvm-metadata-area: room for about 0 more"),
	row("many archives", declared, func(f *Facts) { f.LVM.Archive = Archive{Dir: "/etc/lvm/archive", Files: 20000, Bytes: 1 << 20} }, "warning lvm-archive: holds 20000 old copies of LVM's metadata, 1024 KiB; each is kept for 30 days"),
	row("large archives", declared, func(f *Facts) { f.LVM.Archive = Archive{Dir: "/etc/lvm/archive", Files: 2, Bytes: 2 << 30} }, "warning lvm-archive: 2048 MiB"),
	row("some archives", declared, func(f *Facts) { f.LVM.Archive = Archive{Dir: "/etc/lvm/archive", Files: 300, Bytes: 20 << 20} }),
	row("no archives", declared, config("backup/archive", "0"), "note lvm-archive: keeps no copies"),
	row("growing thin pools", declared, config("activation/thin_pool_autoextend_threshold", "70"), "note lvm-autoextend: thin_pool_autoextend_threshold = 70: dmeventd grows thin pools"),
	row("growing thin pools without dmeventd", declared, also(config("activation/thin_pool_autoextend_threshold", "70"), func(f *Facts) { f.Programs["/usr/sbin/dmeventd"] = false }), "warning lvm-autoextend: not installed"),
	row("growing snapshots without monitoring", declared, also(config("activation/snapshot_autoextend_threshold", "70"), config("activation/monitoring", "0")), "warning lvm-autoextend: snapshot_autoextend_threshold"),
	row("growing thin pools, and none", "Pool thick {volumeGroup: vg0}\n", config("activation/thin_pool_autoextend_threshold", "70")),
	row("no dmeventd where nothing grows", declared, func(f *Facts) { f.Programs["/usr/sbin/dmeventd"] = false }),
	row("no activation at boot", declared, config("global/event_activation", "0"), "note lvm-autoactivation: event_activation = 0"),
	row("no activation at boot by a list", declared, config("activation/auto_activation_volume_list", `["root"]`), "note lvm-autoactivation: does not include"),
	row("activation at boot by a list", declared, config("activation/auto_activation_volume_list", `["vg0"]`)),
	row("a device that does not answer", declared, func(f *Facts) { f.State.SilentDevices = []string{"/dev/sdz does not answer (since today)"} }, "warning silent-device: /dev/sdz"),
)

var _ = DescribeTable("Other programs:", judge,
	row("rtslib's service", declared+iscsiExport, func(f *Facts) { f.Services = map[string]Service{unitRTSLib: {Enabled: true}} }, "warning restore-service: rtslib-fb-targetctl.service"),
	row("rtslib's service, which is not enabled", declared+iscsiExport, func(f *Facts) { f.Services = map[string]Service{unitRTSLib: {}} }),
	row("rtslib's service beside NVMe", declared+nvmeExport, func(f *Facts) { f.Services = map[string]Service{unitRTSLib: {Enabled: true}} }),
	row("nvmetcli's service", declared+nvmeExport, func(f *Facts) { f.Services = map[string]Service{unitNVMet: {Enabled: true}} }, "warning restore-service: nvmet.service"),
	row("a saved target of ours that is restored", declared+iscsiExport, func(f *Facts) {
		f.Services = map[string]Service{unitRTSLib: {Enabled: true}}
		f.Saved = []Saved{{Path: rtslibSaved, Targets: []string{spec.DefaultTargetPrefix + ":web"}, Backing: map[string]string{"volreconciler:volume:gone": "/dev/vg0/gone"}}}
	}, "error saved-targets: has volreconciler:volume:gone, iqn.2026-11.io.volreconciler:web, which", "warning restore-service: removes every target"),
	row("a saved target of ours that nothing restores", declared+iscsiExport, func(f *Facts) {
		f.Services = map[string]Service{unitTarget: {Enabled: false}}
		f.Saved = []Saved{{Path: rtslibSaved, Backing: map[string]string{"mine": "/dev/mapper/vg0-a"}}}
	}, "note saved-targets: has mine"),
	row("a saved target of somebody else", declared+iscsiExport, func(f *Facts) {
		f.Saved = []Saved{{Path: rtslibSaved, Targets: []string{"iqn.2003-01.org.linux-iscsi.x:1"}, Backing: map[string]string{"disk": "/dev/vg9/a"}}}
	}),
	row("tgtd at boot", declared+iscsiExport, func(f *Facts) { f.Services = map[string]Service{unitTGT: {Enabled: true}} }, "warning tgt-service: tgtd listens on port 3260"),
	row("tgtd at boot, which serves the Exports", declared+iscsiExport, func(f *Facts) { f.TGT, f.Services = true, map[string]Service{unitTGT: {Enabled: true}} }),
	row("tgtd at boot beside NVMe", declared+nvmeExport, func(f *Facts) { f.Services = map[string]Service{unitTGT: {Enabled: true}} }),
	row("multipathd with its defaults", declared, func(f *Facts) { f.Multipath.Running = true }),
	row("multipathd with logical volumes", declared, func(f *Facts) { f.Multipath = Multipath{true, map[string]string{"^dm-[0-9]": "/etc/multipath.conf"}} }, "warning multipath: /etc/multipath.conf"),
	row("multipathd with other devices", declared, func(f *Facts) { f.Multipath = Multipath{true, map[string]string{"^sd": "x", "!^(dm|nvme)": "x"}} }),
	row("multipathd that does not run", declared, func(f *Facts) { f.Multipath = Multipath{false, map[string]string{"dm": "x"}} }),
)

var _ = DescribeTable("The network:", judge,
	row("a port that another process has", declared+iscsiExport, listens("0.0.0.0:3260", "tgtd", 12), "error port-taken: tgtd (process 12) listens on 0.0.0.0:3260"),
	row("a port that another process has on one address", declared+iscsiExport, listens("127.0.0.1:3260", "nc", 12), "error port-taken: nc (process 12)"),
	row("a port that another process has on all addresses of IPv6", declared+nvmeExport, listens("[::]:4420", "nc", 12), "error port-taken: 0.0.0.0:4420"),
	row("a port that the kernel has", declared+iscsiExport, listens("0.0.0.0:3260", "", 0)),
	row("a port that tgtd has, which serves", declared+iscsiExport, also(listens("0.0.0.0:3260", "tgtd", 12), func(f *Facts) { f.TGT = true })),
	row("another port", declared+iscsiExport, listens("0.0.0.0:3261", "nc", 12)),
	row("the port of listen", declared, also(listens("[::]:9842", "node_exporter", 12), func(f *Facts) { f.Listen = ":9842" }), "error port-taken: node_exporter"),
	row("the port of listen that a target has", declared, also(listens("[::]:9842", "", 0), func(f *Facts) { f.Listen = "[::]:9842" }), "error port-taken: the kernel, for a target"),
	row("the port of listen that the agent has", declared, also(listens("[::]:9842", "volreconciler", 12), func(f *Facts) { f.Listen = ":9842" })),
	row("a portal on an address that is missing", declared+"Export e {protocol: iscsi, portals: [\"192.0.2.9:3260\"], allowAnyInitiator: true, luns: [{volume: a}]}\n",
		func(f *Facts) { f.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1")} }, "warning portal-address: no address 192.0.2.9"),
	row("a portal of NVMe on an address that is missing", declared+"Export e {protocol: nvme-tcp, portals: [\"192.0.2.9:4420\"], allowAnyInitiator: true, luns: [{volume: a}]}\n",
		func(f *Facts) { f.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1")} }, "error portal-address: no address 192.0.2.9"),
	row("portals on addresses that there are", declared+iscsiExport+iserExport, func(f *Facts) { f.Addresses = []netip.Addr{netip.MustParseAddr("192.0.2.1")} }),
	row("bindv6only with [::]", declared+"Export e {protocol: iscsi, portals: [\"[::]:3260\"], allowAnyInitiator: true, luns: [{volume: a}]}\n", func(f *Facts) { f.BindV6Only = true }, "warning bindv6only: does not accept IPv4"),
	row("bindv6only with 0.0.0.0", declared+iscsiExport, func(f *Facts) { f.BindV6Only = true }),
)

var _ = DescribeTable("The node:", judge,
	row("mistakes in files", declared, func(f *Facts) {
		f.Set.Findings = []spec.Finding{{File: "a.yaml", Line: 3, Err: errors.New("no such kind")}, {File: "b.yaml", Err: errors.New("x")}}
	}, "error specs: a.yaml:3: no such kind (and 1 more)"),
	row("what cannot be read", declared, func(f *Facts) { f.Unread = []string{"x: permission denied"} }, "warning unread: permission denied"),
	row("a target that cannot be read", declared, func(f *Facts) { f.State.Unknown = map[observe.System]error{observe.LIO: errors.New("no answer")} }, "warning unread: lio: no answer"),
	row("a spec directory that others can change", declared, func(f *Facts) { f.Paths.Unsafe = map[string]string{"/specs": "/specs is writable by anybody"} }, "warning unsafe-path: writable"),
	row("a state directory that others can change", declared, func(f *Facts) { f.Paths.Unsafe = map[string]string{"/state": "/state is writable by anybody"} }, "error unsafe-path: writable"),
	row("secrets that every user can read", declared, func(f *Facts) {
		f.Paths.Config, f.Paths.Exposed = "/etc/volreconciler/config.yaml", []string{"the URL of webhook hooks.example.org"}
	},
		"warning config-readable: the URL of webhook hooks.example.org"),
	row("a full file system", declared, func(f *Facts) { f.Paths.Space["/state"] = Space{Size: 1 << 30, Free: 1 << 20} }, "warning disk-space: 1024 KiB free"),
	row("a cache that is larger than its file system", "Pool p {volumeGroup: vg0}\nVolume v {pool: p, size: 1Gi, source: {image: {url: \"https://example.org/a.raw\"}}}\n",
		func(f *Facts) { f.Paths.Space["/cache"] = Space{Size: 10 << 30, Free: 9 << 30} }, "warning disk-space: may have 20 GiB"),
	row("a cache that is larger than its file system, and no downloads", declared, func(f *Facts) { f.Paths.Space["/cache"] = Space{Size: 10 << 30, Free: 9 << 30} }),
	row("a cache that has most of its file system", "Pool p {volumeGroup: vg0}\nVolume v {pool: p, size: 1Gi, source: {image: {url: \"https://example.org/a.raw\"}}}\n",
		func(f *Facts) {
			f.Paths.Space["/cache"], f.Paths.CacheUsed = Space{Size: 30 << 30, Free: 9 << 30}, 15<<30
		}),
	row("a clock that is wrong, and a trash", "Pool p {volumeGroup: vg0}\nVolume v {pool: p, size: 1Gi, deletionPolicy: Delete}\n", func(f *Facts) { f.ClockUnsynchronized = true }, "warning clock: not synchronized"),
	row("a clock that is wrong, and a trash of no time", "Pool p {volumeGroup: vg0, trash: 0s}\nVolume v {pool: p, size: 1Gi, deletionPolicy: Delete}\n", func(f *Facts) { f.ClockUnsynchronized = true }),
	row("a clock that is wrong, and nothing that is deleted", declared, func(f *Facts) { f.ClockUnsynchronized = true }),
	row("too few watches", declared+iscsiExport, func(f *Facts) { f.Watches = 30 }, "warning inotify-watches: is 30; the declared Exports need about 35"),
	row("no agent", declared, func(f *Facts) { f.Agent = Agent{Socket: "/run/agent.sock"} }, "note agent: no agent answers"),
)
