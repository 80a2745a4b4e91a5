package e2e

import (
	"context"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// down leaves the machine as it is after a boot, before anything was activated.
func down(ctx context.Context) {
	GinkgoHelper()
	kill(ctx)
	sh(ctx, resetLIO+`
		udevadm settle; vgchange -qq -an vg0 vg1; [ -z "$(lvs --noheadings -o lv_active | xargs)" ]`)
}

var _ = Describe("Volumes of all kinds that LVM has", func() {
	kinds := []string{"cached", "buffered", "mirrored", "striped"}

	It("are served as they are, after a boot and without a device too", func(ctx SpecContext) {
		secondGroup(ctx)
		sh(ctx, `set -e
			lvcreate -qq -y -i 2 -L 64m -n striped vg1
			lvcreate -qq -y --type raid1 -m 1 -L 64m -n mirrored vg1 && lvchange -qq --syncaction check vg1/mirrored || true
			lvcreate -qq -y -L 64m -n cached vg1 /dev/mapper/slice0 && lvcreate -qq -y -L 32m -n fast1 vg1 /dev/mapper/slice0
			lvcreate -qq -y -L 64m -n buffered vg1 /dev/mapper/slice0 && lvcreate -qq -y -an -Wn -Zn -L 32m -n fast2 vg1 /dev/mapper/slice0`)
		specs(ctx, "pool.yaml", secondPool, thickPool)
		for _, name := range kinds {
			size := map[bool]string{true: "67Mi", false: "64Mi"}[name == "striped"] // for LVM 72
			specs(ctx, name+".yaml", volume(name, "second", size, "adopt: true, deletionPolicy: Delete"), export(name, "{volume: "+name+"}"))
		}
		agent()
		allReady(ctx, 2+2*len(kinds))
		Expect(statusOf(ctx, "Volume/striped").Volume.Size).To(BeEquivalentTo(72 << 20))
		data := map[string]string{}
		for _, name := range kinds {
			data[name] = scatter(ctx, "/dev/vg1/"+name)
		}
		readable := func(names ...string) {
			GinkgoHelper()
			for _, name := range names {
				Expect(login(ctx, target(name), loopback, dbHost).ExitCode).To(BeZero())
				Expect(content(ctx, disk(ctx, "Volume/"+name), 64)).To(Equal(data[name]), name)
				logout(ctx, target(name), dbHost)
			}
		}

		By("made another kind, and a boot")
		down(ctx)
		sh(ctx, `set -e
			lvconvert -qq -y --type cache --cachevol fast1 vg1/cached
			lvconvert -qq -y --type writecache --cachevol fast2 --cachesettings block_size=512 vg1/buffered`)
		agent()
		allReady(ctx, 2+2*len(kinds))
		Expect(statusOf(ctx, "Volume/cached").Message).To(ContainSubstring("a cached volume"))
		Expect(statusOf(ctx, "Volume/buffered").Message).To(ContainSubstring("a volume with a writecache"))
		readable(kinds...)

		By("what would change them")
		before := sh(ctx, "lvs -a --noheadings -o lv_name,lv_size,lv_layout vg1")
		specs(ctx, "cached.yaml", volume("cached", "second", "128Mi", "adopt: true, deletionPolicy: Delete"), export("cached", "{volume: cached}"))
		specs(ctx, "buffered.yaml", volume("buffered", "slow", "64Mi", "adopt: true, deletionPolicy: Delete"), export("buffered", "{volume: buffered}"))
		specs(ctx, "mirrored.yaml", volume("mirrored", "slow", "64Mi", "adopt: true, deletionPolicy: Delete"), export("mirrored", "{volume: mirrored}"))
		specs(ctx, "snapshot.yaml", snapshot("of-cached", "cached", "size: 16Mi"))
		for id, words := range map[string]string{
			"Volume/cached": "lvextend", "Volume/buffered": "lvconvert --uncache vg1/buffered", "Volume/mirrored": "only once", "Snapshot/of-cached": "lvconvert --uncache vg1/cached",
		} {
			eventually(ctx, id, And(beIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring(words))))
		}
		readable(kinds...)
		Expect(sh(ctx, "lvs -a --noheadings -o lv_name,lv_size,lv_layout vg1")).To(Equal(before))
		remove(ctx, "snapshot.yaml")
		specs(ctx, "mirrored.yaml", volume("mirrored", "second", "64Mi", "adopt: true, deletionPolicy: Delete"), export("mirrored", "{volume: mirrored}"))

		By("and removal")
		remove(ctx, "cached.yaml", "buffered.yaml")
		for _, name := range []string{"cached", "buffered"} {
			eventually(ctx, "Volume/"+name, And(beIn(status.Blocked, status.ReasonUnsupported), HaveField("Message", ContainSubstring("lvremove vg1/"+name))))
		}
		passes(ctx, 2)
		Expect(content(ctx, "/dev/vg1/cached", 64)).To(Equal(data["cached"]))
		Expect(content(ctx, "/dev/vg1/buffered", 64)).To(Equal(data["buffered"]))
		kill(ctx)
		sh(ctx, "lvremove -qq -y vg1/cached vg1/buffered")

		By("one device less")
		agent()
		eventually(ctx, "Volume/mirrored", beIn(status.Ready, status.ReasonAsDesired))
		down(ctx)
		sh(ctx, "dmsetup remove slice1 && udevadm settle")
		agent()
		eventually(ctx, "Volume/mirrored", And(beIn(status.Ready, status.ReasonAsDesired), HaveField("Message", ContainSubstring("with a missing part"))))
		eventually(ctx, "Export/mirrored", beIn(status.Ready, status.ReasonAsDesired))
		eventually(ctx, "Volume/striped", beIn(status.Failed, status.ReasonDeviceMissing))
		readable("mirrored")
	}, NodeTimeout(limit))
})

