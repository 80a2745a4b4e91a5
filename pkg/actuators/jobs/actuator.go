package jobs

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Blocks moves data between devices, compares and clears them. [Engine] does, on this
// machine; the fake machine of package fakehost has its own.
type Blocks interface {
	// Copy is that of [blockcopy.Copy.Run].
	Copy(ctx context.Context, c blockcopy.Copy) (blockcopy.Result, error)
	// Clear is that of [blockcopy.Clear.Run].
	Clear(ctx context.Context, c blockcopy.Clear) (blockcopy.Result, error)
	// Changed returns where a logical volume, vg/lv, may differ from an earlier snapshot
	// of the same origin: what is in none of these is the same in both. It may be the
	// origin itself, or a later snapshot.
	Changed(ctx context.Context, since, now string) ([]blockcopy.Extent, error)
	// BlockSize is that of [blockcopy.LogicalBlockSize].
	BlockSize(path string) (int64, error)
	// Claim is that of [blockcopy.Claim].
	Claim(path, uuid string) (release func(), err error)
}

// Images writes what is in images to devices.
type Images interface {
	// Write writes an image to the start of a device, with zeroes behind it, and
	// returns when all of that is on the device. Of an image that is refused not a
	// byte is written, and the error is [change.ErrSource]; so it is of one that is
	// gone, or has another checksum. What can pass, such as a server that does not
	// answer, is any other error.
	Write(ctx context.Context, image change.Image, to Target) error
}

// Target is the device that an image or a backup is written to.
type Target struct {
	Path string
	UUID string // of the logical volume that it has to be
	Size uint64 // in bytes
	// BlockSize is that of its logical blocks, in bytes; 0: not known. An image with
	// another block size is refused.
	BlockSize int64
	// ReadsZero is true if the device reads as zeroes where this image or backup has not been
	// written: zeroes need not be written then.
	ReadsZero bool
	// From is how many bytes of this image have reached the device already, by a
	// checkpoint.
	From uint64
	// Begun is true if some of this image may have been written before, also beyond
	// From.
	Begun bool
	// Progress is called with how far it has come.
	Progress func(change.Progress)
	// Checkpoint is called before the first byte is written, with From, and then
	// every now and then, when so many bytes from the start have reached the device.
	// An error ends the writing.
	Checkpoint func(bytes uint64) error
}

// Actuator applies the changes of data. It is safe for concurrent use, for changes
// of different logical volumes.
type Actuator struct {
	run    host.Runner
	lvm    change.Actuator
	blocks Blocks
	images Images
	files  ImageFiles
	// backups is nil where there are none.
	backups Backups
	limit   *blockcopy.Limiter
	// cutoverTime is the constant of that name, but in specs.
	cutoverTime time.Duration

	// using guards users, and with it what is activated only to be copied.
	using sync.Mutex
	users map[string]*usage // by UUID
}

var _ change.Actuator = (*Actuator)(nil)

// New returns an Actuator. run is where it looks at logical volumes, lvm changes
// them. images may be nil: images cannot be used then. limit is shared by all that
// it copies and clears; nil is no limit.
func New(run host.Runner, lvm change.Actuator, blocks Blocks, images Images, limit *blockcopy.Limiter) *Actuator {
	return &Actuator{run: run, lvm: lvm, blocks: blocks, images: images, limit: limit, cutoverTime: cutoverTime, users: map[string]*usage{}}
}

// Apply makes a change true, see [change.Actuator] and [change.Job].
func (a *Actuator) Apply(ctx context.Context, c change.Change) error {
	switch c := c.(type) {
	case change.Populate:
		return a.populate(ctx, c)
	case change.Restore:
		return a.restore(ctx, c)
	case change.Stage:
		return a.stage(ctx, c)
	case change.Cutover:
		return a.cutOver(ctx, c)
	case change.WriteImage:
		return a.writeImage(ctx, c)
	case change.Clear:
		return a.clear(ctx, c)
	default:
		return fmt.Errorf("unknown data change %s", change.Name(c))
	}
}

// readCurrent reads the logical volume as it is now. It returns an error that is
// [change.ErrStale] if it is not the one that the plan saw.
func (a *Actuator) readCurrent(ctx context.Context, lv change.LV) (observe.LogicalVolume, error) {
	now, found, err := observe.ReadLV(ctx, a.run, lv.VolumeGroup, lv.Name)
	switch {
	case err != nil:
		return now, err
	case !found:
		return now, newStaleError("%s no longer exists", lv)
	case now.UUID != lv.UUID:
		return now, newStaleError("%s has been replaced by another logical volume (UUID %s)", lv, now.UUID)
	}
	return now, nil
}

// activate makes the device of a logical volume appear, unless it is there.
func (a *Actuator) activate(ctx context.Context, now observe.LogicalVolume, lv change.LV) error {
	if now.Active {
		return nil
	}
	return a.lvm.Apply(ctx, change.Activate{LV: lv})
}

// checkSize checks that a logical volume is a plain one of a size, or larger.
func checkSize(now observe.LogicalVolume, bytes uint64) error {
	switch {
	case now.Type != observe.Thick && now.Type != observe.Thin:
		return newStaleError("%s is of type %s", now.FullName(), now.Type)
	case now.Size < bytes:
		return newStaleError("%s has %d bytes, expected %d", now.FullName(), now.Size, bytes)
	}
	return nil
}
