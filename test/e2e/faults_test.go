package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = Describe("A fault stays where it is:", func() {
	var noSpace = beIn(status.Failed, status.ReasonNoSpace)

	BeforeEach(func(ctx SpecContext) { secondGroup(ctx) }, NodeTimeout(limit))

	It("a full volume group", func(ctx SpecContext) {
		sh(ctx, "lvcreate -qq -y -Wn -Zn -n hog -l 100%FREE vg1")
		specs(ctx, "pools.yaml", thickPool, secondPool)
		specs(ctx, "late.yaml", volume("late", "second", "64Mi", ""), export("late", "{volume: late}"))
		agent()
		eventually(ctx, "Volume/late", noSpace)
		elsewhere(ctx, "new")
		onlyTrouble(ctx, "Volume/late", "Export/late")

		By("and goes away with its cause")
		sh(ctx, "lvremove -qq -y vg1/hog")
		allReady(ctx, 6)
	}, NodeTimeout(limit))

	It("a thin pool without room for data", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool, thinPoolOf("32Mi"))
		specs(ctx, "thin.yaml", volume("thin", "second", "64Mi", ""))
		agent()
		allReady(ctx, 3)
		sh(ctx, "dd if=/dev/urandom of=/dev/vg1/thin bs=1M count=32 oflag=direct")
		eventually(ctx, "Pool/second", noSpace)
		elsewhere(ctx, "new")
		onlyTrouble(ctx, "Pool/second")
		before := content(ctx, "/dev/vg1/thin", 32)

		By("and is cured by a larger size in the spec")
		specs(ctx, "pools.yaml", thickPool, thinPoolOf("64Mi"))
		allReady(ctx, 5)
		Expect(content(ctx, "/dev/vg1/thin", 32)).To(Equal(before))
		sh(ctx, "dd if=/dev/zero of=/dev/vg1/thin bs=1M seek=32 count=8 oflag=direct")
	}, NodeTimeout(limit))

	It("a thin pool without room for metadata", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool, thinPoolOf("32Mi"))
		specs(ctx, "thin.yaml", volume("thin", "second", "64Mi", ""))
		agent()
		allReady(ctx, 3)
		fill(ctx, "/dev/vg1/thin", "written", 1)
		before := content(ctx, "/dev/vg1/thin", 1)
		fillMetadata(ctx, "vg1-pool1-tpool")
		eventually(ctx, "Pool/second", noSpace)
		elsewhere(ctx, "new")
		onlyTrouble(ctx, "Pool/second")
		Expect(content(ctx, "/dev/vg1/thin", 1)).To(Equal(before))

		By("and is cured by who repairs it, while the agent leaves it alone")
		suspended := strings.Replace(volume("thin", "second", "64Mi", ""), "name: thin", "name: thin, annotations: {volreconciler/reconcile: suspended}", 1)
		specs(ctx, "thin.yaml", suspended)
		eventually(ctx, "Volume/thin", HaveField("Phase", status.Suspended))
		sh(ctx, `set -e
			lvchange -qq -an vg1/thin vg1/pool1; lvconvert -qq -y --repair vg1/pool1
			lvextend -qq --poolmetadatasize +4m vg1/pool1; lvremove -qq -y vg1/pool1_meta0`)
		specs(ctx, "thin.yaml", volume("thin", "second", "64Mi", ""))
		allReady(ctx, 5)
	}, NodeTimeout(limit))

	It("a thick snapshot that overflows", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool, secondPool)
		specs(ctx, "origin.yaml", volume("origin", "second", "32Mi", ""))
		specs(ctx, "snap.yaml", snapshot("snap", "origin", "size: 4Mi, deletionPolicy: Delete"))
		specs(ctx, "export.yaml", export("both", "{volume: origin}, {snapshot: snap, readOnly: true}"))
		agent()
		allReady(ctx, 5)
		Expect(login(ctx, target("both"), loopback, dbHost).ExitCode).To(BeZero())
		fill(ctx, disk(ctx, "Volume/origin"), "overwritten", 16)
		eventually(ctx, "Snapshot/snap", beIn(status.Failed, status.ReasonSnapshotOverflow))
		elsewhere(ctx, "new")
		onlyTrouble(ctx, "Snapshot/snap", "Export/both")
		before := content(ctx, disk(ctx, "Volume/origin"), 16)

		By("and goes away with the snapshot")
		specs(ctx, "export.yaml", export("both", "{volume: origin}"))
		logout(ctx, target("both"), dbHost)
		remove(ctx, "snap.yaml")
		allReady(ctx, 6)
		Expect(sh(ctx, "lvs --noheadings -o lv_name vg1")).To(Equal("origin"))
		Expect(login(ctx, target("both"), loopback, dbHost).ExitCode).To(BeZero())
		Expect(content(ctx, disk(ctx, "Volume/origin"), 16)).To(Equal(before))
	}, NodeTimeout(limit))

	It("a physical volume that is not there at the start", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool, secondPool)
		specs(ctx, "near.yaml", volume("near", "second", "64Mi", ""), export("near", "{volume: near}"))
		agent()
		allReady(ctx, 4) // on the first device, because it comes first
		specs(ctx, "far.yaml", volume("far", "second", "600Mi", ""), export("far", "{volume: far}"))
		allReady(ctx, 6)
		fill(ctx, "/dev/vg1/far", "precious", 1)
		before := content(ctx, "/dev/vg1/far", 1)
		kill(ctx)
		sh(ctx, `set -e; cd /sys/kernel/config/target/iscsi/
			for tpg in iqn*/tpgt_1; do echo 0 > $tpg/enable; done
			find . -type l -delete; rmdir iqn*/tpgt_1/acls/*/lun_* iqn*/tpgt_1/lun/lun_* ../core/iblock_*/*/
			lvchange -qq --deltag volreconciler/name=far vg1/far
			lvchange -qq -an vg1; dmsetup remove --retry slice1`)

		agent()
		eventually(ctx, "Pool/second", beIn(status.Failed, status.ReasonDeviceMissing))
		eventually(ctx, "Volume/far", beIn(status.Failed, status.ReasonDeviceMissing))
		eventually(ctx, "Export/near", HaveField("Phase", status.Ready))
		elsewhere(ctx, "new")
		onlyTrouble(ctx, "Pool/second", "Volume/far", "Export/far")

		By("and nothing is written that LVM would hold against the volume group afterwards")
		heal(ctx)
		allReady(ctx, 8)
		Expect(content(ctx, "/dev/vg1/far", 1)).To(Equal(before))
	}, NodeTimeout(limit))

	DescribeTable("a physical volume that answers with errors:",
		func(ctx SpecContext, devices, kind, more string, pool, vol types.GomegaMatcher) {
			specs(ctx, "pools.yaml", thickPool, secondPool)
			specs(ctx, "data.yaml", volume("data", "second", "600Mi", ""), export("data", "{volume: data}"))
			agent()
			allReady(ctx, 4)
			Expect(login(ctx, target("data"), loopback, dbHost).ExitCode).To(BeZero())
			device := disk(ctx, "Volume/data")
			fill(ctx, device, "precious", 1)
			before := content(ctx, device, 1)
			exported := sh(ctx, "find /sys/kernel/config/target/iscsi/"+target("data")+" | sort")

			turn(ctx, devices, kind, more)
			eventually(ctx, "Pool/second", pool)
			eventually(ctx, "Volume/data", vol)
			elsewhere(ctx, "new")
			Expect(sh(ctx, "find /sys/kernel/config/target/iscsi/"+target("data")+" | sort")).To(Equal(exported), "an export loses its LUN")
			for _, o := range objects(ctx) {
				if !strings.HasSuffix(o.Name, "data") && o.Name != "second" {
					Expect(o).To(HaveField("Phase", status.Ready))
				}
			}

			By("and recovers")
			heal(ctx)
			allReady(ctx, 6)
			Expect(content(ctx, device, 1)).To(Equal(before))
		},
		Entry("one of two, all the time", "1", "error", "", beIn(status.Failed, status.ReasonDeviceMissing), beIn(status.Failed, status.ReasonDeviceMissing), NodeTimeout(limit)),
		Entry("one of two, now and then", "1", "flakey", " 1 4", beIn(status.Failed, status.ReasonDeviceMissing), beIn(status.Failed, status.ReasonDeviceMissing), NodeTimeout(limit)),
		Entry("both", "0 1", "error", "", beIn(status.Blocked, status.ReasonVolumeGroupMissing), beIn(status.Blocked, status.ReasonNotReady), NodeTimeout(limit)),
	)

	It("metadata of LVM that is damaged", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool, secondPool)
		specs(ctx, "data.yaml", volume("data", "second", "64Mi", ""), export("data", "{volume: data}"))
		agent()
		allReady(ctx, 4)
		sh(ctx, `for i in 0 1; do dd if=/dev/mapper/slice$i of=/tmp/slice$i bs=1M count=1 iflag=direct
			dd if=/dev/urandom of=/dev/mapper/slice$i bs=512 seek=9 count=200 oflag=direct; done`)
		eventually(ctx, "Pool/second", HaveField("Phase", Not(Equal(status.Ready))))
		elsewhere(ctx, "new")
		onlyTrouble(ctx, "Pool/second", "Volume/data", "Export/data")

		sh(ctx, `for i in 0 1; do dd if=/tmp/slice$i of=/dev/mapper/slice$i bs=1M oflag=direct; rm /tmp/slice$i; done`)
		allReady(ctx, 6)
	}, NodeTimeout(limit))

	It("a volume group that another process has locked", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool, secondPool)
		agent()
		allReady(ctx, 2)
		sh(ctx, "flock /run/lock/lvm/V_vg1 sleep 8888 >/dev/null 2>&1 & sleep 0.2")
		release := func(ctx context.Context) { sh(ctx, "pkill -f '^sleep 8888$' || true") }
		DeferCleanup(func(ctx SpecContext) { release(ctx) }, NodeTimeout(limit))
		specs(ctx, "late.yaml", volume("late", "second", "64Mi", ""))
		eventually(ctx, "Volume/late", beIn(status.Failed, status.ReasonObservationFailed))
		elsewhere(ctx, "new")
		onlyTrouble(ctx, "Pool/second", "Volume/late")

		release(ctx)
		allReady(ctx, 5)
	}, NodeTimeout(limit))

	It("two volume groups of one name", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool, secondPool)
		sh(ctx, `set -e; vgremove -qq -y vg1; i=0
			vgcreate -qq vg1 /dev/mapper/slice1; dmsetup remove --retry slice1; vgcreate -qq vg1 /dev/mapper/slice0`)
		agent()
		allReady(ctx, 2)
		heal(ctx)
		specs(ctx, "late.yaml", volume("late", "second", "64Mi", ""))
		eventually(ctx, "Volume/late", beIn(status.Failed, status.ReasonObservationFailed))
		elsewhere(ctx, "new")
		onlyTrouble(ctx, "Pool/second", "Volume/late")

		sh(ctx, `vgrename -qq $(pvs --noheadings -o vg_uuid /dev/mapper/slice1) vg2`)
		allReady(ctx, 5)
	}, NodeTimeout(limit))
})

