package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// soon is how long a change may take beside a device that does not answer: a few times
// what it takes elsewhere, and less than LVM is waited for.
const soon = 14 * time.Second

// freeze makes a device of device-mapper answer nobody, until the spec ends or thaw is called.
func freeze(ctx context.Context, name string) {
	GinkgoHelper()
	sh(ctx, "dmsetup suspend --noflush --nolockfs "+name)
	DeferCleanup(func(ctx SpecContext) { thaw(ctx, name) }, NodeTimeout(limit))
}

func thaw(ctx context.Context, name string) {
	GinkgoHelper()
	sh(ctx, "dmsetup info -c --noheadings -o suspended "+name+" 2>/dev/null | grep -q Suspended || exit 0; dmsetup resume "+name)
}

// within expects an object to be Ready soon after a file names it.
func within(ctx context.Context, name string) {
	GinkgoHelper()
	began := time.Now()
	specs(ctx, name+".yaml", volume(name, "slow", "16Mi", "deletionPolicy: Delete"), export(name, "{volume: "+name+"}"))
	eventually(ctx, "Export/"+name, HaveField("Phase", status.Ready))
	took := time.Since(began)
	GinkgoWriter.Printf("%s was Ready after %s\n", name, took)
	Expect(took).To(BeNumerically("<", soon))
}

// warnings are what the agent says of the node.
func warnings(ctx context.Context) string {
	return strings.Join(nodeStatus(ctx).Warnings, "\n")
}

var _ = Describe("A device that does not answer", func() {
	It("keeps nothing else waiting, if it is somebody else's", func(ctx SpecContext) {
		sh(ctx, `set -e
			dmsetup create other --table "0 131072 linear /dev/vdb 2048"; udevadm settle
			vgcreate -qq theirs /dev/mapper/other`)
		DeferCleanup(func(ctx SpecContext) {
			sh(ctx, "dmsetup remove --retry other")
		}, NodeTimeout(limit))
		device := sh(ctx, "basename $(readlink -f /dev/mapper/other)")
		specs(ctx, "pools.yaml", thickPool)
		agent()
		within(ctx, "before")
		Expect(warnings(ctx)).NotTo(ContainSubstring("does not answer"))

		freeze(ctx, "other")
		within(ctx, "after")
		Expect(warnings(ctx)).To(ContainSubstring("/dev/" + device + " does not answer"))
		remove(ctx, "before.yaml")
		Eventually(ctx, func() string { return sh(ctx, "ls /dev/vg0") }).WithTimeout(soon).Should(Equal("after"))

		By("at the cost of one process a pass, and of one process that waits for it")
		passes(ctx, 3)
		Expect(nodeStatus(ctx).LastPass.Processes).To(BeEquivalentTo(1))
		Expect(sh(ctx, "ps -L -C volreconciler,lvm,dd -o state=,comm= | grep ^D")).To(MatchRegexp("^D +dd$"))

		By("not when the agent starts either")
		kill(ctx)
		agent()
		within(ctx, "later")
		Expect(warnings(ctx)).To(ContainSubstring("/dev/" + device + " does not answer"))

		By("and is as good as any once it answers")
		thaw(ctx, "other")
		Eventually(ctx, func() string { return warnings(ctx) }).WithTimeout(soon).ShouldNot(ContainSubstring("does not answer"))
		Expect(sh(ctx, "vgs --noheadings -o vg_name,vg_missing_pv_count theirs")).To(MatchRegexp(`^\s*theirs\s+0$`))
	}, NodeTimeout(limit))

	It("keeps its own volume group as it is, and no other", func(ctx SpecContext) {
		secondGroup(ctx)
		specs(ctx, "pools.yaml", thickPool, secondPool)
		specs(ctx, "far.yaml", volume("far", "second", "600Mi", ""), export("far", "{volume: far}"))
		agent()
		allReady(ctx, 4)
		seqno := sh(ctx, "vgs --noheadings -o vg_seqno vg1")

		freeze(ctx, "slice1")
		eventually(ctx, "Pool/second", HaveField("Reason", status.ReasonObservationFailed))
		Expect(statusOf(ctx, "Pool/second").Message).To(ContainSubstring("does not answer"))
		within(ctx, "near")
		remove(ctx, "far.yaml")
		passes(ctx, 4)

		By("and all goes on once it answers")
		thaw(ctx, "slice1")
		specs(ctx, "far.yaml", volume("far", "second", "600Mi", ""), export("far", "{volume: far}"))
		allReady(ctx, 6)
		Expect(sh(ctx, "vgs --noheadings -o vg_seqno vg1")).To(Equal(seqno))
	}, NodeTimeout(limit))

	It("is found by LVM where lvm.conf has filters, which stay in force", func(ctx SpecContext) {
		secondGroup(ctx)
		configureLVM(ctx, "lvm.conf", []string{`devices/global_filter = [ "r|/dev/mapper/slice.*|" ]`})
		specs(ctx, "pools.yaml", thickPool, secondPool)
		agent()
		eventually(ctx, "Pool/second", HaveField("Reason", status.ReasonVolumeGroupMissing))
		within(ctx, "near")
		configureLVM(ctx, "lvm.conf", nil)
		eventually(ctx, "Pool/second", HaveField("Phase", status.Ready))
	}, NodeTimeout(limit))
})

