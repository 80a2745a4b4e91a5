package e2e

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest"
)

const (
	dbTarget   = "iqn.2026-11.io.volreconciler:db"
	mailTarget = "iqn.2026-11.org.example:mail"
	dbHost     = "iqn.1993-08.org.debian:01:db-host"
	mailHost   = "iqn.1993-08.org.debian:01:mail-host"
	backupHost = "iqn.1993-08.org.debian:01:backup-host"
	stranger   = "iqn.1993-08.org.debian:01:stranger"
	loopback   = "127.0.0.1:3260"
)

// exampleObjects is the number of objects in the examples that every node can
// serve, protocolObjects and imageObjects those in those of protocols and of images.
const (
	exampleObjects  = 19
	copyObjects     = 4 // of these, those in 6-copies.yaml
	protocolObjects = 4
	imageObjects    = 1
)

var _ = Describe("The examples on an empty volume group", func() {
	It("converge, serve those they should, and then need nothing more", func(ctx SpecContext) {
		examples(ctx)
		agent(byEvents...)
		allReady(ctx, exampleObjects)

		By("a file system that survives a new login")
		Expect(login(ctx, dbTarget, loopback, dbHost, chap("db", secrets["db"])...).ExitCode).To(BeZero())
		device := disk(ctx, "Volume/db-data")
		sh(ctx, "mkfs.ext4 -q "+device+" && mount "+device+" /mnt && echo precious > /mnt/file && umount /mnt")
		logout(ctx, dbTarget, dbHost)
		Expect(login(ctx, dbTarget, loopback, dbHost, chap("db", secrets["db"])...).ExitCode).To(BeZero())
		Expect(sh(ctx, "mount -r "+device+" /mnt && cat /mnt/file && umount /mnt")).To(Equal("precious"))
		logout(ctx, dbTarget, dbHost)

		By("a wrong password, none at all, and a stranger")
		Expect(login(ctx, dbTarget, loopback, dbHost, chap("db", "wrong-horse-battery")...).ExitCode).NotTo(BeZero())
		Expect(login(ctx, dbTarget, loopback, dbHost, "node.session.auth.authmethod", "None").ExitCode).NotTo(BeZero())
		Expect(login(ctx, dbTarget, loopback, stranger, chap("db", secrets["db"])...).ExitCode).NotTo(BeZero())
		Expect(try(ctx, "iscsiadm -m session").Stdout).To(BeEmpty())

		By("mutual authentication over IPv6")
		settings := append(chap("mail", secrets["mail"]), mutualCHAP("node", secrets["mail-back"])...)
		Expect(login(ctx, mailTarget, "[::1]:3261", mailHost, settings...).ExitCode).To(BeZero())
		Expect(sh(ctx, "lsscsi 2>/dev/null || ls /sys/class/scsi_device")).To(And(
			ContainSubstring(":0"), ContainSubstring(":3"), ContainSubstring(":7")))
		logout(ctx, mailTarget, mailHost)
		impostor := append(chap("mail", secrets["mail"]), mutualCHAP("node", "another-password")...)
		Expect(login(ctx, mailTarget, "[::1]:3261", mailHost, impostor...).ExitCode).NotTo(BeZero())
		Expect(try(ctx, "iscsiadm -m session").Stdout).To(BeEmpty())

		By("anybody where the spec says so")
		Expect(login(ctx, "iqn.2026-11.io.volreconciler:scratch", loopback, stranger).ExitCode).To(BeZero())
		scratch := disk(ctx, "Volume/scratch")
		sh(ctx, "dd if=/dev/zero of="+scratch+" bs=4k count=1 oflag=direct")

		By("one process a pass, and not one write")
		before := fingerprint(ctx)
		passes(ctx, 3)
		Expect(fingerprint(ctx)).To(Equal(before))

		Expect(nodeStatus(ctx).LastPass.Processes).To(BeEquivalentTo(1))

		trace := "timeout 6 strace -f -qq -e trace=execve,openat,mkdirat,unlinkat,symlinkat -o /tmp/trace -p $(pgrep -x volreconciler)"
		By("nothing at all while nothing happens")
		try(ctx, "sleep 2; "+trace)
		Expect(sh(ctx, `grep -c -e 'execve(' -e /sys/kernel/config /tmp/trace || true`)).To(Equal("0"))

		By("only reading when it reads everything")
		// What the agent really does meanwhile, with all that it starts.
		try(ctx, "(sleep 2; pkill -HUP -x volreconciler) & "+trace)
		Expect(sh(ctx, `grep -c 'execve(.*/lvm"' /tmp/trace`)).NotTo(Equal("0"))
		// A disk that has no label and is written to is looked at again, more and more seldom.
		Expect(sh(ctx, `grep 'execve(' /tmp/trace | grep -v -e '/lvm"' -e '/dd", .*"iflag=direct,nonblock"' || true`)).To(BeEmpty())
		Expect(sh(ctx, `grep -c '/sys/kernel/config/.*O_RDONLY' /tmp/trace`)).NotTo(Equal("0"))
		Expect(sh(ctx, `grep -E '(O_WRONLY|O_RDWR|mkdirat|unlinkat|symlinkat).*/sys/kernel/config' /tmp/trace || true`)).To(BeEmpty())
		Expect(sh(ctx, `grep -E '/sys/kernel/config.*(O_WRONLY|O_RDWR)' /tmp/trace || true`)).To(BeEmpty())

		By("a status and a plan that have nothing to say")
		Expect(strings.Count(sh(ctx, "volreconciler get"), "Ready")).To(Equal(exampleObjects))
		r := try(ctx, "volreconciler plan --specs /specs")
		Expect(r.ExitCode).To(BeZero(), r.Stdout+r.Stderr)
	}, NodeTimeout(limit))
})

