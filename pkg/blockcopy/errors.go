package blockcopy

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// ErrSize is the error when a source or target is smaller than the data to be
// copied. Nothing has been written then.
var ErrSize = errors.New("the target is too small")

// ErrBlockSize is the error when the logical blocks of source and target differ in size,
// where they are to be the same. Nothing has been written then.
var ErrBlockSize = errors.New("source and target have different logical block sizes")

// Error is a failed request to a device or file. Err is a [unix.Errno] for
// whatever the kernel said (EIO, ENOSPC, EBUSY), or [io.ErrUnexpectedEOF] where
// a file ended before the size that it had at the start.
type Error struct {
	Op     string // open, read, write, zero, discard, flush, map
	Path   string // as the caller gave it: tells the source from the target
	Offset int64  // in bytes; -1 where the request has none
	Length int64  // in bytes; 0 where the request has none
	Err    error
}

// Error says what was tried, where, and what was returned.
func (e *Error) Error() string {
	where := ""
	if e.Offset >= 0 {
		where = fmt.Sprintf(" at offset %d (%d bytes)", e.Offset, e.Length)
	}
	hint := ""
	switch {
	case e.Op == "open" && errors.Is(e.Err, unix.EBUSY):
		hint = ": it is open exclusively (a mount, an export, LVM); close it first"
	case e.Op == "discard" && errors.Is(e.Err, unix.EOPNOTSUPP):
		hint = ": the device does not support discard; set spec.clear: zero"
	}
	return fmt.Sprintf("%s %s%s: %v%s", e.Op, e.Path, where, e.Err, hint)
}

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }
