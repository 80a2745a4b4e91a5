package e2e

import (
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = Describe("Who changes an export by hand", func() {
	It("is named, and not fought for ever", func(ctx SpecContext) {
		specs(ctx, "all.yaml", thinPool, volume("db", "fast", "16Mi", ""), export("db", "{volume: db}"))
		agent(byEvents...)
		allReady(ctx, 3)
		enable := "/sys/kernel/config/target/iscsi/" + target("db") + "/tpgt_1/enable"
		enabled := func() string { return sh(ctx, "cat "+enable) }

		By("once")
		// A program with a name of its own, which is still there when it is asked who it is.
		sh(ctx, `ln -sf "$(command -v bash)" /run/meddler; (exec /run/meddler -c 'echo 0 > `+enable+`; sleep 2; true') < /dev/null > /dev/null 2>&1 &
			until [ "$(cat `+enable+`)" = 1 ]; do sleep 0.05; done`)
		Eventually(ctx, func() *status.Drift { return statusOf(ctx, "Export/db").Drift }).WithTimeout(patience).Should(
			HaveField("By", HaveField("Command", "meddler")))
		Expect(sh(ctx, "volreconciler describe export db")).To(MatchRegexp(`Drift corrected: .*enable target .*; last written by meddler \(.*, pid \d+, uid 0`))

		By("again and again")
		sh(ctx, `(exec /run/meddler -c 'while [ ! -e /run/stop ]; do echo 0 > `+enable+`; sleep 0.2; done') < /dev/null > /dev/null 2>&1 &`)
		DeferCleanup(func(ctx SpecContext) { sh(ctx, "touch /run/stop; sleep 1; rm -f /run/stop /run/meddler") })
		Eventually(ctx, func() status.Object { return statusOf(ctx, "Export/db") }).WithTimeout(patience).WithPolling(100 * time.Millisecond).Should(
			beIn(status.Blocked, status.ReasonContended))
		Expect(statusOf(ctx, "Export/db").Message).To(Or(BeEmpty(), ContainSubstring("meddler")))
		Expect(enabled()).To(Equal("0"), "it is left alone for a while")

		By("until it stops")
		sh(ctx, "touch /run/stop")
		Eventually(ctx, enabled).WithTimeout(patience).Should(Equal("1"))
		allReady(ctx, 3)
	}, NodeTimeout(limit))
})
