package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/blockcopy"
	"github.com/volreconciler/volreconciler/pkg/blockdelta"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// stage makes a staged logical volume hold what a snapshot holds. Its last change of
// tags says so. Until then the earlier tags remain true: where the staged logical volume
// differs from the earlier snapshot, the origin was written to since.
func (a *Actuator) stage(ctx context.Context, c change.Stage) error {
	now, err := a.readStaged(ctx, c.LV, uint64(c.Size))
	if err != nil {
		return err
	}
	synced, _, _ := now.Synced()
	switch {
	case synced == c.From.UUID && c.From.UUID != "":
		return nil
	case c.Since.UUID != "" && synced != c.Since.UUID:
		return newStaleError("%s is not a copy of snapshot %s", c.LV, c.Since)
	}
	if now, err = a.awaitUnused(ctx, now, c.LV); err != nil {
		return err
	}
	if err := a.activate(ctx, now, c.LV); err != nil {
		return err
	}
	m := a.marks(now, c.LV, c.From.UUID)
	left, err := a.copyStage(ctx, c, now, m)
	if err != nil {
		return err
	}
	return a.markSynced(ctx, c.LV, now, ondisk.SyncedTag(c.From.UUID, left), m.all()...)
}

// markSynced replaces the tags that say what a staged logical volume holds, and some
// others, by a tag.
func (a *Actuator) markSynced(ctx context.Context, lv change.LV, now observe.LogicalVolume, tag string, others ...string) error {
	old := slices.DeleteFunc(now.TagsWith(ondisk.TagSynced), func(t string) bool { return t == tag })
	return a.lvm.Apply(ctx, change.SetTags{LV: lv, Add: []string{tag}, Remove: append(others, old...)})
}

// readStaged reads a logical volume, of a size or larger, that is staged. It is stale
// if it is anything else.
func (a *Actuator) readStaged(ctx context.Context, lv change.LV, size uint64) (observe.LogicalVolume, error) {
	now, err := a.readCurrent(ctx, lv)
	switch {
	case err != nil:
		return now, err
	case now.Phase() != ondisk.Staged:
		return now, newStaleError("%s is not staged for a cutover", lv)
	}
	return now, checkSize(now, size)
}

// copyStage copies, and returns how many bytes changed meanwhile. What cannot be found
// out, because thin_delta is not installed, say, is found before anybody waits for it.
func (a *Actuator) copyStage(ctx context.Context, c change.Stage, now observe.LogicalVolume, m *checkpoints) (uint64, error) {
	from, leave, err := a.AcquireSource(ctx, c.From, uint64(c.Size))
	if err != nil {
		return 0, err
	}
	defer leave()
	origin, err := a.originOf(ctx, from, now)
	if err != nil {
		return 0, err
	}
	task := blockcopy.Copy{
		Source: from.Path(), SourceUUID: from.UUID, Target: now.Path(), TargetUUID: now.UUID, Size: int64(c.Size),
		NoDigest: true, SameBlocks: true, Limit: a.limit, Progress: progressReporter(ctx),
	}
	// Where something else was copied to before, there may be anything, see populate.
	fresh := len(m.others) == 0 && len(now.TagsWith(ondisk.TagSynced)) == 0
	task.OnlyDifferent = c.ReadsZero && !fresh
	if task.Extents, err = a.extentsToStage(ctx, c, from, now, m); err != nil {
		return 0, err
	}
	if task.Extents == nil {
		task.From = m.resumeOffset(uint64(c.Size))
		task.TargetIsZero = c.ReadsZero && fresh
		task.Checkpoint = m.checkpointer(ctx)
	}
	if task.Extents == nil || len(task.Extents) > 0 {
		if err := m.begin(ctx); err != nil {
			return 0, err
		}
		if _, err := a.blocks.Copy(ctx, task); err != nil {
			return 0, a.ExplainReadError(ctx, c.From, err)
		}
	}
	left, err := a.changedExtents(ctx, from, origin, int64(c.Size))
	return uint64(blockcopy.Total(left)), err
}

