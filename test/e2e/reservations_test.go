package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = Describe("Persistent reservations", func() {
	shared := func(pool string) []string {
		return []string{thinPool, thickPool, volume("shared", pool, "64Mi", ""), volume("other", "slow", "16Mi", ""),
			fmt.Sprintf("kind: Export\nmetadata: {name: cluster}\nspec: {protocol: iscsi, luns: [{volume: shared}, {volume: other}], initiators: [{name: %q}, {name: %q}]}", dbHost, mailHost)}
	}
	// device is what an initiator has for LUN 0.
	device := func(ctx context.Context, initiator string) string {
		GinkgoHelper()
		return "/dev/" + sh(ctx, fmt.Sprintf(`for s in /sys/class/iscsi_session/session*; do
			[ "$(cat $s/initiatorname)" = %s ] && ls $s/device/target*/*:0/block; done; true`, initiator))
	}
	persist := func(ctx context.Context, initiator, what string) string {
		GinkgoHelper()
		return sh(ctx, "sg_persist "+what+" "+device(ctx, initiator)+" 2>&1")
	}
	writes := func(ctx context.Context, initiator string) bool {
		return try(ctx, "dd if=/dev/zero of="+device(ctx, initiator)+" bs=4096 count=1 oflag=direct conv=fsync").ExitCode == 0
	}
	// fenced: dbHost alone may write, whoever asks.
	fenced := func(ctx context.Context, when string) {
		GinkgoHelper()
		Eventually(ctx, func() bool { return writes(ctx, dbHost) }).WithTimeout(patience).Should(BeTrue(), "%s: the holder cannot write", when)
		Expect(persist(ctx, dbHost, "--in --read-keys")).To(ContainSubstring("0xabc123"), when)
		Expect(writes(ctx, mailHost)).To(BeFalse(), "%s: another initiator writes to what is reserved", when)
		Expect(writes(ctx, dbHost)).To(BeTrue(), "%s: the holder cannot write", when)
	}
	logIn := func(ctx context.Context) {
		GinkgoHelper()
		for _, initiator := range []string{dbHost, mailHost} {
			Expect(login(ctx, target("cluster"), loopback, initiator, "node.session.timeo.replacement_timeout", "60").ExitCode).To(BeZero())
		}
	}
	logOut := func(ctx context.Context) {
		GinkgoHelper()
		logout(ctx, target("cluster"), dbHost)
		logout(ctx, target("cluster"), mailHost)
	}
	ready := func(ctx context.Context) {
		GinkgoHelper()
		allReady(ctx, 5)
	}

	It("survive what happens to the node, its agent, and the Volume", func(ctx SpecContext) {
		// An initiator is known by its session's number, which open-iscsi counts from a boot on.
		cutPower(ctx)
		prepare(ctx)
		specs(ctx, "all.yaml", shared("slow")...)
		agent()
		ready(ctx)
		logIn(ctx)
		persist(ctx, dbHost, "--out --register-ignore --param-sark=0xabc123 --param-aptpl")
		persist(ctx, dbHost, "--out --reserve --param-rk=0xabc123 --prout-type=5")
		fenced(ctx, "at first")

		By("restarting the agent")
		kill(ctx)
		agent()
		ready(ctx)
		fenced(ctx, "after a restart")

		By("moving the Volume")
		specs(ctx, "all.yaml", shared("fast")...)
		eventually(ctx, "Volume/shared", beIn(status.Ready, status.ReasonAsDesired))
		Eventually(ctx, func() string { return try(ctx, "lvs --noheadings -o pool_lv vg0/shared").Stdout }).WithTimeout(patience).Should(ContainSubstring("pool0"))
		ready(ctx)
		fenced(ctx, "after a move")

		By("clearing the kernel's configuration by targetcli")
		kill(ctx)
		r := try(ctx, "targetcli clearconfig confirm=True 2>&1")
		Expect(r.ExitCode).To(BeZero(), r.Stdout)
		Expect(r.Stdout).NotTo(ContainSubstring("not empty"))
		Expect(sh(ctx, "cd /sys/kernel/config/target && ls -d core/iblock_* iscsi/iqn* 2>/dev/null || true")).To(BeEmpty())
		agent()
		ready(ctx)
		fenced(ctx, "after clearconfig")

		By("rebooting")
		kill(ctx)
		logOut(ctx)
		root := sh(ctx, "cat "+observe.DBRootFile)
		// The guest's root is new after a boot; a node's is not.
		files := sh(ctx, "tar -C / -c specs var/lib/volreconciler ."+root+" | base64 -w0")
		var err error
		vm, err = vm.Reboot(ctx)
		Expect(err).NotTo(HaveOccurred())
		prepare(ctx)
		put(ctx, "/tmp/files", files)
		sh(ctx, "base64 -d /tmp/files | tar -C / -x")
		agent()
		ready(ctx)
		Expect(sh(ctx, "cat "+observe.DBRootFile)).To(Equal(root))
		logIn(ctx)
		fenced(ctx, "after a reboot")

		By("moving the Volume when the kernel does not keep them")
		persist(ctx, mailHost, "--out --register-ignore --param-sark=0xdef456")
		specs(ctx, "all.yaml", shared("slow")...)
		eventually(ctx, "Volume/shared", beIn(status.Blocked, status.ReasonReservationsActive))
		Expect(statusOf(ctx, "Volume/shared").Message).To(ContainSubstring("0xdef456"))
		persist(ctx, dbHost, "--out --clear --param-rk=0xabc123")
		ready(ctx)
		Expect(writes(ctx, mailHost)).To(BeTrue())
		logOut(ctx)
	}, NodeTimeout(limit))

	It("let the initiator go when it has none any more", func(ctx SpecContext) {
		specs(ctx, "all.yaml", shared("slow")...)
		agent()
		ready(ctx)
		logIn(ctx)
		Expect(sh(ctx, "lsblk -dno MODEL "+device(ctx, mailHost))).To(Equal("shared"), "disks can be told apart")
		persist(ctx, mailHost, "--out --register-ignore --param-sark=0xdef456 --param-aptpl")
		logOut(ctx)
		all := shared("slow")
		all[4] = strings.Replace(all[4], fmt.Sprintf(", {name: %q}", mailHost), "", 1)
		specs(ctx, "all.yaml", all...)
		eventually(ctx, "Export/cluster", beIn(status.Blocked, status.ReasonReservationsActive))
		Eventually(ctx, func() int { return login(ctx, target("cluster"), loopback, mailHost).ExitCode }).ShouldNot(BeZero(), "who is taken out is not let in again")

		By("which another one clears")
		Expect(login(ctx, target("cluster"), loopback, dbHost).ExitCode).To(BeZero())
		persist(ctx, dbHost, "--out --register-ignore --param-sark=0x1")
		persist(ctx, dbHost, "--out --clear --param-rk=0x1")
		logout(ctx, target("cluster"), dbHost)
		ready(ctx)
		Expect(sh(ctx, "ls /sys/kernel/config/target/iscsi/"+target("cluster")+"/tpgt_1/acls")).To(Equal(dbHost))
	}, NodeTimeout(limit))
})

