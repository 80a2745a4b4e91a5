package lvm

import (
	"context"
	"fmt"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// Actuator applies the changes of LVM. It is safe for concurrent use; LVM itself
// lets changes of one volume group wait for each other.
type Actuator struct {
	run     host.Runner
	machine host.Host
}

var _ change.Actuator = (*Actuator)(nil)

// New returns an Actuator. Commands run through run, best a [host.LVMShell]; the machine
// is where it looks for who holds a device, and for settings, which a shell does not tell.
func New(run host.Runner, machine host.Host) *Actuator { return &Actuator{run: run, machine: machine} }

// Apply makes a change true, see [change.Actuator].
func (a *Actuator) Apply(ctx context.Context, c change.Change) error {
	if err := check(c); err != nil {
		return err
	}
	switch c := c.(type) {
	case change.CreateThinPool:
		return a.createThinPool(ctx, c)
	case change.CreateVolume:
		return a.createVolume(ctx, c)
	case change.CreateSnapshot:
		return a.createSnapshot(ctx, c)
	case change.CloneVolume:
		return a.cloneVolume(ctx, c)
	case change.GrowThinPool:
		return a.growThinPool(ctx, c)
	case change.GrowVolume:
		return a.growVolume(ctx, c)
	case change.GrowSnapshot:
		return a.growSnapshot(ctx, c)
	case change.SetTags:
		return a.setTags(ctx, c)
	case change.Rename:
		return a.rename(ctx, c)
	case change.Activate:
		return a.activate(ctx, c)
	case change.Deactivate:
		return a.deactivate(ctx, c)
	case change.StartClearing:
		return a.startClearing(ctx, c)
	case change.SplitSnapshot:
		return a.splitSnapshot(ctx, c)
	case change.RemoveLV:
		return a.remove(ctx, c)
	default:
		return fmt.Errorf("unknown LVM change %s", change.Name(c))
	}
}

// lvm runs an LVM command and says what its error means.
func (a *Actuator) lvm(ctx context.Context, argv ...string) (host.Output, error) {
	out, err := a.run.Run(ctx, argv...)
	return out, classify(err)
}

// readCurrent reads the logical volume as it is now. It returns an error that is
// [change.ErrStale] if it is not the one that the plan saw.
func (a *Actuator) readCurrent(ctx context.Context, lv change.LV) (observe.LogicalVolume, error) {
	now, found, err := observe.ReadLV(ctx, a.run, lv.VolumeGroup, lv.Name)
	switch {
	case err != nil:
		return now, classify(err)
	case !found:
		return now, newStaleError("%s no longer exists", lv)
	case lv.UUID == "" && !now.Marked():
		return now, newStaleError("%s is not managed by volreconciler", lv)
	case lv.UUID != "" && now.UUID != lv.UUID:
		return now, newStaleError("%s has been replaced by another logical volume (UUID %s)", lv, now.UUID)
	}
	return now, nil
}

// readComplete is look before metadata is written. LVM refuses most changes of a volume group
// that lacks physical volumes, but not those of tags and removals, after which it does not
// take back a device that was away. That may have changed since the plan was made: a
// device that has stopped to answer is not given to LVM.
func (a *Actuator) readComplete(ctx context.Context, lv change.LV) (observe.LogicalVolume, error) {
	now, err := a.readCurrent(ctx, lv)
	if err == nil {
		err = checkComplete(now)
	}
	return now, err
}

func checkComplete(lv observe.LogicalVolume) error {
	if lv.MissingPVs > 0 {
		return newStaleError("volume group %s lacks %d physical volume(s)", lv.VolumeGroup, lv.MissingPVs)
	}
	return nil
}
