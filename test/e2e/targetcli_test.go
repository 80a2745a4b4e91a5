package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// A target of somebody else, with a file and a logical volume of theirs, and another initiator.
const (
	theirTarget = "iqn.2003-01.org.example:theirs"
	makeTheirs  = `set -e
		truncate -s 8M /tmp/theirs
		lvs vg0/theirs >/dev/null 2>&1 || lvcreate -qq -y -n theirs -L 16m vg0
		targetcli /backstores/fileio create their-file /tmp/theirs
		targetcli /backstores/block create their-disk /dev/vg0/theirs
		targetcli /iscsi create ` + theirTarget + `
		targetcli /iscsi/` + theirTarget + `/tpg1/luns create /backstores/fileio/their-file
		targetcli /iscsi/` + theirTarget + `/tpg1/luns create /backstores/block/their-disk
		targetcli /iscsi/` + theirTarget + `/tpg1/acls create ` + stranger + `
		targetcli /iscsi/` + theirTarget + `/tpg1/acls/` + stranger + ` set auth userid=them password=their-own-password
		targetcli /iscsi/` + theirTarget + `/tpg1 set attribute authentication=1`
)

// theirs is all that can be set in their target and their backstores, whose HBAs rtslib numbers anew.
func theirs(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, `cd /sys/kernel/config/target
		{ find iscsi/`+theirTarget+` core/*/their-* -not -path '*statistics*' -printf '%p %l\n'
		find iscsi/`+theirTarget+`/tpgt_1/attrib iscsi/`+theirTarget+`/tpgt_1/param iscsi/`+theirTarget+`/tpgt_1/auth iscsi/`+theirTarget+`/tpgt_1/enable \
			iscsi/`+theirTarget+`/tpgt_1/acls/*/auth core/*/their-*/attrib core/*/their-*/wwn core/*/their-*/udev_path core/*/their-*/enable -type f |
			xargs grep -sH .; } | sed -E 's/(fileio|iblock)_[0-9]+/\1/g' | sort`)
}

// served is what initiators see of our Exports: identities, LUN numbers, and who may use them how.
func served(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, `cd /sys/kernel/config/target
		for t in iscsi/iqn.2026-11.io.volreconciler:*; do
			echo $t $(cat $t/tpgt_1/enable) $(ls $t/tpgt_1/np) $(cat $t/tpgt_1/auth/userid_mutual)
			for l in $t/tpgt_1/lun/lun_*; do echo ${l##*/} $(cat $l/*/wwn/vpd_unit_serial $l/*/udev_path $l/*/enable); done
			for a in $t/tpgt_1/acls/*; do
				echo ${a##*/} $(cat $a/auth/userid $a/attrib/authentication | sed 's/^NULL$//')
				for l in $a/lun_*; do echo ${l##*/} $(readlink $l/* | xargs -n 1 basename) $(cat $l/write_protect); done
			done
		done
		for b in core/*/volreconciler:*; do echo ${b##*/} $(cat $b/wwn/vpd_unit_serial $b/udev_path $b/enable); done | sort`)
}

