package e2e

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = DescribeTable("A volume from which thin volumes were cloned by hand stays until none needs it",
	func(ctx SpecContext, wipe string) {
		specs(ctx, "pool.yaml", strings.Replace(thickPool, "{trash", "{clear: "+wipe+", trash", 1))
		specs(ctx, "golden.yaml", volume("golden", "slow", "64Mi", "deletionPolicy: Delete"))
		specs(ctx, "other.yaml", volume("other", "slow", "16Mi", "deletionPolicy: Delete"))
		agent()
		allReady(ctx, 3)
		golden := scatter(ctx, "/dev/vg0/golden")
		// LVM takes only what is read-only and inactive for an external origin.
		kill(ctx)
		sh(ctx, `set -e
			lvcreate -qq -y --type thin-pool -L 128m -n tp vg0
			lvchange -qq -an vg0/golden; lvchange -qq -pr vg0/golden
			lvcreate -qq -s --thinpool vg0/tp -n clone1 vg0/golden`)
		Expect(content(ctx, "/dev/vg0/clone1", 64)).To(Equal(golden))
		agent()

		remove(ctx, "golden.yaml")
		blocked := func(by string) {
			GinkgoHelper()
			says := And(beIn(status.Blocked, status.ReasonSnapshotsExist), HaveField("Message", ContainSubstring("vg0/"+by+", a thin volume")))
			eventually(ctx, "Volume/golden", says)
			passes(ctx, 2)
			Expect(statusOf(ctx, "Volume/golden")).To(says)
			Expect(content(ctx, "/dev/vg0/"+by, 64)).To(Equal(golden))
		}
		blocked("clone1")

		By("which does not keep others")
		remove(ctx, "other.yaml")
		Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0") }).ShouldNot(ContainSubstring("other"))
		Expect(content(ctx, "/dev/vg0/clone1", 64)).To(Equal(golden))

		By("a snapshot of the clone, which needs it too")
		sh(ctx, "lvcreate -qq -y -s -kn -n clone2 vg0/clone1 && lvremove -qq -y vg0/clone1")
		blocked("clone2")

		By("and goes when there is none")
		sh(ctx, "lvremove -qq -y vg0/clone2")
		if wipe != "none" {
			// What LVM wanted to be read-only cannot be overwritten.
			eventually(ctx, "Volume/golden", And(beIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring("lvchange --permission rw vg0/golden"))))
			passes(ctx, 2)
			Expect(sh(ctx, "lvs --noheadings -o lv_tags vg0/golden")).NotTo(ContainSubstring("clearing"))
			sh(ctx, "lvchange -qq --permission rw vg0/golden")
		}
		Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0 | xargs") }).Should(Equal("tp"))
	},
	Entry("and would be zeroed", "zero", NodeTimeout(limit)),
	Entry("and would be removed as it is", "none", NodeTimeout(limit)),
)
