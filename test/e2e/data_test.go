package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// thinPool, volume and so on are documents of specs. What is deleted in these
// Pools is gone at once.
const (
	thinPool  = "kind: Pool\nmetadata: {name: fast}\nspec: {volumeGroup: vg0, trash: 0s, thinPool: {name: pool0, size: 1Gi}}"
	thickPool = "kind: Pool\nmetadata: {name: slow}\nspec: {trash: 0s, volumeGroup: vg0}"
)

// withTrash is a Pool with the trash that a Pool has when it says nothing.
func withTrash(pool string) string { return strings.Replace(pool, "trash: 0s, ", "", 1) }

func volume(name, pool, size, more string) string {
	return fmt.Sprintf("kind: Volume\nmetadata: {name: %s}\nspec: {pool: %s, size: %s, %s}", name, pool, size, more)
}

func snapshot(name, of, more string) string {
	return fmt.Sprintf("kind: Snapshot\nmetadata: {name: %s}\nspec: {volume: %s, %s}", name, of, more)
}

// export serves LUNs to dbHost without a password.
func export(name, luns string) string {
	return fmt.Sprintf("kind: Export\nmetadata: {name: %s}\nspec: {protocol: iscsi, luns: [%s], initiators: [{name: %q}]}", name, luns, dbHost)
}

func target(export string) string { return "iqn.2026-11.io.volreconciler:" + export }

// fill writes a pattern over the first MiBs of a device and flushes it: a thin pool
// keeps for a second in memory which blocks are new.
func fill(ctx context.Context, device, pattern string, mib int) {
	GinkgoHelper()
	sh(ctx, fmt.Sprintf("yes %s | tr -d '\\n' | dd of=%s bs=1M count=%d iflag=fullblock oflag=direct conv=fsync", pattern, device, mib))
}

// content returns the checksum of the first MiBs of a device, read past the
// page cache.
func content(ctx context.Context, device string, mib int) string {
	GinkgoHelper()
	return sh(ctx, fmt.Sprintf("bash -o pipefail -c 'dd if=%s bs=1M count=%d iflag=direct | sha256sum'", device, mib))
}

var _ = DescribeTable("Volumes that are in use",
	func(ctx SpecContext, pool, snapshotSpec string) {
		name := "slow"
		if pool == thinPool {
			name = "fast"
		}
		specs(ctx, "pool.yaml", pool)
		specs(ctx, "volume.yaml", volume("data", name, "64Mi", ""))
		specs(ctx, "export.yaml", export("data", "{volume: data}"))
		agent()
		allReady(ctx, 3)
		Expect(login(ctx, target("data"), loopback, dbHost).ExitCode).To(BeZero())
		device := disk(ctx, "Volume/data")

		By("growing while an initiator is logged in")
		fill(ctx, device, "before", 4)
		specs(ctx, "volume.yaml", volume("data", name, "128Mi", ""))
		eventually(ctx, "Volume/data", And(HaveField("Phase", status.Ready), HaveField("Volume.Size", uint64(128<<20))))
		Expect(sh(ctx, "blockdev --getsize64 "+device)).To(Equal("67108864"))
		sh(ctx, "iscsiadm -m session -R && udevadm settle")
		Expect(sh(ctx, "blockdev --getsize64 "+device)).To(Equal("134217728"))

		By("a snapshot that keeps its content while the origin is overwritten")
		before := content(ctx, device, 4)
		specs(ctx, "snapshot.yaml", snapshot("snap", "data", snapshotSpec))
		specs(ctx, "backup.yaml", export("backup", "{snapshot: snap, readOnly: true, lun: 9}"))
		eventually(ctx, "Export/backup", HaveField("Phase", status.Ready))
		fill(ctx, device, "after", 4)
		Expect(content(ctx, device, 4)).NotTo(Equal(before))
		Expect(login(ctx, target("backup"), loopback, dbHost).ExitCode).To(BeZero())
		snap := disk(ctx, "Snapshot/snap")
		Expect(content(ctx, snap, 4)).To(Equal(before))

		By("a read-only LUN that refuses a write, whoever asks for it")
		sh(ctx, "blockdev --setrw "+snap)
		Expect(try(ctx, "dd if=/dev/zero of="+snap+" bs=1M count=1 oflag=direct").ExitCode).NotTo(BeZero())
		Expect(content(ctx, snap, 4)).To(Equal(before))
	},
	Entry("thin", thinPool, "", NodeTimeout(limit)),
	Entry("thick", thickPool, "size: 64Mi", NodeTimeout(limit)),
)