var _ = Describe("targetcli beside the agent", func() {
	const theirs = "iqn.2003-01.org.example:theirs"

	It("restores what it saved, and the agent the rest", func(ctx SpecContext) {
		sh(ctx, "truncate -s 8M /tmp/theirs; targetcli /backstores/fileio create theirs /tmp/theirs && targetcli /iscsi create "+theirs+
			" && targetcli /iscsi/"+theirs+"/tpg1/luns create /backstores/fileio/theirs && targetcli saveconfig /tmp/theirs.json")
		DeferCleanup(func(ctx SpecContext) { try(ctx, "targetcli clearconfig confirm=True") }, NodeTimeout(limit))
		specs(ctx, "all.yaml", thickPool, volume("a", "slow", "16Mi", ""), volume("b", "slow", "16Mi", ""),
			"kind: Export\nmetadata: {name: one}\nspec: {protocol: iscsi, portals: ['127.0.0.1:3261'], luns: [{volume: a}, {volume: b}], initiators: [{name: "+dbHost+"}]}")
		agent()
		allReady(ctx, 4)
		before := sh(ctx, "cat /sys/kernel/config/target/core/iblock_*/volreconciler:*/wwn/vpd_unit_serial")
		sh(ctx, "targetcli saveconfig /tmp/all.json")
		kill(ctx)

		for _, saved := range []string{"/tmp/theirs.json", "/tmp/all.json"} {
			r := try(ctx, "targetctl restore "+saved+" 2>&1")
			Expect(r.ExitCode).To(BeZero(), r.Stdout)
			Expect(r.Stdout).To(BeEmpty())
			Expect(sh(ctx, "ls /sys/kernel/config/target/iscsi/"+theirs+"/tpgt_1/lun")).To(Equal("lun_0"))
		}

		By("with an old file, in which a volume has another serial")
		sh(ctx, `jq '(.storage_objects[] | select(.name == "volreconciler:volume:a") | .wwn) = "11111111-2222-3333-4444-555555555555"' /tmp/all.json > /tmp/old.json; targetctl restore /tmp/old.json`)
		Expect(sh(ctx, "cat /sys/kernel/config/target/core/iblock_*/volreconciler:*/wwn/vpd_unit_serial")).NotTo(Equal(before))
		agent()
		allReady(ctx, 4)
		Expect(strings.Split(sh(ctx, "cat /sys/kernel/config/target/core/iblock_*/volreconciler:*/wwn/vpd_unit_serial"), "\n")).To(ConsistOf(strings.Split(before, "\n")))
		Expect(sh(ctx, "ls /sys/kernel/config/target/iscsi/"+theirs+"/tpgt_1/lun")).To(Equal("lun_0"))
		Expect(try(ctx, "targetcli ls 2>&1").ExitCode).To(BeZero())
	}, NodeTimeout(limit))
})
