package guest_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/volreconciler/volreconciler/test/guest"
)

const (
	bootTime    = 5 * time.Minute
	firstTime   = 20 * time.Minute // the guest's root has to be made
	commandTime = time.Minute
)

// needGuest skips specs that boot a machine unless that is asked for.
func needGuest() {
	if os.Getenv("VOLRECONCILER_GUEST") == "" {
		Skip("boots virtual machines: set VOLRECONCILER_GUEST=1 to run it")
	}
}

func newDisk() guest.Disk {
	return guest.Disk{Path: filepath.Join(GinkgoT().TempDir(), "data.raw"), Size: 256 << 20}
}

// sh runs a script that has to succeed and returns what it printed.
func sh(ctx context.Context, machine *guest.Machine, script string) string {
	GinkgoHelper()
	result, err := machine.Sh(ctx, script)
	Expect(err).NotTo(HaveOccurred())
	Expect(result.ExitCode).To(BeZero(), "%s\n%s", result.Stdout, result.Stderr)
	return result.Stdout
}

var _ = Describe("a machine", Ordered, func() {
	var (
		machine *guest.Machine
		share   string
	)

	BeforeAll(func(ctx SpecContext) {
		needGuest()
		share = GinkgoT().TempDir()
		var err error
		machine, err = guest.Start(ctx, guest.Config{Disks: []guest.Disk{newDisk()}, Share: share})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(machine.PowerCut)
	}, NodeTimeout(firstTime))

	It("returns output and exit status", func(ctx SpecContext) {
		Expect(machine.Sh(ctx, "echo out; echo err >&2; exit 7")).
			To(Equal(guest.Result{Stdout: "out\n", Stderr: "err\n", ExitCode: 7}))
	}, SpecTimeout(commandTime))

	It("counts a signal as 128 and its number", func(ctx SpecContext) {
		Expect(machine.Sh(ctx, "kill -KILL $$")).To(HaveField("ExitCode", 128+9))
	}, SpecTimeout(commandTime))

	It("fails for a command that does not exist", func(ctx SpecContext) {
		_, err := machine.Run(ctx, "no-such-command")
		Expect(err).To(MatchError(ContainSubstring("not found")))
	}, SpecTimeout(commandTime))

	It("gives a command its input, environment and directory", func(ctx SpecContext) {
		var out strings.Builder
		status, err := machine.Exec(ctx, guest.Command{
			Argv:   []string{"sh", "-c", `cat; echo "$WORD"; pwd`},
			Stdin:  []byte("from the host\n"),
			Env:    []string{"WORD=word"},
			Dir:    "/etc",
			Stdout: &out,
		})
		Expect(err).NotTo(HaveOccurred())
		Expect(status).To(BeZero())
		Expect(out.String()).To(Equal("from the host\nword\n/etc\n"))
	}, SpecTimeout(commandTime))

	It("delivers much output completely", func(ctx SpecContext) {
		Expect(sh(ctx, machine, "head -c 3000000 /dev/zero | tr '\\0' x")).To(HaveLen(3000000))
	}, SpecTimeout(commandTime))

	It("runs commands side by side", func(ctx SpecContext) {
		waiting := make(chan error, 1)
		go func() {
			_, err := machine.Sh(ctx, "until [ -e /run/second ]; do sleep 0.1; done")
			waiting <- err
		}()
		sh(ctx, machine, "touch /run/second")
		Eventually(ctx, waiting).Should(Receive(BeNil()))
	}, SpecTimeout(commandTime))

	It("kills a command whose context ends, and its children", func(ctx SpecContext) {
		limited, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		_, err := machine.Sh(limited, "sleep 4321 & sleep 4321")
		Expect(err).To(MatchError(context.DeadlineExceeded))
		Expect(machine.Run(ctx, "pgrep", "-f", "sleep 4321")).To(HaveField("ExitCode", 1))
	}, SpecTimeout(commandTime))

	It("does not wait for a daemon that holds the output open, nor kill it", func(ctx SpecContext) {
		Expect(sh(ctx, machine, "(sleep 2; /bin/echo more && touch /run/survived) & echo started")).To(Equal("started\n"))
		Expect(machine.Run(ctx, "ls", "/run/survived")).To(HaveField("ExitCode", 2), "the command was waited for")
		Eventually(ctx, func() (guest.Result, error) { return machine.Run(ctx, "ls", "/run/survived") }).
			WithTimeout(commandTime / 2).Should(HaveField("ExitCode", 0))
	}, SpecTimeout(commandTime))

	It("reaps orphans", func(ctx SpecContext) {
		sh(ctx, machine, "for i in 1 2 3; do setsid sh -c 'sleep 0.2 & sleep 0.1' & done")
		Eventually(ctx, func() string { return sh(ctx, machine, "ps -eo stat= | grep -c '^Z' || true") }).
			Should(Equal("0\n"))
	}, SpecTimeout(commandTime))

	It("shares a directory with the host, both ways", func(ctx SpecContext) {
		Expect(os.WriteFile(filepath.Join(share, "in"), []byte("first"), 0o644)).To(Succeed())
		Expect(sh(ctx, machine, "cat /host/in")).To(Equal("first"))
		Expect(os.WriteFile(filepath.Join(share, "in"), []byte("second"), 0o644)).To(Succeed())
		Expect(sh(ctx, machine, "cat /host/in; echo out > /host/out")).To(Equal("second"))
		Expect(os.ReadFile(filepath.Join(share, "out"))).To(Equal([]byte("out\n")))
	}, SpecTimeout(commandTime))

	It("has its disks, LVM and the kernel's target", func(ctx SpecContext) {
		sh(ctx, machine, useStorage)
	}, SpecTimeout(commandTime))
})

