package e2e

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = DescribeTable("An initiator that logs in after a plan was made keeps what the plan takes away, until it logs out",
	func(ctx SpecContext, i initiator, protocol, shows, first, second string, number int) {
		i.setUp(ctx)
		served := func(lun string) string {
			return fmt.Sprintf("kind: Export\nmetadata: {name: db}\nspec: {protocol: %s, portals: [%q], luns: [%s], initiators: [{name: %q}]}", protocol, i.portal(), lun, i.host("db"))
		}
		left := func() string { return sh(ctx, "ls "+fmt.Sprintf(shows, i.target("db"))) }
		specs(ctx, "pool.yaml", thickPool, volume("one", "slow", "16Mi", ""))
		specs(ctx, "export.yaml", served("{volume: one, lun: 0}"))
		agent()
		allReady(ctx, 3)
		Expect(left()).To(Equal(first))

		// Whoever reads LVM's metadata goes on, and who writes it waits: here for the new
		// Volume, whose LUN is added before the other one goes.
		sh(ctx, "flock -s /run/lock/lvm/V_vg0 sleep 7777 >/dev/null 2>&1 & sleep 0.2")
		release := func(ctx context.Context) { sh(ctx, "pkill -f '^sleep 7777$' || true") }
		DeferCleanup(func(ctx SpecContext) { release(ctx) }, NodeTimeout(limit))
		specs(ctx, "export.yaml", volume("two", "slow", "16Mi", ""), served("{volume: two, lun: 1}"))
		eventually(ctx, "Volume/two", beIn(status.Progressing, status.ReasonConverging))
		s := mustConnect(ctx, i, attachment{target: i.target("db"), portal: i.portal(), host: i.host("db")})
		disk := device(ctx, s, number)
		fill(ctx, disk, "meanwhile", 1)
		written := content(ctx, disk, 1)
		release(ctx)

		eventually(ctx, "Volume/two", HaveField("Phase", status.Ready))
		eventually(ctx, "Export/db", beIn(status.Blocked, status.ReasonSessionsActive))
		Expect(running).To(gbytes.Say("in use since the plan was made"))
		Expect(left()).To(Equal(first + "\n" + second))
		Expect(content(ctx, disk, 1)).To(Equal(written))
		fill(ctx, disk, "afterwards", 1)

		s.disconnect(ctx)
		allReady(ctx, 4)
		Expect(left()).To(Equal(second))
	},
	Entry("over iSCSI", iscsiTCP, "iscsi", "/sys/kernel/config/target/iscsi/%s/tpgt_1/lun", "lun_0", "lun_1", 0, NodeTimeout(limit)),
	Entry("over NVMe", nvmeTCP, "nvme-tcp", "/sys/kernel/config/nvmet/subsystems/%s/namespaces", "1", "2", 1, NodeTimeout(limit)),
)
