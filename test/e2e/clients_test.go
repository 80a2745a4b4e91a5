package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// qemuDisk is a LUN as QEMU is told of it: with its own initiator, without a device on the node.
type qemuDisk struct{ target, initiator, user string }

// image are the options of qemu-img and qemu-io for it. The password comes from a file, and not
// from the command line.
func (d qemuDisk) image(lun int) string {
	options := fmt.Sprintf("driver=iscsi,transport=tcp,portal=%s,target=%s,lun=%d,initiator-name=%s", loopback, d.target, lun, d.initiator)
	if d.user == "" {
		return "--image-opts " + options
	}
	return fmt.Sprintf("--object secret,id=chap,file=/tmp/qemu-password --image-opts %s,user=%s,password-secret=chap", options, d.user)
}

// io runs commands of qemu-io, and returns what went wrong in one of them.
func (d qemuDisk) io(ctx context.Context, lun int, flags string, commands ...string) string {
	GinkgoHelper()
	line := "qemu-io " + flags
	for _, c := range commands {
		line += " -c '" + c + "'"
	}
	r := try(ctx, line+" "+d.image(lun)+" 2>&1")
	for line := range strings.Lines(r.Stdout) {
		if r.ExitCode != 0 || strings.Contains(line, "failed") || strings.Contains(line, "error") {
			return r.Stdout
		}
	}
	return ""
}

var _ = Describe("QEMU", func() {
	const password = "correct-horse-battery"
	disk := qemuDisk{target: target("machines"), initiator: dbHost, user: "u"}
	documents := func(size string) []string {
		return []string{thinPool, thickPool, volume("root", "fast", size, ""), volume("base", "slow", "16Mi", ""),
			fmt.Sprintf("kind: Export\nmetadata: {name: machines}\nspec: {protocol: iscsi, luns: [{volume: root}, {volume: base, readOnly: true}], "+
				"initiators: [{name: %q, auth: {chap: {username: u, passwordFrom: {file: /etc/volreconciler/secrets/machines}}}}]}", dbHost)}
	}

	BeforeEach(func(ctx SpecContext) {
		secret(ctx, "machines", password)
		sh(ctx, "umask 077; printf %s "+password+" > /tmp/qemu-password")
		specs(ctx, "all.yaml", documents("64Mi")...)
		agent()
		allReady(ctx, 5)
	}, NodeTimeout(limit))

	It("logs in by itself as often as it likes", func(ctx SpecContext) {
		// The kernel's challenges grow longer with the 11th login.
		Expect(sh(ctx, "for i in $(seq 20); do qemu-img info "+disk.image(0)+" >/tmp/info 2>&1 && grep -c 'virtual size: 64 MiB' /tmp/info || cat /tmp/info; done | sort | uniq -c | xargs")).To(Equal("20 1"))
		sh(ctx, "printf wrong-password > /tmp/qemu-password")
		Expect(try(ctx, "qemu-img info "+disk.image(0)).ExitCode).NotTo(BeZero(), "with a wrong password")
	}, NodeTimeout(limit))

	It("reads, writes, zeroes and discards, and sees growth and write protection", func(ctx SpecContext) {
		Expect(disk.io(ctx, 0, "", "write -P 0x5a 0 1M", "write -z 64k 64k", "flush", "read -P 0x5a 0 64k", "read -P 0 64k 64k", "read -P 0x5a 128k 128k")).To(BeEmpty())
		Expect(sh(ctx, "dd if=/dev/vg0/root bs=64k count=3 iflag=direct status=none | od -An -tx1 -v | tr ' ' '\\n' | grep . | uniq -c | xargs")).To(Equal("65536 5a 65536 00 65536 5a"))

		By("discarding")
		used := func() string { return sh(ctx, "lvs --noheadings -o data_percent vg0/root") }
		Eventually(ctx, used).ShouldNot(Equal("0.00"))
		Expect(disk.io(ctx, 0, "-d unmap", "discard 0 1M", "flush")).To(BeEmpty())
		Eventually(ctx, used).Should(Equal("0.00"))

		By("copying an image to it")
		sh(ctx, "dd if=/dev/urandom of=/srv/images/disk.raw bs=1M count=64 status=none")
		sh(ctx, "qemu-img convert -n -f raw --target-image-opts "+strings.Replace(disk.image(0), "--image-opts ", "/srv/images/disk.raw ", 1))
		same := func() {
			GinkgoHelper()
			Expect(sh(ctx, "dd if=/dev/vg0/root bs=1M count=64 iflag=direct status=none | md5sum")).To(Equal(sh(ctx, "md5sum < /srv/images/disk.raw")))
		}
		same()

		By("reading only what is read-only")
		Expect(disk.io(ctx, 1, "-r", "read 0 1M")).To(BeEmpty())
		Expect(disk.io(ctx, 1, "", "write 0 1M")).NotTo(BeEmpty())

		By("growing")
		specs(ctx, "all.yaml", documents("96Mi")...)
		allReady(ctx, 5)
		Expect(sh(ctx, "qemu-img info "+disk.image(0))).To(ContainSubstring("virtual size: 96 MiB"))
		same()
	}, NodeTimeout(limit))
})