var _ = Describe("LVM", func() {
	It("is waited for, but not for ever", func(ctx SpecContext) {
		specs(ctx, "pool.yaml", thickPool)
		documents := []string{volume("data", "slow", "16Mi", ""), volume("more", "slow", "16Mi", ""), export("data", "{volume: data}")}
		specs(ctx, "data.yaml", slices.Clone(documents)...)
		agent()
		allReady(ctx, 4)
		wrapLVM(ctx, `[ ! -e /run/lvm-real/hang ] || exec sleep 7777`)
		sh(ctx, "touch /run/lvm-real/hang")
		eventually(ctx, "Volume/data", beIn(status.Failed, status.ReasonObservationFailed))
		Expect(sh(ctx, "pgrep -fc '^sleep 7777$'")).To(BeElementOf("1", "2"), "reports that hang pile up")

		By("nothing that is exported is touched meanwhile")
		remove(ctx, "data.yaml")
		rounds(ctx, 3)
		Expect(login(ctx, target("data"), loopback, dbHost).ExitCode).To(BeZero())
		logout(ctx, target("data"), dbHost)
		specs(ctx, "data.yaml", documents...)

		By("and all goes on when it answers")
		unwrapLVM(ctx)
		allReady(ctx, 4)
	}, NodeTimeout(limit))

	It("may crash while it reports", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool, thinPool)
		agent()
		allReady(ctx, 2)
		wrapLVM(ctx, `[ ! -e /run/lvm-real/crash ] || { rm /run/lvm-real/crash; exit 139; }
			[ ! -e /run/lvm-real/segv ] || { rm /run/lvm-real/segv; kill -SEGV $$; }`)
		for _, how := range []string{"crash", "segv"} {
			sh(ctx, "touch /run/lvm-real/"+how)
			Eventually(ctx, func() string { return sh(ctx, "ls /run/lvm-real") }).ShouldNot(ContainSubstring(how))
			allReady(ctx, 2)
		}
	}, NodeTimeout(limit))
})

