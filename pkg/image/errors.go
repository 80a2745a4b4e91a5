package image

import (
	"errors"
	"fmt"
)

// ErrRefused is what every [Refusal] is, whatever its reason: the source is at
// fault, and trying again with the same file is of no use.
var ErrRefused = errors.New("image refused")

// The reasons of a [Refusal].
var (
	// ErrBackingFile: the image is the difference to another file (qcow2 backing
	// file, VMDK parent, differencing VHDX).
	ErrBackingFile = errors.New("needs a backing image")
	// ErrDataFile: the image's data is in another file (qcow2 external data file,
	// VMDK extents).
	ErrDataFile = errors.New("has its data in another file")
	// ErrEncrypted: the image is encrypted.
	ErrEncrypted = errors.New("is encrypted")
	// ErrUnknownFeature: the image has a feature that it says must be understood, and that
	// is not.
	ErrUnknownFeature = errors.New("has an unknown feature")
	// ErrNotClosed: whoever wrote the image last did not finish.
	ErrNotClosed = errors.New("was not closed properly")
	// ErrMalformed: what the header says cannot be.
	ErrMalformed = errors.New("is malformed")
	// ErrUnsupportedFormat: a container or archive that is not read here.
	ErrUnsupportedFormat = errors.New("has an unsupported format")
	// ErrFormatMismatch: the file is not what the user says it is.
	ErrFormatMismatch = errors.New("has another format than requested")
	// ErrTooLarge: the disk is larger than the volume, or the file than the limit.
	ErrTooLarge = errors.New("is too large")
	// ErrChecksum: the file is not the one that the checksum was made of.
	ErrChecksum = errors.New("has another checksum than requested")
	// ErrNotRegular: not a file but a device, a pipe, a directory.
	ErrNotRegular = errors.New("is not a regular file")
	// ErrDisagreement: qemu-img reads the header in another way than we do.
	ErrDisagreement = errors.New("is interpreted differently by qemu-img")
)

// ErrChanged is a file that was written to, replaced or removed while it was in
// use. What was read of it is worth nothing. It is not a [Refusal]: the next
// attempt may find a file at rest.
var ErrChanged = errors.New("the image file changed while it was in use")

// Refusal is an image that is not read, before a byte of it was written anywhere.
type Refusal struct {
	// Reason is one of the errors above, for errors.Is.
	Reason error
	// Detail is what was found.
	Detail string
	// Advice is what to do about it.
	Advice string
}

// Error renders the reason, what was found and what to do.
func (r *Refusal) Error() string {
	s := "the image " + r.Reason.Error() + ": " + r.Detail
	if r.Advice != "" {
		s += "; " + r.Advice
	}
	return s
}

// Unwrap returns the reason.
func (r *Refusal) Unwrap() error { return r.Reason }

// Is makes every refusal an [ErrRefused].
func (r *Refusal) Is(target error) bool { return target == ErrRefused }

func refuse(reason error, detail, advice string) error {
	return &Refusal{Reason: reason, Detail: detail, Advice: advice}
}

func malformed(format string, args ...any) error {
	return refuse(ErrMalformed, fmt.Sprintf(format, args...), "create the image again, or use an undamaged copy")
}
