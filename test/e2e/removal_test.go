package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

var _ = Describe("Files that go away", func() {
	It("take with them what is Delete, and leave what is Retain", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thinPool, thickPool)
		specs(ctx, "gone.yaml", volume("gone", "slow", "64Mi", "deletionPolicy: Delete"), snapshot("gone-snap", "gone", "size: 16Mi, deletionPolicy: Delete"),
			volume("thin-gone", "fast", "64Mi", "deletionPolicy: Delete"), export("gone", "{volume: gone}, {volume: thin-gone}"))
		specs(ctx, "kept.yaml", volume("kept", "slow", "64Mi", ""), volume("thin-kept", "fast", "64Mi", ""))
		specs(ctx, "kept-snapshot.yaml", snapshot("kept-snap", "thin-kept", ""))
		specs(ctx, "kept-export.yaml", export("kept", "{volume: kept}, {snapshot: kept-snap, readOnly: true}"))
		agent()
		allReady(ctx, 10)
		fill(ctx, "/dev/vg0/kept", "precious", 2)
		data, device := content(ctx, "/dev/vg0/kept", 2), statusOf(ctx, "Volume/kept").Volume

		By("Delete: nothing is left")
		remove(ctx, "gone.yaml")
		Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0; ls /sys/kernel/config/target/iscsi") }).
			ShouldNot(ContainSubstring("gone"))
		Expect(sh(ctx, "ls /sys/kernel/config/target/core/iblock_*")).NotTo(ContainSubstring("gone"))

		By("Retain: the exports go, the data stays")
		remove(ctx, "kept.yaml", "kept-snapshot.yaml", "kept-export.yaml")
		eventually(ctx, "Volume/kept", beIn(status.Orphaned, status.ReasonRetained))
		eventually(ctx, "Snapshot/kept-snap", beIn(status.Orphaned, status.ReasonRetained))
		Eventually(ctx, func() string {
			return try(ctx, "ls /sys/kernel/config/target/iscsi; ls /sys/kernel/config/target/core/iblock_*").Stdout
		}).
			ShouldNot(ContainSubstring("kept"))
		Expect(content(ctx, "/dev/vg0/kept", 2)).To(Equal(data))

		By("and back again: the same device, the same data")
		specs(ctx, "kept.yaml", volume("kept", "slow", "64Mi", ""), volume("thin-kept", "fast", "64Mi", ""), snapshot("kept-snap", "thin-kept", ""))
		specs(ctx, "kept-export.yaml", export("kept", "{volume: kept}, {snapshot: kept-snap, readOnly: true}"))
		allReady(ctx, 6)
		Expect(statusOf(ctx, "Volume/kept").Volume).To(And(HaveField("LVUUID", device.LVUUID), HaveField("WWN", device.WWN)))
		Expect(login(ctx, target("kept"), loopback, dbHost).ExitCode).To(BeZero())
		Expect(content(ctx, disk(ctx, "Volume/kept"), 2)).To(Equal(data))
	}, NodeTimeout(limit))

	It("take with them what is Delete, which comes back from the trash with its data", func(ctx SpecContext) {
		all := func() {
			specs(ctx, "all.yaml", volume("data", "slow", "64Mi", "deletionPolicy: Delete"), snapshot("data-snap", "data", "size: 16Mi, deletionPolicy: Delete"),
				volume("thin", "fast", "64Mi", "deletionPolicy: Delete"), snapshot("thin-snap", "thin", "deletionPolicy: Delete"),
				export("data", "{volume: data}, {volume: thin}, {snapshot: thin-snap, lun: 7}"))
		}
		specs(ctx, "pools.yaml", withTrash(thinPool), withTrash(thickPool))
		all()
		agent()
		allReady(ctx, 7)
		fill(ctx, "/dev/vg0/data", "precious", 2)
		fill(ctx, "/dev/vg0/thin", "delicate", 2)
		ids := []string{"Volume/data", "Volume/thin", "Snapshot/data-snap", "Snapshot/thin-snap"}
		before := map[string]status.Object{}
		for _, id := range ids {
			before[id] = statusOf(ctx, id)
		}
		content1, content2 := content(ctx, "/dev/vg0/data", 2), content(ctx, "/dev/vg0/thin", 2)
		luns := func() string {
			return sh(ctx, "cd /sys/kernel/config/target/iscsi && find */tpgt_1/lun -type l -printf '%p %l\n' | sort")
		}
		wanted := luns()

		By("into the trash")
		remove(ctx, "all.yaml")
		for _, id := range ids {
			eventually(ctx, id, beIn(status.Deleting, status.ReasonInTrash))
		}
		passes(ctx, 2)
		Expect(try(ctx, "ls /sys/kernel/config/target/iscsi; ls /sys/kernel/config/target/core/iblock_*").Stdout).NotTo(ContainSubstring("volreconciler:"))
		for _, name := range []string{"data", "data-snap", "thin", "thin-snap"} {
			Expect(sh(ctx, "lvs --noheadings -o lv_active,lv_tags vg0/"+name)).To(
				And(MatchRegexp(`volreconciler/deleted=\d{8}T\d{6}Z`), Not(HavePrefix("active"))), name)
		}
		Expect(sh(ctx, "volreconciler get volume data")).To(MatchRegexp(`Deleting +InTrash .*23h5\dm left; in the trash since`))
		Expect(sh(ctx, "volreconciler describe volume data")).To(MatchRegexp(`Removed after: .*T.*Z \(23h5\dm left\)`))
		Expect(try(ctx, "volreconciler plan --specs /specs").ExitCode).To(BeZero(), "there is nothing to do but wait")

		By("and back again: the same devices, the same LUNs, the same data")
		all()
		allReady(ctx, 7)
		for _, id := range ids {
			now, old := statusOf(ctx, id), before[id]
			if old.Volume != nil {
				Expect(now.Volume).To(And(HaveField("LVUUID", old.Volume.LVUUID), HaveField("WWN", old.Volume.WWN)), id)
			} else {
				Expect(now.Snapshot).To(And(HaveField("LVUUID", old.Snapshot.LVUUID), HaveField("WWN", old.Snapshot.WWN)), id)
			}
		}
		Expect(luns()).To(Equal(wanted))
		Expect(login(ctx, target("data"), loopback, dbHost).ExitCode).To(BeZero())
		Expect(content(ctx, disk(ctx, "Volume/data"), 2)).To(Equal(content1))
		Expect(content(ctx, disk(ctx, "Volume/thin"), 2)).To(Equal(content2))
		Expect(sh(ctx, "lvs --noheadings -o lv_tags vg0")).NotTo(ContainSubstring("deleted="))
	}, NodeTimeout(limit))

	It("take nothing while anybody uses it", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool)
		specs(ctx, "all.yaml", volume("data", "slow", "64Mi", "deletionPolicy: Delete"), volume("mounted", "slow", "64Mi", "deletionPolicy: Delete"), export("data", "{volume: data}"))
		agent()
		allReady(ctx, 4)
		Expect(login(ctx, target("data"), loopback, dbHost).ExitCode).To(BeZero())
		sh(ctx, "mkfs.ext4 -q /dev/vg0/mounted && mount /dev/vg0/mounted /mnt")

		remove(ctx, "all.yaml")
		eventually(ctx, "Export/data", And(beIn(status.Blocked, status.ReasonSessionsActive), HaveField("Message", ContainSubstring(dbHost))))
		eventually(ctx, "Volume/mounted", And(beIn(status.Blocked, status.ReasonInUse), HaveField("Message", ContainSubstring("/mnt"))))
		passes(ctx, 2)
		fill(ctx, disk(ctx, "Volume/data"), "still-there", 1)

		By("and go on by themselves when nobody does")
		logout(ctx, target("data"), dbHost)
		sh(ctx, "umount /mnt")
		Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings vg0; ls /sys/kernel/config/target/iscsi") }).ShouldNot(Or(ContainSubstring("data"), ContainSubstring("mounted")))
	}, NodeTimeout(limit))

	It("take nothing while any file cannot be understood", func(ctx SpecContext) {
		specs(ctx, "pools.yaml", thickPool)
		specs(ctx, "data.yaml", volume("data", "slow", "64Mi", "deletionPolicy: Delete"))
		specs(ctx, "other.yaml", volume("other", "slow", "64Mi", "deletionPolicy: Delete"))
		agent()
		allReady(ctx, 3)
		put(ctx, "/specs/other.yaml", "apiVersion: volreconciler/v1alpha1\nkind: Volume\nmetadata: {name: other}\nspec: {pool: slow, sise: 1Gi}\n")
		Eventually(ctx, func() any { return nodeStatus(ctx).Findings }).Should(ContainElement(And(HaveField("Line", 4), HaveField("Message", ContainSubstring("sise")))))
		remove(ctx, "data.yaml")
		passes(ctx, 4)
		Expect(sh(ctx, "lvs --noheadings -o lv_name vg0")).To(And(ContainSubstring("data"), ContainSubstring("other")))
		By("worse files still")
		sh(ctx, `cd /specs
			head -c 50M /dev/zero | tr '\0' '#' > huge.yaml
			head -c 64k /dev/urandom > binary.yaml
			printf 'a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: [*b,*b,*b,*b,*b,*b,*b,*b,*b]\n' > bomb.yaml
			printf 'apiVersion: volreconciler/v1alpha1\nkind: Volume\nmetadata: {name: v}\nspec:\n' > truncated.yaml
			mkdir directory.yaml; ln -s loop.yaml loop.yaml; ln -s /nowhere dangling.yaml`)
		Eventually(ctx, func() any { return nodeStatus(ctx).Findings }).Should(And(
			ContainElement(HaveField("File", "/specs/huge.yaml")), ContainElement(HaveField("File", "/specs/binary.yaml")),
			ContainElement(HaveField("File", "/specs/bomb.yaml")), ContainElement(HaveField("File", "/specs/truncated.yaml")),
			ContainElement(HaveField("File", "/specs/loop.yaml")), ContainElement(HaveField("File", "/specs/dangling.yaml"))))
		passes(ctx, 2)
		Expect(sh(ctx, "lvs --noheadings -o lv_name vg0")).To(And(ContainSubstring("data"), ContainSubstring("other")))
		sh(ctx, "cd /specs && rm -r huge.yaml binary.yaml bomb.yaml truncated.yaml directory.yaml loop.yaml dangling.yaml")
		By("the whole directory away")
		sh(ctx, "mv /specs /specs.away")
		passes(ctx, 4)
		Expect(sh(ctx, "lvs --noheadings -o lv_name vg0")).To(And(ContainSubstring("data"), ContainSubstring("other")))
		By("and back without the finding")
		sh(ctx, "mv /specs.away /specs")
		specs(ctx, "other.yaml", volume("other", "slow", "64Mi", ""))
		Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0") }).ShouldNot(ContainSubstring("data"))
		Expect(sh(ctx, "lvs --noheadings -o lv_name vg0")).To(ContainSubstring("other"))
	}, NodeTimeout(limit))
})

