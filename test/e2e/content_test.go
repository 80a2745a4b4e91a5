package e2e

import (
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = It("Contents have a time that goes with them: into the trash and back, and to another Pool", func(ctx SpecContext) {
	secondGroup(ctx)
	specs(ctx, "pools.yaml", withTrash(thinPool), withTrash(thickPool), secondPool)
	specs(ctx, "data.yaml", volume("data", "slow", "16Mi", "deletionPolicy: Delete"))
	thin := func() {
		GinkgoHelper()
		specs(ctx, "thin.yaml", volume("thin", "fast", "16Mi", ""), snapshot("before", "thin", "deletionPolicy: Delete"))
	}
	thin()
	agent()
	allReady(ctx, 6)
	created := func() time.Time { return statusOf(ctx, "Volume/data").Volume.CreatedAt }
	taken := func() time.Time { return statusOf(ctx, "Snapshot/before").Snapshot.TakenAt }
	atFirst, before := created(), taken()
	Expect(sh(ctx, "lvs --noheadings -o lv_time --config 'report/time_format=\"%s\"' vg0/data vg0/before | xargs | tr ' ' '\n' | sort -u | wc -l")).NotTo(Equal("0"))
	Expect(time.Since(atFirst).Abs()).To(BeNumerically("<", 24*time.Hour), "%s", atFirst)
	Expect(sh(ctx, "volreconciler get snapshot before")).To(ContainSubstring("taken " + before.Format(time.RFC3339)))

	By("out of the trash")
	specs(ctx, "thin.yaml", volume("thin", "fast", "16Mi", ""))
	Eventually(ctx, func() status.Object { return statusOf(ctx, "Snapshot/before") }).Should(HaveField("Reason", status.ReasonInTrash))
	kill(ctx)
	thin()
	Expect(try(ctx, "volreconciler plan --specs /specs").Stdout).To(ContainSubstring("(restored from the trash with its data (taken " + before.Format(time.RFC3339) + "); choose another name for a new one)"))
	agent()
	allReady(ctx, 6)
	Expect(taken()).To(Equal(before))

	By("to another volume group")
	specs(ctx, "data.yaml", volume("data", "second", "16Mi", "deletionPolicy: Delete"))
	Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_full_name,lv_tags | grep name=data || true") }).Should(
		And(HavePrefix("vg1/data "), ContainSubstring("volreconciler/created="+atFirst.Format("20060102T150405Z"))))
	allReady(ctx, 6)
	Expect(created()).To(Equal(atFirst))
	Expect(sh(ctx, "volreconciler describe volume data")).To(MatchRegexp("Created: +" + atFirst.Format(time.RFC3339)))
}, NodeTimeout(limit))

var _ = It("A file that is broken when the agent starts takes no LUN down", func(ctx SpecContext) {
	specs(ctx, "pool.yaml", thickPool)
	specs(ctx, "a.yaml", volume("a", "slow", "16Mi", "deletionPolicy: Delete"))
	specs(ctx, "v.yaml", volume("b", "slow", "16Mi", "deletionPolicy: Delete"))
	specs(ctx, "db.yaml", export("db", "{volume: a}, {volume: b}"))
	agent()
	allReady(ctx, 4)
	luns := func() string {
		return sh(ctx, "{ cd /sys/kernel/config/target/iscsi/"+target("db")+"/tpgt_1 && cat enable && ls lun; } 2>/dev/null || true")
	}
	before := luns()
	Expect(strings.Fields(before)).To(Equal([]string{"1", "lun_0", "lun_1"}))

	By("taking down all that the kernel forgets at a reboot")
	kill(ctx)
	sh(ctx, resetLIO+"\ncd /; vgchange -qq -an vg0")
	put(ctx, "/specs/v.yaml", "apiVersion: volreconciler/v1alpha1\nkind: [Volume\n")
	agent()
	Eventually(ctx, luns).Should(Equal(before))
	passes(ctx, 2)
	Expect(objects(ctx)).To(And(HaveLen(4), HaveEach(HaveField("Phase", status.Ready))))
	Expect(nodeStatus(ctx).Findings).To(HaveLen(1))
	Expect(nodeStatus(ctx).Warnings).To(ContainElement(ContainSubstring("/specs/v.yaml")))

	By("and is read again when it is mended")
	specs(ctx, "v.yaml", volume("b", "slow", "32Mi", "deletionPolicy: Delete"))
	Eventually(ctx, func() status.Object { return statusOf(ctx, "Volume/b") }).Should(HaveField("Volume.Size", uint64(32<<20)))
	allReady(ctx, 4)
	Expect(nodeStatus(ctx).Warnings).NotTo(ContainElement(ContainSubstring("/specs/v.yaml")))
}, NodeTimeout(limit))
