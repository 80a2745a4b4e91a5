package e2e

import (
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = Describe("Backups", func() {
	// What is killed at each single call is in the scenarios, with a restic in memory. Here the real one dies, with the
	// agent, wherever it is: in a backup, in prune or check, or in a restore.
	It("survive that agent and restic are killed at any moment", func(ctx SpecContext) {
		makeStore(ctx)
		pruned := strings.NewReplacer("every: 168h", "every: 1s", "every: 24h", "every: 1s").Replace(repository)
		specs(ctx, "node.yaml", thinPool, pruned, volume("data", "fast", "128Mi", ""))
		agent()
		eventually(ctx, "Volume/data", beIn(status.Ready, status.ReasonAsDesired))
		eventually(ctx, "Repository/store", beIn(status.Ready, status.ReasonAsDesired))
		want := map[string]string{}
		for n := range 6 {
			name := fmt.Sprintf("b%d", n)
			sh(ctx, fmt.Sprintf("dd if=/dev/urandom of=/dev/vg0/data bs=1M count=6 seek=%d oflag=direct conv=notrunc status=none", 7*n))
			want[name] = content(ctx, "/dev/vg0/data", 128)
			specs(ctx, name+".yaml", "kind: Backup\nmetadata: {name: "+name+"}\nspec: {volume: data, repository: store}")
			time.Sleep(time.Duration(n) * 800 * time.Millisecond)
			kill(ctx)
			Eventually(func() string { return sh(ctx, "pgrep restic || true") }).Should(BeEmpty(), "restic dies with the agent")
			agent()
			eventually(ctx, "Backup/"+name, beIn(status.Ready, status.ReasonAsDesired))
		}
		Expect(sh(ctx, "mount | grep -c fuse.*volreconciler || true")).To(Equal("0"))

		By("restoring, killed as well")
		for n, name := range []string{"b0", "b3", "b5"} {
			at := statusOf(ctx, "Backup/"+name).Backup.ID
			specs(ctx, "copy.yaml", volume("copy-"+name, "fast", "128Mi", fmt.Sprintf("source: {backup: {repository: store, volume: data, at: %q}}", at)))
			time.Sleep(time.Duration(n+1) * 500 * time.Millisecond)
			kill(ctx)
			agent()
			eventually(ctx, "Volume/copy-"+name, beIn(status.Ready, status.ReasonAsDesired))
			Expect(content(ctx, "/dev/vg0/copy-"+name, 128)).To(Equal(want[name]), name)
		}
		kill(ctx)
		sh(ctx, "RESTIC_PASSWORD='a password' restic -q --no-cache -r "+store+"/node unlock && RESTIC_PASSWORD='a password' restic -q --no-cache -r "+store+"/node check --read-data")
	}, NodeTimeout(limit))
})
