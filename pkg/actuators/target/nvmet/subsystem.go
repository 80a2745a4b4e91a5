package nvmet

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/configfs"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// ownership reports whether a subsystem exists, and is an error if it exists and is
// not that of the export.
func (a *Actuator) ownership(t change.Target) (exists bool, err error) {
	mark, err := observe.ReadSubsystemMark(a.host, t.Name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if !isMarkedFor(t, mark) {
		return true, refuse.Stale("subsystem %s does not belong to Export %s", t.Name, t.Export)
	}
	return true, nil
}

// isMarkedFor reports whether a subsystem's mark is that of the export.
func isMarkedFor(t change.Target, mark string) bool {
	return observe.Target{Fabric: observe.NVMe, Name: t.Name, Mark: mark}.OwnedBy(t.Export)
}

// checkOwned is an error if the subsystem does not exist, or is not that of the export.
func (a *Actuator) checkOwned(t change.Target) error {
	exists, err := a.ownership(t)
	if err == nil && !exists {
		return refuse.Stale("subsystem %s no longer exists", t.Name)
	}
	return err
}

// read reads a subsystem, with the ports that serve it.
func (a *Actuator) read(nqn string) (observe.Target, error) {
	ports, err := observe.ReadPorts(a.host)
	if err != nil {
		return observe.Target{}, err
	}
	return observe.ReadSubsystem(a.host, ports, nqn)
}

// createSubsystem makes a subsystem and marks it. Until it is marked it is an empty
// shell, which nobody reaches and which the next attempt uses.
func (a *Actuator) createSubsystem(ctx context.Context, c change.CreateTarget) error {
	if err := a.load(ctx, observe.SubsystemsDir, "nvmet"); err != nil {
		return err
	}
	have, err := a.read(c.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case isMarkedFor(c.Target, have.Mark):
		return nil
	case !have.Empty():
		return refuse.Stale("subsystem %s already exists and does not belong to Export %s", c.Name, c.Export)
	}
	err = a.mark(c.Target)
	if errors.Is(err, syscall.EINVAL) {
		// Numbers that a host has seen stay what they are: the shell is not a new
		// one.
		if err := configfs.Remove(a.host, observe.SubsystemDir(c.Name)); err != nil {
			return err
		}
		err = a.mark(c.Target)
	}
	return err
}

// mark makes a subsystem that admits nobody, and the mark of its owner complete
// last.
func (a *Actuator) mark(t change.Target) error {
	dir := observe.SubsystemDir(t.Name)
	if err := configfs.MakeDir(a.host, dir); err != nil {
		return err
	}
	for _, w := range []struct{ attribute, value string }{
		{anyHost, "0"},
		{"attr_serial", ondisk.SubsystemSerial(t.Name, t.Export)},
		{"attr_model", ondisk.SubsystemModel},
	} {
		if err := configfs.Set(a.host, path.Join(dir, w.attribute), w.value); err != nil {
			return err
		}
	}
	return nil
}

// anyHost is whether a subsystem admits any host, with which no keys are asked for.
const anyHost = "attr_allow_any_host"

func (a *Actuator) setAttributes(c change.SetAttributes) error {
	if err := a.checkOwned(c.Target); err != nil {
		return err
	}
	if c.Attrib != (observe.TPGAttrib{GenerateNodeACLs: c.Attrib.GenerateNodeACLs}) {
		return fmt.Errorf("subsystem %s: NVMe subsystems do not have these attributes: %+v", c.Name, c.Attrib)
	}
	err := configfs.Set(a.host, path.Join(observe.SubsystemDir(c.Name), anyHost), configfs.Flag(c.Attrib.GenerateNodeACLs))
	if errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("waiting for subsystem %s to list no hosts before it admits any host: %w", c.Name, err)
	}
	return err
}

// removeSubsystem takes down a subsystem of the export, or the empty shell of one.
// Its ports come first, so that nobody connects to what is being removed. The mark
// is removed last, with the subsystem.
func (a *Actuator) removeSubsystem(c change.RemoveTarget) error {
	t, err := a.read(c.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !isMarkedFor(c.Target, t.Mark) && !t.Empty():
		return refuse.Stale("subsystem %s does not belong to Export %s", c.Name, c.Export)
	case !c.Force:
		if err := (change.Idle{All: true}).Check(t); err != nil {
			return err
		}
	}
	if err := a.unlinkPorts(c.Name, func(string) bool { return true }); err != nil {
		return err
	}
	for _, lun := range slices.Sorted(maps.Keys(t.LUNs)) {
		if err := a.dropNamespace(c.Name, lun); err != nil {
			return err
		}
	}
	for _, name := range slices.Sorted(maps.Keys(t.ACLs)) {
		if err := a.dropHost(c.Name, name); err != nil {
			return err
		}
	}
	return configfs.Remove(a.host, observe.SubsystemDir(c.Name))
}
