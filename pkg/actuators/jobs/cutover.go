package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

const (
	// cutoverTime is how long it may take to find and copy what changed last. Initiators
	// wait for that and for some commands of LVM; few time out before 30 seconds.
	cutoverTime = 20 * time.Second
	// unusedTime is how long it is waited until nobody has a device open: when an
	// export closes one, udev looks at what is on it.
	unusedTime  = 2 * time.Second
	unusedEvery = 50 * time.Millisecond
)

var errTooLong = errors.New("the cutover took too long and was cancelled, because it blocks I/O; another sync round runs before the next attempt")

// cutOver makes the staged logical volume the current one. The tag that says so is set
// last: before that the current logical volume is unchanged.
func (a *Actuator) cutOver(ctx context.Context, c change.Cutover) error {
	now, err := a.readCurrent(ctx, c.LV)
	switch by := now.SupersededBy(); {
	case err != nil:
		return err
	case by == c.Staged.UUID && by != "":
		return nil
	case now.Phase() != "":
		return newStaleError("%s is marked %s", c.LV, now.Phase())
	case now.Size != uint64(c.Size):
		return newStaleError("%s has %d bytes, not %d", c.LV, now.Size, c.Size)
	}
	return a.replace(ctx, c, now)
}

func (a *Actuator) replace(ctx context.Context, c change.Cutover, now observe.LogicalVolume) error {
	staged, err := a.readStaged(ctx, c.Staged, uint64(c.Size))
	if err != nil {
		return err
	}
	switch synced, bytes, _ := staged.Synced(); {
	case staged.Identity() != now.Identity():
		return newStaleError("%s is not staged for the cutover from %s", c.Staged, c.LV)
	case c.Since.UUID == "" && (staged.Origin == "" || synced != "" || staged.Tag(ondisk.TagCheckpoint) != ""):
		return newStaleError("%s is not a clone of a snapshot", c.Staged)
	case c.Since.UUID == "": // complete from the start
	case synced != c.Since.UUID || synced == "":
		return newStaleError("%s is not a copy of snapshot %s", c.Staged, c.Since)
	case bytes == ondisk.Interrupted:
		return newStaleError("%s needs a sync round first: an earlier cutover from %s was interrupted", c.Staged, c.LV)
	case staged.Tag(ondisk.TagCheckpoint) != "":
		return a.requestSyncRound(ctx, c, staged, ondisk.Interrupted, "a sync round was interrupted")
	}
	var since observe.LogicalVolume
	if c.Since.UUID != "" {
		if since, err = a.readSince(ctx, c.Since, now); err != nil {
			return err
		}
	}
	if staged, err = a.awaitUnused(ctx, staged, c.Staged); err != nil {
		return err
	}
	if now, err = a.awaitUnused(ctx, now, c.LV); err != nil {
		return err
	}
	if err := errors.Join(a.activate(ctx, now, c.LV), a.activate(ctx, staged, c.Staged)); err != nil {
		return err
	}
	release, err := a.blocks.Claim(now.Path(), now.UUID)
	if err != nil {
		return classify(err)
	}
	defer release()
	if c.Since.UUID != "" {
		if err := a.copyLast(ctx, c, now, staged, since); err != nil {
			return err
		}
	}
	return a.lvm.Apply(ctx, change.SetTags{LV: c.LV, Add: []string{ondisk.TagReplacedBy + c.Staged.UUID}})
}

// copyLast copies what changed since the snapshot, in the time that there is.
func (a *Actuator) copyLast(ctx context.Context, c change.Cutover, now, staged, since observe.LogicalVolume) error {
	ctx, cancel := context.WithTimeoutCause(ctx, a.cutoverTime, errTooLong)
	defer cancel()
	err := a.copyChanged(ctx, c, now, staged, since)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, errTooLong) {
		return fmt.Errorf("%s, within %s: %w (%w)", c, a.cutoverTime, cause, err)
	}
	return err
}

// copyChanged copies what changed since the snapshot, without a limit on the rate.
func (a *Actuator) copyChanged(ctx context.Context, c change.Cutover, now, staged, since observe.LogicalVolume) error {
	extents, err := a.changedExtents(ctx, since, now, int64(c.Size))
	if err != nil {
		return err
	}
	switch bytes := blockcopy.Total(extents); {
	case bytes == 0:
		return nil
	case bytes > change.CutoverLimit:
		return a.requestSyncRound(ctx, c, staged, uint64(bytes), fmt.Sprintf("%d MiB changed since snapshot %s", bytes>>20, c.Since))
	}
	// From the first byte on it is not what the snapshot holds, see isDeltaComplete.
	if err := a.markSynced(ctx, c.Staged, staged, ondisk.SyncedTag(c.Since.UUID, ondisk.Interrupted)); err != nil {
		return err
	}
	_, err = a.blocks.Copy(ctx, blockcopy.Copy{
		Source: now.Path(), SourceUUID: now.UUID, Target: staged.Path(), TargetUUID: staged.UUID, Size: int64(c.Size), Extents: extents, NoDigest: true, Progress: progressReporter(ctx),
	})
	return classify(err)
}

// requestSyncRound tells the next plan, by the mark of the staged logical volume, that another sync
// round is needed.
func (a *Actuator) requestSyncRound(ctx context.Context, c change.Cutover, staged observe.LogicalVolume, bytes uint64, why string) error {
	if err := a.markSynced(ctx, c.Staged, staged, ondisk.SyncedTag(c.Since.UUID, bytes)); err != nil {
		return err
	}
	return newStaleError("%s needs a sync round first: %s", c.Staged, why)
}

// awaitUnused waits until nobody has a logical volume open. The kernel refuses to deactivate only
// what is claimed, and an NVMe target does not claim it.
func (a *Actuator) awaitUnused(ctx context.Context, now observe.LogicalVolume, lv change.LV) (observe.LogicalVolume, error) {
	end := time.Now().Add(unusedTime)
	for now.Open {
		if time.Now().After(end) {
			return now, newInUseError(now)
		}
		select {
		case <-ctx.Done():
			return now, ctx.Err()
		case <-time.After(unusedEvery):
		}
		var err error
		if now, err = a.readCurrent(ctx, lv); err != nil {
			return now, err
		}
	}
	return now, nil
}
