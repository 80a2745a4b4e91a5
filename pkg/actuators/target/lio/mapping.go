package lio

import (
	"errors"
	"io/fs"
	"path"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// unmap removes those mapped LUNs of an ACL that which selects.
func (a *Actuator) unmap(acl string, which func(observe.MappedLUN) bool) error {
	names, err := a.children(acl)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasPrefix(name, "lun_") {
			continue
		}
		dir := path.Join(acl, name)
		mapped, err := observe.ReadMappedLUN(a.host, dir)
		if err != nil {
			return err
		}
		if which(mapped) {
			if err := a.dropMappedLUN(dir, mapped.Link); err != nil {
				return err
			}
		}
	}
	return nil
}

func (a *Actuator) dropMappedLUN(dir, link string) error {
	if err := a.removeLink(dir, link); err != nil {
		return err
	}
	return a.remove(dir)
}

// mapLUN shows a LUN to an initiator. A LUN that is to be read-only is
// read-only from the moment the initiator sees it: the kernel maps it as the
// group's prod_mode_write_protect says, which is set for that moment only, so
// that another one is never write-protected by accident.
func (a *Actuator) mapLUN(c change.MapLUN) error {
	target, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	dir := target.MappedLUN(c.Initiator, c.LUN)
	err = a.makeDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return refuse.Stale("%s has no ACL for %s", c.Name, c.Initiator)
	} else if err != nil {
		return err
	}
	have, err := observe.ReadMappedLUN(a.host, dir)
	switch {
	case err != nil:
		return err
	case have.Link == "":
		if err := a.checkIdle(target, c.Idle); err != nil {
			return errors.Join(err, a.remove(dir))
		}
		if err := a.linkMappedLUN(c, target); err != nil {
			return err
		}
	case have.LUN != c.LUN:
		return refuse.Stale("LUN %d of initiator %s is LUN %d of %s", c.LUN, c.Initiator, have.LUN, c.Name)
	}
	return a.set(path.Join(dir, "write_protect"), flag(c.ReadOnly))
}

func (a *Actuator) linkMappedLUN(c change.MapLUN, target observe.TargetDir) (err error) {
	protect := path.Join(target.Attrib(), "prod_mode_write_protect")
	err = a.set(protect, flag(c.ReadOnly))
	switch {
	case target.Fabric == observe.FC && errors.Is(err, fs.ErrNotExist):
		// tcm_fc has no such attribute: the LUN is there for a moment before it is
		// write-protected.
		return a.linkMappedLUNs(c, target)
	case err != nil:
		return err
	}
	if c.ReadOnly {
		defer func() { err = errors.Join(err, a.set(protect, flag(false))) }()
	}
	return a.linkMappedLUNs(c, target)
}

func (a *Actuator) linkMappedLUNs(c change.MapLUN, target observe.TargetDir) error {
	err := a.link(target.LUN(c.LUN), target.MappedLUN(c.Initiator, c.LUN), linkName(c.Target, lunLink))
	if errors.Is(err, fs.ErrNotExist) {
		return refuse.Stale("%s has no LUN %d", c.Name, c.LUN)
	}
	return err
}

func (a *Actuator) unmapLUN(c change.UnmapLUN) error {
	target, exists, err := a.findTarget(c.Target)
	if err != nil || !exists {
		return err
	}
	dir := target.MappedLUN(c.Initiator, c.LUN)
	have, err := observe.ReadMappedLUN(a.host, dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := a.checkIdle(target, c.Idle); err != nil {
		return err
	}
	return a.dropMappedLUN(dir, have.Link)
}

func (a *Actuator) setWriteProtect(c change.SetWriteProtect) error {
	target, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	dir := target.MappedLUN(c.Initiator, c.LUN)
	have, err := observe.ReadMappedLUN(a.host, dir)
	if errors.Is(err, fs.ErrNotExist) || err == nil && have.LUN != c.LUN {
		return refuse.Stale("LUN %d of %s is not mapped to %s", c.LUN, c.Name, c.Initiator)
	} else if err != nil || have.WriteProtect == c.ReadOnly {
		return err
	}
	if err := a.checkIdle(target, c.Idle); err != nil {
		return err
	}
	return a.set(path.Join(dir, "write_protect"), flag(c.ReadOnly))
}
