package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// user is somebody on the node who uses vg0/data, beside the agent.
type user struct {
	name string
	// prepare is run once, before the first start.
	prepare string
	// start and stop are scripts.
	start, stop string
	// named is what the agent says of it, as a regular expression.
	named string
	// needs is a file that kernels have which know it.
	needs string
}

// inBackground are scripts of a user that is a process. It is another one each time.
func inBackground(command string) (start, stop string) {
	return "set -e; mkdir -p /run/user; setsid sh -c 'echo $$ > /run/user/pid; " + command + "' >/run/user/log 2>&1 &",
		`pid=$(cat /run/user/pid) || exit 0; rm /run/user/pid
		kill $pid 2>/dev/null; while [ -e /proc/$pid ]; do sleep 0.05; done`
}

func users() []user {
	opened := user{name: "a process that has it open", named: `open by sleep \(process \d+\)`}
	opened.start, opened.stop = inBackground("exec sleep 1000 < /dev/vg0/data")
	hidden := user{name: "a mount in another namespace", prepare: "mkfs.ext4 -q /dev/vg0/data", named: `mounted on /mnt in the mount namespace of sleep`}
	hidden.start, hidden.stop = inBackground("exec unshare -m sh -c \"mount /dev/vg0/data /mnt && exec sleep 1000\"")
	return []user{
		{
			name: "a mount", prepare: "mkfs.ext4 -q /dev/vg0/data && mkdir -p '/mnt/in use'", named: `mounted on /mnt/in use`,
			start: "mount /dev/vg0/data '/mnt/in use'", stop: "! mountpoint -q '/mnt/in use' || umount '/mnt/in use'",
		},
		hidden,
		opened,
		{
			name: "swap", prepare: "mkswap /dev/vg0/data", named: `used as swap`, needs: "/proc/swaps",
			start: "swapon /dev/vg0/data", stop: "! grep -q /dm- /proc/swaps || swapoff /dev/vg0/data",
		},
		{
			name: "a loop device over it", prepare: "modprobe loop", named: `behind loop device /dev/loop\d+`,
			start: "losetup -f /dev/vg0/data", stop: "losetup -D; while losetup -a | grep -q dm-; do sleep 0.05; done",
		},
		{
			name: "a device-mapper device over it", named: `dm-\d+ \(over\)`,
			start: `dmsetup create over --table "0 $(blockdev --getsz /dev/vg0/data) linear /dev/vg0/data 0"`,
			stop:  "! dmsetup info over >/dev/null 2>&1 || dmsetup remove --retry over",
		},
		{
			name: "a file backstore of somebody else", prepare: "modprobe -a target_core_mod target_core_file", named: `backstore fileio_7/theirs`,
			start: `set -e; cd /sys/kernel/config/target/core; mkdir -p fileio_7/theirs
				echo fd_dev_name=/dev/vg0/data,fd_dev_size=$(blockdev --getsize64 /dev/vg0/data) > fileio_7/theirs/control; echo 1 > fileio_7/theirs/enable`,
			stop: "cd /sys/kernel/config/target/core && [ ! -d fileio_7 ] || rmdir fileio_7/theirs fileio_7",
		},
	}
}

func (u user) begin(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, u.start)
	// LVM says so for whoever has it open, be it the kernel.
	Eventually(ctx, func() string { return sh(ctx, "dmsetup info -c --noheadings -o open vg0-data") }).ShouldNot(Equal("0"))
}

func (u user) end(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, u.stop)
}

// usedVolume is an Export of a Volume that is free, and of one that somebody on the
// node uses.
type usedVolume struct {
	user
	initiator initiator
	protocol  string
	first     int // LUN
	reset     string
}

// exports writes the Export of these volumes.
func (u usedVolume) exports(ctx context.Context, names ...string) {
	GinkgoHelper()
	specs(ctx, "export.yaml", fmt.Sprintf("kind: Export\nmetadata: {name: used}\nspec: {protocol: %s, portals: [%q], luns: [{volume: %s}], initiators: [{name: %q}]}",
		u.protocol, u.initiator.portal(), strings.Join(names, "}, {volume: "), u.initiator.host("db")))
}

