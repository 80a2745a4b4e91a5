package guest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/cavaliergopher/cpio"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
	"github.com/volreconciler/volreconciler/test/guest/internal/handover"
)

// initPackage is the program that is PID 1 in the guest.
const initPackage = "github.com/volreconciler/volreconciler/test/guest/init"

// bootModules are the kernel modules that are there from the first moment on.
// Loading them from memory takes a third of the time that modprobe needs in the
// guest. What only some tests need (nvmet, RDMA, Fibre Channel) they load
// themselves, with modprobe.
var bootModules = []string{
	"virtio_pci", "virtio_blk", "virtio_console", "9pnet_virtio", "9p", "overlay",

	// Others ask the crypto layer for these by name, of which modules.dep
	// knows nothing.
	"crc32c_generic", "crct10dif_generic",

	"configfs", "loop", "dm-mod", "dm-thin-pool", "dm-snapshot",
	"target_core_mod", "target_core_iblock", "iscsi_target_mod", "sd_mod", "iscsi_tcp",
}

// buildInit builds the guest's PID 1 from source, so that it always speaks the
// same language as this package.
func buildInit(ctx context.Context) ([]byte, error) {
	dir, err := os.MkdirTemp("", "guest-init-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	program := filepath.Join(dir, "init")
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, initPackage)
	cmd.Dir = sourceDir()
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH=amd64")
	if output, err := cmd.CombinedOutput(); ctx.Err() != nil {
		return nil, ctx.Err()
	} else if err != nil {
		return nil, fmt.Errorf("build the guest's PID 1: %w\n%s", err, output)
	}
	return os.ReadFile(program)
}

// sourceDir is where this package's source lies, so that guests can be started
// from any working directory. A program built with -trimpath does not know it
// and has to be run within the module.
func sourceDir() string {
	_, file, _, _ := runtime.Caller(0)
	dir := filepath.Dir(file)
	if info, err := os.Stat(dir); filepath.IsAbs(dir) && err == nil && info.IsDir() {
		return dir
	}
	return ""
}

// makeInitrd makes the initial RAM file system: PID 1, what it is told, and the
// kernel modules that it loads, with a list of them in order.
func makeInitrd(kernel debian.Kernel, program []byte, told handover.Guest) ([]byte, error) {
	names := bootModules
	if told.RootDisk > 0 {
		names = append(slices.Clone(names), "ext4")
	}
	files, err := kernel.ModuleFiles(names...)
	if err != nil {
		return nil, err
	}
	text, err := told.Text()
	if err != nil {
		return nil, err
	}
	archive := newArchive()
	archive.add("init", cpio.TypeReg|0o755, program)
	archive.add(strings.TrimPrefix(handover.File, "/"), cpio.TypeReg|0o644, text)
	archive.add("modules", cpio.TypeDir|0o755, nil)
	var list strings.Builder
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		name := filepath.Base(file)
		archive.add("modules/"+name, cpio.TypeReg|0o644, content)
		list.WriteString(name + "\n")
	}
	archive.add("modules/list", cpio.TypeReg|0o644, []byte(list.String()))
	return archive.bytes()
}

// archive is a cpio archive in memory. Its first error is kept until the end.
type archive struct {
	buffer *bytes.Buffer
	writer *cpio.Writer
	err    error
}

func newArchive() *archive {
	var buffer bytes.Buffer
	return &archive{buffer: &buffer, writer: cpio.NewWriter(&buffer)}
}

func (a *archive) add(name string, mode cpio.FileMode, content []byte) {
	if a.err != nil {
		return
	}
	a.err = a.writer.WriteHeader(&cpio.Header{Name: name, Mode: mode, Size: int64(len(content))})
	if a.err == nil {
		_, a.err = a.writer.Write(content)
	}
}

func (a *archive) bytes() ([]byte, error) {
	if a.err != nil {
		return nil, a.err
	}
	if err := a.writer.Close(); err != nil {
		return nil, err
	}
	return a.buffer.Bytes(), nil
}
