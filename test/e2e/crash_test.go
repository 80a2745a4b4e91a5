package e2e

import (
	"context"
	"math/rand/v2"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest"
)

// exported is what an administrator would check after a crash: every logical
// volume with its tags, every backstore with its serial, every target with its
// LUNs and who may use them.
func exported(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, `lvs --noheadings -o lv_name,lv_size,lv_tags,pool_lv,origin vg0 | sed 's|volreconciler/by=[^,]*,||' | sort
		cd /sys/kernel/config/target
		find core/iblock_* iscsi/*/tpgt_1/lun iscsi/*/tpgt_1/acls iscsi/*/tpgt_1/np -mindepth 1 -maxdepth 3 \( -name 'lun_*' -o -path 'core/*:*' -prune -o -path '*np/*' -o -path '*acls/iqn*' -prune \) | sort
		grep -H . iscsi/*/tpgt_1/enable iscsi/*/tpgt_1/param/TargetAlias iscsi/*/tpgt_1/auth/userid_mutual core/*/*/udev_path iscsi/*/tpgt_1/acls/*/attrib/authentication iscsi/*/tpgt_1/acls/*/auth/userid* iscsi/*/tpgt_1/acls/*/lun_*/write_protect`)
}

// identities are the WWNs by LUN, and the contents behind them.
func identities(ctx context.Context) string {
	GinkgoHelper()
	return sh(ctx, "cd /sys/kernel/config/target && grep -H . core/*/*/wwn/vpd_unit_serial && find iscsi/*/tpgt_1/lun -type l -exec readlink {} + | sort")
}

var _ = Describe("An agent that is killed", func() {
	It("at 20 moments of a first convergence leaves nothing behind and forgets nothing", func(ctx SpecContext) {
		// Copies have a spec of their own, and would take most of the time here.
		specs := func() { examples(ctx); sh(ctx, "rm /specs/6-copies.yaml") }
		specs()
		started := time.Now()
		agent()
		allReady(ctx, exampleObjects-copyObjects)
		convergence := time.Since(started)
		want := exported(ctx)
		reset(ctx)

		specs()
		seed := uint64(GinkgoRandomSeed())
		random := rand.New(rand.NewPCG(seed, seed))
		for i := range 20 {
			// Every start goes on where the last one ended, after it has looked at all
			// there is: with a sixth of the whole at most, 20 kills reach from the first
			// volume to the last export.
			moment := time.Duration(random.Int64N(int64(convergence / 6)))
			background, cancel := context.WithCancel(ctx)
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				_, _ = vm.Exec(background, guest.Command{Argv: []string{"volreconciler", "run", "--specs", "/specs", "--resync", "1s"}})
			}()
			select {
			case <-ctx.Done():
			case <-time.After(moment):
			}
			kill(ctx)
			cancel()
			<-ended
			GinkgoWriter.Printf("kill %d after %s: %s devices, LUNs, enabled targets\n", i+1, moment.Round(time.Millisecond),
				sh(ctx, "cd /sys/kernel/config/target/iscsi 2>/dev/null; echo $(ls /dev/mapper | wc -l) $(ls -d */tpgt_1/lun/lun_* 2>/dev/null | wc -l) $(cat */tpgt_1/enable 2>/dev/null | grep -c 1)"))
		}
		agent()
		allReady(ctx, exampleObjects-copyObjects)
		Expect(exported(ctx)).To(Equal(want))
	}, NodeTimeout(limit))
})

var _ = Describe("A node that goes down", func() {
	It("exports all again, with the same devices and the same data", func(ctx SpecContext) {
		examples(ctx)
		agent()
		allReady(ctx, exampleObjects)
		Expect(login(ctx, dbTarget, loopback, dbHost, chap("db", secrets["db"])...).ExitCode).To(BeZero())
		fill(ctx, disk(ctx, "Volume/db-data"), "precious", 2)
		data := content(ctx, disk(ctx, "Volume/db-data"), 2)
		before, devices := exported(ctx), identities(ctx)
		// The guest's root is new after a boot; a node's is not.
		files := sh(ctx, "tar -C / -c specs var/lib/volreconciler | base64 -w0")

		back := func() {
			GinkgoHelper()
			prepare(ctx)
			put(ctx, "/tmp/files", files)
			sh(ctx, "base64 -d /tmp/files | tar -C / -x")
			agent()
			allReady(ctx, exampleObjects)
			Expect(exported(ctx)).To(Equal(before))
			Expect(identities(ctx)).To(Equal(devices))
			Expect(login(ctx, dbTarget, loopback, dbHost, chap("db", secrets["db"])...).ExitCode).To(BeZero())
			Expect(content(ctx, disk(ctx, "Volume/db-data"), 2)).To(Equal(data))
		}

		By("after a power cut, in the middle of everything")
		cutPower(ctx)
		back()

		By("after a reboot")
		kill(ctx)
		logout(ctx, dbTarget, dbHost)
		var err error
		vm, err = vm.Reboot(ctx)
		Expect(err).NotTo(HaveOccurred())
		back()
	}, NodeTimeout(limit))
})
