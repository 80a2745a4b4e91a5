package pvscan

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host"
)

var _ = Describe("finding physical volumes", func() {
	var (
		m   *machine
		s   *Scanner
		now time.Time
	)
	BeforeEach(func() {
		m, now = newMachine(), time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
		s = New(m)
		s.limit = 100 * time.Millisecond
		s.now = func() time.Time { return now }
	})
	find := func(ctx context.Context) []string {
		GinkgoHelper()
		found, ok := s.ForLVM(ctx, true)
		Expect(ok).To(BeTrue())
		return found
	}

	It("finds those that carry LVM's label, and nothing else", func(ctx SpecContext) {
		m.disk("sda", "")
		m.disk("sdb", pvA)
		m.disk("cciss!c0d0", "")
		m.starts["/dev/cciss/c0d0"] = pvLabel(pvB, 3)
		Expect(find(ctx)).To(Equal([]string{"/dev/cciss/c0d0", "/dev/sdb"}))
		Expect(s.Silent()).To(BeEmpty())
	})

	It("reads nothing, and asks LVM nothing, while nothing changes", func(ctx SpecContext) {
		m.disk("sda", "")
		m.disk("sdb", pvA)
		for range 5 {
			Expect(find(ctx)).To(Equal([]string{"/dev/sdb"}))
			now = now.Add(time.Minute)
		}
		Expect(m.opened).To(Equal(map[string]int{"/dev/sda": 1, "/dev/sdb": 1}))
		Expect(m.ran).To(Equal(1))
	})

	It("sees a physical volume that is made, one that others make, and another disk", func(ctx SpecContext) {
		m.disk("sda", "")
		m.disk("sdb", "")
		Expect(find(ctx)).To(BeEmpty())
		m.starts["/dev/sda"], m.starts["/dev/sdb"] = pvLabel(pvA, 1), pvLabel(pvB, 1)
		Expect(find(ctx)).To(BeEmpty(), "nobody on this machine has written anything")
		m.set("sda", map[string]string{"stat": "1 0 8 0 6 0 48 0 0 0 0\n"})
		Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
		now = now.Add(unlabelledAge)
		Expect(find(ctx)).To(Equal([]string{"/dev/sda", "/dev/sdb"}))
		m.starts["/dev/sda"] = nil
		m.set("sda", map[string]string{"diskseq": "9\n"})
		Expect(find(ctx)).To(Equal([]string{"/dev/sdb"}))
	})

	It("gives a change what was found a moment ago", func(ctx SpecContext) {
		m.disk("sda", pvA)
		find(ctx)
		m.disk("sdb", pvB)
		found, _ := s.ForLVM(ctx, false)
		Expect(found).To(Equal([]string{"/dev/sda"}))
		now = now.Add(recent)
		found, _ = s.ForLVM(ctx, false)
		Expect(found).To(Equal([]string{"/dev/sda", "/dev/sdb"}))
	})

	Describe("beside a device that does not answer", func() {
		var answer func()
		BeforeEach(func() {
			m.disk("sda", pvA)
			m.disk("sdb", pvB)
			answer = m.hang("/dev/sdb")
		})

		It("goes on without it, says which it is, and loses one read to it", func(ctx SpecContext) {
			before := runtime.NumGoroutine()
			began := time.Now()
			for range 20 {
				Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
				now = now.Add(time.Hour)
			}
			Expect(time.Since(began)).To(BeNumerically("<", 5*s.limit), "only the first time it is waited for")
			Expect(m.reads("/dev/sdb")).To(Equal(1))
			Expect(runtime.NumGoroutine()).To(BeNumerically("<=", before+1))
			Expect(s.Silent()).To(HaveLen(1))
			Expect(s.Silent()[0].String()).To(Equal("/dev/sdb does not answer (since 2026-11-01T00:00:00Z)"))
			answer()
			Eventually(ctx, find).WithArguments(ctx).Should(Equal([]string{"/dev/sda", "/dev/sdb"}))
			Expect(s.Silent()).To(BeEmpty())
			Expect(m.reads("/dev/sdb")).To(Equal(1))
		})

		It("tries another disk that gets its name", func(ctx SpecContext) {
			Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
			answer()
			m.set("sdb", map[string]string{"diskseq": "2\n"})
			Expect(find(ctx)).To(Equal([]string{"/dev/sda", "/dev/sdb"}))
		})

		It("does not mind it when it is gone", func(ctx SpecContext) {
			find(ctx)
			for file := range m.files {
				if len(file) > len(blockDir)+4 && file[:len(blockDir)+4] == blockDir+"/sdb" || file == blockDir+"/sdb" {
					delete(m.files, file)
				}
			}
			Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
			Expect(s.Silent()).To(BeEmpty())
			answer()
		})
	})

	Describe("when a physical volume stops to answer", func() {
		BeforeEach(func(ctx SpecContext) {
			m.disk("sda", pvA)
			m.disk("sdb", pvB)
			Expect(find(ctx)).To(HaveLen(2))
			DeferCleanup(m.hang("/dev/sdb"))
		})
		It("is found once somebody waits for it", func(ctx SpecContext) {
			Expect(find(ctx)).To(HaveLen(2), "nothing is read")
			Expect(s.Recheck(ctx)).To(BeTrue())
			Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
			Expect(s.Recheck(ctx)).To(BeFalse(), "nothing new")
			Expect(m.reads("/dev/sdb")).To(Equal(2))
			Expect(s.Silent()).To(HaveLen(1))
		})
		DescribeTable("is found at once if the kernel says that it may not",
			func(ctx SpecContext, file, text string) {
				m.set("sdb", map[string]string{file: text})
				Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
			},
			Entry("suspended", "dm/suspended", "1\n"),
			Entry("its session has failed", "device/state", "transport-offline\n"),
			Entry("its controller connects", "device/state", "connecting\n"),
		)
		It("is found by what it lies on", func(ctx SpecContext) {
			m.disk("sdc", "")
			m.set("sdc", map[string]string{"device/state": "blocked\n", "holders/sdb": ""})
			m.set("sdb", map[string]string{"slaves/sdc": ""})
			Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
		})
	})

	It("leaves what the kernel suspects in, as long as it answers", func(ctx SpecContext) {
		m.disk("sda", pvA)
		m.set("sda", map[string]string{"device/state": "quiesce\n"})
		Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
	})

	It("tries what fails less and less often, and knows what it was", func(ctx SpecContext) {
		m.disk("sda", pvA)
		m.disk("sdb", "")
		m.errs["/dev/sdb"] = syscall.EIO
		for range 60 {
			Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
			now = now.Add(time.Second)
		}
		Expect(m.reads("/dev/sdb")).To(BeNumerically("~", 9, 2))
		Expect(s.Silent()).To(BeEmpty())
		m.errs["/dev/sda"] = errors.New("broken")
		s.Recheck(ctx)
		Expect(find(ctx)).To(Equal([]string{"/dev/sda"}), "LVM says what is wrong with it")
	})

	DescribeTable("does not open",
		func(ctx SpecContext, prepare func()) {
			m.disk("sda", pvA)
			prepare()
			Expect(find(ctx)).NotTo(ContainElement("/dev/sda"))
			Expect(m.reads("/dev/sda")).To(BeZero())
		},
		Entry("what has no size", func() { m.set("sda", map[string]string{"size": "0\n"}) }),
		Entry("a hidden path of an NVMe device", func() { m.set("sda", map[string]string{"hidden": "1\n"}) }),
		Entry("a disk with partitions", func() {
			m.disk("sda1", "")
			m.set("sda1", map[string]string{"partition": "1\n"})
			m.files[blockDir+"/sda1"] = "../../devices/pci0/block/sda/sda1"
		}),
		Entry("a path of a multipath device", func() {
			m.set("sda", map[string]string{"holders/dm-7": ""})
			m.set("dm-7", map[string]string{"dm/uuid": "mpath-3600\n"})
		}),
		Entry("a member of an array", func() { m.set("sda", map[string]string{"holders/md0": ""}) }),
		Entry("what LUKS is on", func() {
			m.set("sda", map[string]string{"holders/dm-7": ""})
			m.set("dm-7", map[string]string{"dm/uuid": "CRYPT-LUKS2-1\n"})
		}),
		Entry("what is mounted", func() { m.files["/proc/self/mountinfo"] = "21 1 " + numbers["sda"] + " / / rw - ext4 /dev/sda rw\n" }),
		Entry("an iSCSI disk that is an export of this machine", func() {
			m.files[blockDir+"/sda"] = "../../devices/platform/host3/session12/target3:0:0/3:0:0:0/block/sda"
			m.files["/sys/class/iscsi_session/session12/targetname"] = "iqn.2026-11.io.example:db\n"
			m.files["/sys/kernel/config/target/iscsi/iqn.2026-11.io.example:db/fabric"] = ""
		}),
		Entry("an iSCSI disk that tgtd of this machine serves", func() {
			m.files[blockDir+"/sda"] = "../../devices/platform/host3/session12/target3:0:0/3:0:0:0/block/sda"
			m.files["/sys/class/iscsi_session/session12/targetname"] = "iqn.2026-11.io.example:tgt\n"
			s.OwnTargets("iqn.2026-11.io.example:tgt")
		}),
		Entry("what lvm.conf filters", func() { m.config = plainConfig + "filter=[\"r|^/dev/sda$|\"]\n" }),
		Entry("what lvm.conf filters by a link of udev's", func() {
			m.config = plainConfig + "global_filter=\"r|/dev/disk/by-id/x.*|\"\n"
			m.files["/run/udev/data/b"+numbers["sda"]] = "S:disk/by-id/x1\nE:ID_FS_TYPE=ext4\n"
		}),
		Entry("what lvm.conf filters by a link that somebody made", func() {
			m.config = plainConfig + "filter=[\"a|^/dev/mine$|\",\"r|/dev/yours|\",\"r|sd|\"]\n"
			m.files["/dev/yours"], m.links["/dev/yours"] = "sda", true
		}),
		Entry("what the devices file does not have", func() {
			m.config = plainConfig + "use_devicesfile=1\n"
			m.files["/etc/lvm/devices/system.devices"] = "VERSION=1.1.2\nIDTYPE=devname IDNAME=/dev/sdb DEVNAME=/dev/sdb PVID=" + pvA + "\n"
		}),
	)

	DescribeTable("says from what LVM is kept, and by which setting", func(ctx SpecContext, config, setting string) {
		m.disk("sda", pvA)
		m.disk("sdb", pvB)
		m.config = plainConfig + config
		m.files["/etc/lvm/devices/system.devices"] = "VERSION=1.1.2\nIDTYPE=devname IDNAME=/dev/sdb DEVNAME=/dev/sdb PVID=" + pvB + "\n"
		Expect(find(ctx)).To(Equal([]string{"/dev/sdb"}))
		Expect(s.KeptFromLVM()).To(Equal([]string{"/dev/sda (" + setting + ")"}))
		Expect(m.reads("/dev/sda")).To(BeZero())
		m.config = plainConfig
		m.files["/etc/lvm/lvm.conf"] = "changed"
		Expect(find(ctx)).To(HaveLen(2))
		Expect(s.KeptFromLVM()).To(BeEmpty())
	},
		Entry(nil, "filter=[\"r|^/dev/sda$|\"]\n", "devices/filter or devices/global_filter in lvm.conf"),
		Entry(nil, "global_filter=[\"r|^/dev/sda$|\"]\n", "devices/filter or devices/global_filter in lvm.conf"),
		Entry(nil, "use_devicesfile=1\n", "devices file /etc/lvm/devices/system.devices: lvmdevices --adddev /dev/sda"),
	)

	It("waits once for a kernel that does not say whether a target is its own, and does not open the disk", func(ctx SpecContext) {
		m.disk("sda", pvA)
		m.files[blockDir+"/sda"] = "../../devices/platform/host3/session12/target3:0:0/3:0:0:0/block/sda"
		m.files["/sys/class/iscsi_session/session12/targetname"] = "iqn.2026-11.io.example:db\n"
		m.busy = make(chan bool)
		began := time.Now()
		for range 10 {
			Expect(find(ctx)).To(BeEmpty())
		}
		Expect(time.Since(began)).To(BeNumerically("<", 5*s.limit))
		close(m.busy)
		Eventually(ctx, find).WithArguments(ctx).Should(Equal([]string{"/dev/sda"}))
	})

	It("does not open NVMe namespaces that are exports of this machine, nor what lies on them", func(ctx SpecContext) {
		m.disk("nvme1n1", pvA)
		m.set("nvme1n1", map[string]string{"device/subsysnqn": "nqn.2026-11.io.example:db\n"})
		m.disk("dm-3", pvB)
		m.set("dm-3", map[string]string{"slaves/nvme1n1": ""})
		m.files["/sys/kernel/config/nvmet/subsystems/nqn.2026-11.io.example:db/attr_model"] = ""
		Expect(find(ctx)).To(BeEmpty())
		Expect(m.opened).To(BeEmpty())
		By("and those of other machines it does")
		m.set("nvme1n1", map[string]string{"device/subsysnqn": "nqn.2026-11.io.example:other\n"})
		Expect(find(ctx)).To(ContainElement("/dev/nvme1n1"))
	})

	DescribeTable("finds physical volumes on",
		func(ctx SpecContext, name string, attributes map[string]string) {
			m.disk(name, pvA)
			m.set(name, attributes)
			Expect(find(ctx)).To(Equal([]string{"/dev/" + name}))
		},
		Entry("a multipath device", "dm-1", map[string]string{"dm/uuid": "mpath-3600\n", "slaves/sdx": ""}),
		Entry("LUKS", "dm-1", map[string]string{"dm/uuid": "CRYPT-LUKS2-1\n"}),
		Entry("an array", "md0", map[string]string{"md/uuid": "1\n"}),
		Entry("DRBD", "drbd0", nil),
		Entry("a loop device", "loop0", map[string]string{"loop/backing_file": "/srv/pv\n"}),
		Entry("what has logical volumes on it", "sda", map[string]string{"holders/dm-9": "", "../dm-9/dm/uuid": "LVM-x\n"}),
	)

	Describe("in logical volumes", func() {
		BeforeEach(func() {
			m.disk("dm-1", pvA)
			m.set("dm-1", map[string]string{"dm/uuid": "LVM-" + pvA + pvB + "\n"})
		})
		It("is not done", func(ctx SpecContext) {
			Expect(find(ctx)).To(BeEmpty())
			Expect(m.opened).To(BeEmpty())
		})
		It("is done where lvm.conf says so", func(ctx SpecContext) {
			m.config = plainConfig + "scan_lvs=1\n"
			Expect(find(ctx)).To(Equal([]string{"/dev/dm-1"}))
		})
	})

	DescribeTable("finds what the devices file has", func(ctx SpecContext, entry string) {
		m.disk("sda", pvA)
		m.disk("sdb", pvB)
		m.files["/dev/mine"], m.links["/dev/mine"] = "sda", true
		m.set("sda", map[string]string{"device/wwid": "naa.5000\n"})
		m.config = plainConfig + "use_devicesfile=1\nfilter=[\"r|.*|\"]\n"
		m.files["/etc/lvm/devices/system.devices"] = "VERSION=1.1.2\n" + entry + "\n"
		Expect(find(ctx)).To(Equal([]string{"/dev/sda"}), "filters do not count then")
		Expect(m.reads("/dev/sdb")).To(BeZero())
	},
		Entry("by its identity", "IDTYPE=sys_wwid IDNAME=naa.5000 DEVNAME=/dev/sdq PVID="+pvA),
		Entry("by its name", "IDTYPE=devname IDNAME=/dev/sda DEVNAME=/dev/sda PVID="+pvA),
		Entry("by a link to it", "IDTYPE=devname IDNAME=/dev/mine DEVNAME=/dev/mine PVID="+pvA),
	)

	It("reads of each logical volume no more than its UUID, once", func(ctx SpecContext) {
		m.disk("sda", pvA)
		for _, lv := range []string{"dm-1", "dm-2"} {
			m.disk(lv, "")
			m.set(lv, map[string]string{"dm/uuid": "LVM-" + pvA + pvB + "\n"})
			m.set("sda", map[string]string{"holders/" + lv: ""})
			m.files["/dev/"+lv] = "a device node"
		}
		Expect(find(ctx)).To(Equal([]string{"/dev/sda"}))
		for file, times := range m.asked {
			if strings.Contains(file, "dm-") {
				Expect(file).To(HaveSuffix("/dm/uuid"))
				Expect(times).To(Equal(1), file)
			}
		}
		Expect(m.asked).To(HaveKey(blockDir + "/dm-2/dm/uuid"))
	})

	It("follows lvm.conf", func(ctx SpecContext) {
		m.disk("sda", pvA)
		m.files["/etc/lvm/lvm.conf"] = "x"
		Expect(find(ctx)).To(HaveLen(1))
		m.config, m.stamps["/etc/lvm/lvm.conf"] = plainConfig+"filter=[\"r|.*|\"]\n", time.Unix(9, 0)
		Expect(find(ctx)).To(BeEmpty())
	})

	It("is left to LVM where nothing is there to read with", func(ctx SpecContext) {
		m.disk("sda", pvA)
		m.errs["/dev/sda"] = fmt.Errorf("dd: %w", host.ErrCannotRead)
		_, ok := s.ForLVM(ctx, true)
		Expect(ok).To(BeFalse())
	})

	It("reads what is written to all the time less and less often", func(ctx SpecContext) {
		m.disk("sda", "")
		for i := range 3600 {
			m.set("sda", map[string]string{"stat": fmt.Sprintf("1 0 8 0 5 0 %d 0 0 0 0", 40+i)})
			find(ctx)
			now = now.Add(time.Second)
		}
		Expect(m.reads("/dev/sda")).To(BeNumerically("<", 18))
	})

	DescribeTable("is left to LVM",
		func(ctx SpecContext, config string) {
			m.disk("sda", pvA)
			m.config = config
			for range 3 {
				_, ok := s.ForLVM(ctx, true)
				Expect(ok).To(BeFalse())
			}
			Expect(m.ran).To(Equal(1))
			Expect(m.opened).To(BeEmpty())
		},
		Entry("where it does not tell its settings", ""),
		Entry("where it is too old for a list of devices", "devices {\n\tdir=\"/dev\"\n}\n"),
		Entry("where a filter is not understood", plainConfig+"filter=[\"a|(|\"]\n"),
		Entry("where the devices have another place", plainConfig+"dir=\"/devices\"\n"),
	)
})
