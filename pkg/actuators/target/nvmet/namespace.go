package nvmet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/configfs"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/device"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// addNamespace makes the namespace of a logical volume. Enabling comes last, so
// that one that is enabled has its identity, and one that is not was left behind
// half made.
func (a *Actuator) addNamespace(ctx context.Context, c change.AddLUN) error {
	if err := a.checkOwned(c.Target); err != nil {
		return err
	}
	if c.ReadOnly {
		return fmt.Errorf("%w: %s is read-only; nvmet serves only writable volumes", change.ErrUnsupported, c.Device)
	}
	lv, err := device.Find(ctx, a.host, c.Device)
	if err != nil {
		return err
	}
	if err := lv.Check(c.Device, c.LVUUID); err != nil {
		return err
	}
	dir := observe.NamespaceDir(c.Name, c.LUN)
	if err := configfs.MakeDir(a.host, dir); err != nil {
		return err
	}
	have, err := observe.ReadNamespace(a.host, dir)
	identity := ondisk.NamespaceUUID(cmp.Or(c.Identity, lv.UUID))
	switch {
	case err != nil:
		return err
	case have.Device != "" && have.Identity == identity:
		return nil // by whatever name it was found: it may have been renamed since
	case have.Device != "":
		return refuse.Stale("namespace %d of %s already serves %s, with identity %s", c.LUN+1, c.Name, have.Device, have.Identity)
	}
	if err := device.CheckFree(a.users, c.Device, lv.BlockDevice, ""); err != nil {
		return errors.Join(err, a.dropNamespace(c.Name, c.LUN))
	}
	if err := a.checkIdle(c.Name, c.Idle); err != nil {
		return errors.Join(err, a.dropNamespace(c.Name, c.LUN))
	}
	if err := a.enable(dir, c.Device, identity); err != nil {
		// It would be taken for one that somebody is making.
		return errors.Join(err, a.dropNamespace(c.Name, c.LUN))
	}
	// nvmet does not say which device it opened.
	now, err := device.Find(ctx, a.host, c.Device)
	if err == nil && now != lv {
		err = refuse.Stale("%s pointed to another logical volume during the export", c.Device)
	}
	if err != nil {
		return errors.Join(err, a.dropNamespace(c.Name, c.LUN))
	}
	return nil
}

func (a *Actuator) enable(dir, device, identity string) error {
	for _, w := range []struct{ attribute, value string }{
		{"device_path", device},
		{"device_uuid", identity},
		{"device_nguid", identity},
		{"enable", "1"},
	} {
		err := a.host.WriteFile(path.Join(dir, w.attribute), []byte(w.value))
		switch {
		case errors.Is(err, syscall.EACCES), errors.Is(err, syscall.EROFS):
			return fmt.Errorf("%w: %s is read-only; nvmet serves only writable volumes: %w", change.ErrUnsupported, device, err)
		case errors.Is(err, syscall.EBUSY):
			return fmt.Errorf("%w: %s: %w", change.ErrInUse, device, err)
		case err != nil:
			return err
		}
	}
	return nil
}

// resizeNamespace has the kernel look how large the device is, and tell all who
// are connected.
func (a *Actuator) resizeNamespace(c change.ResizeLUN) error {
	if err := a.checkOwned(c.Target); err != nil {
		return err
	}
	dir := observe.NamespaceDir(c.Name, c.LUN)
	have, err := observe.ReadNamespace(a.host, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse.Stale("%s has no namespace %d", c.Name, c.LUN+1)
	case err != nil:
		return err
	case have.Device == "":
		return nil // it is as large as the device when it is enabled
	}
	err = a.host.WriteFile(path.Join(dir, "revalidate_size"), []byte("1"))
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: this kernel is older than 5.9 and lacks revalidate_size; hosts see the new size of %s after reconnecting",
			change.ErrUnsupported, c.Device)
	}
	return err
}

func (a *Actuator) removeNamespace(c change.RemoveLUN) error {
	exists, err := a.ownership(c.Target)
	if err != nil || !exists {
		return err
	}
	if have, err := observe.ReadNamespace(a.host, observe.NamespaceDir(c.Name, c.LUN)); err == nil && have.Device != "" {
		if err := a.checkIdle(c.Name, c.Idle); err != nil {
			return err
		}
	}
	return a.dropNamespace(c.Name, c.LUN)
}

func (a *Actuator) dropNamespace(nqn string, lun int) error {
	dir := observe.NamespaceDir(nqn, lun)
	err := configfs.Set(a.host, path.Join(dir, "enable"), "0")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return configfs.Remove(a.host, dir)
}
