package packages

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// specs declare a volume and its export.
const specs = `apiVersion: volreconciler/v1alpha1
kind: Pool
metadata: {name: main}
spec: {volumeGroup: vg0}
---
apiVersion: volreconciler/v1alpha1
kind: Volume
metadata: {name: data}
spec: {pool: main, size: 64Mi}
---
apiVersion: volreconciler/v1alpha1
kind: Export
metadata: {name: data}
spec:
  protocol: iscsi
  portals: ["127.0.0.1:3260"]
  luns: [{volume: data}]
  initiators: [{name: "iqn.1993-08.org.debian:guest"}]
`

// thinSpecs declare the same in a thin pool, which dmeventd monitors.
var thinSpecs = strings.Replace(specs, "{volumeGroup: vg0}", "{volumeGroup: vg0, thinPool: {name: thin, size: 50%}}", 1)

const (
	target = "iqn.2026-11.io.volreconciler:data"
	disk   = "/dev/disk/by-path/ip-127.0.0.1:3260-iscsi-" + target + "-lun-0"
	portal = "iscsiadm -m node -T " + target + " -p 127.0.0.1:3260"
	logIn  = portal + " -o new >/dev/null && " + portal + " --login && timeout 30 sh -c 'until [ -e " + disk + " ]; do sleep 0.1; done'"
	// session is the initiator's end of the connection, which is another one after a reconnect.
	session = "ss -Htn state established dport = :3260 | awk '{print $3}'"
)

// converged is what the service shows when all that the specs declare is there.
const converged = "3 objects: 3 Ready"