var _ = Describe("What is not ours", func() {
	It("is never touched, in the way or beside", func(ctx SpecContext) {
		sh(ctx, `set -e
			lvcreate -qq -y -n taken -L 64M vg0; lvcreate -qq -y -n beside -L 64M vg0
			modprobe -a target_core_mod target_core_iblock iscsi_target_mod
			cd /sys/kernel/config/target; mkdir -p core/iblock_0/theirs
			echo udev_path=/dev/vg0/beside > core/iblock_0/theirs/control; echo 1 > core/iblock_0/theirs/enable
			for iqn in `+target("taken")+` iqn.2003-01.org.example:theirs; do
				mkdir -p iscsi/$iqn/tpgt_1/lun/lun_0 iscsi/$iqn/tpgt_1/np/127.0.0.1:3269
				ln -s /sys/kernel/config/target/core/iblock_0/theirs iscsi/$iqn/tpgt_1/lun/lun_0/x; echo 1 > iscsi/$iqn/tpgt_1/enable
			done`)
		theirs := func() string {
			return sh(ctx, `lvs --noheadings -o lv_name,lv_uuid,lv_tags,lv_size vg0/taken vg0/beside
				cd /sys/kernel/config/target; find core/iblock_0 iscsi/`+target("taken")+` iscsi/iqn.2003-01.org.example:theirs | sort; cat iscsi/*/tpgt_1/enable`)
		}
		before := theirs()
		specs(ctx, "pools.yaml", thickPool)
		specs(ctx, "all.yaml", volume("taken", "slow", "64Mi", "deletionPolicy: Delete"), volume("free", "slow", "64Mi", "deletionPolicy: Delete"),
			export("taken", "{volume: free}"))
		agent()
		eventually(ctx, "Volume/free", HaveField("Phase", status.Ready))
		eventually(ctx, "Volume/taken", beIn(status.Blocked, status.ReasonNotOwned))
		eventually(ctx, "Export/taken", beIn(status.Blocked, status.ReasonNotOwned))
		passes(ctx, 2)
		Expect(theirs()).To(Equal(before))

		By("when our files go away, either")
		remove(ctx, "all.yaml")
		Eventually(ctx, func() string { return sh(ctx, "lvs --noheadings -o lv_name vg0") }).ShouldNot(ContainSubstring("free"))
		passes(ctx, 2)
		Expect(theirs()).To(Equal(before))

		By("but a volume is adopted when its spec says so")
		specs(ctx, "all.yaml", volume("mine-now", "slow", "64Mi", "lvName: taken, adopt: true"))
		allReady(ctx, 2)
		Expect(sh(ctx, "lvs --noheadings -o lv_tags vg0/taken")).To(ContainSubstring("volreconciler/name=mine-now"))
	}, NodeTimeout(limit))
})
