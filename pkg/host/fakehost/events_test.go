package fakehost_test

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/watch"
)

// The same operations on a real kernel are in test/e2e.
var _ = Describe("Events", func() {
	const (
		core   = "/sys/kernel/config/target/core/iblock_0"
		target = "/sys/kernel/config/target/iscsi/iqn.2003-01.org.example:a"
		tpg    = target + "/tpgt_1"
	)
	var h *fakehost.Host
	var events *fakehost.Events
	do := func(ctx SpecContext, by fakehost.Hand, lines ...string) {
		GinkgoHelper()
		for _, line := range lines {
			words := strings.Fields(line)
			var err error
			switch words[0] {
			case "mkdir":
				err = by.Mkdir(words[1])
			case "rm":
				err = by.Remove(words[1])
			case "ln":
				err = by.Symlink(words[1], words[2])
			case "echo":
				err = by.WriteFile(words[2], []byte(words[1]+"\n"))
			default:
				_, err = by.Run(ctx, words...)
			}
			Expect(err).NotTo(HaveOccurred(), line)
		}
	}
	// told are the events since the last call, with the name of who it was, and an exclamation mark
	// after the agent's own.
	told := func() []string {
		var all []string
		for _, e := range events.Take() {
			line := string(e.Source) + " " + e.Path
			if e.By != nil {
				line += " by " + e.By.Command
				if e.By.Own {
					line += "!"
				}
			}
			all = append(all, line)
		}
		return all
	}
	hand := func() fakehost.Hand {
		return fakehost.Hand{Host: h, By: watch.Process{PID: 7, Command: "python3"}}
	}
	BeforeEach(func(ctx SpecContext) {
		var err error
		h, err = fakehost.New(fakehost.Node{VolumeGroups: []fakehost.VolumeGroup{{Name: "vg0", ExtentSize: 4 << 20, Extents: 100}}})
		Expect(err).NotTo(HaveOccurred())
		events = h.Watch()
		events.PhysicalVolumes([]string{"/dev/disk-vg0"})
		Expect(told()).To(Equal([]string{"lvm /dev/disk-vg0"}), "it may have changed before it was watched")
		events.PhysicalVolumes([]string{"/dev/disk-vg0"})
		do(ctx, hand(), "modprobe target_core_iblock iscsi_target_mod nvmet", "mkdir /sys/kernel/config/target/iscsi",
			"lvcreate -y -n data -L 16m vg0")
		Expect(told()).To(Equal([]string{
			"configfs /sys/kernel/config/nvmet", "configfs /sys/kernel/config/target", "configfs /sys/kernel/config/target/iscsi",
			"lvm /dev/disk-vg0 by python3", "devices /dev/dm-0",
		}))
	})

	DescribeTable("of LVM", func(ctx SpecContext, line string, expected ...string) {
		do(ctx, hand(), line)
		Expect(told()).To(ConsistOf(expected))
	},
		Entry("a tag", "lvchange --addtag x vg0/data", "lvm /dev/disk-vg0 by python3"),
		Entry("made inactive", "lvcreate -y -an -Zn -Wn -n more -L 16m vg0", "lvm /dev/disk-vg0 by python3"),
		Entry("made", "lvcreate -y -n more -L 16m vg0", "lvm /dev/disk-vg0 by python3", "devices /dev/dm-1"),
		Entry("extended", "lvextend -L +16m vg0/data", "lvm /dev/disk-vg0 by python3", "devices /dev/dm-0"),
		Entry("renamed", "lvrename vg0/data vg0/other", "lvm /dev/disk-vg0 by python3", "devices /dev/dm-0"),
		Entry("removed", "lvremove -y vg0/data", "lvm /dev/disk-vg0 by python3", "devices /dev/dm-0"),
		Entry("deactivated", "lvchange -an vg0/data", "devices /dev/dm-0"),
		Entry("read", "lvs vg0"),
		Entry("activated though it is active", "lvchange -ay vg0/data"),
	)
	It("tells of configfs what somebody made, wrote and removed", func(ctx SpecContext) {
		do(ctx, hand(), "mkdir "+core, "mkdir "+core+"/data", "echo udev_path=/dev/vg0/data "+core+"/data/control", "echo 1 "+core+"/data/enable")
		Expect(told()).To(Equal([]string{
			"configfs " + core, "configfs " + core + "/data", "configfs " + core + "/data/control by python3", "configfs " + core + "/data/enable by python3",
		}))
		do(ctx, hand(), "mkdir "+target, "mkdir "+tpg, "mkdir "+tpg+"/lun/lun_0", "ln "+core+"/data "+tpg+"/lun/lun_0/data")
		Expect(told()).To(Equal([]string{
			"configfs " + target, "configfs " + tpg, "configfs " + tpg + "/lun/lun_0", "configfs " + tpg + "/lun/lun_0/data",
		}), "the kernel changes a text of the backstore, and says nothing")

		By("through a symlink")
		do(ctx, hand(), "echo 1 "+tpg+"/lun/lun_0/data/attrib/emulate_tpu")
		Expect(told()).To(Equal([]string{"configfs " + core + "/data/attrib/emulate_tpu by python3"}))

		By("but not what failed")
		Expect(h.WriteFile(core+"/data/enable", []byte("1\n"))).NotTo(Succeed())
		Expect(h.Mkdir(target)).NotTo(Succeed())
		Expect(h.Remove(target)).NotTo(Succeed())
		Expect(told()).To(BeEmpty())

		By("of the agent what it made, but not what it wrote")
		own := fakehost.Hand{Host: h, By: watch.Process{PID: 1, Command: "volreconciler", Own: true}}
		do(ctx, own, "echo 1 "+tpg+"/attrib/demo_mode_write_protect", "rm "+tpg+"/lun/lun_0/data", "lvchange --addtag x vg0/data")
		Expect(told()).To(Equal([]string{"configfs " + tpg + "/lun/lun_0/data", "lvm /dev/disk-vg0 by volreconciler!"}))
	})
	It("tells nothing of sessions, mounts, and how full anything is", func(ctx SpecContext) {
		const i = "iqn.1994-05.org.example:i"
		do(ctx, hand(), "mkdir "+target, "mkdir "+tpg, "mkdir "+tpg+"/acls/"+i, "echo 1 "+tpg+"/enable")
		told()
		Expect(h.Login("iqn.2003-01.org.example:a", i)).To(Succeed())
		Expect(h.Edit(func(n *fakehost.Node) {
			n.Mounts = append(n.Mounts, fakehost.Mount{LV: "vg0/data", Dir: "/mnt"})
			n.VolumeGroups[0].LogicalVolumes[0].DataPercent = 50
		})).To(Succeed())
		Expect(told()).To(BeEmpty())
	})
	It("tells what was edited", func() {
		Expect(h.Edit(func(n *fakehost.Node) {
			n.VolumeGroups[0].LogicalVolumes[0].Tags = []string{"x"}
			n.VolumeGroups = append(n.VolumeGroups, fakehost.VolumeGroup{Name: "vg1", ExtentSize: 4 << 20, Extents: 100})
			n.ConfigFS = nil
		})).To(Succeed())
		Expect(told()).To(ConsistOf("lvm /dev/disk-vg0 by sh", "devices /dev/disk-vg1", "configfs /sys/kernel/config/target/iscsi"))
	})
	It("tells nothing of a source that is not watched, and that anything may have changed once it is", func(ctx SpecContext) {
		events.Deafen(watch.Metadata, "no reason")
		Expect(events.Status()).To(ContainElement(watch.Status{Source: watch.Metadata, Why: "no reason"}))
		do(ctx, hand(), "lvchange --addtag x vg0/data")
		Expect(told()).To(BeEmpty())
		events.Deafen(watch.Metadata, "")
		Expect(told()).To(Equal([]string{"lvm "}))
		Expect(events.Changed()).To(Receive())
		Expect(events.Changed()).NotTo(Receive())
	})
	It("tells that anything may have changed after a reboot", func() {
		h.Reboot()
		Expect(told()).To(Equal([]string{"configfs ", "lvm ", "devices "}))
	})
})
