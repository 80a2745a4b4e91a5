package e2e

import (
	"context"
	"encoding/json"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/doctor"
)

// diagnosed are the findings of doctor, whose exit status has to agree with them.
func diagnosed(ctx context.Context) []doctor.Finding {
	GinkgoHelper()
	r := try(ctx, "volreconciler doctor --specs /specs -o json")
	var d struct{ Findings []doctor.Finding }
	Expect(json.Unmarshal([]byte(r.Stdout), &d)).To(Succeed(), r.Stdout+r.Stderr)
	want := 0
	for _, f := range d.Findings {
		if f.Severity != doctor.Note {
			want = 3
		}
	}
	Expect(r.ExitCode).To(Equal(want), r.Stdout)
	return d.Findings
}

// finding is one with a check's ID, a severity and a subject.
func finding(id string, severity doctor.Severity, subject any) OmegaMatcher {
	return And(HaveField("ID", id), HaveField("Severity", severity), HaveField("Subject", subject))
}

var _ = It("doctor finds nothing on a node in order, and names what is broken", func(ctx SpecContext) {
	everything := func() {
		specs(ctx, "all.yaml", thinPool, thickPool, volume("a", "slow", "64Mi", ""), volume("b", "fast", "64Mi", ""), snapshot("s", "a", "size: 64Mi"), export("a", "{volume: a}, {volume: b}"))
	}
	everything()
	noAgent := finding("agent", doctor.Note, ContainSubstring("agent.sock"))
	Expect(diagnosed(ctx)).To(HaveExactElements(noAgent))
	Expect(sh(ctx, "lvs --noheadings; ls /sys/kernel/config/target/iscsi 2>/dev/null | grep iqn; true")).To(BeEmpty(), "it changes nothing")
	agent()
	allReady(ctx, 6)
	Expect(diagnosed(ctx)).To(BeEmpty())

	By("a file of targetcli, with and without the service that restores it")
	const saved, wanted = "/etc/rtslib-fb-target/saveconfig.json", "/etc/systemd/system/multi-user.target.wants/rtslib-fb-targetctl.service"
	DeferCleanup(func(ctx SpecContext) { sh(ctx, "rm -rf "+saved+" /etc/rtslib-fb-target/backup/* "+wanted) }, NodeTimeout(limit))
	sh(ctx, "targetctl save "+saved)
	Expect(diagnosed(ctx)).To(HaveExactElements(finding("saved-targets", doctor.Note, saved)))
	sh(ctx, fmt.Sprintf("mkdir -p $(dirname %s) && ln -s /usr/lib/systemd/system/rtslib-fb-targetctl.service %[1]s", wanted))
	Expect(diagnosed(ctx)).To(HaveExactElements(finding("saved-targets", doctor.Error, saved), finding("restore-service", doctor.Warning, "rtslib-fb-targetctl.service")))
	sh(ctx, "rm "+saved+" "+wanted)

	By("a port that another process has")
	kill(ctx)
	sh(ctx, resetLIO+"true")
	sh(ctx, "nc -l -k 3260 >/dev/null 2>&1 & until grep -q :0CBC /proc/net/tcp; do sleep 0.1; done")
	Expect(diagnosed(ctx)).To(HaveExactElements(
		And(finding("port-taken", doctor.Error, "0.0.0.0:3260"), HaveField("Text", MatchRegexp(`^nc\S* \(process \d+\) listens on 0\.0\.0\.0:3260$`))), noAgent))
	sh(ctx, "pkill -x nc; pkill -x nc.openbsd; true")

	By("LVM that looks into volumes, unless a filter keeps it from that")
	configureLVM(ctx, "lvm.conf", []string{"devices/scan_lvs = 1"})
	Expect(diagnosed(ctx)).To(HaveExactElements(finding("lvm-scan-lvs", doctor.Error, "lvm.conf"), noAgent))
	configureLVM(ctx, "lvm.conf", []string{"devices/scan_lvs = 1", `devices/global_filter = [ "a|^/dev/vd|", "r|.*|" ]`})
	Expect(diagnosed(ctx)).To(HaveExactElements(noAgent))

	By("host tags that keep volumes inactive")
	configureLVM(ctx, "lvm.conf", []string{"tags { hosttags = 1 }"})
	Expect(diagnosed(ctx)).To(HaveExactElements(finding("lvm-volume-list", doctor.Error, "vg0"), noAgent))

	By("a disk that is not in the devices file, until the command is run that is advised")
	configureLVM(ctx, "lvm.conf", []string{"devices/use_devicesfile = 1"})
	DeferCleanup(func(ctx SpecContext) { sh(ctx, "rm -rf /etc/lvm/devices") }, NodeTimeout(limit))
	sh(ctx, "pvcreate -qq /dev/vdb && lvm lvmdevices --adddev /dev/vdb")
	Expect(try(ctx, "vgs vg0").ExitCode).NotTo(BeZero())
	found := diagnosed(ctx)
	Expect(found).To(HaveExactElements(finding("lvm-device-excluded", doctor.Error, "/dev/vda"), noAgent))
	sh(ctx, found[0].Command)
	Expect(diagnosed(ctx)).To(HaveExactElements(noAgent))

	By("a volume group, a module and a program that are missing")
	sh(ctx, "mv /usr/sbin/thin_delta /usr/sbin/thin_delta.away")
	DeferCleanup(func(ctx SpecContext) { sh(ctx, "mv /usr/sbin/thin_delta.away /usr/sbin/thin_delta") }, NodeTimeout(limit))
	put(ctx, "/etc/modprobe.d/hard.conf", "install tcm_qla2xxx /bin/false\ninstall tcm_fc /bin/false\n")
	DeferCleanup(func(ctx SpecContext) { sh(ctx, "rm /etc/modprobe.d/hard.conf") }, NodeTimeout(limit))
	sh(ctx, "modprobe -r tcm_fc 2>/dev/null; true")
	specs(ctx, "more.yaml", "kind: Pool\nmetadata: {name: other}\nspec: {volumeGroup: vg7}",
		"kind: Export\nmetadata: {name: fc}\nspec: {protocol: fc, target: \"20:00:00:25:b5:00:00:01\", initiators: [{name: \"20:00:00:25:b5:00:00:02\"}], luns: [{volume: a}]}")
	Expect(diagnosed(ctx)).To(HaveExactElements(
		finding("kernel-module", doctor.Error, "tcm_qla2xxx or tcm_fc"), finding("volume-group", doctor.Error, "vg7"), finding("program", doctor.Warning, "thin_delta"), noAgent))
}, NodeTimeout(limit))