// multipathd makes one disk of those that are the same LUN over different portals.
func multipathd(ctx context.Context) {
	GinkgoHelper()
	r := try(ctx, "modprobe dm-multipath 2>&1 && dmsetup targets | grep -q '^multipath '")
	if r.ExitCode != 0 {
		Skip("no device-mapper multipath: " + strings.TrimSpace(r.Stdout))
	}
	put(ctx, "/etc/multipath.conf", `defaults {
	find_multipaths no
	user_friendly_names no
	polling_interval 1
	max_polling_interval 1
	no_path_retry queue
}
blacklist { devnode "^(ubd|vd|dm-|loop|nvme)" }
`)
	sh(ctx, "multipathd")
	DeferCleanup(func(ctx SpecContext) {
		sh(ctx, "multipathd shutdown; while pgrep -x multipathd >/dev/null; do sleep 0.1; done; rm -f /etc/multipath.conf /etc/multipath/wwids")
	}, NodeTimeout(limit))
}

var _ = Describe("Multipath over two portals", func() {
	const one, two = "10.9.8.1:3261", "10.9.8.2:3261"
	documents := func(pool, size, initiator string) []string {
		return []string{thinPool, thickPool, volume("data", pool, size, ""),
			fmt.Sprintf("kind: Export\nmetadata: {name: paths}\nspec: {protocol: iscsi, portals: [%q, %q], luns: [{volume: data}], initiators: [{name: %q}]}", one, two, initiator)}
	}

	BeforeEach(func(ctx SpecContext) {
		multipathd(ctx)
		sh(ctx, "for i in 1 2; do ip address add 10.9.8.$i/32 dev lo; done")
		DeferCleanup(func(ctx SpecContext) { try(ctx, "for i in 1 2; do ip address delete 10.9.8.$i/32 dev lo; done") }, NodeTimeout(limit))
		DeferCleanup(func(ctx SpecContext) {
			try(ctx, "multipathd disablequeueing maps; multipath -F; iscsiadm -m node -u")
		}, NodeTimeout(limit))
	}, NodeTimeout(limit))

	// wwid is what multipathd calls the disk, and paths how many of its paths work.
	wwid := func(ctx context.Context) string {
		GinkgoHelper()
		return "3" + sh(ctx, "cat /sys/kernel/config/target/core/iblock_*/volreconciler:*/wwn/vpd_unit_serial | sed 's/.*: //; s/-//g; s/^/6001405/' | cut -c 1-32")
	}
	paths := func(ctx context.Context) string {
		GinkgoHelper()
		return sh(ctx, "multipathd show paths raw format '%m %t %o' | grep -c '^"+wwid(ctx)+" active running' || true")
	}

	It("is what connect prints", func(ctx SpecContext) {
		self := sh(ctx, "sed -n s/InitiatorName=//p /etc/iscsi/initiatorname.iscsi")
		specs(ctx, "all.yaml", documents("slow", "64Mi", self)...)
		agent()
		allReady(ctx, 4)
		put(ctx, "/run/connect.sh", sh(ctx, "volreconciler connect paths --multipath --initiator "+self+" --specs /specs -o sh"))
		for range 2 {
			sh(ctx, "sh /run/connect.sh && udevadm settle")
			Eventually(ctx, paths).WithArguments(ctx).Should(Equal("2"))
		}
		Expect(writes(ctx, "/dev/mapper/"+wwid(ctx))).To(BeTrue())
	}, NodeTimeout(limit))

	It("is one disk, which survives the loss of a path, a move, and grows", func(ctx SpecContext) {
		specs(ctx, "all.yaml", documents("slow", "64Mi", dbHost)...)
		agent()
		allReady(ctx, 4)
		iqn := target("paths")
		for _, portal := range []string{one, two} {
			r := login(ctx, iqn, portal, dbHost, "node.session.timeo.replacement_timeout", "5")
			Expect(r.ExitCode).To(BeZero(), r.Stderr)
		}
		wwid := wwid(ctx)
		map0 := "/dev/mapper/" + wwid
		Eventually(ctx, paths).WithArguments(ctx).Should(Equal("2"))
		Expect(sh(ctx, "multipath -ll "+wwid)).To(ContainSubstring("LIO-ORG"))
		fill(ctx, map0, "data", 8)
		want := content(ctx, map0, 8)

		By("while something is written all the time")
		background(ctx, "writer", "while :; do date +%s%N | dd of="+map0+" bs=4096 seek=4096 count=1 conv=sync,notrunc oflag=direct status=none || { echo failed; break; }; echo ok; sleep 0.1; done >/run/writer.log 2>&1")
		written := func() int { return strings.Count(sh(ctx, "cat /run/writer.log"), "ok") }
		goesOn := func(when string) {
			GinkgoHelper()
			n := written()
			Eventually(ctx, written).Should(BeNumerically(">", n+2), when)
			Expect(sh(ctx, "grep -v ok /run/writer.log || true")).To(BeEmpty(), when)
		}
		goesOn("with both paths")

		By("losing a path")
		sh(ctx, "ip address delete 10.9.8.2/32 dev lo")
		Eventually(ctx, paths).WithArguments(ctx).Should(Equal("1"))
		goesOn("with one path")
		sh(ctx, "ip address add 10.9.8.2/32 dev lo")
		Eventually(ctx, paths).WithArguments(ctx).Should(Equal("2"))

		By("moving the Volume")
		specs(ctx, "all.yaml", documents("fast", "64Mi", dbHost)...)
		Eventually(ctx, func() string { return try(ctx, "lvs --noheadings -o pool_lv vg0/data").Stdout }).WithTimeout(patience).Should(ContainSubstring("pool0"))
		allReady(ctx, 4)
		Eventually(ctx, paths).WithArguments(ctx).Should(Equal("2"))
		goesOn("after a move")
		Expect(content(ctx, map0, 8)).To(Equal(want))

		By("growing")
		specs(ctx, "all.yaml", documents("fast", "96Mi", dbHost)...)
		allReady(ctx, 4)
		sh(ctx, "iscsiadm -m session -R && udevadm settle")
		Eventually(ctx, func() string { return try(ctx, "multipathd resize map "+wwid).Stdout }).Should(ContainSubstring("ok"))
		Expect(size(ctx, map0)).To(Equal(uint64(96 << 20)))
		goesOn("after growth")
		Expect(content(ctx, map0, 8)).To(Equal(want))
	}, NodeTimeout(limit))
})
