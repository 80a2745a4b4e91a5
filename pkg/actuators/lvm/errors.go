package lvm

import (
	"errors"
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
)

// meanings are parts of LVM's messages, and what they mean. The first that
// matches is used. Each was seen with LVM 2.03.16; the sources of 2.03.40 have the
// same.
var meanings = []struct {
	text  string
	means error
}{
	{"insufficient free space", change.ErrNoSpace},
	{"Insufficient free space", change.ErrNoSpace},
	{"Insufficient suitable", change.ErrNoSpace},
	{"Not enough space", change.ErrNoSpace},
	{"reached threshold", change.ErrNoSpace},             // data or metadata of a thin pool
	{"too large for circular buffer", change.ErrNoSpace}, // the metadata of the volume group
	{" in use.", change.ErrInUse},                        // also: contains a filesystem in use
	{"is used by another device", change.ErrInUse},
	{"not deactivating", change.ErrInUse},              // a thick origin with an open snapshot
	{"Failed to find logical volume", change.ErrStale}, // lvchange, lvremove, lvs
	{"not found in volume group", change.ErrStale},     // lvextend
	{"not found in Volume group", change.ErrStale},     // origin, thin pool
	{"Cannot process volume group", change.ErrStale},   // the volume group itself
	{"activation filter", change.ErrUnsupported},       // lvcreate, of what it cannot clear then
}

// classify says what the error of an LVM command means, where that is known.
func classify(err error) error {
	var cmd *host.CommandError
	if !errors.As(err, &cmd) || cmd.ExitCode != host.LVMFailed {
		return err
	}
	for _, m := range meanings {
		if strings.Contains(cmd.Stderr, m.text) {
			return fmt.Errorf("%w: %w", m.means, err)
		}
	}
	return err
}

// isAlreadyExists reports whether lvcreate found the name taken.
func isAlreadyExists(err error) bool { return failedWith(err, "already exists in ") }

// isLargeEnough reports whether lvextend found nothing to extend.
func isLargeEnough(err error) bool {
	return failedWith(err, "matches existing size") ||
		failedWith(err, "not larger than existing size") ||
		failedWith(err, "No size change") // later versions only print the above
}

func failedWith(err error, text string) bool {
	var cmd *host.CommandError
	return errors.As(err, &cmd) && cmd.ExitCode == host.LVMFailed && strings.Contains(cmd.Stderr, text)
}

// outputContains reports whether the output of a successful command contains a text.
func outputContains(out host.Output, text string) bool {
	return strings.Contains(string(out.Stdout), text)
}

// newInUseError returns an error that is [change.ErrInUse].
func newInUseError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", change.ErrInUse, fmt.Sprintf(format, args...))
}

// newStaleError returns an error that is [change.ErrStale].
func newStaleError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", change.ErrStale, fmt.Sprintf(format, args...))
}