var _ = It("Discards through the LUN give a thin volume's space back, over IPv6 and IPv4", func(ctx SpecContext) {
	both := strings.Replace(export("data", "{volume: data, lun: 0}, {volume: big, lun: 1}"), "luns:", `portals: ["0.0.0.0:3260", "[::]:3260"], luns:`, 1)
	specs(ctx, "all.yaml", thinPool, volume("data", "fast", "16Mi", ""), volume("big", "fast", "512Mi", ""), both)
	agent()
	allReady(ctx, 4)
	Expect(login(ctx, target("data"), "[::1]:3260", dbHost).ExitCode).To(BeZero())
	logout(ctx, target("data"), dbHost)
	Expect(login(ctx, target("data"), loopback, dbHost).ExitCode).To(BeZero())
	used := func(name string) float64 {
		GinkgoHelper()
		percent, err := strconv.ParseFloat(sh(ctx, "lvs --noheadings -o data_percent vg0/"+name), 64)
		Expect(err).NotTo(HaveOccurred())
		return percent
	}
	device := disk(ctx, "Volume/data")
	fill(ctx, device, "full", 16)
	Expect(used("data")).To(Equal(100.0))
	sh(ctx, "blkdiscard "+device)
	Expect(used("data")).To(BeZero())

	By("more than a single WRITE SAME takes")
	device = disk(ctx, "Volume/big")
	fill(ctx, device, "full", 200)
	before := used("big")
	Expect(before).To(BeNumerically("~", 100*200/512, 1))
	sh(ctx, "dmesg --clear; blkdiscard "+device)
	// By WRITE SAME it comes in parts that end within a chunk, which stays then.
	Expect(used("big")).To(BeNumerically("<", 0.2))

	By("freed by a file system")
	sh(ctx, "mkfs.ext4 -q "+device+" && mkdir -p /tmp/big && mount "+device+" /tmp/big")
	DeferCleanup(func(ctx SpecContext) { try(ctx, "umount /tmp/big") })
	empty := used("big")
	fill(ctx, "/tmp/big/file", "full", 100)
	Expect(used("big")).To(BeNumerically(">", empty+15))
	sh(ctx, "rm /tmp/big/file && sync && fstrim /tmp/big")
	Expect(used("big")).To(BeNumerically("<", empty+5))
	sh(ctx, "umount /tmp/big")
	Expect(sh(ctx, "dmesg")).NotTo(Or(ContainSubstring("WRITE_SAME"), ContainSubstring("Illegal Request"), ContainSubstring("critical target error")))

	By("in a session that was there before they could come")
	set := func(attribute string) string {
		return fmt.Sprintf("echo 0 > $(ls -d %s)", observe.BackstoreAttributeFile("iblock_*", ondisk.BackstoreName(spec.ID{Kind: spec.KindVolume, Name: "big"}), attribute))
	}
	sh(ctx, set("emulate_tpu")+"; "+set("emulate_tpws"))
	session := sh(ctx, "ls /sys/class/iscsi_session")
	passes(ctx, 2)
	fill(ctx, device, "full", 100)
	sh(ctx, "iscsiadm -m session -R && udevadm settle && blkdiscard "+device)
	Expect(used("big")).To(BeNumerically("<", 0.2))
	Expect(sh(ctx, "ls /sys/class/iscsi_session")).To(Equal(session))
}, NodeTimeout(limit))
