package guest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
)

const emulator = "qemu-system-x86_64"

// emulated is a machine that QEMU emulates, or runs with KVM.
type emulated struct{ accelerator accelerator }

func (emulated) name() string { return "qemu" }

// command is QEMU's command line.
func (e emulated) command(root string, kernel debian.Kernel, config Config) []string {
	cpus := config.CPUs
	if cpus == 0 {
		cpus = e.accelerator.cpus()
	}
	args := []string{
		emulator,
		"-machine", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-m", strconv.Itoa(config.MemoryMiB),
		"-smp", strconv.Itoa(cpus),
		"-kernel", kernel.Image,
		"-initrd", "/proc/self/fd/" + strconv.Itoa(initrdFD),
		"-append", strings.Join(kernelOptions, " "),
		"-serial", "stdio",
		"-device", "virtio-serial-pci",
		"-chardev", "socket,id=agent,fd=" + strconv.Itoa(agentFD),
		"-device", "virtserialport,chardev=agent,name=agent",
	}
	args = append(args, folder("root", root, true)...)
	args = append(args, folder("kernel", kernel.Dir, true)...)
	args = append(args, e.accelerator.arguments()...)
	if config.Share != "" {
		args = append(args, folder("host", config.Share, false)...)
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

func (emulated) environment(debian.Kernel, Config) []string { return nil }

func (emulated) pin() (*pin, error) { return nil, nil }

// folder shares a folder of the host over 9p. Without multidevs=remap inode numbers of
// several host file systems collide, and mounts in the guest land on the wrong
// directory.
func folder(tag, path string, readOnly bool) []string {
	option := ""
	if readOnly {
		option = "readonly=on,"
	}
	return []string{
		"-fsdev", "local,id=" + tag + ",security_model=none," + option + "multidevs=remap,path=" + escape(path),
		"-device", "virtio-9p-pci,fsdev=" + tag + ",mount_tag=" + tag,
	}
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