var _ = Describe("The examples that need more than a volume group", func() {
	db := credentials{username: "db", password: secrets["db"]}

	It("converge beside all others, and serve their hosts", func(ctx SpecContext) {
		iser.setUp(ctx)
		nvmeRDMA.setUp(ctx)
		fc.setUp(ctx)
		sh(ctx, `set -e; cd /srv/images; head -c 1M /dev/urandom > raw; truncate -s 128M raw
			qemu-img convert -f raw -O qcow2 raw debian-12.qcow2`)
		exampleFiles(ctx, "*.yaml", "protocols/*.yaml", "images/*.yaml")
		agent()
		allReady(ctx, exampleObjects+protocolObjects+imageObjects)

		By("from an image")
		Expect(content(ctx, "/dev/vg0/web-root", 128)).To(Equal(sh(ctx, "sha256sum < /srv/images/raw")))

		By("over iSER")
		fill(ctx, "/dev/vg0/db-data", "precious", 4)
		data := content(ctx, "/dev/vg0/db-data", 4)
		s := mustConnect(ctx, iser, attachment{target: target("fast-lane"), portal: guest.RDMAAddress + ":3261", host: dbHost, credentials: db})
		Expect(content(ctx, device(ctx, s, 0), 4)).To(Equal(data))
		s.disconnect(ctx)

		By("over Fibre Channel")
		s = mustConnect(ctx, fc, attachment{target: fc.target("mainframe"), host: fc.host("db")})
		Expect(content(ctx, device(ctx, s, 0), 4)).To(Equal(data))
		Expect(writes(ctx, device(ctx, s, 7))).To(BeTrue())
		s.disconnect(ctx)
		s = mustConnect(ctx, fc, attachment{target: fc.target("mainframe"), host: fc.host("mail")})
		Expect(writes(ctx, device(ctx, s, 7))).To(BeFalse())
		Expect(s.luns(ctx)).To(HaveLen(1))
		s.disconnect(ctx)

		By("over NVMe and RDMA")
		const cacheHost = "nqn.2014-08.org.nvmexpress:uuid:5a2c1f5e-0d3b-4a57-9f0e-3d1f0f5e7a11"
		s = mustConnect(ctx, nvmeRDMA, attachment{target: nvmeRDMA.target("fast-cache"), portal: nvmeRDMA.portal(), host: cacheHost})
		Expect(writes(ctx, device(ctx, s, 1))).To(BeTrue())
		s.disconnect(ctx)
	}, NodeTimeout(limit))

	It("are served by tgtd as far as it can", func(ctx SpecContext) {
		i := tgtInitiator{iscsiTCP}
		i.setUp(ctx)
		exampleFiles(ctx, "1-*.yaml", "2-*.yaml", "protocols/tgt.yaml")
		agent("--backend=tgt")
		allReady(ctx, 6)
		mutual := credentials{username: "db", password: secrets["db"], targetUsername: "node", targetPassword: secrets["mail-back"]}
		s := mustConnect(ctx, i, attachment{target: target("container"), portal: loopback, host: dbHost, credentials: mutual})
		Expect(writes(ctx, device(ctx, s, 1))).To(BeTrue())
		s.disconnect(ctx)
	}, NodeTimeout(limit))
})
