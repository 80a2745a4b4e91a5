package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/device"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// createBackstore binds a backstore to its logical volume. Enabling comes last,
// so that a backstore that is enabled has its serial, and one that is not was
// left behind half made.
func (a *Actuator) createBackstore(ctx context.Context, c change.CreateBackstore) error {
	if err := a.checkOurs(c.Backstore); err != nil {
		return err
	}
	lv, err := device.Find(ctx, a.host, c.Device)
	if err != nil {
		return err
	}
	if err := lv.Check(c.Device, c.LVUUID); err != nil {
		return err
	}
	want := observe.Backstore{
		HBA: c.HBA, Name: c.Name,
		Enabled: true, BlockDevice: lv.BlockDevice, Device: c.Device,
		Serial: c.UnitSerial(lv.UUID), ReadOnly: c.ReadOnly,
	}
	have, err := observe.ReadBackstore(a.host, c.HBA, c.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = a.bind(ctx, want, c.Product)
	case err != nil:
		return err
	case !have.Enabled:
		if err := a.dropBackstore(c.Backstore); err != nil {
			return err
		}
		err = a.bind(ctx, want, c.Product)
	default:
		err = checkBound(have, want)
	}
	if err != nil {
		return err
	}
	err = a.writeUnmap(c.Backstore, c.Unmap)
	if errors.Is(err, syscall.ENOSYS) {
		return nil // Without discards the volume can be served all the same.
	}
	return err
}

// checkBound compares an enabled backstore with the one that is wanted. What
// can be set at any time is not compared, and neither is the name by which the
// device was found: a logical volume may be renamed while it is exported.
func checkBound(have, want observe.Backstore) error {
	switch {
	case have.BlockDevice != want.BlockDevice:
		return refuse.Stale("backstore %s is bound to %s, not to %s", have.Path(), have.BlockDevice, want.BlockDevice)
	case have.Serial != want.Serial:
		return refuse.Stale("backstore %s has unit serial %q, not %q", have.Path(), have.Serial, want.Serial)
	case have.ReadOnly != want.ReadOnly:
		return refuse.Stale("backstore %s is bound with read-only %t, not %t", have.Path(), have.ReadOnly, want.ReadOnly)
	}
	return nil
}

func (a *Actuator) bind(ctx context.Context, b observe.Backstore, product string) error {
	if err := device.CheckFree(a.users, b.Device, b.BlockDevice, ""); err != nil {
		return err
	}
	dir := observe.BackstoreDir(b.HBA, b.Name)
	if err := a.makeBackstoreDir(ctx, b.HBA, dir); err != nil {
		return err
	}
	control := "udev_path=" + b.Device
	if b.ReadOnly {
		control += ",readonly=1"
	}
	for _, w := range []struct{ attribute, value string }{
		{"control", control},
		{"udev_path", b.Device}, // for tools: the kernel keeps it but does not use it
		{"wwn/vpd_unit_serial", b.Serial},
		{"wwn/product_id", product}, // before the kernel takes its own
		{"enable", "1"},
	} {
		if w.value == "" {
			continue
		}
		err := a.host.WriteFile(path.Join(dir, w.attribute), []byte(w.value))
		if w.value == product && errors.Is(err, fs.ErrNotExist) {
			continue // older kernels show the same for all
		}
		if err != nil {
			// Half a backstore serves nobody, and targetcli cannot cope with it.
			_ = a.host.Remove(dir)
			return a.explainBind(err, b)
		}
	}
	bound, err := observe.ReadBackstore(a.host, b.HBA, b.Name)
	if err != nil {
		return err
	}
	err = checkBound(bound, b) // the device node may have been switched to another volume meanwhile
	if err == nil {
		err = a.restoreReservations(b)
	}
	if err != nil {
		return errors.Join(err, a.host.Remove(dir))
	}
	return nil
}

// makeBackstoreDir makes a backstore's directory and the one of the HBA that it is in.
func (a *Actuator) makeBackstoreDir(ctx context.Context, hba, dir string) error {
	if err := a.loadCore(ctx); err != nil {
		return err
	}
	a.prepareDBRoot()
	if err := a.makeDriverDir(ctx, observe.HBADir(hba), "target_core_iblock"); err != nil {
		return err
	}
	return a.host.Mkdir(dir)
}

func (a *Actuator) explainBind(err error, b observe.Backstore) error {
	switch {
	case errors.Is(err, syscall.EBUSY):
		return fmt.Errorf("%w: %s is %s", change.ErrInUse, b.Device, a.holders(b.BlockDevice))
	case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("%s is read-only and can only be exported read-only: %w", b.Device, err)
	default:
		return err
	}
}

func (a *Actuator) setUnmap(c change.SetUnmap) error {
	if err := a.checkOurs(c.Backstore); err != nil {
		return err
	}
	have, err := observe.ReadBackstore(a.host, c.HBA, c.Name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !have.Enabled {
		return refuse.Stale("backstore %s no longer exists", c.Path())
	} else if err != nil {
		return err
	}
	return a.writeUnmap(c.Backstore, c.Unmap)
}

func (a *Actuator) writeUnmap(b change.Backstore, unmap bool) error {
	err := a.set(observe.BackstoreAttributeFile(b.HBA, b.Name, "emulate_tpu"), flag(unmap))
	if err == nil {
		err = a.writeUnmapBySame(b, unmap)
	}
	if errors.Is(err, syscall.ENOSYS) {
		return fmt.Errorf("the device of backstore %s does not support discards: %w", b.Path(), err)
	}
	return err
}

// writeUnmapBySame sets whether discards reach the device by WRITE SAME as well. Sessions
// continue, but an initiator finds out only when it looks at the disk again.
func (a *Actuator) writeUnmapBySame(b change.Backstore, unmap bool) error {
	have, err := observe.ReadBackstore(a.host, b.HBA, b.Name)
	if err != nil || have.UnmapIs(unmap) {
		return err
	}
	return a.set(observe.BackstoreAttributeFile(b.HBA, b.Name, "emulate_tpws"), flag(unmap && have.HidesLimits))
}

func (a *Actuator) removeBackstore(c change.RemoveBackstore) error {
	if _, err := a.host.ReadDir(observe.BackstoreDir(c.HBA, c.Name)); errors.Is(err, fs.ErrNotExist) {
		return nil // and with it the mark of one that was adopted
	}
	if err := a.checkOurs(c.Backstore); err != nil {
		return err
	}
	return a.dropBackstore(c.Backstore)
}

func (a *Actuator) dropBackstore(b change.Backstore) error {
	err := a.remove(observe.BackstoreDir(b.HBA, b.Name))
	if errors.Is(err, syscall.EBUSY) {
		return fmt.Errorf("%w: backstore %s is linked to a LUN", change.ErrInUse, b.Path())
	}
	if err == nil && ondisk.OwnHBA(b.HBA) {
		// As targetcli does it. It remains if there are others in it, and does no harm.
		_ = a.host.Remove(observe.HBADir(b.HBA))
	}
	return err
}

// checkOurs guards against a plan that names a backstore of somebody else.
func (a *Actuator) checkOurs(b change.Backstore) error {
	have := observe.Backstore{HBA: b.HBA, Name: b.Name}
	if _, made := have.Owner(); !made { // it may be adopted
		have.Mark, _ = observe.ReadBackstoreMark(a.host, b.HBA, b.Name)
	}
	if _, ours := have.Owner(); !ours {
		return refuse.Stale("backstore %s is not managed by volreconciler", b.Path())
	}
	return nil
}