var _ = DescribeTableSubtree("The .deb on a node with systemd and", func(suite string) {
	It("is installed, upgraded under I/O, restarted when it hangs, removed and purged; data and sessions stay", func(ctx SpecContext) {
		older, _ := built(ctx, "0.1.0")
		newer, _ := built(ctx, "0.2.0")
		n := boot(ctx, suite, map[string]string{"older.deb": older, "newer.deb": newer})

		By("installing it, which changes nothing on the node")
		n.sh(ctx, "dpkg -i /host/older.deb")
		Expect(n.sh(ctx, "systemctl is-active volreconciler; systemctl is-enabled volreconciler")).To(Equal("active\nenabled"))
		Expect(n.shown("StatusText")(ctx)).To(Equal("no objects; 1 finding, see volreconciler get"), "there are no specs")
		Expect(n.sh(ctx, "lvs --noheadings -o lv_name; ls /sys/kernel/config/target/iscsi 2>/dev/null | grep iqn || true")).To(Equal("theirs"))

		By("declaring an export")
		n.sh(ctx, "umask 077; echo 123456789012 >/etc/volreconciler/secrets/db; cat >/etc/volreconciler/specs/data.yaml <<'END'\n"+specs+"END\n")
		Eventually(ctx, n.shown("StatusText")).Should(Equal(converged))
		n.exported(ctx)
		n.sh(ctx, "systemctl reload volreconciler")
		// It is active again once a pass has read everything.
		Eventually(ctx, func() string { return n.sh(ctx, "systemctl is-active volreconciler || true") }).Should(Equal("active"))
		n.sh(ctx, logIn)
		connection := n.sh(ctx, session)
		n.sh(ctx, "systemd-run --quiet --unit=io fio --name=io --filename="+disk+" --direct=1 --rw=randwrite --bs=4k --size=32M --offset=1M --verify=crc32c --time_based --runtime=1h")

		By("upgrading it under I/O")
		n.sh(ctx, "mkdir -p /etc/systemd/system/volreconciler.service.d && printf '[Service]\nWatchdogSec=10\n' >/etc/systemd/system/volreconciler.service.d/test.conf")
		before := n.shown("MainPID")(ctx)
		n.sh(ctx, "dpkg -i /host/newer.deb")
		Expect(n.shown("MainPID")(ctx)).NotTo(Equal(before))
		Expect(n.sh(ctx, "volreconciler version")).To(ContainSubstring("v0.2.0"))
		Expect(n.shown("StatusText")(ctx)).To(Equal(converged))
		Expect(n.sh(ctx, session)).To(Equal(connection))

		By("stopping its process, as if it hung")
		Expect(n.shown("NRestarts")(ctx)).To(Equal("0"))
		before = n.shown("MainPID")(ctx)
		n.sh(ctx, "kill -STOP "+before)
		Eventually(ctx, n.shown("NRestarts")).Should(Equal("1"))
		Eventually(ctx, n.shown("ActiveState")).Should(Equal("active"))
		Expect(n.shown("MainPID")(ctx)).NotTo(Equal(before))
		Expect(n.sh(ctx, "journalctl --no-pager -b -u volreconciler")).To(ContainSubstring("Watchdog timeout"))
		Expect(n.shown("StatusText")(ctx)).To(Equal(converged))
		Expect(n.sh(ctx, session)).To(Equal(connection))

		By("looking at the I/O, which has noticed nothing")
		Expect(n.sh(ctx, "systemctl is-active io")).To(Equal("active"))
		n.sh(ctx, "systemctl stop io; ! journalctl --no-pager -b -u io | grep -iE 'err= *[1-9]|error|verify:'; ! dmesg | grep -E 'I/O error|Buffer I/O'")
		n.sh(ctx, "echo 'the data' | dd of="+disk+" bs=512 conv=sync,fsync status=none; iscsiadm -m node -u")

		By("booting again")
		var err error
		n.vm, err = n.vm.Reboot(ctx)
		Expect(err).NotTo(HaveOccurred())
		Eventually(ctx, n.shown("StatusText")).Should(Equal(converged))
		n.exported(ctx)
		n.sh(ctx, logIn+"; dd if="+disk+" bs=512 count=1 status=none | grep -a 'the data'")
		Expect(n.sh(ctx, `journalctl --no-pager -b -1 -o cat -u volreconciler -u blk-availability | grep -E 'Deactivated successfully' | tail -2`)).To(
			MatchRegexp(`(?s)^volreconciler.*blk-availability`), "LVM was taken down before the agent")
		connection = n.sh(ctx, session)

		By("removing it, which leaves exports and data")
		n.sh(ctx, "dpkg -r volreconciler")
		n.exported(ctx)
		Expect(n.sh(ctx, "! pgrep -x volreconciler; ls /etc/volreconciler; "+session)).To(Equal("config.yaml\nsecrets\nspecs\n" + connection))

		By("purging it, which leaves what cannot be made again too")
		n.sh(ctx, "mkdir -p /var/cache/volreconciler/images")
		Expect(n.sh(ctx, "dpkg -P volreconciler")).To(And(
			ContainSubstring("logical volumes and their data are kept, and exports until the next boot"),
			ContainSubstring("/etc/volreconciler/specs is kept, with 1 file(s)"),
			ContainSubstring("/etc/volreconciler/secrets is kept, with 1 file(s)"),
			ContainSubstring("/var/lib/volreconciler is kept, with 2 file(s)")))
		n.exported(ctx)
		Expect(strings.Fields(n.sh(ctx, "find /etc/volreconciler /var/lib/volreconciler /var/cache/volreconciler /run/volreconciler -type f 2>/dev/null || true"))).To(ConsistOf(
			"/etc/volreconciler/specs/data.yaml", "/etc/volreconciler/secrets/db", "/var/lib/volreconciler/identities.json", "/var/lib/volreconciler/installation.json"))

		By("installing it again, which finds everything as it should be")
		n.sh(ctx, "dpkg -i /host/newer.deb")
		Expect(n.shown("StatusText")(ctx)).To(Equal(converged))
		Expect(n.sh(ctx, session)).To(Equal(connection))
		Expect(n.sh(ctx, "journalctl --no-pager -b -o cat -u volreconciler | tac | sed '/started (version/q' | grep -E '(Pool|Volume|Export)/' || true")).To(BeEmpty(), "changes were made")
	}, SpecTimeout(10*time.Minute))
}, suites)