// extentsToStage returns what there is to copy from a snapshot; nil is all of it.
func (a *Actuator) extentsToStage(ctx context.Context, c change.Stage, from, staged observe.LogicalVolume, m *checkpoints) ([]blockcopy.Extent, error) {
	if c.Since.UUID == "" {
		return nil, nil
	}
	since, err := a.readSince(ctx, c.Since, from)
	if err != nil || !isDeltaComplete(since, staged, m) {
		return nil, err
	}
	return a.changedExtents(ctx, since, from, int64(c.Size))
}

// originOf returns the origin of a snapshot. It is an error unless that is the current
// logical volume of the staged one: after a cutover, newer content must not be
// overwritten with older.
func (a *Actuator) originOf(ctx context.Context, snapshot, staged observe.LogicalVolume) (observe.LogicalVolume, error) {
	if snapshot.Origin == "" {
		return snapshot, newStaleError("%s is no longer a snapshot", snapshot.FullName())
	}
	origin, found, err := observe.ReadLV(ctx, a.run, snapshot.VolumeGroup, snapshot.Origin)
	switch {
	case err != nil:
		return origin, err
	case !found:
		return origin, newStaleError("%s, the origin of snapshot %s, no longer exists", snapshot.Origin, snapshot.FullName())
	case origin.SupersededBy() != "":
		return origin, newStaleError("%s has been replaced", origin.FullName())
	case origin.Identity() != staged.Identity():
		return origin, newStaleError("%s is not staged for the cutover from %s", staged.FullName(), origin.FullName())
	}
	return origin, nil
}

// readSince looks at the snapshot since which changes are to be found, up to another
// one or the origin itself.
func (a *Actuator) readSince(ctx context.Context, lv change.LV, now observe.LogicalVolume) (observe.LogicalVolume, error) {
	since, err := a.readCurrent(ctx, lv)
	origin := now.Origin
	if origin == "" {
		origin = now.Name
	}
	switch {
	case err != nil:
		return since, err
	case since.VolumeGroup != now.VolumeGroup || since.Pool != now.Pool:
		return since, newStaleError("%s and %s are not in the same volume group and pool", lv, now.FullName())
	case since.Type != observe.ThickSnapshot && since.Type != observe.Thin, since.Origin != origin && since.Origin != now.Name:
		return since, newStaleError("%s is not a snapshot of %s", lv, origin)
	case since.SnapshotInvalid:
		return since, newStaleError("snapshot %s overflowed; the changes since it are unknown", lv)
	case since.Type == observe.Thin:
		return since, nil // the metadata of the thin pool says it all
	}
	return since, a.activate(ctx, since, lv)
}

// changedExtents returns where a logical volume, of a size, may differ from an earlier
// snapshot; nothing is empty, and not nil.
func (a *Actuator) changedExtents(ctx context.Context, since, now observe.LogicalVolume, size int64) ([]blockcopy.Extent, error) {
	extents, err := a.blocks.Changed(ctx, since.FullName(), now.FullName())
	if err == nil && since.Type == observe.ThickSnapshot || errors.Is(err, blockdelta.ErrLost) {
		// One that overflowed meanwhile does not know everything.
		again, lost := a.readCurrent(ctx, change.LV{VolumeGroup: since.VolumeGroup, Name: since.Name, UUID: since.UUID})
		if lost == nil && again.SnapshotInvalid {
			lost = newStaleError("snapshot %s overflowed; the changes since it are unknown", since.FullName())
		}
		if lost != nil {
			return nil, lost
		}
	}
	if err != nil {
		return nil, fmt.Errorf("cannot find the changes of %s since %s: %w", now.FullName(), since.FullName(), err)
	}
	if grown := int64(since.Size); grown < size { // what it has no place for
		extents = append(extents, blockcopy.Extent{Offset: grown, Length: size - grown})
	}
	return append([]blockcopy.Extent{}, blockcopy.Merge(extents, size, 1)...), nil
}

// isDeltaComplete reports whether a staged logical volume can differ from the origin only in
// what changed since a snapshot.
//
// A copy-on-write snapshot records every place that was ever written to. A thin pool
// knows only how the two are mapped now: a place that was written to, copied, and then
// discarded looks unchanged, while the staged logical volume still has the copied data.
// Copying the same snapshot again does no harm.
func isDeltaComplete(since, staged observe.LogicalVolume, m *checkpoints) bool {
	_, bytes, _ := staged.Synced()
	return since.Type != observe.Thin || bytes < ondisk.Interrupted && len(m.others) == 0
}
