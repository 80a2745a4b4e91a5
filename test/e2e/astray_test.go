package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = It("What is wiped, filled or copied is the logical volume, wherever a link leads", func(ctx SpecContext) {
	specs(ctx, "pool.yaml", thickPool)
	specs(ctx, "keep.yaml", volume("victim", "slow", "64Mi", ""), volume("golden", "slow", "64Mi", ""))
	specs(ctx, "doomed.yaml", volume("doomed", "slow", "64Mi", "deletionPolicy: Delete"))
	agent()
	allReady(ctx, 4)
	victim := scatter(ctx, "/dev/vg0/victim")
	golden := scatter(ctx, "/dev/vg0/golden")
	// As udev leaves it when it missed an event, or somebody who means well.
	astray := func(name string) { sh(ctx, "udevadm settle; ln -sfn $(readlink -f /dev/vg0/victim) /dev/vg0/"+name) }

	By("one that is removed")
	astray("doomed")
	remove(ctx, "doomed.yaml")
	Eventually(ctx, func() string { return statusOf(ctx, "Volume/doomed").Message }).Should(ContainSubstring("it is vg0-victim, not the logical volume"))
	sh(ctx, "sleep 4")
	Expect(content(ctx, "/dev/vg0/victim", 64)).To(Equal(victim))
	sh(ctx, "ln -sfn $(readlink -f /dev/mapper/vg0-doomed) /dev/vg0/doomed")
	Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0") }).ShouldNot(ContainSubstring("doomed"))
	Expect(content(ctx, "/dev/vg0/victim", 64)).To(Equal(victim))

	By("one that is filled")
	kill(ctx)
	agent("--copy-rate", "2Mi")
	specs(ctx, "copy.yaml", volume("copy", "slow", "64Mi", "source: {volume: golden}"))
	eventually(ctx, "Volume/copy", HaveField("Progress", HaveField("Done", BeNumerically(">", 2<<20))))
	kill(ctx)
	astray("copy")
	agent()
	eventually(ctx, "Volume/copy", And(HaveField("Phase", status.Failed), HaveField("Message", ContainSubstring("it is vg0-victim, not the logical volume"))))
	Expect(content(ctx, "/dev/vg0/victim", 64)).To(Equal(victim))
	sh(ctx, "ln -sfn $(readlink -f /dev/mapper/vg0-copy) /dev/vg0/copy")
	allReady(ctx, 4)
	Expect(content(ctx, "/dev/vg0/copy", 64)).To(Equal(golden))
}, NodeTimeout(limit))
