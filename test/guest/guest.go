// Package guest boots a throw-away machine with a real Linux kernel,
// LVM and the kernel's storage targets, and runs commands in it.
//
// The machine consists of Debian packages alone; nothing of it is
// installed on the host, and nothing that happens in it outlives it but its
// disks. It is no isolation for hostile code, and it has no network.
//
// Start reading at [Start]. choice.go chooses between User-mode Linux, where the
// kernel is a process of the host (uml.go), and an emulator (qemu.go). initrd.go makes
// what both boot from, the program that is PID 1 inside is in the folder init, and
// internal/debian makes kernels and user spaces. Command cmd/guest is the same for a
// terminal.
package guest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
	"github.com/volreconciler/volreconciler/test/guest/internal/handover"
	"github.com/volreconciler/volreconciler/test/guest/internal/wire"
)

// Config describes a machine. The zero value is a machine without disks.
type Config struct {
	// Disks become /dev/vda, /dev/vdb, … in this order.
	Disks []Disk
	// Share is a directory of the host that the guest has at /host, to read
	// and to write. inotify does not work across it. Empty: none.
	Share string
	// Kernel is the kernel that is booted. Default: what the variable GUEST says, or
	// [UserMode] where it works, or [Emulated].
	Kernel Kernel
	// Suite is the Debian release of the user space. Default: what the variable
	// GUEST_SUITE says, or the host's.
	Suite Suite
	// Terminal asks for a serial line for somebody's shell, see [Machine.Terminal].
	// Only User-mode Linux has one.
	Terminal bool
	// Systemd boots the guest with systemd as PID 1, which takes some seconds more.
	Systemd bool
	// KeepRoot makes the last of Disks keep what changes in the root file system, so that
	// a guest has it again after [Machine.Reboot]. The host needs mke2fs for that.
	KeepRoot bool
	// MemoryMiB is 2048 if not set.
	MemoryMiB int
	// CPUs is 2 with KVM and 1 without if not set. Two emulated processors get
	// less done than one: keeping them in step costs more than they gain. User-mode
	// Linux has one.
	CPUs int
	// BootTimeout limits the time until the guest takes commands. Default: 2
	// minutes, many times what an emulated processor needs.
	BootTimeout time.Duration
}

// Disk is a raw disk image on the host. It outlives the machine.
type Disk struct {
	// Path is the image file. [Start] creates it, sparse, if it is missing.
	Path string
	// Size in bytes; a file that is smaller grows to it.
	Size int64
	// Serial makes /dev/disk/by-id/virtio-<Serial>. Default: the file's name
	// without its extension. At most 20 bytes.
	Serial string
}

// Command is a command for [Machine.Exec]. Without Stdout and Stderr its output
// is lost.
type Command = wire.Command

// Result is how a command ended.
type Result struct {
	Stdout, Stderr string
	// ExitCode is 128 plus the signal's number if a signal ended the command.
	ExitCode int
}

// Machine is a running guest. Its methods are safe for concurrent use.
type Machine struct {
	config Config
	vm     *process
	client *wire.Client
}

func (c Config) withDefaults() Config {
	if c.MemoryMiB == 0 {
		c.MemoryMiB = 2048
	}
	if c.BootTimeout == 0 {
		c.BootTimeout = 2 * time.Minute
	}
	c.Disks = append([]Disk(nil), c.Disks...)
	for i, d := range c.Disks {
		// The guest's process works in another directory.
		if path, err := filepath.Abs(d.Path); err == nil {
			c.Disks[i].Path = path
		}
		if d.Serial == "" {
			c.Disks[i].Serial = strings.TrimSuffix(filepath.Base(d.Path), filepath.Ext(d.Path))
		}
	}
	return c
}

// Start boots a guest and returns when it takes commands. What it consists of is
// fetched first if this machine does not have it yet, which takes a minute and is
// not part of the boot timeout.
//
// ctx limits the start alone. The machine runs until [Machine.Shutdown] or
// [Machine.PowerCut], and never longer than this process.
func Start(ctx context.Context, config Config) (*Machine, error) {
	config, err := config.resolve(ctx)
	if err != nil {
		return nil, err
	}
	root, err := debian.Root(ctx, debian.Suite(config.Suite))
	if err != nil {
		return nil, err
	}
	if config.Kernel.userMode() {
		return startUserMode(ctx, root, config)
	}
	kernel, err := debian.EmulatorKernel(ctx, config.Kernel.suite(config.Suite))
	if err != nil {
		return nil, err
	}
	accelerator, err := chooseAccelerator(ctx, root, kernel)
	if err != nil {
		return nil, err
	}
	return start(ctx, emulated{accelerator}, root, kernel, config)
}

func startUserMode(ctx context.Context, root string, config Config) (*Machine, error) {
	kernel, err := userModeKernel(ctx, config.Kernel)
	if err != nil {
		return nil, err
	}
	machine, err := newUserMode()
	if err != nil {
		return nil, err
	}
	m, err := start(ctx, machine, root, kernel, config)
	if err != nil {
		machine.close()
		return nil, err
	}
	go func() {
		<-m.Done()
		machine.close()
	}()
	return m, nil
}

// hardware is what a guest runs on.
type hardware interface {
	name() string
	command(root string, kernel debian.Kernel, config Config) []string
	environment(kernel debian.Kernel, config Config) []string
	// pin is nil for what does as well on any processor.
	pin() (*pin, error)
}

