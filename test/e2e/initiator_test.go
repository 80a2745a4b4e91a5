package e2e

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// initiator is the using side of one protocol: the kernel's real initiator, which
// plays several hosts, all of them in the guest itself. There is one for each
// protocol; every spec that is about all protocols is written against this.
type initiator interface {
	// setUp loads the kernel modules of both sides and builds the network that
	// they talk over. What is there already stays.
	setUp(ctx context.Context)
	// portal is where a target has to listen for these hosts, as
	// address:port. It is empty where the fabric has no portals.
	portal() string
	// target is the name of the target that serves an export: the one that the
	// node gives it, or the port's where ports have names.
	target(export string) string
	// host is the name by which a target knows a host: one of db, mail and
	// stranger.
	host(name string) string
	// connect attaches a target to a host. The error says how the target, or
	// the initiator itself, refused.
	connect(ctx context.Context, to attachment) (session, error)
}

// attachment is what a host has to know to use an export.
type attachment struct {
	target, portal string
	host           string
	credentials    credentials
}

// credentials are what a host proves itself with, and what it asks of the
// target. Empty: nothing. NVMe has passwords alone, which are whole DHHC-1 keys.
type credentials struct {
	username, password             string
	targetUsername, targetPassword string
}

// session is a target that is attached to a host.
type session interface {
	// luns are the block devices that the host has now, by LUN, which NVMe
	// calls namespace.
	luns(ctx context.Context) map[int]string
	// rescan has the host look for new LUNs and sizes, which not every target
	// can tell it by itself.
	rescan(ctx context.Context)
	// live says whether the host's kernel takes the session for a working one.
	live(ctx context.Context) bool
	// disconnect ends the session from the host's side.
	disconnect(ctx context.Context)
}

// hosts are the names of all hosts, by their number in names and addresses.
var hosts = []string{"target", "db", "mail", "stranger"}

func hostNumber(name string) int {
	GinkgoHelper()
	for i, host := range hosts {
		if host == name {
			return i
		}
	}
	Fail("no host is called " + name)
	return 0
}

// mustConnect is connect for a host that has to be let in. As hosts do, it tries a
// second time: how long a host waits is measured by what a refusal may cost.
func mustConnect(ctx context.Context, i initiator, to attachment) session {
	GinkgoHelper()
	s, err := i.connect(ctx, to)
	if err != nil {
		GinkgoWriter.Println("first attempt:", err)
		s, err = i.connect(ctx, to)
	}
	Expect(err).NotTo(HaveOccurred())
	return s
}

// device waits for a LUN and returns its block device.
func device(ctx context.Context, s session, lun int) string {
	GinkgoHelper()
	Eventually(ctx, s.luns).WithContext(ctx).Should(HaveKey(lun))
	sh(ctx, "udevadm settle")
	return s.luns(ctx)[lun]
}

// size returns a device's size in bytes.
func size(ctx context.Context, device string) uint64 {
	GinkgoHelper()
	n, err := strconv.ParseUint(sh(ctx, "blockdev --getsize64 "+device), 10, 64)
	Expect(err).NotTo(HaveOccurred())
	return n
}

// reads and writes say whether a device takes one block of I/O, past every
// cache. A write is made with what is there already.
func reads(ctx context.Context, device string) bool {
	GinkgoHelper()
	return try(ctx, fmt.Sprintf("dd if=%s of=/dev/null bs=4096 count=1 iflag=direct", device)).ExitCode == 0
}

func writes(ctx context.Context, device string) bool {
	GinkgoHelper()
	return try(ctx, fmt.Sprintf("dd if=%s of=/run/block bs=4096 count=1 iflag=direct && dd if=/run/block of=%s bs=4096 conv=notrunc oflag=direct",
		device, device)).ExitCode == 0
}

// parseLUNs reads lines of a LUN and a device.
func parseLUNs(text string) map[int]string {
	GinkgoHelper()
	luns := map[int]string{}
	for line := range strings.Lines(text) {
		number, device, ok := strings.Cut(strings.TrimSpace(line), " ")
		lun, err := strconv.Atoi(number)
		Expect(ok && err == nil).To(BeTrue(), line)
		luns[lun] = device
	}
	return luns
}

// scsiLUNs are the disks of the SCSI targets that match a pattern in sysfs.
func scsiLUNs(ctx context.Context, targets string) map[int]string {
	GinkgoHelper()
	return parseLUNs(sh(ctx, `for lun in `+targets+`/*:*:*:*; do
		disk=$(ls $lun/block 2>/dev/null) && [ -n "$disk" ] && echo ${lun##*:} /dev/$disk
	done; true`))
}

// volumes makes logical volumes of vg0 for targets that a spec makes by hand,
// and returns their devices.
func volumes(ctx context.Context, names ...string) []string {
	GinkgoHelper()
	var devices []string
	for _, name := range names {
		sh(ctx, "lvcreate -qq -y -Wy -Zy -n "+name+" -L 64m vg0")
		devices = append(devices, "/dev/vg0/"+name)
	}
	return devices
}
