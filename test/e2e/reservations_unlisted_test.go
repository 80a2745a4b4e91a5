package e2e

import (
	"context"
	"fmt"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = Describe("Persistent reservations of an initiator that was let in without an access list", func() {
	shared := func(luns, who string) []string {
		return []string{thinPool, thickPool, volume("shared", "slow", "16Mi", ""), volume("other", "slow", "16Mi", ""),
			"kind: Export\nmetadata: {name: cluster}\nspec: {protocol: iscsi, luns: [" + luns + "], " + who + "}"}
	}
	const both, one = "{volume: shared}, {volume: other}", "{volume: other, lun: 1}"
	keys := func(ctx context.Context) string {
		GinkgoHelper()
		return sh(ctx, "cat /sys/kernel/config/target/core/*/*/pr/res_pr_registered_i_pts")
	}

	It("outlive its session and the closing of its target", func(ctx SpecContext) {
		specs(ctx, "all.yaml", shared(both, "allowAnyInitiator: true")...)
		agent()
		allReady(ctx, 5)
		Expect(login(ctx, target("cluster"), loopback, dbHost).ExitCode).To(BeZero())
		sh(ctx, fmt.Sprintf(`for s in /sys/class/iscsi_session/session*; do
			[ "$(cat $s/initiatorname)" = %s ] && sg_persist --out --register-ignore --param-sark=0xabc123 /dev/$(ls $s/device/target*/*:0/block); done; true`, dbHost))
		Expect(keys(ctx)).To(ContainSubstring("abc123"))

		By("closing the target, for another initiator alone")
		listed := fmt.Sprintf("initiators: [{name: %q}]", mailHost)
		specs(ctx, "all.yaml", shared(both, listed)...)
		eventually(ctx, "Export/cluster", beIn(status.Blocked, status.ReasonSessionsActive))
		logout(ctx, target("cluster"), dbHost)
		allReady(ctx, 5)
		Expect(keys(ctx)).To(ContainSubstring("abc123"))
		Expect(login(ctx, target("cluster"), loopback, dbHost).ExitCode).NotTo(BeZero(), "who is not listed is let in again")

		By("taking the LUN out")
		specs(ctx, "all.yaml", shared(one, listed)...)
		eventually(ctx, "Export/cluster", beIn(status.Blocked, status.ReasonReservationsActive))
		Expect(strings.Count(keys(ctx), "abc123")).To(Equal(1))

		By("giving the key up")
		specs(ctx, "all.yaml", shared(one, listed+", disconnect: Force")...)
		allReady(ctx, 5)
		Expect(keys(ctx)).NotTo(ContainSubstring("abc123"))
	}, NodeTimeout(limit))
})
