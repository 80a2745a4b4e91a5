package guest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// accelerator is how the guest's processor is had.
type accelerator string

const (
	kvm accelerator = "kvm"
	tcg accelerator = "tcg"

	// accelVariable overrides the choice between the two.
	accelVariable = "VOLRECONCILER_GUEST_ACCEL"

	kvmDevice = "/dev/kvm"

	// kvmProbeTimeout is ample for a boot with KVM, which takes two or three
	// seconds, and short enough for one that hangs.
	kvmProbeTimeout = 20 * time.Second
)

func (a accelerator) arguments() []string {
	if a == kvm {
		return []string{"-accel", "kvm", "-cpu", "host"}
	}
	// Five levels of page tables would only be one more to walk.
	return []string{"-accel", "tcg,thread=multi", "-cpu", "max,la57=off"}
}

// chooseAccelerator takes KVM only where it has booted a guest: in many nested
// set-ups the device is there, but using it fails an assertion of QEMU or
// hangs. The finding holds until the host boots again.
func chooseAccelerator(ctx context.Context, root string) (accelerator, error) {
	switch a := accelerator(os.Getenv(accelVariable)); a {
	case "":
	case kvm, tcg:
		return a, nil
	default:
		return "", fmt.Errorf("%s=%s: want %s or %s", accelVariable, a, kvm, tcg)
	}
	if !usable(kvmDevice) {
		return tcg, nil
	}
	finding, err := kvmFinding()
	if err != nil {
		return "", err
	}
	if a, ok := readFinding(finding); ok {
		return a, nil
	}
	chosen := tcg
	err = locked(ctx, filepath.Join(filepath.Dir(finding), "kvm.lock"), func() error {
		if a, ok := readFinding(finding); ok {
			chosen = a
			return nil
		}
		machine, err := start(ctx, root, kvm, Config{BootTimeout: kvmProbeTimeout})
		if ctx.Err() != nil {
			return errors.Join(ctx.Err(), err)
		}
		if err == nil {
			machine.PowerCut()
			chosen = kvm
		}
		return os.WriteFile(finding, []byte(chosen), 0o644)
	})
	return chosen, err
}

func usable(device string) bool { return unix.Access(device, unix.R_OK|unix.W_OK) == nil }

// kvmFinding is the file that holds what was found out since the host's last
// boot.
func kvmFinding() (string, error) {
	cache, err := cacheDir()
	if err != nil {
		return "", err
	}
	bootID, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", err
	}
	return filepath.Join(cache, "kvm-"+strings.TrimSpace(string(bootID))), nil
}

func readFinding(path string) (accelerator, bool) {
	content, err := os.ReadFile(path)
	a := accelerator(content)
	return a, err == nil && (a == kvm || a == tcg)
}
