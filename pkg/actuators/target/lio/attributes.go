package lio

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

func (a *Actuator) setParameter(c change.SetParameter) error {
	dir, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	if place := spec.Attributes[c.Attribute].Place; dir.Fabric != observe.ISCSI || place != spec.TargetAttrib && place != spec.TargetParam {
		return fmt.Errorf("cannot set attribute %s of target %s: unknown attribute", c.Attribute, c.Name)
	}
	return a.setAttribute(dir.AttributeFile(c.Attribute), c.Attribute, c.Value)
}

func (a *Actuator) setBackstoreAttribute(c change.SetBackstoreAttribute) error {
	if err := a.checkOurs(c.Backstore); err != nil {
		return err
	}
	attribute := spec.Attributes[c.Attribute]
	if attribute.Place != spec.BackstoreAttrib {
		return fmt.Errorf("cannot set backstore attribute %s: unknown attribute", c.Attribute)
	}
	have, err := observe.ReadBackstore(a.host, c.HBA, c.Name)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !have.Enabled {
		return refuse.Stale("backstore %s no longer exists", c.Path())
	} else if err != nil {
		return err
	}
	err = a.setAttribute(observe.BackstoreAttributeFile(c.HBA, c.Name, c.Attribute), c.Attribute, c.Value)
	if attribute.Unexported && errors.Is(err, syscall.EINVAL) {
		return fmt.Errorf("%w; it can be changed only while no LUN is linked to the backstore", err)
	}
	return err
}

// setAttribute writes an attribute and reads it back. It has a newline at its end:
// older kernels take the last character of a parameter for one.
func (a *Actuator) setAttribute(file, name, value string) error {
	have, err := a.text(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: this kernel has no attribute %s", change.ErrUnsupported, name)
	case err != nil || have == value:
		return err
	}
	if err := a.host.WriteFile(file, []byte(value+"\n")); err != nil {
		return fmt.Errorf("the kernel rejects %q for %s (see the kernel log): %w", value, name, err)
	}
	have, err = a.text(file)
	if err == nil && have != value {
		return fmt.Errorf("the kernel changed the value to %q, expected %q, for %s", have, value, name)
	}
	return err
}
