package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// store is where the repository of the specs is, in a file system of its own so that it can be full.
const store = "/srv/store"

// repository declares the repository.
const repository = `kind: Repository
metadata: {name: store}
spec:
  restic: {url: ` + store + `/node, passwordFrom: {file: /etc/volreconciler/secrets/restic}}
  prune: {every: 168h}
  check: {every: 24h, readData: 100%}`

// nightly backs up Volume data at one o'clock.
const nightly = `kind: SnapshotSchedule
metadata: {name: nightly}
spec:
  volumes: [data]
  at: "0 1 * * *"
  keep: {last: 2}
  backup: {repository: store, at: "0 1 * * *", keep: {daily: 7}, maxAge: 30h}`

// makeStore makes the file system of the repository.
func makeStore(ctx context.Context) {
	GinkgoHelper()
	secret(ctx, "restic", "a password")
	sh(ctx, "mkdir -p "+store+" && mount -t tmpfs -o size=512m store "+store)
	DeferCleanup(func(ctx context.Context) {
		sh(ctx, "umount -l "+store+"; rm -rf /var/lib/volreconciler/repositories.json")
	})
}

// stored are the snapshots in the repository, as restic itself lists them.
func stored(ctx context.Context) []struct {
	Time time.Time
	Tags []string
} {
	GinkgoHelper()
	var all []struct {
		Time time.Time
		Tags []string
	}
	Expect(json.Unmarshal([]byte(ownRestic(ctx, "snapshots --json 2>/dev/null || echo '[]'")), &all)).To(Succeed()) // the repository may not be there yet
	return all
}

// ownRestic runs restic as an administrator would.
func ownRestic(ctx context.Context, arguments string) string {
	GinkgoHelper()
	return sh(ctx, "RESTIC_PASSWORD='a password' restic -q --no-lock --no-cache -r "+store+"/node "+arguments)
}

// setClock sets the guest's clock, as it is when a night has passed.
func setClock(ctx context.Context, to string) {
	GinkgoHelper()
	sh(ctx, "date -u -s '"+to+"'")
}

// beforeNight makes the store, and sets the guest's clock to ten seconds before the next run of nightly.
func beforeNight(ctx context.Context) {
	GinkgoHelper()
	DeferCleanup(func(ctx context.Context) { setClock(ctx, time.Now().UTC().Format("2006-01-02 15:04:05")) })
	setClock(ctx, time.Now().UTC().AddDate(0, 0, 1).Format("2006-01-02")+" 00:59:50")
	makeStore(ctx)
}