var _ = It("A thin pool that cannot be activated has failed, and is as it was when it is repaired", func(ctx SpecContext) {
	secondGroup(ctx)
	specs(ctx, "pool.yaml", thinPoolOf("128Mi"), thickPool)
	specs(ctx, "data.yaml", volume("data", "second", "64Mi", ""), export("data", "{volume: data}"))
	agent()
	allReady(ctx, 4)
	data := scatter(ctx, "/dev/vg1/data")

	By("which dmeventd or somebody has extended")
	sh(ctx, "lvextend -qq -y -L 160m vg1/pool1")
	eventually(ctx, "Pool/second", And(beIn(status.Ready, status.ReasonAsDesired), HaveField("Message", ContainSubstring("it was extended"))))

	swap := func() {
		GinkgoHelper()
		sh(ctx, "lvchange -qq -an vg1/junk vg1/data vg1/pool1; lvconvert -qq -y --thinpool vg1/pool1 --poolmetadata junk")
	}
	down(ctx)
	sh(ctx, "set -e; lvcreate -qq -y -Wn -Zn -L 4m -n junk vg1; dd if=/dev/urandom of=/dev/vg1/junk bs=1M count=4 oflag=direct status=none")
	swap()
	agent()
	eventually(ctx, "Pool/second", And(beIn(status.Failed, status.ReasonPoolDamaged), HaveField("Pool.UsageUnknown", true)))
	eventually(ctx, "Volume/data", HaveField("Phase", status.Failed))
	elsewhere(ctx, "other")
	specs(ctx, "new.yaml", volume("new", "second", "16Mi", ""))
	eventually(ctx, "Volume/new", beIn(status.Blocked, status.ReasonNotReady))
	GinkgoWriter.Println(statusOf(ctx, "Pool/second").Message, "\n", statusOf(ctx, "Volume/data").Message)
	Expect(strings.TrimSpace(sh(ctx, "lvs --noheadings -o lv_name vg1/new 2>/dev/null || true"))).To(BeEmpty())

	swap()
	allReady(ctx, 7)
	Expect(content(ctx, "/dev/vg1/data", 64)).To(Equal(data))
}, NodeTimeout(limit))
