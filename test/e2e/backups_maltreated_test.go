package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// backupsReach waits until there are so many backups.
func backupsReach(ctx context.Context, n int) {
	GinkgoHelper()
	Eventually(func() int { return len(stored(ctx)) }).WithTimeout(90 * time.Second).WithPolling(2 * time.Second).Should(Equal(n))
}

// night lets the next run of nightly come.
func night(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, "date -u -s \"$(date -u -d 'tomorrow' +%F) 00:59:58\"")
}

// restored returns the checksum of the last backup of Volume data, as restored by the command.
func restored(ctx context.Context) string {
	GinkgoHelper()
	sh(ctx, "rm -f /srv/out; volreconciler restore data --repository "+store+"/node --password-file /etc/volreconciler/secrets/restic --to /srv/out")
	return strings.Fields(sh(ctx, "sha256sum /srv/out"))[0]
}

var _ = Describe("Backups that are maltreated", func() {
	BeforeEach(func(ctx SpecContext) { beforeNight(ctx) })

	It("have what a Volume has that was reverted to a snapshot to which somebody wrote", func(ctx SpecContext) {
		specs(ctx, "node.yaml", thinPool, repository, volume("data", "fast", "128Mi", ""))
		agent()
		eventually(ctx, "Volume/data", beIn(status.Ready, status.ReasonAsDesired))
		fill(ctx, "/dev/vg0/data", "first", 64)
		specs(ctx, "schedule.yaml", nightly)
		backupsReach(ctx, 1)
		base := sh(ctx, "lvs --noheadings -o lv_name vg0 | grep -o 'nightly-[0-9a-z]*'")
		Eventually(func() string { return sh(ctx, "lvs --noheadings -o lv_tags vg0/"+base) }).Should(ContainSubstring(ondisk.TagBase + "store/"))

		By("writing to the snapshot, and reverting to it")
		sh(ctx, "lvchange -ay -K vg0/"+base+" && dd if=/dev/urandom of=/dev/vg0/"+base+" bs=1M count=1 seek=20 oflag=direct conv=fsync,notrunc")
		now := content(ctx, "/dev/vg0/"+base, 128)
		specs(ctx, "node.yaml", thinPool, repository, volume("data", "fast", "128Mi", fmt.Sprintf("revert: {snapshot: %s, request: \"1\"}", base)))
		Eventually(func() string { return try(ctx, "lvs --noheadings -o lv_tags vg0/data").Stdout }).WithTimeout(60 * time.Second).Should(ContainSubstring(ondisk.TagReverted + "1"))
		eventually(ctx, "Volume/data", beIn(status.Ready, status.ReasonAsDesired))
		Expect(content(ctx, "/dev/vg0/data", 128)).To(Equal(now))

		By("backing it up")
		night(ctx)
		backupsReach(ctx, 2)
		Expect(restored(ctx)).To(Equal(strings.Fields(now)[0]))
	})
})