const useStorage = `set -e
	[ $(readlink -f /dev/disk/by-id/virtio-data) = $(readlink -f /dev/vda) ]
	vgcreate -qq vg0 /dev/vda
	lvcreate -qq -y --type thin-pool -L 64m -n pool vg0
	lvcreate -qq -y -V 1g -T vg0/pool -n thin
	test -b /dev/vg0/thin
	mkdir -p /sys/kernel/config/target/core/iblock_0/thin
	rmdir /sys/kernel/config/target/core/iblock_0/thin
	vgremove -qq -ff -y vg0`

var _ = Describe("the User-mode Linux that is taken last", func() {
	It("has disks, LVM and the kernel's target", func(ctx SpecContext) {
		needGuest()
		chosen, err := guest.Chosen(ctx)
		Expect(err).NotTo(HaveOccurred())
		if chosen != guest.UserMode {
			Skip("User-mode Linux does not work here, or another kernel was chosen")
		}
		machine, err := guest.Start(ctx, guest.Config{Kernel: guest.UserMode6_1, Disks: []guest.Disk{newDisk()}})
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(machine.PowerCut)
		Expect(sh(ctx, machine, "uname -r")).To(HavePrefix("6.1."))
		sh(ctx, machine, useStorage)
	}, NodeTimeout(firstTime))
})

var _ = Describe("the end of a machine", Ordered, func() {
	// Each spec ends the machine and starts the one that the next spec finds,
	// on the same disk, because a boot is what takes time.
	var (
		config  guest.Config
		machine *guest.Machine
	)

	BeforeAll(func(ctx SpecContext) {
		needGuest()
		config = guest.Config{Disks: []guest.Disk{newDisk()}}
		var err error
		machine, err = guest.Start(ctx, config)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func() { machine.PowerCut() })
		sh(ctx, machine, "mkfs.ext4 -q /dev/vda")
	}, NodeTimeout(firstTime))

	const (
		mount     = "mkdir -p /mnt && mount /dev/vda /mnt"
		recovered = "recovery complete" // ext4, after an end without an unmount
	)

	It("by a power cut leaves flushed data on the disk, and nothing else", func(ctx SpecContext) {
		sh(ctx, machine, mount+" && echo flushed > /mnt/file && sync && touch /run/lost")
		machine.PowerCut()
		Expect(machine.Done()).To(BeClosed())

		var err error
		machine, err = guest.Start(ctx, config)
		Expect(err).NotTo(HaveOccurred())
		Expect(sh(ctx, machine, mount+" && cat /mnt/file")).To(Equal("flushed\n"))
		Expect(sh(ctx, machine, "dmesg")).To(ContainSubstring(recovered))
		Expect(machine.Run(ctx, "ls", "/run/lost")).To(HaveField("ExitCode", 2))
	}, SpecTimeout(bootTime))

	It("by a reboot is a clean one for file systems in use", func(ctx SpecContext) {
		sh(ctx, machine, "(cd /mnt && exec sleep 1234) >/dev/null 2>&1 & echo unflushed > /mnt/file")
		first := machine

		var err error
		machine, err = first.Reboot(ctx)
		Expect(err).NotTo(HaveOccurred())
		Expect(first.Done()).To(BeClosed())
		Expect(sh(ctx, machine, mount+" && cat /mnt/file")).To(Equal("unflushed\n"))
		Expect(sh(ctx, machine, "dmesg")).NotTo(ContainSubstring(recovered))
	}, SpecTimeout(bootTime))

	It("by a panic shows the console", func(ctx SpecContext) {
		_, err := machine.Sh(ctx, "echo c > /proc/sysrq-trigger")
		Expect(err).To(MatchError(ContainSubstring("Kernel panic")))
		Eventually(ctx, machine.Done()).Should(BeClosed())
		_, err = machine.Run(ctx, "true")
		Expect(err).To(HaveOccurred())
	}, SpecTimeout(commandTime))
})

var _ = Describe("a machine that does not start", func() {
	BeforeEach(needGuest)

	It("is given up after the boot timeout", func(ctx SpecContext) {
		_, err := guest.Start(ctx, guest.Config{BootTimeout: time.Millisecond})
		Expect(err).To(MatchError(And(ContainSubstring("not up after 1ms"), ContainSubstring("console"))))
	}, SpecTimeout(firstTime))

	It("is given up with the context", func(ctx SpecContext) {
		_, err := guest.Prepare(ctx, guest.Config{})
		Expect(err).NotTo(HaveOccurred())
		limited, cancel := context.WithTimeout(ctx, time.Millisecond)
		defer cancel()
		_, err = guest.Start(limited, guest.Config{})
		Expect(err).To(MatchError(context.DeadlineExceeded))
	}, SpecTimeout(firstTime))

	It("shows why", func(ctx SpecContext) {
		_, err := guest.Start(ctx, guest.Config{Share: "/no/such/directory"})
		Expect(err).To(MatchError(ContainSubstring("/no/such/directory")))
	}, SpecTimeout(firstTime))
})
