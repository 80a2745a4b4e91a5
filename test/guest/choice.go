package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
)

// Kernel is one of the kernels that a guest can have, and with it what it runs on.
type Kernel string

const (
	// UserMode is the newest kernel, as User-mode Linux: ten times as fast as an
	// emulator. It has NVMe, RDMA and Fibre Channel only once [BuildKernel] has built it.
	UserMode Kernel = "uml"
	// UserMode6_1 is that of Debian 12, which [UserMode] falls back to: it has none of
	// these, and starts a process in several times the time.
	UserMode6_1 Kernel = "uml-6.1"
	// Emulated is the kernel of the guest's own suite, in QEMU.
	Emulated Kernel = "qemu"
	// Linux6_1 is the kernel of Debian 12, in QEMU.
	Linux6_1 Kernel = "6.1"
	// Linux6_12 is the kernel of Debian 13, in QEMU.
	Linux6_12 Kernel = "6.12"
	// LinuxTesting is the kernel of Debian testing, in QEMU.
	LinuxTesting Kernel = "testing"
)

// Kernels lists them.
var Kernels = []Kernel{UserMode, UserMode6_1, Emulated, Linux6_1, Linux6_12, LinuxTesting}

// ParseKernel reads the name of a kernel; the empty name leaves the choice to
// [Start].
func ParseKernel(name string) (Kernel, error) {
	if name == "" {
		return "", nil
	}
	for _, k := range Kernels {
		if name == string(k) {
			return k, nil
		}
	}
	return "", fmt.Errorf("kernel %q: want one of %v", name, Kernels)
}

// userMode says whether it runs as a process of the host.
func (k Kernel) userMode() bool { return k == UserMode || k == UserMode6_1 }

// suite is the Debian release that an emulator's kernel is of.
func (k Kernel) suite(userSpace Suite) debian.Suite {
	switch k {
	case Linux6_1:
		return debian.Bookworm
	case Linux6_12:
		return debian.Trixie
	case LinuxTesting:
		return debian.Testing
	default:
		return debian.Suite(userSpace)
	}
}

// Suite is a Debian release: bookworm (12), trixie (13) or testing.
type Suite string

// ParseSuite reads the name of a suite; the empty name leaves the choice to [Start].
func ParseSuite(name string) (Suite, error) {
	if name == "" {
		return "", nil
	}
	suite, err := debian.ParseSuite(name)
	return Suite(suite), err
}

// Variables that say what guests are like of which nobody said more.
const (
	kernelVariable = "GUEST"
	suiteVariable  = "GUEST_SUITE"
)

// resolve says which kernel and which suite a guest has.
func (c Config) resolve(ctx context.Context) (Config, error) {
	if c.Suite == "" {
		suite, err := debian.ParseSuite(os.Getenv(suiteVariable))
		if err != nil {
			return c, fmt.Errorf("%s: %w", suiteVariable, err)
		}
		c.Suite = Suite(suite)
	}
	if c.Kernel == "" {
		kernel, err := ParseKernel(os.Getenv(kernelVariable))
		if err != nil {
			return c, fmt.Errorf("%s: %w", kernelVariable, err)
		}
		c.Kernel = kernel
	}
	if c.Kernel == "" {
		works, err := userModeWorks(ctx, c.Suite)
		if err != nil {
			return c, err
		}
		c.Kernel = Emulated
		if works {
			c.Kernel = UserMode
		}
	}
	return c, nil
}

// Prepare fetches what guests of this configuration consist of, so that starting one
// takes no longer than a boot.
func Prepare(ctx context.Context, config Config) (root string, err error) {
	if config, err = config.resolve(ctx); err != nil {
		return "", err
	}
	if root, err = debian.Root(ctx, debian.Suite(config.Suite)); err != nil {
		return "", err
	}
	if config.Kernel.userMode() {
		_, err = userModeKernel(ctx, config.Kernel)
	} else {
		_, err = debian.EmulatorKernel(ctx, config.Kernel.suite(config.Suite))
	}
	return root, err
}

// Chosen returns the kernel of guests of which nobody said more.
func Chosen(ctx context.Context) (Kernel, error) {
	config, err := Config{}.resolve(ctx)
	return config.Kernel, err
}

// BuildKernel builds a User-mode Linux with NVMe from Debian's source, some minutes of
// all processors, if it is not in the cache. Guests have it from then on.
func BuildKernel(ctx context.Context) error {
	_, err := debian.BuildKernel(ctx)
	return err
}

// userModeKernel returns the best User-mode Linux that can be had: our own, if
// [BuildKernel] has built it, or Debian testing's, or Debian 12's.
func userModeKernel(ctx context.Context, kernel Kernel) (debian.Kernel, error) {
	if kernel == UserMode6_1 {
		return debian.UserModeKernel(ctx, debian.Bookworm)
	}
	own, built, err := debian.BuiltKernel()
	if built || err != nil {
		return own, err
	}
	suite := debian.Testing
	there, err := found(ctx, "uml-testing", func() bool {
		_, err := debian.UserModeKernel(ctx, suite)
		if err != nil && ctx.Err() == nil {
			fmt.Fprintf(os.Stderr, "guest: taking Debian 12's User-mode Linux 6.1, slower and without NVMe, RDMA and Fibre Channel: %s\n", oneLine(err))
		}
		return err == nil
	})
	if err != nil {
		return debian.Kernel{}, err
	}
	if !there {
		suite = debian.Bookworm
	}
	return debian.UserModeKernel(ctx, suite)
}

// oneLine is an error without the output of a program that failed, but for its end.
func oneLine(err error) string {
	lines := strings.Split(strings.TrimSpace(err.Error()), "\n")
	if len(lines) == 1 {
		return lines[0]
	}
	return lines[0] + ": " + lines[len(lines)-1]
}

// userModeTimeout is ample for a boot, which takes some seconds.
const userModeTimeout = time.Minute

// userModeWorks reports whether User-mode Linux boots here: containers may forbid
// what it needs of the host's kernel.
func userModeWorks(ctx context.Context, suite Suite) (bool, error) {
	root, err := debian.Root(ctx, debian.Suite(suite))
	if err != nil {
		return false, err
	}
	return found(ctx, "uml", func() bool {
		machine, err := startUserMode(ctx, root, Config{Kernel: UserMode, BootTimeout: userModeTimeout})
		if err != nil {
			fmt.Fprintln(os.Stderr, "guest: User-mode Linux does not work here, so QEMU emulates a machine, much slower:", err)
			return false
		}
		machine.PowerCut()
		return true
	})
}

// found returns what a probe finds, and remembers it until the host boots again.
func found(ctx context.Context, name string, probe func() bool) (bool, error) {
	cache, err := debian.CacheDir()
	if err != nil {
		return false, err
	}
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return false, err
	}
	finding := filepath.Join(cache, name+"-"+strings.TrimSpace(string(bootID)))
	result, known := readFinding(finding)
	if known {
		return result, nil
	}
	err = debian.Locked(ctx, filepath.Join(cache, name+".lock"), func() error {
		if result, known = readFinding(finding); known {
			return nil
		}
		result = probe()
		if ctx.Err() != nil {
			return ctx.Err()
		}
		text := "no"
		if result {
			text = "yes"
		}
		return os.WriteFile(finding, []byte(text), 0o644)
	})
	return result, err
}

func readFinding(path string) (result, known bool) {
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, false
	}
	return string(content) == "yes", string(content) == "yes" || string(content) == "no"
}
