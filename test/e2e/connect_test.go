package e2e

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

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

	script := func(export, initiator string) string {
		return sh(ctx, fmt.Sprintf("volreconciler connect %s --initiator %s --address 127.0.0.1 --specs /specs -o sh", export, initiator))
	}
	By("over iSCSI, with a password")
	text := script("scsi", iqn)
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
	put(ctx, "/run/connect.sh", script("nvme", nqn))
	for range 2 {
		sh(ctx, "sh /run/connect.sh && udevadm settle")
		s := nvmeSession{target: nvmeTCP.target("nvme"), host: nqn}
		Expect(s.luns(ctx)).To(HaveLen(2))
		Expect(reads(ctx, device(ctx, s, 2))).To(BeTrue())
	}
	sh(ctx, "nvme disconnect-all")
}, NodeTimeout(limit))
