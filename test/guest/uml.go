package guest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
)

// userMode is a machine in User-mode Linux: the kernel is a process of the host.
type userMode struct {
	// dir is where it keeps what others could talk to it by.
	dir string
}

func (userMode) name() string { return "uml" }

// command is the kernel's command line. Paths are no part of it but as numbers of
// files and of the host's process, because nothing in it can be quoted.
func (u userMode) command(_ string, kernel debian.Kernel, config Config) []string {
	args := []string{
		kernel.Program,
		"mem=" + strconv.Itoa(config.MemoryMiB) + "M",
		// Seccomp where the host's kernel allows it, and ptrace elsewhere.
		"seccomp=auto",
		"umid=guest", "uml_dir=" + u.dir + "/",
		"con=null", "con0=null,fd:1",
		fmt.Sprintf("ssl0=fd:%d", agentFD),
		fmt.Sprintf("initrd=/proc/self/fd/%d", initrdFD),
		"quiet", "oops=panic", "panic=-1",
		// A host of a test would otherwise be one of several paths to a namespace.
		"nvme_core.multipath=N",
	}
	if config.Terminal {
		args = append(args, fmt.Sprintf("ssl1=fd:%d", terminalFD))
	}
	for i, d := range config.Disks {
		args = append(args, fmt.Sprintf("ubd%d=%s", i, d.Path))
	}
	return args
}

// memoryDir is where the guest's memory lies, in a file that is removed at once.
const memoryDir = "/dev/shm"

// environment has User-mode Linux keep the guest's memory in the host's, if there is
// enough: a file on a disk would be written to it. What there is too little of kills
// the guest in the middle.
func (u userMode) environment(kernel debian.Kernel, config Config) []string {
	dir := u.dir
	var fs unix.Statfs_t
	if unix.Statfs(memoryDir, &fs) == nil && int64(fs.Bavail)*fs.Bsize > int64(config.MemoryMiB)<<20 {
		dir = memoryDir
	}
	return []string{"TMPDIR=" + dir, "HOME=" + u.dir, "LD_LIBRARY_PATH=" + kernel.Libraries()}
}

// newUserMode makes the folder of a machine. It goes when the machine's process ends.
func newUserMode() (userMode, error) {
	// The path of a socket in it may have 107 bytes.
	dir, err := os.MkdirTemp("/tmp", "guest-uml-")
	return userMode{dir: dir}, err
}

func (userMode) pin() (*pin, error) { return choosePin() }

func (u userMode) close() { _ = os.RemoveAll(filepath.Clean(u.dir)) }
