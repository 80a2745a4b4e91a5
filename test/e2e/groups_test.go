package e2e

import (
	"context"
	"regexp"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// advised is the command at the end of what a message says.
func advised(ctx context.Context, id, command string) string {
	GinkgoHelper()
	found := regexp.MustCompile(command).FindString(statusOf(ctx, id).Message)
	Expect(found).NotTo(BeEmpty(), statusOf(ctx, id).Message)
	return found
}

var _ = It("A volume group that LVM leaves alone, or that there are two of, is named with the command, and keeps no other down", func(ctx SpecContext) {
	secondGroup(ctx)
	sh(ctx, "vgreduce -qq vg1 /dev/mapper/slice1")
	specs(ctx, "pool.yaml", secondPool, thickPool)
	specs(ctx, "data.yaml", volume("data", "second", "64Mi", ""), export("data", "{volume: data}"))
	agent()
	allReady(ctx, 4)
	data := scatter(ctx, "/dev/vg1/data")
	down(ctx)

	for _, c := range []struct{ name, cause, advice string }{
		{"foreign", "vgchange -qq -y --systemid other vg1", `vgchange --config '[^']+' --systemid "" vg1`},
		{"exported", "vgexport -qq vg1", `vgimport vg1`},
	} {
		By("one that is " + c.name)
		sh(ctx, c.cause)
		log := agent()
		eventually(ctx, "Pool/second", And(beIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", Not(ContainSubstring("vgcreate")))))
		Expect(statusOf(ctx, "Volume/data").Phase).NotTo(Equal(status.Ready))
		elsewhere(ctx, c.name)
		GinkgoWriter.Println(statusOf(ctx, "Pool/second").Message, len(log.Contents()))
		command := advised(ctx, "Pool/second", c.advice)
		kill(ctx)
		sh(ctx, "yes | "+command)
		agent()
		allReady(ctx, 6)
		Expect(content(ctx, "/dev/vg1/data", 64)).To(Equal(data))
		down(ctx)
		remove(ctx, c.name+".yaml")
		sh(ctx, "lvremove -qq -y vg0/"+c.name)
	}

	By("one of which a disk was copied")
	sh(ctx, "dd if=/dev/mapper/slice0 of=/dev/mapper/slice1 bs=1M count=8 oflag=direct status=none; udevadm settle")
	agent()
	eventually(ctx, "Pool/second", And(beIn(status.Failed, status.ReasonObservationFailed), HaveField("Message", ContainSubstring("exists on several devices"))))
	elsewhere(ctx, "copied")
	command := advised(ctx, "Pool/second", `vgimportclone \S+`)
	Expect(command).To(MatchRegexp("slice1|dm-1"), "the other one is that in use, or known")
	sh(ctx, command)
	allReady(ctx, 6)
	Expect(content(ctx, "/dev/vg1/data", 64)).To(Equal(data))
	down(ctx)
	remove(ctx, "copied.yaml")
	sh(ctx, "set -e; lvremove -qq -y vg0/copied; vgremove -qq -y $(pvs --noheadings -o vg_name /dev/mapper/slice1)")

	By("two of one name")
	sh(ctx, "set -e; dmsetup remove slice0; udevadm settle; pvscan --cache >/dev/null 2>&1 || true; vgcreate -qq vg1 /dev/mapper/slice1; udevadm settle; dmsetup create slice0 --table '0 819200 linear /dev/vdb 2048'; udevadm settle; pvscan --cache >/dev/null 2>&1 || true")
	agent()
	eventually(ctx, "Pool/second", And(beIn(status.Failed, status.ReasonObservationFailed), HaveField("Message", And(ContainSubstring("two volume groups are named vg1"), ContainSubstring("vgrename UUID")))))
	elsewhere(ctx, "other")
	specs(ctx, "other2.yaml", volume("other2", "slow", "16Mi", ""))
	eventually(ctx, "Volume/other2", beIn(status.Ready, status.ReasonAsDesired))
	sh(ctx, "vgrename -qq $(pvs --noheadings -o vg_uuid /dev/mapper/slice1 2>/dev/null | xargs) vg2")
	allReady(ctx, 7)
	Expect(content(ctx, "/dev/vg1/data", 64)).To(Equal(data))
}, NodeTimeout(limit))
