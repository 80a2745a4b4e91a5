package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net/netip"
	"path"
	"strings"
	"testing/fstest"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// machine has files and links, and programs that say what begins with their command line. It refuses every
// change.
type machine struct {
	host.Files
	files, links map[string]string
	said         map[string]string
	ran          []string
}

func (m *machine) Run(_ context.Context, argv ...string) (host.Output, error) {
	line := strings.Join(argv, " ")
	m.ran = append(m.ran, line)
	for command, text := range m.said {
		if strings.HasPrefix(line, command) {
			return host.Output{Stdout: []byte(text)}, nil
		}
	}
	return host.Output{}, errors.New("not found")
}

func (m *machine) fs() fstest.MapFS {
	tree := fstest.MapFS{}
	for name, text := range m.files {
		tree[strings.TrimPrefix(name, "/")] = &fstest.MapFile{Data: []byte(text)}
	}
	for name := range m.links {
		tree[strings.TrimPrefix(name, "/")] = &fstest.MapFile{Mode: fs.ModeSymlink}
	}
	return tree
}

func (m *machine) ReadFile(name string) ([]byte, error) {
	if text, ok := m.files[name]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

func (m *machine) ReadDir(name string) ([]fs.DirEntry, error) {
	return fs.ReadDir(m.fs(), strings.TrimPrefix(name, "/"))
}

func (m *machine) Readlink(name string) (string, error) {
	if to, ok := m.links[name]; ok {
		return to, nil
	}
	return "", fs.ErrNotExist
}

func (m *machine) Lstat(name string) (fs.FileInfo, error) {
	if _, is := m.links[name]; is {
		return fs.Stat(fstest.MapFS{path.Base(name): &fstest.MapFile{}}, path.Base(name))
	}
	return fs.Stat(m.fs(), strings.TrimPrefix(name, "/"))
}

var _ = It("Gathering reads a node", func(ctx SpecContext) {
	m := &machine{
		files: map[string]string{
			"/proc/sys/kernel/osrelease": "6.1.0\n", "/proc/sys/kernel/hostname": "node1\n", "/proc/sys/kernel/modules_disabled": "1\n",
			"/lib/modules/6.1.0/modules.builtin":    "kernel/drivers/md/dm-mod.ko\n",
			"/lib/modules/6.1.0/modules.dep":        "kernel/drivers/md/dm-thin-pool.ko.xz: kernel/drivers/md/dm-bufio.ko.xz\n",
			"/sys/module/dm_snapshot/refcnt":        "0\n",
			"/etc/modprobe.d/a.conf":                "blacklist dm-mod\n# install dm-mod /bin/true\ninstall iscsi-target-mod /usr/bin/false\n",
			"/proc/mounts":                          "configfs /sys/kernel/config configfs rw 0 0\n",
			"/sys/class/infiniband/rxe0/node_guid":  "",
			"/proc/sys/net/ipv6/bindv6only":         "1\n",
			"/proc/sys/fs/inotify/max_user_watches": "8192\n",
			"/run/udev/control":                     "",
			"/sys/class/block/sdb/dev":              "8:16\n",
			"/usr/sbin/lvm":                         "", "/usr/bin/thin_delta": "",
			"/etc/systemd/system/multi-user.target.wants/" + unitRTSLib: "",
			"/etc/systemd/system/multi-user.target.wants/" + unitTarget: "",
			rtslibSaved:           `{"storage_objects": [{"name": "volreconciler:volume:a", "dev": "/dev/vg0/a"}], "targets": [{"wwn": "iqn.x"}]}`,
			nvmetSaved:            `{"subsystems": [{"nqn": "nqn.x", "namespaces": [{"nsid": 1, "device": {"path": "/dev/vg0/b"}}]}]}`,
			"/proc/12/comm":       "multipathd\n",
			"/proc/13/comm":       "tgtd\n",
			"/etc/multipath.conf": "blacklist_exceptions {\n\tdevnode \"!^sd\" # \"dm\"\n}\n",
			"/etc/lvm/lvm.conf":   "# tags { hosttags = 1 }\ntags {\n hosttags = 1\n @fast { }\n slow { host_list = [ \"node9\" ] } }\n",
			"/proc/net/tcp": "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n" +
				"   0: 00000000:0CBC 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1\n" +
				"   1: 00000000:1144 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 0 1\n",
			"/etc/lvm/archive/vg0_00000-1.vg": "four", "/etc/lvm/archive/other": "12345",
		},
		links: map[string]string{"/proc/13/fd/7": "socket:[4711]", "/etc/systemd/system/" + unitTarget: "/dev/null"},
		said: map[string]string{
			"lvm lvmconfig": debian, "lvm version": "LVM version: 2.03.16(2)",
			"lvm vgs": `{"report": [{"vg": [{"vg_name":"vg0", "vg_tags":"x,y", "vg_mda_size":"1044480", "vg_mda_free":"520704", "lv_count":"7"}]}]}`,
			"lvm pvs": "  /dev/mapper/a 8 16 vg0\n  /dev/sda 8 0 vg9\n  /dev/sdc 8 32 \n",
		},
	}
	f := Gather(ctx, m, Facts{
		Set:   setOf(declared + iscsiExport),
		State: observe.State{KeptFromLVM: []string{"/dev/sdb (devices file /etc/lvm/devices/system.devices: lvmdevices --adddev /dev/sdb)"}},
	})
	Expect(f.Unread).To(BeEmpty())
	Expect(f.LVM.Config).To(And(HaveKeyWithValue("devices/scan_lvs", "0"), HaveKeyWithValue("activation/monitoring", "1")))
	Expect(f.LVM.HostTags).To(ConsistOf("node1", "fast"))
	Expect(f.LVM.Groups).To(Equal(map[string]Group{"vg0": {Tags: []string{"x", "y"}, MetadataSize: 1044480, MetadataFree: 520704, Volumes: 7}}))
	Expect(f.LVM.Excluded).To(ConsistOf(And(HaveField("Device", "/dev/mapper/a"), HaveField("Group", "vg0"), HaveField("DevicesFile", true))))
	Expect(f.LVM.Archive).To(Equal(Archive{Dir: "/etc/lvm/archive", Files: 1, Bytes: 4}))
	Expect(f.Kernel.Modules).To(And(HaveKeyWithValue("dm_mod", true), HaveKeyWithValue("dm_thin_pool", true), HaveKeyWithValue("dm_snapshot", true), HaveKeyWithValue("iscsi_target_mod", false)))
	Expect(f.Kernel.Loaded).To(And(HaveKeyWithValue("dm_mod", true), HaveKeyWithValue("dm_thin_pool", false), HaveKeyWithValue("dm_snapshot", true)))
	Expect(f.Kernel.Forbidden).To(Equal(map[string]string{"iscsi_target_mod": "/etc/modprobe.d/a.conf"}))
	Expect(f.Kernel).To(And(HaveField("LoadingDisabled", true), HaveField("ConfigFS", true), HaveField("NoneInstalled", false), HaveField("RDMA", []string{"rxe0"})))
	Expect(f.Programs).To(And(HaveKeyWithValue("lvm", true), HaveKeyWithValue("thin_delta", true), HaveKeyWithValue("/usr/sbin/thin_check", false)))
	Expect(f.Services).To(And(HaveKeyWithValue(unitRTSLib, Service{Enabled: true}), HaveKeyWithValue(unitTarget, Service{}), HaveKeyWithValue(unitTGT, Service{})))
	Expect(f.Saved).To(ConsistOf(
		Saved{Path: rtslibSaved, Targets: []string{"iqn.x"}, Backing: map[string]string{"volreconciler:volume:a": "/dev/vg0/a"}},
		Saved{Path: nvmetSaved, Targets: []string{"nqn.x"}, Backing: map[string]string{"nqn.x namespace 1": "/dev/vg0/b"}}))
	Expect(f.Multipath).To(Equal(Multipath{Running: true, Exceptions: map[string]string{"!^sd": "/etc/multipath.conf"}}))
	Expect(f.Listeners).To(ConsistOf(
		Listener{At: netip.MustParseAddrPort("0.0.0.0:3260"), Process: "tgtd", PID: 13},
		Listener{At: netip.MustParseAddrPort("0.0.0.0:4420")}))
	Expect(f).To(And(HaveField("BindV6Only", true), HaveField("Watches", 8192), HaveField("Udev", true)))
	Expect(len(m.ran)).To(BeNumerically("<=", 5), "it starts few programs: %v", m.ran)
})

var _ = It("Gathering says what it cannot read", func(ctx SpecContext) {
	f := Gather(ctx, &machine{files: map[string]string{rtslibSaved: "{"}}, Facts{Set: setOf(declared + iscsiExport)})
	Expect(f.Unread).To(HaveExactElements(HavePrefix("LVM's configuration: "), HavePrefix("the metadata areas of volume groups: "), HavePrefix(rtslibSaved+": ")))
})

var _ = DescribeTable("The tags of a node", func(text string, want ...string) {
	Expect(parseHostTags(text, "node1")).To(HaveExactElements(want))
},
	Entry("by default", "tags {\n\t# hosttags = 0\n}\ndevices { filter = [ \"a|.*|\" ] }"),
	Entry("off", "tags { hosttags = 0 }"),
	Entry("as one setting", "tags/hosttags = 1\ndevices/scan_lvs=0", "node1"),
	Entry("of its list", `tags { a { host_list = [ "x", "node1" ] } b { host_list = [ ] } }`, "a"),
	Entry("in another section", "tagsx { hosttags = 1 }\nactivation { volume_list = [ \"@a\" ] }"),
)

var _ = DescribeTable("Exceptions from multipathd's blacklist", func(text string, want ...string) {
	Expect(parseExceptions(text)).To(HaveExactElements(want))
},
	Entry("none", "defaults {\n\tfind_multipaths yes\n}\nblacklist {\n\tdevnode \"^dm-\"\n}"),
	Entry("quoted and not", "blacklist_exceptions {\n\tdevnode \"^dm-[0-9]\"\n\tdevnode ^sd\n\twwid \".*\"\n}\nblacklist {\n\tdevnode x\n}", "^dm-[0-9]", "^sd"),
	Entry("in comments", "# blacklist_exceptions {\n# devnode \"^dm-\"\n# }\nblacklist_exceptions {\n! devnode \"^dm-\"\n}"),
	Entry("inverted", "blacklist_exceptions {\n\tdevnode \"!^sd\"\n}", "!^sd"),
)
