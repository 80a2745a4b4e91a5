package observe

import (
	"bytes"
	"context"
	"io/fs"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// linked is a recording with symlinks.
type linked struct {
	recording
	links map[string]string
}

func (l *linked) Readlink(path string) (string, error) {
	if to, ok := l.links[path]; ok {
		return to, nil
	}
	return "", fs.ErrNotExist
}

var _ = Describe("who uses a logical volume", func() {
	var m *linked
	// dm-1 is of a logical volume that LVM calls open.
	state := func(edit func(*State)) LogicalVolume {
		GinkgoHelper()
		s := State{VolumeGroups: map[string]VolumeGroup{"vg0": {LogicalVolumes: map[string]LogicalVolume{
			"db": {VolumeGroup: "vg0", Name: "db", Type: Thick, Active: true, Open: true, Major: 253, Minor: 1},
		}}}}
		if edit != nil {
			edit(&s)
		}
		addHolders(m, s.VolumeGroups)
		addOpeners(m, &s)
		return s.VolumeGroups["vg0"].LogicalVolumes["db"]
	}
	BeforeEach(func() {
		m = &linked{
			recording: recording{
				files: map[string]string{"/proc/7/comm": "qemu-system-x86\n", "/proc/8/comm": "agent\n", "/proc/9/comm": "runc\n"},
				dirs:  map[string][]string{"/proc": {"7", "8", "9", "self", "meminfo"}},
			},
			links: map[string]string{
				"/proc/self": "8", "/proc/self/ns/mnt": "mnt:[1]", "/proc/7/ns/mnt": "mnt:[1]", "/proc/8/ns/mnt": "mnt:[1]", "/proc/9/ns/mnt": "mnt:[9]",
				"/dev/vg0/db": "../dm-1", "/dev/mapper/vg0-db": "../dm-1",
			},
		}
	})
	It("is a process", func() {
		m.dirs["/proc/7/fd"], m.links["/proc/7/fd/3"], m.links["/proc/7/fd/4"] = []string{"3", "4"}, "/dev/null", "/dev/dm-1"
		Expect(state(nil).OpenedBy).To(ConsistOf("open by qemu-system-x86 (process 7)"))
	})
	It("is the agent itself, which does not count", func() {
		m.dirs["/proc/8/fd"], m.links["/proc/8/fd/3"] = []string{"3"}, "/dev/dm-1"
		Expect(state(nil)).To(And(HaveField("OpenedBy", BeEmpty()), HaveField("OpenedBySelf", true)))
	})
	It("is a mount in another mount namespace", func() {
		m.files["/proc/9/mountinfo"] = "30 29 253:1 / /data rw - ext4 /dev/mapper/vg0-db rw\n"
		Expect(state(nil).OpenedBy).To(ConsistOf("mounted on /data in the mount namespace of runc (process 9)"))
	})
	It("is not udev, which looks at every device that was written to", func() {
		m.files["/proc/7/comm"] = "(udev-worker)\n"
		m.dirs["/proc/7/fd"], m.links["/proc/7/fd/4"] = []string{"4"}, "/dev/dm-1"
		Expect(state(nil).OpenedBy).To(BeEmpty())
	})
	It("cannot always be seen", func() {
		Expect(state(nil)).To(And(HaveField("OpenedBy", BeEmpty()), HaveField("OpenedBySelf", false)))
	})
	It("is swap", func() {
		m.files["/proc/swaps"] = "Filename\tType\tSize\tUsed\tPriority\n/dev/dm-1 partition\t65532\t0\t-2\n/swap file\t1\t0\t-3\n"
		Expect(state(nil).HeldBy).To(ConsistOf("used as swap"))
	})
	It("is a loop device", func() {
		m.dirs["/sys/block"] = []string{"dm-1", "loop0", "loop1"}
		m.files["/sys/block/loop0/loop/backing_file"] = "/dev/dm-1\n"
		Expect(state(nil).HeldBy).To(ConsistOf("behind loop device /dev/loop0"))
	})
	It("is a namespace or a LUN of somebody else", func() {
		theirs := map[int]TargetLUN{0: {Device: "/dev/mapper/vg0-db"}}
		Expect(state(func(s *State) {
			s.NVMe = map[string]Target{"nqn.x": {Fabric: NVMe, Name: "nqn.x", LUNs: theirs}}
			s.TGT = map[string]Target{"iqn.x": {Fabric: TGTISCSI, Name: "iqn.x", LUNs: theirs}}
		}).OpenedBy).To(ConsistOf("served as namespace 1 of nqn.x", "served as LUN 0 of iqn.x by tgtd"))
	})
	It("is not asked where a target of ours serves it", func() {
		m.dirs["/proc/7/fd"], m.links["/proc/7/fd/3"] = []string{"3"}, "/dev/dm-1"
		Expect(state(func(s *State) {
			s.NVMe = map[string]Target{"nqn.x": {Fabric: NVMe, HasTPG: true, Mark: ondisk.TargetMark("x"), LUNs: map[int]TargetLUN{0: {Device: "/dev/vg0/db"}}}}
		}).OpenedBy).To(BeEmpty())
	})
	It("is a file backstore", func() {
		m.files[BackstoresDir+"/fileio_7/theirs/info"] = "Status: DEACTIVATED  Max Queue Depth: 0  SectorSize: 512  HwMaxSectors: 16384\n" +
			"        TCM FILEIO ID: 0        File: /dev/vg0/db  Size: 67108864  Mode: O_DSYNC Async: 0\n"
		device, found := backstoreDevice(m, "fileio_7", "theirs")
		Expect(found).To(BeTrue())
		Expect(device).To(Equal("dm-1"))
		all := map[string]Backstore{"fileio_7/theirs": {HBA: "fileio_7", Name: "theirs", Enabled: true, BlockDevice: "dm-1"}}
		Expect(state(func(s *State) { s.LIO.Backstores = all }).OpenedBy).To(ConsistOf("bound to backstore fileio_7/theirs"))
	})
})

// closing is a machine whose devices somebody has open until it is asked a second time.
type closing struct {
	recording
	asked atomic.Int32
	from  int32 // the report that says so
}

func (c *closing) Run(context.Context, ...string) (host.Output, error) {
	report := c.stdout
	if c.asked.Add(1) >= c.from {
		report = bytes.ReplaceAll(report, []byte(`"lv_device_open":"open"`), []byte(`"lv_device_open":""`))
	}
	return host.Output{Stdout: report}, nil
}

var _ = DescribeTable("a logical volume that nobody seems to have open is looked at again",
	func(ctx SpecContext, from int, open bool) {
		c := &closing{recording: recording{stdout: testdata("lvm_fullreport.json")}, from: int32(from)}
		Expect(string(c.stdout)).To(ContainSubstring(`"lv_device_open":"open"`))
		var found []string
		for _, vg := range New(c).Observe(ctx).VolumeGroups {
			for name, lv := range vg.LogicalVolumes {
				if lv.Open && lv.Type != ThinPool {
					found = append(found, name)
				}
			}
		}
		if open {
			Expect(found).NotTo(BeEmpty())
		} else {
			Expect(found).To(BeEmpty())
		}
		Expect(c.asked.Load()).To(BeNumerically("<=", 1+closeTries))
	},
	Entry("and is closed a moment later", 2, false),
	Entry("and stays open", 100, true),
)
