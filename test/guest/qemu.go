package guest

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const emulator = "qemu-system-x86_64"

// File descriptors that QEMU inherits: the host's end of the guest's serial
// port, and the initial RAM file system.
const (
	agentFD  = 3
	initrdFD = 4
)

// killTimeout is how long a killed QEMU may take to end.
const killTimeout = 10 * time.Second

// arguments is QEMU's command line.
func arguments(accel accelerator, root string, config Config) []string {
	args := []string{
		"-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-m", strconv.Itoa(config.MemoryMiB),
		"-smp", strconv.Itoa(config.CPUs),
		"-kernel", filepath.Join(root, uncompressed),
		"-initrd", "/proc/self/fd/" + strconv.Itoa(initrdFD),
		"-append", strings.Join(kernelOptions, " "),
		"-serial", "stdio",
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=agent,fd=" + strconv.Itoa(agentFD),
		"-device", "virtserialport,chardev=agent,name=agent",
		// Without multidevs=remap inode numbers of several host file systems
		// collide, and mounts in the guest land on the wrong directory.
		"-fsdev", "local,id=root,security_model=none,readonly=on,multidevs=remap,path=" + escape(root),
		"-device", "virtio-9p-pci,fsdev=root,mount_tag=root",
	}
	args = append(args, accel.arguments()...)
	if config.Share != "" {
		args = append(args,
			"-fsdev", "local,id=host,security_model=none,multidevs=remap,path="+escape(config.Share),
			"-device", "virtio-9p-pci,fsdev=host,mount_tag=host")
	}
	for i, d := range config.Disks {
		args = append(args,
			// A power cut kills QEMU, not the host, so that whatever QEMU wrote
			// is safe in the host's page cache: there is no need to wait for
			// the host's disk at each of the guest's many flushes.
			"-drive", fmt.Sprintf("if=none,id=disk%d,format=raw,cache=unsafe,discard=unmap,detect-zeroes=off,file=%s",
				i, escape(d.Path)),
			"-device", fmt.Sprintf("virtio-blk-pci,drive=disk%d,serial=%s", i, escape(d.Serial)))
	}
	return args
}

var kernelOptions = []string{
	"console=ttyS0", "quiet",
	// A panic is a reboot, which -no-reboot makes the end of QEMU. A kernel
	// that has gone wrong must not go on as if nothing had happened.
	"panic=-1", "oops=panic",
	"mitigations=off",
	// What the kernel spends a slow processor's time on without need.
	"cryptomgr.notests", "nowatchdog", "apparmor=0", "audit=0", "rcupdate.rcu_expedited=1",
	// QEMU's time stamp counter is as good as its clock. Checking one against
	// the other, like calibrating delay loops, takes time, and fails now and
	// then on a busy host.
	"tsc=reliable", "lpj=4000000",
}

// escape protects a value within an option of QEMU.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// qemu is a running emulator.
type qemu struct {
	cmd     *exec.Cmd
	console *console
	agent   net.Conn
	done    chan struct{}
	err     error // how it ended; set before done is closed
}

func startQEMU(accel accelerator, root string, initrd []byte, config Config) (*qemu, error) {
	for _, d := range config.Disks {
		if err := d.create(); err != nil {
			return nil, err
		}
	}
	initrdFile, err := memoryFile("initrd", initrd)
	if err != nil {
		return nil, err
	}
	defer func() { _ = initrdFile.Close() }()
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer func() { _ = theirs.Close() }()
	q := &qemu{
		cmd:     exec.Command(emulator, arguments(accel, root, config)...),
		console: &console{},
		agent:   ours,
		done:    make(chan struct{}),
	}
	q.cmd.Stdout, q.cmd.Stderr = q.console, q.console
	q.cmd.ExtraFiles = []*os.File{agentFD - 3: theirs, initrdFD - 3: initrdFile}
	q.cmd.SysProcAttr = &syscall.SysProcAttr{
		// A process group of its own: Ctrl-C in a terminal is for us, and the
		// guest goes down in an orderly way.
		Setpgid:   true,
		Pdeathsig: syscall.SIGKILL,
	}
	started := make(chan error)
	go q.run(started)
	if err := <-started; err != nil {
		_ = ours.Close()
		return nil, fmt.Errorf("start the emulator (hack/install-deps.sh installs it): %w", err)
	}
	return q, nil
}

// run starts QEMU and stays until it ends. The kernel sends the parent death
// signal when the thread ends that started the child, so this goroutine keeps
// its thread for as long as QEMU lives.
func (q *qemu) run(started chan<- error) {
	runtime.LockOSThread()
	err := q.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	q.err = q.cmd.Wait()
	_ = q.agent.Close()
	close(q.done)
}

// kill returns when QEMU is dead, or when it takes longer than that can take
// unless the host's kernel holds it.
func (q *qemu) kill() {
	_ = q.cmd.Process.Kill()
	select {
	case <-q.done:
	case <-time.After(killTimeout):
	}
}

// exitError says that QEMU is gone although nobody asked it to go.
func (q *qemu) exitError() error {
	if q.err != nil {
		return fmt.Errorf("%s: %w", emulator, q.err)
	}
	return errors.New("the guest went down")
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

// memoryFile is a file without a name, which nobody has to remove.
func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err := f.Write(content); err != nil {
		_ = f.Close()
		return nil, err
	}
	return f, nil
}

func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "agent"), os.NewFile(uintptr(fds[1]), "agent")
	defer func() { _ = ours.Close() }()
	conn, err := net.FileConn(ours)
	if err != nil {
		_ = theirs.Close()
		return nil, nil, err
	}
	return conn, theirs, nil
}
