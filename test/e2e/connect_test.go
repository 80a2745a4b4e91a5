package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// connectScript is what connect prints for an initiator of an export on this
// machine.
func connectScript(ctx context.Context, export, initiator string) string {
	GinkgoHelper()
	return sh(ctx, fmt.Sprintf("volreconciler connect %s --initiator %s --address 127.0.0.1 --specs /specs -o sh", export, initiator))
}

var _ = It("What connect prints is enough to connect with, again and again", func(ctx SpecContext) {
	iqn := sh(ctx, "sed -n s/InitiatorName=//p /etc/iscsi/initiatorname.iscsi")
	nqn := sh(ctx, "cat /etc/nvme/hostnqn")
	nvmeTCP.setUp(ctx)
	specs(ctx, "all.yaml", thinPool, volume("one", "fast", "16Mi", ""), volume("two", "fast", "16Mi", ""),
		fmt.Sprintf("kind: Export\nmetadata: {name: scsi}\nspec: {protocol: iscsi, luns: [{volume: one}, {volume: two}], initiators: [{name: %q, %s}]}",
			iqn, "auth: {chap: {username: db, passwordFrom: {file: /etc/volreconciler/secrets/db}}}"),
		fmt.Sprintf("kind: Export\nmetadata: {name: nvme}\nspec: {protocol: nvme-tcp, luns: [{volume: one}, {volume: two}], initiators: [{name: %q}]}", nqn))
	agent()
	allReady(ctx, 5)

	By("over iSCSI, with a password")
	text := connectScript(ctx, "scsi", iqn)
	Expect(text).NotTo(ContainSubstring(secrets["db"]))
	put(ctx, "/run/connect.sh", text)
	for range 2 {
		sh(ctx, "sh /run/connect.sh && udevadm settle")
		for _, name := range []string{"one", "two"} {
			Expect(reads(ctx, disk(ctx, "Volume/"+name))).To(BeTrue())
		}
	}
	Expect(strings.Count(sh(ctx, "iscsiadm -m session"), "\n")).To(BeZero(), "one session")
	sh(ctx, "iscsiadm -m node -u")

	By("over NVMe")
	put(ctx, "/run/connect.sh", connectScript(ctx, "nvme", nqn))
	for range 2 {
		sh(ctx, "sh /run/connect.sh && udevadm settle")
		s := nvmeSession{target: nvmeTCP.target("nvme"), host: nqn}
		Expect(s.luns(ctx)).To(HaveLen(2))
		Expect(reads(ctx, device(ctx, s, 2))).To(BeTrue())
	}
	sh(ctx, "nvme disconnect-all")
}, NodeTimeout(limit))

var _ = It("What connect prints is enough to connect over RDMA with", func(ctx SpecContext) {
	iser.setUp(ctx)
	iqn := sh(ctx, "sed -n s/InitiatorName=//p /etc/iscsi/initiatorname.iscsi")
	specs(ctx, "all.yaml", thinPool, volume("one", "fast", "16Mi", ""),
		fmt.Sprintf("kind: Export\nmetadata: {name: fast}\nspec: {protocol: iser, portals: [%q], luns: [{volume: one}], initiators: [{name: %q, %s}]}",
			iser.portal(), iqn, "auth: {chap: {username: db, passwordFrom: {file: /etc/volreconciler/secrets/db}}}"))
	agent()
	allReady(ctx, 3)
	put(ctx, "/run/connect.sh", connectScript(ctx, "fast", iqn))
	for range 2 {
		sh(ctx, "sh /run/connect.sh && udevadm settle")
		Expect(reads(ctx, disk(ctx, "Volume/one"))).To(BeTrue())
	}
	Expect(sh(ctx, "cat /sys/class/iscsi_session/session*/ifacename")).To(Equal("iser"), "one session, over RDMA")
	sh(ctx, "iscsiadm -m node -u")
}, NodeTimeout(limit))

var _ = It("What connect prints is enough to find LUNs over Fibre Channel with", func(ctx SpecContext) {
	fc.setUp(ctx)
	db := fc.host("db")
	specs(ctx, "all.yaml", thinPool, volume("one", "fast", "16Mi", ""), volume("two", "fast", "16Mi", ""),
		fmt.Sprintf("kind: Export\nmetadata: {name: port}\nspec: {protocol: fc, target: %q, luns: [{volume: one}, {volume: two, lun: 7}], initiators: [{name: %q}]}",
			fc.target("port"), db))
	agent()
	allReady(ctx, 4)
	put(ctx, "/run/connect.sh", connectScript(ctx, "port", db))
	Expect(try(ctx, "sh /run/connect.sh").Stderr).To(ContainSubstring("has no Fibre Channel port"), "while it is not plugged in")

	s := mustConnect(ctx, fc, attachment{target: fc.target("port"), host: db})
	for _, lun := range []int{0, 7} {
		one := device(ctx, s, lun)
		sh(ctx, "echo 1 > /sys/block/"+strings.TrimPrefix(one, "/dev/")+"/device/delete")
	}
	Expect(s.luns(ctx)).To(BeEmpty())
	for range 2 {
		sh(ctx, "sh /run/connect.sh && udevadm settle")
		for _, name := range []string{"one", "two"} {
			Expect(reads(ctx, disk(ctx, "Volume/"+name))).To(BeTrue())
		}
		Expect(s.luns(ctx)).To(And(HaveLen(2), HaveKey(0), HaveKey(7)))
	}
	s.disconnect(ctx)
}, NodeTimeout(limit))
