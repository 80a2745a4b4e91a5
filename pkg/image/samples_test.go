package image

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// sample has qemu-img make an image of 1 MiB with a little data, or what args say.
func sample(dir, name string, args ...string) (string, error) {
	disk := filepath.Join(dir, "disk.raw")
	data := make([]byte, 1<<20)
	copy(data[64<<10:], "some data")
	if err := os.WriteFile(disk, data, 0o600); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	cmd := exec.Command("qemu-img", append(append([]string{"convert", "-f", "raw"}, args...), disk, path)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%v (install qemu-utils): %w: %s", cmd.Args, err, out)
	}
	return path, nil
}

// samples are whole images, by what qemu-img is to be told.
var samples = map[string]struct {
	args   []string
	format Format
}{
	"v3.qcow2":         {[]string{"-O", "qcow2"}, QCOW2},
	"v2.qcow2":         {[]string{"-O", "qcow2", "-o", "compat=0.10"}, QCOW2},
	"compressed.qcow2": {[]string{"-O", "qcow2", "-c"}, QCOW2},
	"zstd.qcow2":       {[]string{"-O", "qcow2", "-c", "-o", "compression_type=zstd"}, QCOW2},
	"subcluster.qcow2": {[]string{"-O", "qcow2", "-o", "extended_l2=on,cluster_size=128k"}, QCOW2},
	"small.qcow2":      {[]string{"-O", "qcow2", "-o", "cluster_size=512"}, QCOW2},
	"sparse.vmdk":      {[]string{"-O", "vmdk"}, VMDK},
	"stream.vmdk":      {[]string{"-O", "vmdk", "-o", "subformat=streamOptimized"}, VMDK},
	"dynamic.vhdx":     {[]string{"-O", "vhdx"}, VHDX},
	"fixed.vhdx":       {[]string{"-O", "vhdx", "-o", "subformat=fixed"}, VHDX},
	"disk":             {[]string{"-O", "raw"}, Raw},
}
