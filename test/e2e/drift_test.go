package e2e

import (
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// drifts are what somebody might do by hand to an export and what is below it.
// Each is done to an export of its own, named after the number of its entry, in
// the directory of its portal group.
var drifts = []struct {
	what   string
	script string // $E is the export's name
	check  string // prints want when all is as it should be
	want   string
}{
	{"a removed LUN", "find acls/*/lun_0 lun/lun_0 -type l -delete; rmdir acls/*/lun_0 lun/lun_0", "ls -l lun/lun_0 acls/*/lun_0", "volreconciler:volume:$E"},
	{"a removed ACL", "find acls -type l -delete; rmdir acls/*/lun_0 acls/*", "ls acls", dbHost},
	{"a removed target", "find . -type l -delete; rmdir acls/*/lun_* acls/* lun/lun_* np/*; cd ../..; rmdir $OLDPWD; rmdir *:$E", "cat enable", "1"},
	{"a removed backstore", "find . -type l -delete; rmdir acls/*/lun_* lun/lun_* ../../../core/iblock_*/volreconciler:volume:$E", "cat ../../../core/iblock_*/volreconciler:volume:$E/enable", "1"},
	{"a changed password", "printf sesame-open-sesame > acls/" + dbHost + "/auth/password", "cat acls/*/auth/password", secrets["db"]},
	{"authentication switched off", "echo 0 > attrib/authentication; echo 0 > acls/" + dbHost + "/attrib/authentication", "cat acls/*/attrib/authentication attrib/authentication | tr -d '\n'", "11"},
	{"a door opened to anybody", "echo 1 > attrib/generate_node_acls", "cat attrib/generate_node_acls", "0"},
	{"a disabled target", "echo 0 > enable", "cat enable", "1"},
	{"a removed portal", "rmdir np/*", "ls np", "0.0.0.0:3260"},
	{"write protection", "echo 1 > acls/" + dbHost + "/lun_0/write_protect", "cat acls/*/lun_0/write_protect", "0"},
	{"a removed tag", "lvchange -qq --deltag volreconciler/name=$E vg0/$E", "lvs --noheadings -o lv_tags vg0/$E", "volreconciler/name=$E"},
	{"a deactivated volume", "find . -type l -delete; rmdir acls/*/lun_* lun/lun_* ../../../core/iblock_*/volreconciler:volume:$E; lvchange -qq -an vg0/$E",
		"lvs --noheadings -o lv_active vg0/$E", "active"},
}

var _ = Describe("What somebody changes by hand", func() {
	It("is put back, without touching the sessions of others", func(ctx SpecContext) {
		documents := []string{thinPool, volume("others", "fast", "16Mi", ""), export("others", "{volume: others}")}
		for i := range drifts {
			name := fmt.Sprintf("d%d", i)
			documents = append(documents, volume(name, "fast", "16Mi", ""), strings.Replace(export(name, "{volume: "+name+"}"), "}]}",
				", auth: {chap: {username: db, passwordFrom: {file: /etc/volreconciler/secrets/db}}}}]}", 1))
		}
		specs(ctx, "all.yaml", documents...)
		agent(byEvents...)
		allReady(ctx, len(documents))
		want := exported(ctx)
		Expect(login(ctx, target("others"), loopback, dbHost).ExitCode).To(BeZero())
		device := disk(ctx, "Volume/others")
		fill(ctx, device, "before", 1)
		session := func() string { return sh(ctx, "iscsiadm -m session -P 1 | grep -E 'SID|State|Connection'") }
		before := session()

		kill(ctx) // so that nothing is put back before all is gone
		at := func(i int, script string) string {
			name := fmt.Sprintf("d%d", i)
			return fmt.Sprintf("E=%s; cd /sys/kernel/config/target/iscsi/%s/tpgt_1 && %s", name, target(name), script)
		}
		for i, d := range drifts {
			sh(ctx, at(i, d.script))
			Expect(try(ctx, at(i, d.check)).Stdout).NotTo(ContainSubstring(strings.ReplaceAll(d.want, "$E", fmt.Sprintf("d%d", i))), "%s did not take", d.what)
		}
		agent(byEvents...)
		allReady(ctx, len(documents))
		for i, d := range drifts {
			Expect(sh(ctx, at(i, d.check))).To(ContainSubstring(strings.ReplaceAll(d.want, "$E", fmt.Sprintf("d%d", i))), d.what)
		}
		Expect(exported(ctx)).To(Equal(want))

		By("while the agent looks on")
		sh(ctx, at(0, drifts[0].script))
		Eventually(ctx, running).Should(gbytes.Say("DriftCorrected"))
		allReady(ctx, len(documents))
		Expect(exported(ctx)).To(Equal(want))

		Expect(session()).To(Equal(before), "the session to another target has suffered")
		fill(ctx, device, "after", 1)
		Expect(login(ctx, target("d4"), loopback, dbHost, chap("db", secrets["db"])...).ExitCode).To(BeZero())
	}, NodeTimeout(limit))

	It("is never replaced by something empty if it was data", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thinPool, thickPool)
		specs(ctx, "volumes.yaml", volume("data", "fast", "64Mi", ""), volume("more", "slow", "64Mi", ""), snapshot("snap", "data", ""))
		specs(ctx, "export.yaml", export("both", "{volume: data}, {volume: more}"))
		agent(byEvents...)
		allReady(ctx, 6)
		lost := statusOf(ctx, "Volume/data").Volume.LVUUID
		kill(ctx)
		sh(ctx, `cd /sys/kernel/config/target/iscsi/`+target("both")+`/tpgt_1 && echo 0 > enable
			find . -type l -delete; rmdir acls/*/lun_* lun/lun_* /sys/kernel/config/target/core/iblock_*/*
			lvremove -qq -y vg0/data vg0/snap`)

		log := agent(byEvents...)
		eventually(ctx, "Volume/data", beIn(status.Blocked, status.ReasonVanished))
		eventually(ctx, "Snapshot/snap", beIn(status.Blocked, status.ReasonVanished))
		eventually(ctx, "Export/both", beIn(status.Blocked, status.ReasonNotReady))
		passes(ctx, 2)
		Expect(sh(ctx, "lvs --noheadings -o lv_name vg0")).NotTo(Or(ContainSubstring("data"), ContainSubstring("snap")))
		Expect(sh(ctx, "ls /sys/kernel/config/target/iscsi/"+target("both")+"/tpgt_1/lun")).To(Equal("lun_1"), "the export keeps its other LUN")
		Expect(statusOf(ctx, "Volume/data").Message).To(ContainSubstring(lost))

		By("allowing it by the annotation that the message asks for")
		recreate := func(document string) string {
			return strings.Replace(document, "}\nspec", ", annotations: {volreconciler/recreate: "+lost+"}}\nspec", 1)
		}
		specs(ctx, "volumes.yaml", recreate(volume("data", "fast", "64Mi", "")), volume("more", "slow", "64Mi", ""))
		allReady(ctx, 5)
		Expect(statusOf(ctx, "Volume/data").Volume.LVUUID).NotTo(Equal(lost))
		Expect(string(log.Contents())).NotTo(ContainSubstring("panic"))
	}, NodeTimeout(limit))
})
