package guest

import (
	"context"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/test/guest/internal/debian"
)

// accelerator is how an emulator's processor is had.
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

// cpus is how many processors are best.
func (a accelerator) cpus() int {
	if a == kvm {
		return 2
	}
	return 1
}

// chooseAccelerator takes KVM only where it has booted a guest: in many nested
// set-ups the device is there, but using it fails an assertion of QEMU or
// hangs.
func chooseAccelerator(ctx context.Context, root string, kernel debian.Kernel) (accelerator, error) {
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
	works, err := found(ctx, "kvm", func() bool {
		machine, err := start(ctx, emulated{kvm}, root, kernel, Config{BootTimeout: kvmProbeTimeout})
		if err != nil {
			return false
		}
		machine.PowerCut()
		return true
	})
	if works {
		return kvm, err
	}
	return tcg, err
}

func usable(device string) bool { return unix.Access(device, unix.R_OK|unix.W_OK) == nil }