var _ = Describe("LIO", func() {
	// unload takes LIO out of the kernel. The directory of its targets holds a
	// module.
	unload := func(ctx context.Context) {
		GinkgoHelper()
		sh(ctx, `cd /sys/kernel/config/target && rmdir iscsi fc loopback 2>/dev/null; cd /
			for module in ib_isert tcm_fc tcm_loop iscsi_target_mod target_core_iblock target_core_file target_core_pscsi target_core_user target_core_mod; do
				modprobe -q -r $module
			done
			! [ -e /sys/module/target_core_mod ]`)
	}

	It("may lack its modules", func(ctx SpecContext) {
		unload(ctx)
		sh(ctx, "mv /lib/modules/$(uname -r)/kernel/drivers/target /run/target.away")
		restore := func(ctx context.Context) {
			sh(ctx, "[ ! -e /run/target.away ] || mv /run/target.away /lib/modules/$(uname -r)/kernel/drivers/target")
		}
		DeferCleanup(func(ctx SpecContext) { restore(ctx) }, NodeTimeout(limit))
		specs(ctx, "all.yaml", thickPool, volume("data", "slow", "16Mi", ""), export("data", "{volume: data}"))
		agent()
		eventually(ctx, "Volume/data", And(HaveField("Phase", status.Failed), HaveField("Message", ContainSubstring("target_core"))))
		specs(ctx, "more.yaml", volume("more", "slow", "16Mi", ""))
		eventually(ctx, "Volume/more", HaveField("Phase", status.Ready))
		onlyTrouble(ctx, "Volume/data", "Export/data")

		restore(ctx)
		allReady(ctx, 4)
	}, NodeTimeout(limit))

	DescribeTable("may be out of sight because configfs is not mounted:",
		func(ctx SpecContext, loaded bool) {
			specs(ctx, "all.yaml", thickPool, volume("data", "slow", "16Mi", ""), export("data", "{volume: data}"))
			if loaded {
				agent()
				allReady(ctx, 3)
			} else {
				unload(ctx)
			}
			sh(ctx, "umount /sys/kernel/config")
			restore := func(ctx context.Context) {
				sh(ctx, "mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config")
			}
			DeferCleanup(func(ctx SpecContext) { restore(ctx) }, NodeTimeout(limit))
			if !loaded {
				agent()
			}
			eventually(ctx, "Export/data", HaveField("Phase", status.Failed))
			specs(ctx, "more.yaml", volume("more", "slow", "16Mi", ""))
			eventually(ctx, "Volume/more", HaveField("Phase", status.Ready))
			onlyTrouble(ctx, "Export/data")

			restore(ctx)
			allReady(ctx, 4)
		},
		Entry("while it serves", true, NodeTimeout(limit)),
		Entry("before it is loaded", false, NodeTimeout(limit)),
	)
})

