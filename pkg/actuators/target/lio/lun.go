package lio

import (
	"errors"
	"io/fs"
	"path"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// The names of the symlinks that we make. Others may use any name.
const (
	backstoreLink = "backstore"
	lunLink       = "lun"
)

// linkName returns the name of a symlink that we make in a target. On Fibre
// Channel it is the mark of the target's owner, which has no other place there.
func linkName(t change.Target, otherwise string) string {
	if t.Fabric == observe.FC {
		return ondisk.TargetMark(t.Export)
	}
	return otherwise
}

func (a *Actuator) addLUN(c change.AddLUN) error {
	target, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	dir := target.LUN(c.LUN)
	if err := a.makeDir(dir); err != nil {
		return err
	}
	have, err := observe.ReadLUN(a.host, dir)
	switch {
	case err != nil:
		return err
	case have.Backstore == c.Backstore:
		return nil
	case have.Link != "":
		return refuse.Stale("LUN %d of %s is backstore %s, not %s", c.LUN, c.Name, have.Backstore, c.Backstore)
	}
	if err := a.checkIdle(target, c.Idle); err != nil {
		return errors.Join(err, a.remove(dir))
	}
	err = a.link(path.Join(observe.BackstoresDir, c.Backstore), dir, linkName(c.Target, backstoreLink))
	if errors.Is(err, fs.ErrNotExist) {
		return refuse.Stale("backstore %s no longer exists", c.Backstore)
	}
	return err
}

// link links an object to the LUN in dir. A LUN that cannot be linked does not
// stay: targetcli cannot save its configuration as long as there is one.
func (a *Actuator) link(to, dir, name string) error {
	err := a.host.Symlink(to, path.Join(dir, name))
	if err != nil {
		_ = a.host.Remove(dir)
	}
	return err
}

// removeLUN takes the LUN out of every ACL first: the kernel keeps a LUN that
// an ACL links to.
func (a *Actuator) removeLUN(c change.RemoveLUN) error {
	target, exists, err := a.findTarget(c.Target)
	if err != nil || !exists {
		return err
	}
	have, err := observe.ReadLUN(a.host, target.LUN(c.LUN))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if err := a.checkIdle(target, c.Idle); err != nil {
		return err
	}
	acls, err := a.children(target.ACLs())
	if err != nil {
		return err
	}
	for _, acl := range acls {
		if err := a.checkIdle(target, c.Idle.ForInitiator(acl)); err != nil { // there may be hundreds of others before it
			return err
		}
		err := a.unmap(path.Join(target.ACLs(), acl), func(m observe.MappedLUN) bool { return m.LUN == c.LUN })
		if err != nil {
			return err
		}
	}
	return a.dropLUN(target.LUN(c.LUN), have.Link)
}

func (a *Actuator) dropLUN(dir, link string) error {
	if err := a.removeLink(dir, link); err != nil {
		return err
	}
	return a.remove(dir)
}
