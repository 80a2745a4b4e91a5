package e2e

import (
	"context"
	"fmt"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/pkg/reconcile/status"
)

// secondPool is a Pool of thick volumes beside that in vg0, in which what is
// done to it goes wrong.
const secondPool = "kind: Pool\nmetadata: {name: second}\nspec: {volumeGroup: vg1, trash: 0s}"

// thinPoolOf is a Pool with a thin pool in vg1.
func thinPoolOf(size string) string {
	return "kind: Pool\nmetadata: {name: second}\nspec: {volumeGroup: vg1, thinPool: {name: pool1, size: " + size + "}}"
}

// secondGroup makes vg1 of two devices that can be taken away or made to fail:
// slices of one disk that do not begin where it does, so that LVM finds each
// label only once.
func secondGroup(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, `set -e
		for i in 0 1; do dmsetup create slice$i --table "`+slice("linear")+`"; done
		udevadm settle
		vgcreate -qq vg1 /dev/mapper/slice0 /dev/mapper/slice1`)
	DeferCleanup(func(ctx SpecContext) { heal(ctx) }, NodeTimeout(limit))
}

// slice is the table of the i-th device of vg1, for a shell in which $i is set.
func slice(kind string) string {
	const sectors = 400 << 11
	table := fmt.Sprintf("0 %d %s", sectors, kind)
	if kind == "error" {
		return table
	}
	return table + fmt.Sprintf(" /dev/vdb $((2048 + i * %d))", sectors)
}

// turn gives devices of vg1 another table, "0 1" for both of them.
func turn(ctx context.Context, devices, kind, more string) {
	GinkgoHelper()
	sh(ctx, `set -e
		for i in `+devices+`; do
			dmsetup suspend --noflush --nolockfs slice$i
			dmsetup reload slice$i --table "`+slice(kind)+more+`"
			dmsetup resume --noudevsync slice$i
		done
		udevadm settle`)
}

// heal makes the devices of vg1 whole again, or anew.
func heal(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, `for i in 0 1; do
			dmsetup info slice$i >/dev/null 2>&1 || dmsetup create slice$i --table "`+slice("linear")+`"
		done`)
	turn(ctx, "0 1", "linear", "")
}

// elsewhere creates a volume and an export in vg0, which must become Ready
// whatever goes wrong with others.
func elsewhere(ctx context.Context, name string) {
	GinkgoHelper()
	specs(ctx, name+".yaml", volume(name, "slow", "16Mi", ""), export(name, "{volume: "+name+"}"))
	eventually(ctx, "Export/"+name, HaveField("Phase", status.Ready))
	Expect(statusOf(ctx, "Volume/"+name).Phase).To(Equal(status.Ready))
	Expect(sh(ctx, "cd /sys/kernel/config/target/iscsi/"+target(name)+"/tpgt_1 && cat enable lun/lun_0/*/udev_path")).To(Equal("1\n/dev/vg0/" + name))
}

// onlyTrouble expects that nothing but the given objects is in trouble.
func onlyTrouble(ctx context.Context, ids ...string) {
	GinkgoHelper()
	var troubled []string
	for _, o := range objects(ctx) {
		if o.Phase != status.Ready {
			troubled = append(troubled, o.ID().String())
		}
	}
	Expect(troubled).To(ConsistOf(ids))
}

// fillMetadata leaves no room in a thin pool's metadata: every thin device takes
// a block, also one that LVM does not know. Thousands of dmsetup message would
// take an emulated processor minutes.
func fillMetadata(ctx context.Context, pool string) {
	GinkgoHelper()
	put(ctx, "/tmp/fill.py", `
import fcntl, struct
DM_TARGET_MSG = 0xC138FD0E  # struct dm_ioctl, then struct dm_target_msg
with open("/dev/mapper/control") as control:
    for device in range(1000, 100000):
        message = struct.pack("=Q", 0) + b"create_thin %d\0" % device
        head = struct.pack("=10IQ128s129s7x", 4, 0, 0, 312 + len(message), 312, 0, 0, 0, 0, 0, 0, b"`+pool+`", b"")
        try:
            fcntl.ioctl(control, DM_TARGET_MSG, bytearray(head + message))
        except OSError as e:
            print(device - 1000, "devices, then:", e)
            break
`)
	GinkgoWriter.Println(sh(ctx, "python3 /tmp/fill.py"), sh(ctx, "dmsetup status "+pool), sh(ctx, "lvs -o lv_name,lv_attr,data_percent,metadata_percent,lv_health_status,lv_when_full vg1"))
}

// rounds waits until the agent has made so many passes, whatever came of them.
// The last of two began after the call.
func rounds(ctx context.Context, n int) {
	GinkgoHelper()
	from := len(running.Contents())
	Eventually(ctx, func() int {
		look(ctx)
		return len(pass.FindAll(running.Contents()[from:], -1))
	}).Should(BeNumerically(">=", n))
}

// wrapLVM lets a script run before lvm does, under whatever name, until the spec
// ends.
func wrapLVM(ctx context.Context, script string) {
	GinkgoHelper()
	sh(ctx, "mkdir /run/lvm-real && cp -P /usr/sbin/lvm /run/lvm-real/lvm")
	put(ctx, "/run/lvm-real/wrapper", "#!/bin/sh\n"+script+`
		[ ${0##*/} = lvm ] || set -- ${0##*/} "$@"
		exec /run/lvm-real/lvm "$@"
`)
	sh(ctx, "chmod 755 /run/lvm-real/wrapper && cp /run/lvm-real/wrapper /usr/sbin/lvm.tmp && mv /usr/sbin/lvm.tmp /usr/sbin/lvm")
	DeferCleanup(func(ctx SpecContext) { unwrapLVM(ctx) }, NodeTimeout(limit))
}

func unwrapLVM(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, `[ ! -d /run/lvm-real ] || {
		cp /run/lvm-real/lvm /usr/sbin/lvm.tmp && mv /usr/sbin/lvm.tmp /usr/sbin/lvm && rm -r /run/lvm-real
		pkill -f '^sleep 7777$' || true
	}`)
}
