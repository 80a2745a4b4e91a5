package e2e

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"
)

var _ = It("A volume group that an initiator has made in its volume stays the initiator's", func(ctx SpecContext) {
	// The initiator is another machine: its physical volume is copied into the
	// volume, so that no device but the volume's own has it here.
	sh(ctx, `set -e
		vgcreate -qq guestvg /dev/vdb && lvcreate -qq -y -Wn -Zn -n root -l 100%FREE guestvg && vgchange -qq -an guestvg
		dd if=/dev/vdb of=/run/pv bs=1M count=4 && vgchange -qq -an guestvg && blkdiscard -f /dev/vdb && wipefs -aq /dev/vdb
		pvscan --cache >/dev/null 2>&1 || true`)
	specs(ctx, "all.yaml", thickPool, volume("data", "slow", "1Gi", ""), export("data", "{volume: data}"))
	agent()
	allReady(ctx, 3)
	sh(ctx, "dd if=/run/pv of=/dev/vg0/data bs=1M oflag=direct && udevadm settle")
	Expect(sh(ctx, "blkid -p -o value -s TYPE /dev/vg0/data")).To(Equal("LVM2_member"))

	By("by LVM's default, even if the node starts anew")
	kill(ctx)
	sh(ctx, "udevadm trigger --subsystem-match=block --action=change && udevadm settle")
	log := agent()
	allReady(ctx, 3)
	Expect(sh(ctx, "vgs --noheadings -o vg_name | xargs")).To(Equal("vg0"))
	Expect(sh(ctx, "ls /dev/mapper")).NotTo(ContainSubstring("guestvg"))
	Expect(string(log.Contents())).NotTo(ContainSubstring("scan_lvs"))

	By("and who lets LVM look into volumes is warned")
	kill(ctx)
	sh(ctx, "mkdir -p /etc/lvm && cp /etc/lvm/lvm.conf /run/lvm.conf 2>/dev/null; printf 'devices { scan_lvs = 1 }\n' >> /etc/lvm/lvm.conf")
	DeferCleanup(func(ctx SpecContext) {
		sh(ctx, "rm /etc/lvm/lvm.conf; cp /run/lvm.conf /etc/lvm/lvm.conf 2>/dev/null; true")
	})
	Eventually(ctx, agent()).Should(gbytes.Say("scan_lvs = 1"))
}, NodeTimeout(limit))