var _ = Describe("The devices file", func() {
	It("stays in force, and as it is", func(ctx SpecContext) {
		secondGroup(ctx)
		const file = "/etc/lvm/devices/system.devices"
		DeferCleanup(func(ctx SpecContext) { sh(ctx, "rm -rf /etc/lvm/devices") }, NodeTimeout(limit))
		sh(ctx, "lvm vgimportdevices -qq --config devices/use_devicesfile=1 vg0")
		before := sh(ctx, "cat "+file)
		configureLVM(ctx, "lvm.conf", []string{"devices/use_devicesfile = 1"})
		specs(ctx, "pools.yaml", thickPool, secondPool)
		agent()
		eventually(ctx, "Pool/second", HaveField("Reason", status.ReasonVolumeGroupMissing))
		within(ctx, "near")
		Expect(sh(ctx, "cat "+file)).To(Equal(before))
		Expect(sh(ctx, "ls /etc/lvm/devices")).NotTo(ContainSubstring("unused"))

		By("and so does what is added to it")
		sh(ctx, "lvm vgimportdevices -qq vg1")
		eventually(ctx, "Pool/second", HaveField("Phase", status.Ready))
	}, NodeTimeout(limit))
})

var _ = Describe("What LVM or udev left undone", func() {
	It("is done again: the links to an active volume", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool)
		specs(ctx, "a.yaml", volume("a", "slow", "16Mi", ""), volume("b", "slow", "16Mi", ""))
		agent()
		allReady(ctx, 3)
		sh(ctx, "rm /dev/vg0/a /dev/mapper/vg0-a /dev/vg0/b /dev/mapper/vg0-b")
		specs(ctx, "e.yaml", export("e", "{volume: a}, {volume: b}"))
		allReady(ctx, 4)
		Expect(sh(ctx, "ls /dev/vg0")).To(Equal("a\nb"))
	}, NodeTimeout(limit))

	It("is said, with the setting that forbids it", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool)
		specs(ctx, "a.yaml", volume("a", "slow", "16Mi", ""))
		agent()
		allReady(ctx, 2)
		kill(ctx)
		sh(ctx, "lvchange -an vg0/a")
		configureLVM(ctx, "lvm.conf", []string{`activation/volume_list = [ "other" ]`})
		agent()
		eventually(ctx, "Volume/a", HaveField("Reason", status.ReasonUnsupported))
		Expect(statusOf(ctx, "Volume/a").Message).To(ContainSubstring(`activation/volume_list = "other"`))
		configureLVM(ctx, "lvm.conf", nil)
		allReady(ctx, 2)
	}, NodeTimeout(limit))
})

var _ = Describe("A disk of this node's own export", func() {
	It("is not opened by LVM, so a cutover does not wait for it", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool)
		specs(ctx, "a.yaml", volume("a", "slow", "64Mi", ""), export("a", "{volume: a}"))
		agent()
		allReady(ctx, 3)
		Expect(login(ctx, target("a"), loopback, dbHost).ExitCode).To(BeZero())
		own := disk(ctx, "Volume/a")
		sh(ctx, fmt.Sprintf("vgcreate -qq guests %s", own))
		passes(ctx, 3)
		Expect(sh(ctx, "readlink -f "+own)).To(HavePrefix("/dev/sd"))

		sh(ctx, "echo 0 > /sys/kernel/config/target/iscsi/"+target("a")+"/tpgt_1/enable")
		within(ctx, "near")
		allReady(ctx, 5)
		logout(ctx, target("a"), dbHost)
	}, NodeTimeout(limit))
})
