package e2e

import (
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = It("A VDO volume is adopted and served as it is, also after a boot, and is never changed or removed", func(ctx SpecContext) {
	if r := try(ctx, "command -v vdoformat && { modprobe -q dm-vdo; dmsetup targets | grep -w vdo; }"); r.ExitCode != 0 {
		Skip("no VDO: " + strings.TrimSpace(r.Stdout+r.Stderr))
	}
	sh(ctx, `lvcreate -qq -y --type vdo --vdosettings 'vdo_slab_size_mb=128' -L 4g -V 64m -n small vg0/vpool`)
	DeferCleanup(func(ctx SpecContext) {
		kill(ctx)
		sh(ctx, resetLIO+`udevadm settle; lvremove -qq -y vg0`)
	}, NodeTimeout(limit))
	describe := "lvs -a --noheadings -o lv_name,lv_uuid,lv_size,lv_layout vg0"
	before := sh(ctx, describe)
	data := scatter(ctx, "/dev/vg0/small")
	readable := func() {
		GinkgoHelper()
		eventually(ctx, "Export/small", beIn(status.Ready, status.ReasonAsDesired))
		Expect(login(ctx, target("small"), loopback, dbHost).ExitCode).To(BeZero())
		Expect(content(ctx, disk(ctx, "Volume/small"), 64)).To(Equal(data))
		logout(ctx, target("small"), dbHost)
	}
	vdo := func(pool, size string) {
		specs(ctx, "small.yaml", volume("small", pool, size, "adopt: true, deletionPolicy: Delete"), export("small", "{volume: small}"))
	}

	specs(ctx, "pool.yaml", thickPool)
	vdo("slow", "64Mi")
	agent()
	eventually(ctx, "Volume/small", And(beIn(status.Ready, status.ReasonAsDesired), HaveField("Message", ContainSubstring("a VDO volume"))))
	readable()

	By("a boot")
	kill(ctx)
	sh(ctx, resetLIO+`udevadm settle; vgchange -qq -an vg0; [ -z "$(lvs --noheadings -o lv_active vg0 | xargs)" ]`)
	agent()
	readable()

	By("what would change it")
	specs(ctx, "snapshot.yaml", snapshot("of-small", "small", "size: 16Mi"))
	vdo("slow", "128Mi")
	eventually(ctx, "Volume/small", And(beIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring("lvextend"))))
	eventually(ctx, "Snapshot/of-small", beIn(status.Blocked, status.ReasonUnsupported))
	remove(ctx, "snapshot.yaml")
	vdo("slow", "64Mi")
	readable()

	By("removal")
	remove(ctx, "small.yaml")
	eventually(ctx, "Volume/small", And(beIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring("lvremove vg0/small"))))
	passes(ctx, 2)
	Expect(content(ctx, "/dev/vg0/small", 64)).To(Equal(data))
	uuids := func(text string) string { return strings.ReplaceAll(text, " ", "") }
	Expect(uuids(sh(ctx, describe))).To(Equal(uuids(before)))
}, NodeTimeout(limit))