var _ = Describe("The agent itself", func() {
	It("goes on when it cannot store what it remembers", func(ctx SpecContext) {
		sh(ctx, "mkdir -p /var/lib/volreconciler && mount -t tmpfs -o size=64k none /var/lib/volreconciler && ! cat /dev/zero > /var/lib/volreconciler/full")
		DeferCleanup(func(ctx SpecContext) { sh(ctx, "umount -l /var/lib/volreconciler") }, NodeTimeout(limit))
		specs(ctx, "pools.yaml", thickPool)
		agent()
		elsewhere(ctx, "new")
		onlyTrouble(ctx)
		Expect(nodeStatus(ctx).Findings).To(ContainElement(HaveField("Message", ContainSubstring("no space left"))))

		sh(ctx, "rm /var/lib/volreconciler/full")
		Eventually(ctx, func() any { return nodeStatus(ctx).Findings }).Should(BeEmpty())
		allReady(ctx, 3)
		Expect(sh(ctx, "grep -c Volume/new /var/lib/volreconciler/identities*")).To(Equal("1"))
		Expect(sh(ctx, "find /var/lib/volreconciler -type f ! -name '*.json'")).To(BeEmpty(), "files that could not be written are left behind")
		Eventually(ctx, func() string { return sh(ctx, "ls /var/lib/volreconciler/last-good | wc -l") }).Should(Equal("2"))
	}, NodeTimeout(limit))

	It("does not believe the clock", func(ctx SpecContext) {
		sh(ctx, "lvcreate -qq -y -Wn -Zn -n hog -l 90%FREE vg0")
		specs(ctx, "pools.yaml", thickPool)
		specs(ctx, "gone.yaml", volume("gone", "slow", "16Mi", "deletionPolicy: Delete"))
		specs(ctx, "late.yaml", volume("late", "slow", "2Gi", "deletionPolicy: Delete"))
		jumped := 0
		jump := func(ctx context.Context, days int) {
			sh(ctx, fmt.Sprintf("date -s @$(($(date +%%s) + %d))", days*86400))
			jumped += days
		}
		DeferCleanup(func(ctx SpecContext) { jump(ctx, -jumped) }, NodeTimeout(limit))
		const grace = 15 * time.Second
		agent("--deletion-grace", grace.String())
		eventually(ctx, "Volume/gone", HaveField("Phase", status.Ready))
		eventually(ctx, "Volume/late", beIn(status.Failed, status.ReasonNoSpace))
		removed := func(ctx context.Context, name string, began time.Time) {
			Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0") }).ShouldNot(ContainSubstring(name))
			Expect(time.Since(began)).To(BeNumerically(">", grace), "removed before its time")
		}

		By("which is set back")
		began := time.Now()
		remove(ctx, "gone.yaml")
		jump(ctx, -2)
		sh(ctx, "lvremove -qq -y vg0/hog")
		elsewhere(ctx, "new")
		eventually(ctx, "Volume/late", HaveField("Phase", status.Ready))
		removed(ctx, "gone", began)

		By("and forward")
		began = time.Now()
		remove(ctx, "late.yaml")
		jump(ctx, 2)
		removed(ctx, "late", began)
		allReady(ctx, 3)
	}, NodeTimeout(limit))

	DescribeTable("sees edits without inotify:",
		func(ctx SpecContext, setting, exhausted string) {
			was := sh(ctx, "sysctl -n "+setting)
			sh(ctx, "sysctl -qw "+setting+"="+exhausted)
			restore := func(ctx context.Context) { sh(ctx, "sysctl -qw "+setting+"="+was) }
			DeferCleanup(func(ctx SpecContext) { restore(ctx) }, NodeTimeout(limit))
			specs(ctx, "pools.yaml", thickPool)
			// A resync would see the edits as well.
			agent("--resync", "1h")
			eventually(ctx, "Pool/slow", HaveField("Phase", status.Ready))
			elsewhere(ctx, "new")

			restore(ctx)
			elsewhere(ctx, "newer")
			onlyTrouble(ctx)
		},
		Entry("no instances", "fs.inotify.max_user_instances", "0", NodeTimeout(limit)),
		Entry("no watches", "fs.inotify.max_user_watches", "0", NodeTimeout(limit)),
	)
})
