package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

const (
	nvmePool   = "kind: Pool\nmetadata: {name: p}\nspec: {volumeGroup: vg0}"
	nvmeVolume = "kind: Volume\nmetadata: {name: data}\nspec: {pool: p, size: %s}"
	nvmeExport = `kind: Export
metadata: {name: data}
spec:
  protocol: nvme-%s
  portals: ["%s"]
  luns: [{volume: data}]
  disconnect: %s
  initiators: [%s]`
)

// nvmet is all that nvmet holds, as far as it must not change by itself.
func nvmet(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, "cd /sys/kernel/config/nvmet && find . -printf '%p %l\n' | sort")
}

var _ = DescribeTable("An NVMe export",
	func(ctx SpecContext, i nvmeInitiator) {
		i.setUp(ctx)
		db := attachment{target: i.target("data"), portal: i.portal(), host: i.host("db")}
		mail, stranger := db, db
		mail.host, stranger.host = i.host("mail"), i.host("stranger")
		export := func(disconnect string, hosts ...string) {
			GinkgoHelper()
			var list []string
			for _, h := range hosts {
				list = append(list, "{name: '"+h+"'}")
			}
			specs(ctx, "export.yaml", fmt.Sprintf(nvmeExport, i.transport, i.portal(), disconnect, strings.Join(list, ", ")))
		}
		specs(ctx, "pool.yaml", nvmePool)
		specs(ctx, "volume.yaml", fmt.Sprintf(nvmeVolume, "64Mi"))
		export("Wait", db.host, mail.host)
		agent()
		allReady(ctx, 3)

		By("serving two hosts, and no stranger")
		s, other := mustConnect(ctx, i, db), mustConnect(ctx, i, mail)
		one := device(ctx, s, 1)
		fill(ctx, one, "data", 4)
		Expect(content(ctx, device(ctx, other, 1), 4)).To(Equal(content(ctx, one, 4)))
		_, err := i.connect(ctx, stranger)
		Expect(err).To(HaveOccurred())
		uuid := sh(ctx, "cat /sys/block/"+strings.TrimPrefix(one, "/dev/")+"/uuid")
		before := nvmet(ctx)
		passes(ctx, 2)
		Expect(nvmet(ctx)).To(Equal(before), "something was done though nothing was to be done")
		AddReportEntry("sessions", fmt.Sprint(statusOf(ctx, "Export/data").Export))

		By("growing")
		specs(ctx, "volume.yaml", fmt.Sprintf(nvmeVolume, "128Mi"))
		Eventually(ctx, func() uint64 { return size(ctx, one) }).Should(Equal(uint64(128 << 20)))
		Expect(s.live(ctx)).To(BeTrue())

		if i.transport == "tcp" {
			By("waiting for sessions to end")
			export("Wait", mail.host)
			eventually(ctx, "Export/data", beIn(status.Blocked, status.ReasonSessionsActive))
			AddReportEntry("blocked", statusOf(ctx, "Export/data").Message)
			Expect(s.live(ctx)).To(BeTrue())
		}

		By("cutting one host off while the other stays")
		export("Force", mail.host)
		allReady(ctx, 3)
		Eventually(ctx, s.live).WithContext(ctx).Should(BeFalse())
		Eventually(ctx, other.live).WithContext(ctx).Should(BeTrue())
		Expect(reads(ctx, device(ctx, other, 1))).To(BeTrue())
		Expect(s.live(ctx)).To(BeFalse())

		By("putting right what somebody changed")
		sh(ctx, `cd /sys/kernel/config/nvmet; rm ports/*/subsystems/*; n=subsystems/`+db.target+`
			echo 0 > $n/namespaces/1/enable; rmdir $n/namespaces/1; rm $n/allowed_hosts/*`)
		export("Force", mail.host, db.host)
		allReady(ctx, 3)
		Eventually(ctx, other.live).WithContext(ctx).Should(BeTrue())
		Eventually(ctx, func() bool {
			// Newer kernels give up for good once they were refused.
			if (nvmeSession{target: db.target, host: db.host}).controller(ctx) == "" {
				if anew, err := i.connect(ctx, db); err == nil {
					s = anew
				}
			}
			return s.live(ctx)
		}).Should(BeTrue())
		again := device(ctx, s, 1)
		Expect(sh(ctx, "cat /sys/block/"+strings.TrimPrefix(again, "/dev/")+"/uuid")).To(Equal(uuid))

		By("going away without a trace")
		s.disconnect(ctx)
		other.disconnect(ctx)
		remove(ctx, "export.yaml")
		allReady(ctx, 2)
		Expect(sh(ctx, "ls -d /sys/kernel/config/nvmet/*/* 2>/dev/null; true")).To(BeEmpty())
	},
	Entry("over TCP", nvmeTCP, NodeTimeout(limit)),
	Entry("over TCP and IPv6", nvmeTCP6, NodeTimeout(limit)),
	Entry("over RDMA", nvmeRDMA, NodeTimeout(limit)),
)

