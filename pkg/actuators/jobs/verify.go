package jobs

import (
	"context"
	"fmt"
	"time"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
)

// Verified is a [Blocks] of this machine that reads again what was copied. A copy
// succeeds only if the target gives back what was read from the source, as far as
// the digests of [blockcopy.Digest] tell, which is every accident: a disk, cable or
// controller that stores something else than it was given, and says nothing.
//
// Direct I/O sees to it that what is read comes from the device, and not from memory.
type Verified struct{ Blocks }

// Copy copies, and then compares. It is an error if something else is read than was
// written. That is written again, but not trusted: the next attempt compares as well.
func (v Verified) Copy(ctx context.Context, c blockcopy.Copy) (blockcopy.Result, error) {
	// Of extents there is no digest: they are read on both sides.
	c.NoDigest = c.Extents != nil
	half := c
	if c.Progress != nil {
		half.Progress = func(p blockcopy.Progress) { c.Progress(firstHalf(p)) }
	}
	result, err := v.Blocks.Copy(ctx, half)
	if err != nil {
		return result, err
	}
	if result.Digest != "" {
		read, err := blockcopy.Reading{Path: c.Target, UUID: c.TargetUUID, Size: c.Size, Limit: c.Limit, Progress: secondHalf(c.Progress)}.Digest(ctx)
		if err != nil || read == result.Digest {
			return result, err
		}
	}
	// There is no digest of a source that was read in several runs. Both sides are read
	// then, which also mends what differs.
	again := blockcopy.Copy{
		Source: c.Source, SourceUUID: c.SourceUUID, Target: c.Target, TargetUUID: c.TargetUUID, Size: c.Size, OnlyDifferent: true, NoDigest: true,
		Extents: c.Extents, Shared: c.Shared, Limit: c.Limit,
	}
	if result.Digest == "" {
		again.Progress = secondHalf(c.Progress)
	}
	found, err := v.Blocks.Copy(ctx, again)
	switch {
	case err != nil:
		return result, err
	case result.Digest != "" || found.Written > 0:
		return result, fmt.Errorf("%s returned other data than was copied from %s (%d bytes are copied again and verified in the next attempt); check its disks (dmesg, smartctl)",
			c.Target, c.Source, found.Written)
	}
	return result, nil
}

// firstHalf is the progress of a copy of which all has to be read again.
func firstHalf(p blockcopy.Progress) blockcopy.Progress {
	left := p.Total - p.Done
	p.Total *= 2
	switch {
	case left > 0 && p.Left > 0:
		p.Left = time.Duration(float64(p.Left) * float64(p.Total-p.Done) / float64(left)).Round(time.Second)
	default:
		p.Left = -1
	}
	return p
}

// secondHalf tells of the progress of reading after that of a copy.
func secondHalf(tell func(blockcopy.Progress)) func(blockcopy.Progress) {
	if tell == nil {
		return nil
	}
	return func(p blockcopy.Progress) {
		p.Done, p.Total = p.Done+p.Total, 2*p.Total
		tell(p)
	}
}
