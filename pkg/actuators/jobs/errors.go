package jobs

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// classify says what the error of a device means, where that is known.
func classify(err error) error {
	if errors.Is(err, blockcopy.ErrBlockSize) {
		return fmt.Errorf("%w: %w. Partition tables and file systems depend on the block size; "+
			"use a Pool on disks with the block size of the source", change.ErrUnsupported, err)
	}
	for errno, means := range map[error]error{
		unix.ENOSPC: change.ErrNoSpace, unix.EBUSY: change.ErrInUse,
		unix.EOPNOTSUPP: change.ErrUnsupported, blockcopy.ErrSize: change.ErrStale,
	} {
		if errors.Is(err, errno) && !errors.Is(err, means) {
			return fmt.Errorf("%w: %w", means, err)
		}
	}
	return err
}

// newStaleError returns an error that is [change.ErrStale].
func newStaleError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", change.ErrStale, fmt.Sprintf(format, args...))
}

// newInUseError returns an error that is [change.ErrInUse].
func newInUseError(lv observe.LogicalVolume) error {
	return fmt.Errorf("%w: %s is open on this node (see lsof %s)", change.ErrInUse, lv.FullName(), lv.Path())
}

// newSourceError returns an error that is [change.ErrSource].
func newSourceError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", change.ErrSource, fmt.Sprintf(format, args...))
}