var _ = Describe("An NVMe export with keys", func() {
	document := func(i nvmeInitiator, auth string) string {
		return fmt.Sprintf(nvmeExport, i.transport, i.portal(), "Wait", "{name: '"+i.host("db")+"'"+auth+"}")
	}
	const mutual = ", auth: {chap: {passwordFrom: {file: /etc/volreconciler/secrets/host-key}}, mutual: {passwordFrom: {file: /etc/volreconciler/secrets/target-key}}}"

	It("is blocked where the kernel knows none, and open to nobody", func(ctx SpecContext) {
		i := nvmeTCP
		i.setUp(ctx)
		needKeys(ctx, false)
		key := func(nqn string) string { return sh(ctx, "nvme gen-dhchap-key --hmac=1 --nqn "+nqn) }
		secret(ctx, "host-key", key(i.host("db")))
		secret(ctx, "target-key", key(i.target("data")))
		specs(ctx, "all.yaml", nvmePool, fmt.Sprintf(nvmeVolume, "64Mi"), document(i, mutual))
		agent()
		eventually(ctx, "Export/data", beIn(status.Blocked, status.ReasonUnsupported))
		AddReportEntry("blocked", statusOf(ctx, "Export/data").Message)
		_, err := i.connect(ctx, attachment{target: i.target("data"), portal: i.portal(), host: i.host("db")})
		Expect(err).To(HaveOccurred())
		Expect(sh(ctx, "ls /sys/kernel/config/nvmet/subsystems/*/allowed_hosts /sys/kernel/config/nvmet/hosts | grep nqn.2014 || true")).To(BeEmpty())
	}, NodeTimeout(limit))

	It("lets in who has the key", func(ctx SpecContext) {
		i := nvmeTCP
		i.setUp(ctx)
		needKeys(ctx, true)
		key := func(nqn string) string { return sh(ctx, "nvme gen-dhchap-key --hmac=1 --nqn "+nqn) }
		good := credentials{password: key(i.host("db")), targetPassword: key(i.target("data"))}
		secret(ctx, "host-key", good.password)
		secret(ctx, "target-key", good.targetPassword)
		specs(ctx, "all.yaml", nvmePool, fmt.Sprintf(nvmeVolume, "64Mi"), document(i, mutual))
		log := agent()
		allReady(ctx, 3)
		db := attachment{target: i.target("data"), portal: i.portal(), host: i.host("db")}
		for _, c := range []credentials{{}, {password: key(i.host("db"))}, {password: good.password, targetPassword: key(i.host("db"))}} {
			db.credentials = c
			_, err := i.connect(ctx, db)
			Expect(err).To(HaveOccurred())
		}
		db.credentials = good
		s := mustConnect(ctx, i, db)
		Expect(reads(ctx, device(ctx, s, 1))).To(BeTrue())

		By("rotating the key under a live session")
		next := key(i.host("db"))
		secret(ctx, "host-key", next)
		Eventually(ctx, func() string { return sh(ctx, "cat /sys/kernel/config/nvmet/hosts/*/dhchap_key") }).Should(Equal(next))
		Expect(s.live(ctx)).To(BeTrue())
		s.disconnect(ctx)
		_, err := i.connect(ctx, db)
		Expect(err).To(HaveOccurred())
		db.credentials.password = next
		s = mustConnect(ctx, i, db)
		s.disconnect(ctx)

		By("taking the key away")
		specs(ctx, "all.yaml", nvmePool, fmt.Sprintf(nvmeVolume, "64Mi"), document(i, ""))
		allReady(ctx, 3)
		db.credentials = credentials{}
		mustConnect(ctx, i, db).disconnect(ctx)
		Expect(string(log.Contents())).NotTo(ContainSubstring("DHHC-1"))
	}, NodeTimeout(limit))
})

var _ = It("An NVMe export that shares its port leaves the sessions of the others alone", func(ctx SpecContext) {
	i := nvmeTCP
	i.setUp(ctx)
	export := func(name string, hosts ...string) string {
		list := ""
		for _, h := range hosts {
			list += "{name: '" + i.host(h) + "'},"
		}
		return strings.ReplaceAll(fmt.Sprintf(nvmeExport, i.transport, i.portal(), "Force", list), "data}", name+"}")
	}
	specs(ctx, "all.yaml", nvmePool, fmt.Sprintf(nvmeVolume, "64Mi"), strings.ReplaceAll(fmt.Sprintf(nvmeVolume, "64Mi"), "data}", "more}"))
	specs(ctx, "data.yaml", export("data", "db", "mail"))
	specs(ctx, "more.yaml", export("more", "db"))
	agent()
	allReady(ctx, 5)
	Expect(sh(ctx, "ls /sys/kernel/config/nvmet/ports")).To(Equal("9000"))
	connect := func(name, host string) nvmeSession {
		GinkgoHelper()
		s, ok := mustConnect(ctx, i, attachment{target: i.target(name), portal: i.portal(), host: i.host(host)}).(nvmeSession)
		Expect(ok).To(BeTrue())
		return s
	}
	data, other := connect("data", "db"), connect("more", "db")
	// The kernel says when a controller has to connect again.
	reconnects := func() string {
		GinkgoHelper()
		return sh(ctx, "dmesg | grep -c '"+other.controller(ctx)+": .*\\(reconnect\\|error recovery\\|I/O error\\)' || true")
	}
	controller, before := other.controller(ctx), reconnects()
	specs(ctx, "data.yaml", export("data", "mail"))
	allReady(ctx, 5)
	Eventually(ctx, data.live).WithContext(ctx).Should(BeFalse())
	remove(ctx, "data.yaml")
	allReady(ctx, 4)
	Expect(other.live(ctx)).To(BeTrue())
	Expect(other.controller(ctx)).To(Equal(controller))
	Expect(reconnects()).To(Equal(before))
	Expect(reads(ctx, device(ctx, other, 1))).To(BeTrue())
}, NodeTimeout(limit))