var _ = Describe("Backups", func() {
	BeforeEach(func(ctx SpecContext) { beforeNight(ctx) })

	It("are made of what has changed, and restored into another pool and size, and in place", func(ctx SpecContext) {
		specs(ctx, "node.yaml", thinPool, thickPool, repository, volume("data", "fast", "256Mi", ""))
		agent()
		eventually(ctx, "Volume/data", beIn(status.Ready, status.ReasonAsDesired))
		fill(ctx, "/dev/vg0/data", "first", 96)
		first := content(ctx, "/dev/vg0/data", 256)
		specs(ctx, "schedule.yaml", nightly)

		By("backing up all that is mapped at one o'clock")
		Eventually(func() int { return len(stored(ctx)) }).WithTimeout(90 * time.Second).WithPolling(2 * time.Second).Should(Equal(1))
		Expect(stored(ctx)[0].Tags).To(ContainElements("volreconciler", "volume=data", "schedule=nightly"))
		base := sh(ctx, "lvs --noheadings -o lv_name vg0 | grep -o 'nightly-[0-9a-z]*'")
		Eventually(func() string { return sh(ctx, "lvs --noheadings -o lv_tags vg0/"+base) }).Should(ContainSubstring(ondisk.TagBase + "store/"))

		By("reading only what changed a day later")
		sh(ctx, "dd if=/dev/urandom of=/dev/vg0/data bs=1M count=1 seek=50 oflag=direct conv=fsync,notrunc")
		second := content(ctx, "/dev/vg0/data", 256)
		kept := ownRestic(ctx, "stats --mode raw-data --json")
		sh(ctx, "date -u -s \"$(date -u -d 'tomorrow' +%F) 00:59:57\"")
		Eventually(func() int { return len(stored(ctx)) }).WithTimeout(90 * time.Second).WithPolling(2 * time.Second).Should(Equal(2))
		GinkgoWriter.Println(kept, ownRestic(ctx, "stats --mode raw-data --json"))
		eventually(ctx, "SnapshotSchedule/nightly", HaveField("Schedule.Backups", ConsistOf(HaveField("Count", 2))))

		By("restoring the first one into a thick volume of another size, the last one in place")
		at := stored(ctx)[0].Time.Format(time.RFC3339)
		specs(ctx, "copy.yaml", volume("copy", "slow", "300Mi", fmt.Sprintf("source: {backup: {repository: store, volume: data, at: %q}}", at)))
		eventually(ctx, "Volume/copy", beIn(status.Ready, status.ReasonAsDesired))
		Expect(content(ctx, "/dev/vg0/copy", 256)).To(Equal(first))
		Expect(sh(ctx, "dd if=/dev/vg0/copy bs=1M skip=256 status=none | tr -d '\\0' | wc -c")).To(Equal("0"))
		fill(ctx, "/dev/vg0/data", "mistake", 200)
		specs(ctx, "node.yaml", thinPool, thickPool, repository, volume("data", "fast", "256Mi", `revert: {backup: {repository: store, volume: data, at: latest}, request: "1"}`))
		eventually(ctx, "Volume/data", And(beIn(status.Ready, status.ReasonAsDesired), HaveField("Message", BeEmpty())))
		Eventually(func() string { return content(ctx, "/dev/vg0/data", 256) }).WithTimeout(60 * time.Second).Should(Equal(second))
		sh(ctx, "volreconciler validate /specs && "+"RESTIC_PASSWORD='a password' restic -q --no-cache -r "+store+"/node check")
	})

	It("bring back a node that lost its disks, with the serials and names that initiators know", func(ctx SpecContext) {
		documents := []string{thinPool, repository, export("data", "{volume: data}")}
		specs(ctx, "node.yaml", append(documents, volume("data", "fast", "128Mi", ""), "kind: Backup\nmetadata: {name: now}\nspec: {volume: data, repository: store}")...)
		agent()
		eventually(ctx, "Volume/data", beIn(status.Ready, status.ReasonAsDesired))
		fill(ctx, "/dev/vg0/data", "precious", 64)
		was := content(ctx, "/dev/vg0/data", 128)
		eventually(ctx, "Backup/now", And(beIn(status.Ready, status.ReasonAsDesired), HaveField("Backup.ID", Not(BeEmpty()))))
		serials := func() string {
			return sh(ctx, "cat /sys/kernel/config/target/core/iblock_*/volreconciler:volume:data/wwn/vpd_unit_serial; ls /sys/kernel/config/target/iscsi")
		}
		before := serials()

		By("losing the disks and all that the agent knew")
		kill(ctx)
		try(ctx, resetLIO)
		pv := strings.Fields(sh(ctx, "pvs --noheadings -o pv_name -S vg_name=vg0"))
		sh(ctx, "vgchange -an vg0; vgremove -ff -y vg0; pvremove -ff -y "+strings.Join(pv, " ")+"; rm -rf /var/lib/volreconciler")
		sh(ctx, "vgcreate vg0 "+strings.Join(pv, " "))

		By("starting from the specs and the repository alone")
		specs(ctx, "node.yaml", append(documents, volume("data", "fast", "128Mi", "source: {backup: {repository: store, volume: data, at: latest}}"))...)
		agent()
		eventually(ctx, "Volume/data", beIn(status.Ready, status.ReasonAsDesired))
		Expect(content(ctx, "/dev/vg0/data", 128)).To(Equal(was))
		eventually(ctx, "Export/data", beIn(status.Ready, status.ReasonAsDesired))
		Expect(serials()).To(Equal(before))
	})
})
