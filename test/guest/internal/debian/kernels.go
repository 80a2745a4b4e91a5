package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

// Kernel is a kernel in the cache.
type Kernel struct {
	// Dir is to be laid over a user space: it holds usr/lib/modules.
	Dir string
	// Version is the release of the kernel, as uname -r prints it.
	Version string
	// Image is what an emulator boots: a kernel that is not compressed. An emulated
	// processor spends seconds on unpacking one, the host's a fraction of one, once.
	// Empty for User-mode Linux.
	Image string
	// Program is User-mode Linux. It is to be started in Dir, with libraries of
	// [Kernel.Libraries].
	Program string
}

// Libraries is where Program looks for its libraries first.
func (k Kernel) Libraries() string { return filepath.Join(k.Dir, "libc") }

// unneeded are modules that nothing in a guest uses: most of all.
var unneeded = []string{
	"*/kernel/sound/*",
	"*/kernel/drivers/gpu/*",
	"*/kernel/drivers/media/*",
	"*/kernel/drivers/staging/*",
	"*/kernel/drivers/iio/*",
	"*/kernel/drivers/net/wireless/*",
	"*/kernel/drivers/net/ethernet/*",
	"*/kernel/drivers/usb/*",
	"./usr/share/*",
}

// EmulatorKernel returns the kernel of a Debian release, for an emulator or KVM,
// and makes it if it is not in the cache.
func EmulatorKernel(ctx context.Context, suite Suite) (Kernel, error) {
	key, err := keyOf([]string{"kernels.go", "bzimage.go"}, string(suite))
	if err != nil {
		return Kernel{}, err
	}
	dir, err := made(ctx, "kernel-"+string(suite)+"-"+key, "fetching the kernel of Debian "+string(suite), func(dir string) error {
		return fetchEmulatorKernel(ctx, dir, suite)
	})
	if err != nil {
		return Kernel{}, fmt.Errorf("make the kernel of Debian %s: %w", suite, err)
	}
	version, err := onlyVersion(dir)
	return Kernel{Dir: dir, Version: version, Image: filepath.Join(dir, uncompressed)}, err
}

// uncompressed is where an emulator's kernel lies in its folder.
const uncompressed = "vmlinux"

var (
	imagePackage   = regexp.MustCompile(`^linux-image-\d.*-amd64$`)
	modulesPackage = regexp.MustCompile(`^linux-modules-\d.*-amd64$`)
)

func fetchEmulatorKernel(ctx context.Context, dir string, suite Suite) error {
	if err := mergeUsr(dir); err != nil {
		return err
	}
	archive, err := openArchive(ctx, filepath.Join(dir, "apt"), suite)
	if err != nil {
		return err
	}
	// linux-image-amd64 depends on the newest kernel of the suite, and that, in newer
	// releases, on its modules.
	depends, err := archive.field(ctx, "linux-image-amd64", "Depends")
	if err != nil {
		return err
	}
	for pattern := range slices.Values([]*regexp.Regexp{imagePackage, modulesPackage}) {
		name := dependency(depends, pattern)
		if name == "" {
			break
		}
		if err := archive.unpack(ctx, name, dir, unneeded...); err != nil {
			return err
		}
		if depends, err = archive.field(ctx, name, "Depends"); err != nil {
			return err
		}
	}
	version, err := onlyVersion(dir)
	if err != nil {
		return err
	}
	image, err := os.ReadFile(filepath.Join(dir, "boot/vmlinuz-"+version))
	if err != nil {
		return err
	}
	kernel, err := decompressKernel(ctx, image)
	if err != nil {
		return err
	}
	_, err = output(ctx, "depmod", "-b", dir, version)
	return errors.Join(err,
		os.WriteFile(filepath.Join(dir, uncompressed), kernel, 0o644),
		os.RemoveAll(filepath.Join(dir, "apt")), os.RemoveAll(filepath.Join(dir, "boot")))
}

// onlyVersion returns the name of the only folder of modules.
func onlyVersion(dir string) (string, error) {
	found, err := filepath.Glob(filepath.Join(dir, "usr/lib/modules/*"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("want the modules of one kernel in %s, found %q", dir, found)
	}
	return filepath.Base(found[0]), nil
}

// mergeUsr makes the links of a merged /usr before anything is unpacked.
func mergeUsr(dir string) error {
	for _, name := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.MkdirAll(filepath.Join(dir, "usr", name), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+name, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
