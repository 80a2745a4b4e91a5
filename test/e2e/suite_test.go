package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest"
)

// limit ends a spec that hangs. It is far above what any takes, because machines
// differ and are shared.
const limit = 20 * time.Minute

// patience is how long is waited for what may take its time on a machine that does
// much else: half of what a spec has, and less where nothing is emulated.
var patience = func() time.Duration {
	if os.Getenv("GUEST") == string(guest.UserMode) {
		return 5 * time.Minute
	}
	return limit / 2
}()

func TestE2E(t *testing.T) {
	if os.Getenv("VOLRECONCILER_GUEST") == "" {
		t.Skip("set VOLRECONCILER_GUEST=1 to run this in a guest machine (make test does)")
	}
	RegisterFailHandler(Fail)
	// A machine may be slow; only what never happens may take that long.
	SetDefaultEventuallyTimeout(patience)
	EnforceDefaultTimeoutsWhenUsingContexts()
	SetDefaultEventuallyPollingInterval(500 * time.Millisecond)
	RunSpecs(t, "end to end")
}

// vm is the guest that all specs share. A spec that reboots it puts the machine
// that takes its place here.
var vm *guest.Machine

// machine is how vm was started, for specs that start it again.
var machine guest.Config

var _ = BeforeSuite(func(ctx SpecContext) {
	share := GinkgoT().TempDir()
	build := exec.CommandContext(ctx, "go", "build", "-o", filepath.Join(share, "volreconciler"), "../../cmd/volreconciler")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := build.CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), "%s", out)

	disks := GinkgoT().TempDir()
	machine = guest.Config{
		Share: share,
		Disks: []guest.Disk{{Path: filepath.Join(disks, "vda"), Size: 8 << 30}, {Path: filepath.Join(disks, "vdb"), Size: 1 << 30}},
	}
	vm, err = guest.Start(ctx, machine)
	Expect(err).NotTo(HaveOccurred())
	prepare(ctx)
}, NodeTimeout(20*time.Minute))

var _ = AfterSuite(func(ctx SpecContext) {
	if vm != nil {
		Expect(vm.Shutdown(ctx)).To(Succeed())
	}
}, NodeTimeout(time.Minute))

// broken is true after a spec that failed: what it left in the kernel, not every reset
// takes away.
var broken bool

var _ = BeforeEach(func(ctx SpecContext) {
	if broken {
		cutPower(ctx)
		prepare(ctx)
		broken = false
	}
	reset(ctx)
}, NodeTimeout(limit))

var _ = AfterEach(func() { broken = CurrentSpecReport().Failed() })

// cutPower puts a machine with the same disks in the place of the guest, at once.
func cutPower(ctx context.Context) {
	GinkgoHelper()
	vm.PowerCut()
	Eventually(ctx, vm.Done()).Should(BeClosed())
	var err error
	vm, err = guest.Start(ctx, machine)
	Expect(err).NotTo(HaveOccurred())
}

var _ = ReportAfterEach(func(report SpecReport) {
	if !report.Failed() || vm == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	state, err := vm.Sh(ctx, `volreconciler get -o wide; lvs -a -o +tags; cd /sys/kernel/config/target && find . -path '*lun*' -type l -exec ls -l {} + ; ps ax | tail -30; dmesg | tail -20`)
	_, _ = fmt.Fprintln(GinkgoWriter, "the node after the failure:", err, "\n"+state.Stdout+state.Stderr)
})

// What takes the test run's time, and what passed only when it was tried again, goes to
// the file that TIMES names: what is printed here is lost when specs run side by side.
var _ = ReportAfterSuite("times", func(report Report) {
	path := os.Getenv("TIMES")
	if path == "" {
		return
	}
	var lines strings.Builder
	for _, s := range report.SpecReports {
		on := fmt.Sprintf("%s (%s %s)", s.FullText(), os.Getenv("GUEST"), os.Getenv("GUEST_SUITE"))
		if s.NumAttempts > 1 && !s.Failed() {
			lines.WriteString("flaky: " + on + "\n")
		}
		if s.State.Is(types.SpecStatePassed|types.SpecStateFailed) && s.LeafNodeType.Is(types.NodeTypeIt) {
			fmt.Fprintf(&lines, "took %.0f %s\n", s.RunTime.Seconds(), on)
		}
	}
	Expect(os.WriteFile(path, []byte(lines.String()), 0o644)).To(Succeed())
})

// iscsiRecords is a link in the guest to where its open-iscsi has its records:
// /var/lib/iscsi since Debian 13.
const iscsiRecords = "/run/iscsi-records"

// prepare makes the guest ready for the first time after it was booted.
func prepare(ctx context.Context) {
	GinkgoHelper()
	// A program that starts from the share is read anew each time, which takes seconds.
	sh(ctx, withoutMultipath+`mkdir -p /mnt /srv/images /usr/local/bin && cp /host/volreconciler /usr/local/bin/volreconciler
		if grep -q /var/lib/iscsi/nodes "$(command -v iscsiadm)"; then records=/var/lib/iscsi; else records=/etc/iscsi; fi
		ln -sfn $records `+iscsiRecords+`
		mkdir -p /etc/volreconciler/secrets && chmod 700 /etc/volreconciler/secrets`)
	for name, password := range secrets {
		secret(ctx, name, password)
	}
}

// reset takes everything down, ours or not, so that a spec starts with an empty
// volume group vg0 and nothing exported.
func reset(ctx context.Context) {
	GinkgoHelper()
	sh(ctx, `
		umount -l /mnt
		`+endAgent+`while pgrep -x lvm >/dev/null; do sleep 0.1; done
		`+resetNVMe+resetFC+`
		iscsiadm -m node -u; rm -rf `+iscsiRecords+`/nodes `+iscsiRecords+`/send_targets
		`+resetLIO+resetTGT+`
		for i in $(seq 100); do # what udev looks at in just that moment stays
			dmsetup remove_all --noudevsync; dmsetup ls | grep -q '(' || break; sleep 0.1
		done
		rm -rf /dev/vg0 /dev/vg1
		rm -rf /specs /srv/images /var/lib/volreconciler /run/volreconciler /etc/lvm/archive /etc/lvm/backup
		mkdir -p /specs /srv/images
	`)
	for _, disk := range machine.Disks {
		Expect(disk.Empty()).To(Succeed())
	}
	sh(ctx, "set -e; blockdev --flushbufs /dev/vda; blockdev --flushbufs /dev/vdb; vgcreate -qq vg0 /dev/vda")
	Expect(sh(ctx, `ls /sys/kernel/config/target/iscsi 2>/dev/null | grep iqn
		ls -d /sys/kernel/config/target/fc/*:* /sys/kernel/config/nvmet/*/* 2>/dev/null; true`)).To(BeEmpty())
	Expect(sh(ctx, "lvs --noheadings")).To(BeEmpty())
}

// resetLIO takes down the iSCSI targets that there are, and all backstores.
const resetLIO = `
	cd /sys/kernel/config/target 2>/dev/null && {
		for tpg in iscsi/iqn*/tpgt_*; do echo 0 > $tpg/enable; done
		find iscsi/*/tpgt_*/acls iscsi/*/tpgt_*/lun -type l -delete
		rmdir iscsi/*/tpgt_*/acls/*/lun_* iscsi/*/tpgt_*/acls/* iscsi/*/tpgt_*/lun/lun_* iscsi/*/tpgt_*/np/* iscsi/*/tpgt_* iscsi/iqn*
		rmdir core/iblock_*/* core/iblock_*
	}
`
