package lvm

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func (a *Actuator) createThinPool(ctx context.Context, c change.CreateThinPool) error {
	// -Zy: a chunk is zeroed before a volume uses it; what another volume left
	// there would be readable otherwise.
	argv := []string{"lvcreate", "-y", "--type", "thin-pool", "-Zy", "-L", bytes(c.Size)}
	return a.create(ctx, append(argv, c.VolumeGroup), c.LV, c.Tags, func(now observe.LogicalVolume) bool {
		return now.Type == observe.ThinPool && now.Size >= uint64(c.Size)
	})
}

func (a *Actuator) createVolume(ctx context.Context, c change.CreateVolume) error {
	// -Wy -Zy: no file system that once was there is found at its start.
	argv := []string{"lvcreate", "-y", "-Wy", "-Zy", "-L", bytes(c.Size), c.VolumeGroup}
	want := observe.Thick
	if c.ThinPool != "" {
		argv, want = createThin(c), observe.Thin
	}
	return a.create(ctx, argv, c.LV, c.Tags, func(now observe.LogicalVolume) bool {
		return now.Type == want && now.Pool == c.ThinPool && now.Origin == "" && now.Size >= uint64(c.Size) && now.Active
	})
}

func createThin(c change.CreateVolume) []string {
	return []string{"lvcreate", "-y", "-V", bytes(c.Size), "-T", c.VolumeGroup + "/" + c.ThinPool}
}

// createSnapshot looks first whether the origin is the one that the plan saw.
// That is a check before the act, and not under LVM's lock, because lvcreate
// takes no condition. If another logical volume is given the origin's name in the
// moment between, the snapshot is of that logical volume.
func (a *Actuator) createSnapshot(ctx context.Context, c change.CreateSnapshot) error {
	origin, err := a.readOrigin(ctx, originOf(c))
	if err != nil {
		return err
	}
	if c.Thin {
		return a.createThinSnapshot(ctx, c)
	}
	size := c.Size
	if size == 0 {
		// LVM's own way to say it, -l 100%ORIGIN, is an upper limit: in a volume
		// group that is nearly full the snapshot is as large as the free space, without an error.
		size = spec.Size(observe.MaxCOWSize(origin.Size))
	}
	argv := []string{"lvcreate", "-y", "-s", "-L", bytes(size), c.VolumeGroup + "/" + c.Origin}
	// The size of what is there already is not compared: LVM makes the space no
	// larger than a complete overwrite needs.
	return a.create(ctx, argv, c.LV, c.Tags, func(now observe.LogicalVolume) bool {
		return now.Type == observe.ThickSnapshot && now.Origin == c.Origin
	})
}

func originOf(c change.CreateSnapshot) change.LV {
	return change.LV{VolumeGroup: c.VolumeGroup, Name: c.Origin, UUID: c.OriginUUID}
}

// createThinSnapshot leaves the snapshot inactive and flagged to be skipped at
// activation, as LVM's default is.
func (a *Actuator) createThinSnapshot(ctx context.Context, c change.CreateSnapshot) error {
	// Without a size it is a thin one.
	argv := []string{"lvcreate", "-y", "-s", c.VolumeGroup + "/" + c.Origin}
	return a.create(ctx, argv, c.LV, c.Tags, func(now observe.LogicalVolume) bool {
		return now.Type == observe.Thin && now.Origin == c.Origin
	})
}

// cloneVolume looks first, as createSnapshot does. -kn: unlike a snapshot a volume
// is activated at boot, and so it is activated now.
func (a *Actuator) cloneVolume(ctx context.Context, c change.CloneVolume) error {
	if _, err := a.readOrigin(ctx, clonedBy(c)); err != nil {
		return err
	}
	return a.create(ctx, createClone(c), c.LV, c.Tags, func(now observe.LogicalVolume) bool {
		return now.Type == observe.Thin && now.Origin == c.Origin && now.Active
	})
}

func createClone(c change.CloneVolume) []string {
	return []string{"lvcreate", "-y", "-s", "-kn", c.VolumeGroup + "/" + c.Origin}
}

// readOrigin reads the origin of a new snapshot. The plan may be older than the decision to
// revert or to fill the origin: a half-written content must not be kept.
func (a *Actuator) readOrigin(ctx context.Context, origin change.LV) (observe.LogicalVolume, error) {
	now, err := a.readCurrent(ctx, origin)
	if phase := now.Phase(); err == nil && phase != "" {
		return now, newStaleError("the content of %s is incomplete (%s)", origin, phase)
	}
	return now, err
}

// clonedBy names what a clone is one of.
func clonedBy(c change.CloneVolume) change.LV {
	return change.LV{VolumeGroup: c.VolumeGroup, Name: c.Origin, UUID: c.OriginUUID}
}

// create runs an lvcreate, to which it adds name and tags, so that there is no
// moment at which the logical volume is not marked as ours. One of that name
// that is there already is what was to be created if it carries the tags and
// done says so.
func (a *Actuator) create(ctx context.Context, argv []string, lv change.LV, tags []string, done func(observe.LogicalVolume) bool) error {
	options := []string{"-n", lv.Name}
	for _, t := range tags {
		options = append(options, "--addtag", t)
	}
	_, err := a.lvm(ctx, slices.Insert(argv, 1, options...)...)
	if errors.Is(err, change.ErrUnsupported) {
		return a.explainInactive(ctx, lv)
	}
	if !isAlreadyExists(err) {
		return err
	}
	now, err := a.readCurrent(ctx, change.LV{VolumeGroup: lv.VolumeGroup, Name: lv.Name})
	if err != nil {
		return err
	}
	if !hasTags(now, tags) || !done(now) {
		return newStaleError("%s already exists with other properties than requested", lv)
	}
	return nil
}

func hasTags(lv observe.LogicalVolume, tags []string) bool {
	return !slices.ContainsFunc(tags, func(t string) bool { return !slices.Contains(lv.Tags, t) })
}

// bytes returns a size as LVM takes it.
func bytes(s spec.Size) string { return fmt.Sprintf("%db", uint64(s)) }
