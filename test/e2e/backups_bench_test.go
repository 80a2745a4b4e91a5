package e2e

import (
	"context"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = Describe("Backups of a thin volume, half of it mapped", func() {
	const mib = 2048
	// night lets a night pass, and returns how long the schedule takes to back up the snapshot that it takes then.
	night := func(ctx context.Context, backups int) float64 {
		GinkgoHelper()
		sh(ctx, "date -u -s \"$(date -u -d 'tomorrow' +%F) 00:59:58\"")
		count := func(of func(status.Schedule) int) func() int {
			return func() int { return of(*statusOf(ctx, "SnapshotSchedule/nightly").Schedule) }
		}
		taken := count(func(s status.Schedule) int { return s.Snapshots })
		Eventually(taken).WithTimeout(time.Minute).WithPolling(100 * time.Millisecond).Should(Equal(backups))
		began := time.Now()
		made := count(func(s status.Schedule) int { return s.Backups[0].Count })
		Eventually(made).WithTimeout(5 * time.Minute).WithPolling(100 * time.Millisecond).Should(Equal(backups))
		return time.Since(began).Seconds()
	}
	It("take less time than restic alone", Label("bench"), func(ctx SpecContext) {
		DeferCleanup(func(ctx context.Context) { setClock(ctx, time.Now().UTC().Format("2006-01-02 15:04:05")) })
		makeStore(ctx)
		sh(ctx, "umount "+store+" && lvcreate -qq -L 2500m -n store vg0 && mkfs.ext4 -q /dev/vg0/store && mount /dev/vg0/store "+store)
		DeferCleanup(func(ctx context.Context) { try(ctx, "umount -l "+store) })
		specs(ctx, "node.yaml", "kind: Pool\nmetadata: {name: fast}\nspec: {volumeGroup: vg0, trash: 0s, thinPool: {name: pool0, size: 5Gi}}",
			strings.Replace(repository, "check: {every: 24h, readData: 100%}", "check: {every: never}", 1), volume("data", "fast", fmt.Sprintf("%dMi", mib), ""))
		agent()
		eventually(ctx, "Repository/store", beIn(status.Ready, status.ReasonAsDesired))
		eventually(ctx, "Volume/data", beIn(status.Ready, status.ReasonAsDesired))
		specs(ctx, "schedule.yaml", nightly)
		eventually(ctx, "SnapshotSchedule/nightly", beIn(status.Ready, status.ReasonAsDesired))
		sh(ctx, fmt.Sprintf("dd if=/dev/urandom of=/dev/vg0/data bs=1M count=%d oflag=direct conv=notrunc status=none", mib/2))
		alone := func() float64 {
			return seconds(ctx, "RESTIC_PASSWORD='a password' restic -q --no-cache -r "+store+"/alone backup --stdin < /dev/vg0/data")
		}
		sh(ctx, "RESTIC_PASSWORD='a password' restic -q --no-cache -r "+store+"/alone init")
		first, firstAlone := night(ctx, 1), alone()
		sh(ctx, `for at in 3 100 101 200 201 202 203 204 500 501 502 503 504 700 701 900 901 902 903 1000; do
			dd if=/dev/urandom of=/dev/vg0/data bs=1M count=1 seek=$at oflag=direct conv=notrunc status=none; done`)
		next, nextAlone := night(ctx, 2), alone()
		fmt.Printf("%s\nbackup-first s=%.2f alone=%.2f ratio=%.2f wanted=0.65\nbackup-next s=%.2f alone=%.2f ratio=%.2f wanted=0.35\n", ground(ctx),
			first, firstAlone, first/firstAlone, next, nextAlone, next/nextAlone)

		specs(ctx, "copy.yaml", volume("copy", "fast", fmt.Sprintf("%dMi", mib), "source: {backup: {repository: store, volume: data, at: latest}}"))
		began := time.Now()
		eventually(ctx, "Volume/copy", beIn(status.Ready, status.ReasonAsDesired))
		restored := time.Since(began).Seconds()
		sh(ctx, "lvcreate -qq -T vg0/pool0 -V "+fmt.Sprint(mib)+"M -n peer")
		dumped := seconds(ctx, "RESTIC_PASSWORD='a password' restic -q --no-cache -r "+store+"/alone dump latest stdin | dd of=/dev/vg0/peer bs=1M oflag=direct iflag=fullblock status=none")
		allocated := sh(ctx, "lvs --noheadings -o data_percent vg0/copy vg0/peer | tr -d '\\n'")
		fmt.Printf("backup-restore s=%.2f dump=%.2f ratio=%.2f wanted=0.80 allocated-percent=%s\n", restored, dumped, restored/dumped, allocated)
		Expect(content(ctx, "/dev/vg0/copy", mib)).To(Equal(content(ctx, "/dev/vg0/data", mib)))
	}, NodeTimeout(limit))
})