var _ = Describe("While the agent runs, targetcli", func() {
	const key = "0xabc123"
	documents := []string{
		thickPool, volume("a", "slow", "16Mi", ""), volume("b", "slow", "16Mi", ""), volume("c", "slow", "16Mi", ""),
		fmt.Sprintf("kind: Export\nmetadata: {name: one}\nspec: {protocol: iscsi, luns: [{volume: a}, {volume: b, readOnly: true}], initiators: [{name: %q}, {name: %q}]}", dbHost, mailHost),
		"kind: Export\nmetadata: {name: two}\nspec: {protocol: iscsi, portals: ['127.0.0.1:3261'], luns: [{volume: c, lun: 7}], initiators: [{name: " + backupHost +
			", auth: {chap: {username: db, passwordFrom: {file: /etc/volreconciler/secrets/db}}}}]}",
	}
	var before string

	BeforeEach(func(ctx SpecContext) {
		specs(ctx, "all.yaml", append([]string{}, documents...)...)
		agent()
		allReady(ctx, 6)
		before = served(ctx)
		DeferCleanup(func(ctx SpecContext) {
			kill(ctx)
			try(ctx, "iscsiadm -m node -u; targetcli clearconfig confirm=True; rm -f /etc/target/pr/* /etc/rtslib-fb-target/pr/*")
		}, NodeTimeout(limit))
	}, NodeTimeout(limit))

	// settled waits until all is ready, and compares what is exported.
	settled := func(ctx context.Context, when string) {
		GinkgoHelper()
		allReady(ctx, 6)
		Expect(served(ctx)).To(Equal(before), when)
		Expect(strings.TrimSpace(sh(ctx, "targetcli ls >/dev/null && echo lists"))).To(Equal("lists"), when)
	}
	succeeds := func(ctx context.Context, command string) {
		GinkgoHelper()
		r := try(ctx, command+" 2>&1")
		Expect(r.ExitCode).To(BeZero(), "%s\n%s", command, r.Stdout)
		Expect(strings.ToLower(r.Stdout)).NotTo(Or(ContainSubstring("traceback"), ContainSubstring("not empty"), ContainSubstring("error")), command)
	}
	register := func(ctx context.Context) string {
		GinkgoHelper()
		r := login(ctx, target("one"), loopback, dbHost, "node.session.timeo.replacement_timeout", "60")
		Expect(r.ExitCode).To(BeZero(), r.Stderr)
		device := "/dev/" + sh(ctx, `for s in /sys/class/iscsi_session/session*; do ls $s/device/target*/*:0/block; done`)
		sh(ctx, "sg_persist --out --register-ignore --param-sark="+key+" --param-aptpl "+device+" && sg_persist --out --reserve --param-rk="+key+" --prout-type=5 "+device)
		return device
	}
	reserved := func(ctx context.Context, device, when string) {
		GinkgoHelper()
		Eventually(ctx, func() bool { return writes(ctx, device) }).WithTimeout(patience).Should(BeTrue(), when)
		Expect(sh(ctx, "sg_persist --in --read-keys "+device+"; sg_persist --in --read-reservation "+device)).To(And(ContainSubstring("Key="+key), ContainSubstring("registrants only")), when)
	}

	It("lists, saves, makes and removes its own, and ours stay", func(ctx SpecContext) {
		device := register(ctx)
		session := sh(ctx, "ls -d /sys/class/iscsi_session/session*")
		for range 2 {
			sh(ctx, makeTheirs)
			made := theirs(ctx)
			passes(ctx, 2)
			settled(ctx, "with a target of theirs")
			Expect(theirs(ctx)).To(Equal(made))
			succeeds(ctx, "targetcli saveconfig /tmp/saved.json")
			Expect(sh(ctx, "jq -r '.targets[].wwn' /tmp/saved.json | sort | xargs")).To(Equal(strings.Join([]string{theirTarget, target("one"), target("two")}, " ")))

			succeeds(ctx, "targetcli /iscsi delete "+theirTarget)
			succeeds(ctx, "targetcli /backstores/fileio delete their-file")
			succeeds(ctx, "targetcli /backstores/block delete their-disk")
			settled(ctx, "without it")
			Expect(sh(ctx, "lvs --noheadings -o lv_name,lv_tags vg0/theirs")).To(Equal("theirs"))
		}
		Expect(sh(ctx, "ls -d /sys/class/iscsi_session/session*")).To(Equal(session))
		reserved(ctx, device, "at the end")
	}, NodeTimeout(limit))

	It("clears all there is, and ours come back", func(ctx SpecContext) {
		device := register(ctx)
		for range 3 {
			sh(ctx, makeTheirs)
			succeeds(ctx, "targetcli clearconfig confirm=True")
			settled(ctx, "after clearconfig")
			reserved(ctx, device, "after clearconfig")
			Expect(try(ctx, "ls -d /sys/kernel/config/target/iscsi/"+theirTarget+" /sys/kernel/config/target/core/*/their-* 2>/dev/null").Stdout).To(BeEmpty())
		}
	}, NodeTimeout(limit))

	It("restores what it saved, with ours or without", func(ctx SpecContext) {
		device := register(ctx)
		sh(ctx, makeTheirs)
		made := theirs(ctx)
		succeeds(ctx, "targetcli saveconfig /tmp/all.json")
		sh(ctx, `jq '.targets |= map(select(.wwn == "`+theirTarget+`")) | .storage_objects |= map(select(.name | startswith("their-")))' /tmp/all.json > /tmp/theirs.json`)
		for _, saved := range []string{"/tmp/all.json", "/tmp/theirs.json", "/tmp/all.json"} {
			succeeds(ctx, "targetctl restore "+saved)
			settled(ctx, "after a restore of "+saved)
			Expect(theirs(ctx)).To(Equal(made), saved)
			reserved(ctx, device, "after a restore of "+saved)
		}

		By("before the agent, as at boot")
		for _, saved := range []string{"/tmp/all.json", "/tmp/theirs.json"} {
			kill(ctx)
			succeeds(ctx, "targetcli clearconfig confirm=True")
			succeeds(ctx, "targetctl restore "+saved)
			agent()
			settled(ctx, "after a start with what "+saved+" has")
			Expect(theirs(ctx)).To(Equal(made), saved)
			reserved(ctx, device, "after a start with what "+saved+" has")
		}

		By("with Exports that are not declared any more")
		sh(ctx, "sg_persist --out --clear --param-rk="+key+" "+device)
		logout(ctx, target("one"), dbHost)
		ours := func() string {
			return sh(ctx, "cd /sys/kernel/config/target && ls -d iscsi/iqn.2026-11.io.volreconciler:* core/*/volreconciler:* 2>/dev/null || true")
		}
		specs(ctx, "all.yaml", append([]string{}, documents[:4]...)...)
		Eventually(ctx, ours).Should(BeEmpty())
		succeeds(ctx, "targetctl restore /tmp/all.json")
		// Whoever restores an old file gets what is in it, and the agent says so.
		for _, id := range []string{"Export/one", "Export/two"} {
			eventually(ctx, id, beIn(status.Orphaned, status.ReasonNotDeclared))
		}
		passes(ctx, 2)
		Expect(theirs(ctx)).To(Equal(made))
	}, NodeTimeout(limit))
})