func start(ctx context.Context, on hardware, root string, kernel debian.Kernel, config Config) (*Machine, error) {
	config = config.withDefaults()
	program, err := buildInit(ctx)
	if err != nil {
		return nil, err
	}
	told := handover.Guest{Machine: on.name(), Root: root, Kernel: kernel.Dir, Share: config.Share, Systemd: config.Systemd}
	for _, d := range config.Disks {
		if err := d.create(); err != nil {
			return nil, err
		}
		told.Serials = append(told.Serials, d.Serial)
	}
	if n := len(config.Disks); config.KeepRoot && n > 0 {
		if err := config.Disks[n-1].format(ctx); err != nil {
			return nil, err
		}
		told.RootDisk = n
	}
	initrd, err := makeInitrd(kernel, program, told)
	if err != nil {
		return nil, err
	}
	pin, err := on.pin()
	if err != nil {
		return nil, err
	}
	vm, err := startProcess(on.command(root, kernel, config), on.environment(kernel, config), kernel.Dir, initrd, config.Terminal, pin)
	if err != nil {
		return nil, err
	}
	m := &Machine{config: config, vm: vm, client: wire.NewClient(vm.agent)}

	ctx, cancel := context.WithTimeoutCause(ctx, config.BootTimeout,
		fmt.Errorf("not up after %s", config.BootTimeout))
	defer cancel()
	select {
	case <-m.client.Ready():
		return m, nil
	case <-m.vm.done:
		err = m.vm.exitError()
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	m.PowerCut()
	return nil, m.explain(fmt.Errorf("boot the guest: %w", err))
}

func (d Disk) create() error {
	f, err := os.OpenFile(d.Path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < d.Size {
		return f.Truncate(d.Size)
	}
	return nil
}

// Empty makes a disk read as zeroes, at once, whoever has it open: discarding all of it
// from inside is slow where each request is small. What the guest has read of it, the
// guest has to forget (blockdev --flushbufs).
func (d Disk) Empty() error {
	f, err := os.OpenFile(d.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, info.Size())
}

// Terminal is our end of the guest's second serial line, which nothing in the guest
// uses by itself: its device there is [TerminalDevice]. It is nil unless
// [Config.Terminal] asked for it.
func (m *Machine) Terminal() net.Conn { return m.vm.terminal }

// TerminalDevice is the guest's end of [Machine.Terminal].
const TerminalDevice = "/dev/ttyS1"

// Run runs a command, found in the guest's PATH, and returns how it ended. An
// exit status other than 0 is no error; an error means that the command could
// not be started, that ctx ended, or that the guest is gone.
func (m *Machine) Run(ctx context.Context, argv ...string) (Result, error) {
	return m.collect(ctx, Command{Argv: argv})
}

// Sh is Run for a shell script.
func (m *Machine) Sh(ctx context.Context, script string) (Result, error) {
	return m.Run(ctx, "sh", "-c", script)
}

func (m *Machine) collect(ctx context.Context, command Command) (Result, error) {
	var stdout, stderr strings.Builder
	command.Stdout, command.Stderr = &stdout, &stderr
	exitCode, err := m.Exec(ctx, command)
	return Result{Stdout: stdout.String(), Stderr: stderr.String(), ExitCode: exitCode}, err
}

// Exec runs a command whose output is copied to its writers as it comes, and
// returns its exit status. When ctx ends, the command and the processes of its
// process group are killed.
func (m *Machine) Exec(ctx context.Context, command Command) (int, error) {
	exitCode, err := m.client.Exec(ctx, command)
	switch {
	case errors.Is(err, wire.ErrGone):
		return 0, m.explain(err)
	case err != nil && ctx.Err() == nil:
		return 0, fmt.Errorf("guest: %w", err)
	}
	return exitCode, err
}

// PowerCut ends the machine as if its plug had been pulled: what the guest had
// not written to its disks is lost. It does nothing if the machine has ended.
func (m *Machine) PowerCut() {
	m.vm.kill()
}

// Shutdown ends the machine in an orderly way: processes are stopped, file
// systems unmounted, disks flushed. If ctx ends before that is done, or after a
// minute, the power is cut and the error says so.
func (m *Machine) Shutdown(ctx context.Context) error {
	defer m.PowerCut()
	ctx, cancel := context.WithTimeout(ctx, shutdownTimeout)
	defer cancel()
	// The guest may go down before it has answered.
	_, execErr := m.client.Exec(ctx, Command{Argv: []string{"poweroff"}})
	select {
	case <-m.vm.done:
		return nil
	case <-ctx.Done():
		return m.explain(errors.Join(fmt.Errorf("shut the guest down: %w", ctx.Err()), execErr))
	}
}

// Reboot shuts the machine down and starts it again with the same
// configuration, and the same disks above all. m has ended then; the machine
// that it returns takes its place.
func (m *Machine) Reboot(ctx context.Context) (*Machine, error) {
	if err := m.Shutdown(ctx); err != nil {
		return nil, err
	}
	return Start(ctx, m.config)
}

// Done is closed when the machine has ended, for whatever reason.
func (m *Machine) Done() <-chan struct{} { return m.vm.done }

// Console returns the end of what the kernel and PID 1 have printed.
func (m *Machine) Console() string { return m.vm.console.String() }

const (
	shutdownTimeout = time.Minute

	// consoleLines is enough for a panic with its trace.
	consoleLines = 80
)

// explain adds what the console showed last to an error: for a guest that broke
// it is all that is left. The connection may end a moment before the
// process, and the console with it.
func (m *Machine) explain(err error) error {
	select {
	case <-m.vm.done:
	case <-time.After(time.Second):
	}
	return fmt.Errorf("%w\nthe console's last lines:\n%s", err, lastLines(m.Console(), consoleLines))
}
