package debian

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// The source that our own User-mode Linux is built from.
const (
	kernelSource        = "linux-source-7.2"
	kernelSourceVersion = "7.2.12-1"
	anyKernelSource     = `^linux-source-[0-9.]+$`
)

// buildConfig is what our own kernel has; everything else is left out, so that it is
// built in a few minutes.
const buildConfig = "uml.config"

// BuildKernel builds our own User-mode Linux, if the cache does not have it: with
// NVMe, RDMA and Fibre Channel over Ethernet, a static program. It takes about four minutes of two cores.
func BuildKernel(ctx context.Context) (Kernel, error) {
	own, err := ownDir()
	if err != nil {
		return Kernel{}, err
	}
	dir, err := made(ctx, filepath.Base(own), "building User-mode Linux with NVMe: some minutes", func(dir string) error {
		return build(ctx, dir)
	})
	if err != nil {
		return Kernel{}, fmt.Errorf("build User-mode Linux: %w", err)
	}
	return userModeIn(dir)
}

func ownDir() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	key, err := keyOf([]string{"build.go", "uml.config"})
	return filepath.Join(cache, "kernel-own-"+key), err
}

// notBuilt are sources of drivers that the configuration leaves out. What configures
// them has to be there.
var notBuilt = []string{
	"*/Documentation/*/*", "*/drivers/gpu/*.[ch]", "*/drivers/net/ethernet/*.[ch]", "*/drivers/net/wireless/*.[ch]",
	"*/drivers/media/*.[ch]", "*/drivers/staging/*.[ch]", "*/sound/*.[ch]", "*/arch/*.dts*",
}

func build(ctx context.Context, dir string) error {
	archive, err := openArchive(ctx, filepath.Join(dir, "apt"), Testing)
	if err != nil {
		return err
	}
	name, err := sourcePackage(ctx, archive)
	if err != nil {
		return err
	}
	unpacked := filepath.Join(dir, "unpacked")
	if err := os.Mkdir(unpacked, 0o755); err != nil {
		return err
	}
	if err := archive.unpack(ctx, name, unpacked); err != nil {
		return err
	}
	config, err := recipes.ReadFile(buildConfig)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "config"), config, 0o644); err != nil {
		return err
	}
	exclude := ""
	for _, pattern := range notBuilt {
		exclude += " --exclude='" + pattern + "'"
	}
	// A build by hand would be the same five lines.
	_, err = output(ctx, "sh", "-c", `set -e; cd "$1"; exec >&2
		tar -xf unpacked/usr/src/linux-source-*.tar.xz --one-top-level=source --strip-components=1`+exclude+`
		cd source
		make -s ARCH=um KCONFIG_ALLCONFIG=../config allnoconfig >/dev/null
		# An option that does not exist, or needs another, is dropped without a word.
		grep -E '^CONFIG_[A-Z0-9_]+=[ym]$' ../config | while read -r line; do
			grep -qx "$line" .config || { echo "the configuration lost $line"; exit 1; }
		done
		make -s ARCH=um -j`+strconv.Itoa(runtime.NumCPU())+` linux modules
		mkdir -p ../usr/lib; ln -s usr/lib ../lib
		make -s ARCH=um INSTALL_MOD_PATH="$1" INSTALL_MOD_STRIP=1 modules_install
		rm -f ../usr/lib/modules/*/build ../usr/lib/modules/*/source
		strip -o ../linux linux`, "sh", dir)
	return errors.Join(err, os.RemoveAll(filepath.Join(dir, "source")), os.RemoveAll(unpacked), os.RemoveAll(archive.dir))
}

// sourcePackage is the pinned source, or the newest that Debian testing has.
func sourcePackage(ctx context.Context, archive *archive) (string, error) {
	names, err := archive.names(ctx, anyKernelSource)
	if err != nil {
		return "", err
	}
	if slices.Contains(names, kernelSource) {
		version, err := archive.pinned(ctx, kernelSource, kernelSourceVersion)
		return kernelSource + "=" + version, err
	}
	if len(names) == 0 {
		return "", fmt.Errorf("no package like %s in Debian %s", kernelSource, archive.suite)
	}
	newest := slices.MaxFunc(names, compareVersions)
	versions, err := archive.versions(ctx, newest)
	if err != nil {
		return "", err
	}
	return newest + "=" + archive.instead(kernelSource, kernelSourceVersion, newest, versions[0]), nil
}

// compareVersions orders names that end in a version by its numbers.
func compareVersions(a, b string) int {
	return slices.Compare(versionNumbers(a), versionNumbers(b))
}

func versionNumbers(name string) []int {
	var numbers []int
	for part := range strings.SplitSeq(name[strings.LastIndex(name, "-")+1:], ".") {
		n, _ := strconv.Atoi(part)
		numbers = append(numbers, n)
	}
	return numbers
}
