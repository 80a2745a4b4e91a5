package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = It("The disks of another node, and this node's own without its state directory, are left alone until somebody has them taken over", func(ctx SpecContext) {
	specs(ctx, "all.yaml", thickPool, volume("db", "slow", "16Mi", "deletionPolicy: Delete"), volume("old", "slow", "16Mi", "deletionPolicy: Delete"))
	agent()
	allReady(ctx, 3)
	fill(ctx, "/dev/vg0/db", "precious", 4)
	before, mark := content(ctx, "/dev/vg0/db", 16), sh(ctx, "lvs --noheadings -o lv_name,lv_uuid,lv_tags vg0")
	kill(ctx)

	By("another node, that has the same names and deletes what no file names")
	sh(ctx, "mv /var/lib/volreconciler /var/lib/first")
	specs(ctx, "all.yaml", thickPool, volume("db", "slow", "32Mi", "deletionPolicy: Delete"))
	agent()
	Eventually(ctx, func() status.Object { return statusOf(ctx, "Volume/db") }).Should(HaveField("Phase", status.Foreign))
	rounds(ctx, 4)
	Expect(statusOf(ctx, "Volume/old").Phase).To(Equal(status.Foreign))
	Expect(sh(ctx, "lvs --noheadings -o lv_name,lv_uuid,lv_tags vg0")).To(Equal(mark))

	By("which takes over one object")
	specs(ctx, "all.yaml", thickPool, volume("db", "slow", "32Mi", "adopt: true"))
	Eventually(ctx, func() status.Object { return statusOf(ctx, "Volume/db") }).Should(HaveField("Phase", status.Ready))
	Expect(statusOf(ctx, "Volume/old").Phase).To(Equal(status.Foreign))
	Expect(content(ctx, "/dev/vg0/db", 16)).To(Equal(before))
	kill(ctx)

	By("the first node again, which now leaves that one alone")
	sh(ctx, "rm -r /var/lib/volreconciler; mv /var/lib/first /var/lib/volreconciler")
	specs(ctx, "all.yaml", thickPool, volume("db", "slow", "32Mi", ""), volume("old", "slow", "16Mi", ""))
	agent()
	Eventually(ctx, func() status.Object { return statusOf(ctx, "Volume/old") }).Should(HaveField("Phase", status.Ready))
	Expect(statusOf(ctx, "Volume/db").Phase).To(Equal(status.Foreign))

	By("and takes over all of the other one's")
	id := sh(ctx, "lvs --noheadings -o lv_tags vg0/db | sed 's|.*volreconciler/by=||; s|:.*||'")
	Expect(sh(ctx, "volreconciler adopt-node 0123456789abcdef 2>&1; true")).To(ContainSubstring("1 logical volume (" + id))
	Expect(sh(ctx, "volreconciler adopt-node "+id+" --dry-run")).To(HavePrefix("Volume/db (vg0/db)"))
	rounds(ctx, 2)
	Expect(statusOf(ctx, "Volume/db").Phase).To(Equal(status.Foreign))
	Expect(sh(ctx, "volreconciler adopt-node "+id)).To(ContainSubstring("The next pass adopts"))
	Eventually(ctx, func() status.Object { return statusOf(ctx, "Volume/db") }).Should(HaveField("Phase", status.Ready))
	Eventually(ctx, func() string { return sh(ctx, "ls /var/lib/volreconciler/adopt-node") }).Should(BeEmpty())
	Expect(content(ctx, "/dev/vg0/db", 16)).To(Equal(before))

	By("an older agent, that did not sign what it made")
	kill(ctx)
	sh(ctx, `set -e
		for lv in db old; do lvchange -qq --deltag "$(lvs --noheadings -o lv_tags vg0/$lv | tr ', ' '\n\n' | grep /by=)" vg0/$lv; done
		rm /var/lib/volreconciler/installation.json`)
	agent()
	allReady(ctx, 3)
	Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_tags vg0 | grep -c volreconciler/by=") }).Should(Equal("2"))
}, NodeTimeout(limit))
