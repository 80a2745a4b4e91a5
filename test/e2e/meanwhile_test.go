package e2e

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = Describe("An initiator that logs in after a plan was made", func() {
	It("keeps the LUN that the plan takes away, until it logs out", func(ctx SpecContext) {
		specs(ctx, "pool.yaml", thickPool, volume("one", "slow", "16Mi", ""))
		specs(ctx, "export.yaml", export("db", "{volume: one, lun: 0}"))
		agent()
		allReady(ctx, 3)
		device := disk(ctx, "Volume/one")

		// Whoever reads LVM's metadata goes on, and who writes it waits: here for the new
		// Volume, whose LUN is added before the other one goes.
		sh(ctx, "flock -s /run/lock/lvm/V_vg0 sleep 7777 >/dev/null 2>&1 & sleep 0.2")
		release := func(ctx context.Context) { sh(ctx, "pkill -f '^sleep 7777$' || true") }
		DeferCleanup(func(ctx SpecContext) { release(ctx) }, NodeTimeout(limit))
		specs(ctx, "export.yaml", volume("two", "slow", "16Mi", ""), export("db", "{volume: two, lun: 1}"))
		eventually(ctx, "Volume/two", beIn(status.Progressing, status.ReasonConverging))
		Expect(login(ctx, target("db"), loopback, dbHost).ExitCode).To(BeZero())
		fill(ctx, device, "meanwhile", 1)
		written := content(ctx, device, 1)
		release(ctx)

		eventually(ctx, "Volume/two", HaveField("Phase", status.Ready))
		eventually(ctx, "Export/db", And(beIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring(dbHost))))
		Expect(running).To(gbytes.Say("in use since the plan was made"))
		Expect(content(ctx, device, 1)).To(Equal(written))
		fill(ctx, device, "afterwards", 1)

		logout(ctx, target("db"), dbHost)
		allReady(ctx, 4)
		Expect(sh(ctx, "ls /sys/kernel/config/target/iscsi/"+target("db")+"/tpgt_1/lun")).To(Equal("lun_1"))
	}, NodeTimeout(limit))
})