// refused waits until the agent says who uses the volume, and looks whether that is all.
func (u usedVolume) refused(ctx context.Context) {
	GinkgoHelper()
	blocked := And(beIn(status.Blocked, status.ReasonInUse), HaveField("Message", MatchRegexp(u.named)))
	eventually(ctx, "Volume/data", blocked)
	passes(ctx, 2)
	Expect(statusOf(ctx, "Volume/data")).To(blocked)
	Expect(statusOf(ctx, "Volume/free")).To(HaveField("Phase", status.Ready))
	Expect(statusOf(ctx, "Export/used")).To(beIn(status.Blocked, status.ReasonNotReady))
	Expect(u.served(ctx)).To(Equal("/dev/vg0/free"), "served")
}

// served are the devices that targets of ours serve.
func (usedVolume) served(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, `cat /sys/kernel/config/nvmet/subsystems/*/namespaces/*/device_path /sys/kernel/config/target/core/iblock_*/*/udev_path 2>/dev/null | sort | xargs`)
}

func inUse() []TableEntry {
	var entries []TableEntry
	for _, user := range users() {
		iscsi := usedVolume{user: user, initiator: iscsiTCP, protocol: "iscsi", first: 0, reset: resetLIO}
		nvme := usedVolume{user: user, initiator: nvmeTCP, protocol: "nvme-tcp", first: 1, reset: resetNVMe}
		for _, u := range []usedVolume{iscsi, nvme} {
			entries = append(entries, Entry("over "+u.protocol+": "+user.name, u, NodeTimeout(limit)))
		}
	}
	return entries
}

var _ = DescribeTable("A volume that is in use on the node is not exported, and others are:",
	func(ctx SpecContext, u usedVolume) {
		u.initiator.setUp(ctx)
		if u.needs != "" && try(ctx, "[ -e "+u.needs+" ]").ExitCode != 0 {
			Skip("this kernel has no " + u.needs)
		}
		sh(ctx, "lvcreate -qq -y -n data -L 64M vg0")
		if u.prepare != "" {
			sh(ctx, u.prepare)
		}
		DeferCleanup(func(ctx SpecContext) { u.end(ctx) }, NodeTimeout(limit))
		uuid := sh(ctx, "lvs --noheadings -o lv_uuid vg0/data")
		db := attachment{target: u.initiator.target("used"), portal: u.initiator.portal(), host: u.initiator.host("db")}
		specs(ctx, "volumes.yaml", thickPool, volume("free", "slow", "64Mi", ""), volume("data", "slow", "64Mi", "adopt: true"))
		u.exports(ctx, "free")
		agent()
		allReady(ctx, 4)
		s := mustConnect(ctx, u.initiator, db)
		served := device(ctx, s, u.first)

		By("while it is in use")
		u.begin(ctx)
		u.exports(ctx, "free", "data")
		u.refused(ctx)
		Expect(s.live(ctx)).To(BeTrue())
		Expect(s.luns(ctx)).To(Equal(map[int]string{u.first: served}))
		Expect(writes(ctx, served)).To(BeTrue(), "what was served before")

		By("when it is free")
		u.end(ctx)
		allReady(ctx, 4)
		s.rescan(ctx)
		Expect(reads(ctx, device(ctx, s, u.first+1))).To(BeTrue())

		By("in use again after everything that was served is gone")
		s.disconnect(ctx)
		kill(ctx)
		sh(ctx, u.reset+"true")
		Expect(u.served(ctx)).To(BeEmpty())
		u.begin(ctx)
		agent()
		u.refused(ctx)
		s = mustConnect(ctx, u.initiator, db)
		Expect(writes(ctx, device(ctx, s, u.first))).To(BeTrue())

		By("and free for good")
		u.end(ctx)
		allReady(ctx, 4)
		s.rescan(ctx)
		Expect(reads(ctx, device(ctx, s, u.first+1))).To(BeTrue())
		s.disconnect(ctx)
		Expect(statusOf(ctx, "Volume/data").Volume.LVUUID).To(Equal(uuid))
	},
	inUse(),
)
