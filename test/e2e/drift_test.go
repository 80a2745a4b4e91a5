package e2e

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile"
)

var _ = Describe("What somebody changes by hand", Ordered, func() {
	It("is put back, without touching the sessions of others", func(ctx SpecContext) {
		examples(ctx)
		agent()
		allReady(ctx, exampleObjects)
		settings := append(chap("mail", secrets["mail"]), mutualCHAP("node", secrets["mail-back"])...)
		Expect(login(ctx, mailTarget, loopback, mailHost, settings...).ExitCode).To(BeZero())
		sessions := func() string { return sh(ctx, "iscsiadm -m session -P 1 | grep -E 'SID|State|Connection'") }
		sessionBefore := sessions()
		fill(ctx, disk(ctx, "Volume/mail-store"), "io", 1)

		drift := func(what, script string, check string, want string) {
			GinkgoHelper()
			By(what)
			kill(ctx) // so that nothing is put back before it is gone
			sh(ctx, "cd /sys/kernel/config/target/iscsi/"+dbTarget+"/tpgt_1 && "+script)
			Expect(try(ctx, check).Stdout).NotTo(ContainSubstring(want), "the change by hand did not take")
			agent()
			Eventually(ctx, func() string { return try(ctx, check).Stdout }).Should(ContainSubstring(want))
			allReady(ctx, exampleObjects)
		}
		tpg := "/sys/kernel/config/target/iscsi/" + dbTarget + "/tpgt_1"
		drift("a removed LUN", "rm acls/*/lun_0/*; rm lun/lun_0/*; ls lun/lun_0 >/dev/null; find lun/lun_0 -type l -delete; rmdir acls/*/lun_0 lun/lun_0",
			"ls -l "+tpg+"/lun/lun_0", "volreconciler:volume:db-data")
		drift("a removed ACL", "rm acls/*/lun_0/*; rmdir acls/*/lun_0 acls/*", "ls "+tpg+"/acls", dbHost)
		drift("a removed target", "echo 0 > enable; find . -type l -delete; rmdir acls/*/lun_* acls/* lun/lun_* np/*; cd ../..; rmdir "+dbTarget+"/tpgt_1 "+dbTarget,
			"cat "+tpg+"/enable", "1")
		drift("a removed backstore", "echo 0 > enable; find . -type l -delete; rmdir acls/*/lun_* lun/lun_* /sys/kernel/config/target/core/iblock_*/volreconciler:volume:db-data",
			"cat /sys/kernel/config/target/core/iblock_*/volreconciler:volume:db-data/enable", "1")
		drift("a changed password", "printf sesame-open-sesame > acls/*/auth/password", "cat "+tpg+"/acls/*/auth/password", secrets["db"])
		drift("authentication switched off", "echo 0 > attrib/authentication; for a in acls/*; do echo 0 > $a/attrib/authentication; done",
			"cat "+tpg+"/acls/*/attrib/authentication "+tpg+"/attrib/authentication", "1\n1")
		drift("a door opened to anybody", "echo 1 > attrib/generate_node_acls", "cat "+tpg+"/attrib/generate_node_acls", "0")
		drift("a removed tag", "lvchange -qq --deltag volreconciler/name=db-nightly vg0/db-nightly", "lvs --noheadings -o lv_tags vg0/db-nightly", "volreconciler/name=db-nightly")
		drift("a deactivated volume", "lvchange -qq -an vg0/mail-index-before-upgrade || lvchange -qq -an vg0/scratch || true; find /sys/kernel/config/target/iscsi/*:db-backup/tpgt_1/acls /sys/kernel/config/target/iscsi/*:db-backup/tpgt_1/lun -type l -delete; rmdir /sys/kernel/config/target/iscsi/*:db-backup/tpgt_1/acls/*/lun_* /sys/kernel/config/target/iscsi/*:db-backup/tpgt_1/lun/lun_* /sys/kernel/config/target/core/iblock_*/volreconciler:snapshot:db-nightly; lvchange -qq -an vg0/db-nightly",
			"lvs --noheadings -o lv_active vg0/db-nightly", "active")

		Expect(sessions()).To(Equal(sessionBefore), "the session to another target has suffered")
		fill(ctx, disk(ctx, "Volume/mail-store"), "io", 1)
		Expect(login(ctx, dbTarget, loopback, dbHost, chap("db", secrets["db"])...).ExitCode).To(BeZero())
	}, NodeTimeout(6*minute))

	It("is never replaced by something empty if it was data", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thinPool, thickPool)
		specs(ctx, "volumes.yaml", volume("data", "fast", "64Mi", ""), volume("more", "slow", "64Mi", ""), snapshot("snap", "data", ""))
		specs(ctx, "export.yaml", export("both", "{volume: data}, {volume: more}"))
		agent()
		allReady(ctx, 6)
		lost := status(ctx, "Volume/data").Volume.LVUUID
		kill(ctx)
		sh(ctx, `cd /sys/kernel/config/target/iscsi/`+target("both")+`/tpgt_1 && echo 0 > enable
			find . -type l -delete; rmdir acls/*/lun_* lun/lun_* /sys/kernel/config/target/core/iblock_*/*
			lvremove -qq -y vg0/data vg0/snap`)

		log := agent()
		eventually(ctx, "Volume/data", beIn(reconcile.Blocked, reconcile.ReasonVanished))
		eventually(ctx, "Snapshot/snap", beIn(reconcile.Blocked, reconcile.ReasonVanished))
		eventually(ctx, "Export/both", beIn(reconcile.Blocked, reconcile.ReasonNotReady))
		passes(ctx, 2)
		Expect(sh(ctx, "lvs --noheadings -o lv_name vg0")).NotTo(Or(ContainSubstring("data"), ContainSubstring("snap")))
		Expect(sh(ctx, "ls /sys/kernel/config/target/iscsi/"+target("both")+"/tpgt_1/lun")).To(Equal("lun_1"), "the export keeps its other LUN")
		Expect(status(ctx, "Volume/data").Message).To(ContainSubstring(lost))

		By("allowing it by the annotation that the message asks for")
		recreate := func(document string) string {
			return strings.Replace(document, "}\nspec", ", annotations: {volreconciler/recreate: "+lost+"}}\nspec", 1)
		}
		specs(ctx, "volumes.yaml", recreate(volume("data", "fast", "64Mi", "")), volume("more", "slow", "64Mi", ""))
		allReady(ctx, 5)
		Expect(status(ctx, "Volume/data").Volume.LVUUID).NotTo(Equal(lost))
		Expect(string(log.Contents())).NotTo(ContainSubstring("panic"))
	}, NodeTimeout(4*minute))
})
