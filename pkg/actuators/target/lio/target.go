package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// findTarget returns a target's directory and reports whether its portal group
// exists. It is an error if it exists and is not that of the export.
func (a *Actuator) findTarget(t change.Target) (dir observe.TargetDir, exists bool, err error) {
	dir, err = observe.LIOTarget(a.host, t.ID())
	if err != nil {
		return dir, false, err
	}
	mark, marked, err := a.mark(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, false, nil
	} else if err != nil {
		return dir, false, err
	}
	if marked && mark != ondisk.TargetMark(t.Export) {
		return dir, true, refuse.Stale("target %s has mark %q and does not belong to Export %s", t.Name, mark, t.Export)
	}
	return dir, true, nil
}

// mark returns the mark of a target's owner. marked is false of a target that has
// no place for one yet: a Fibre Channel target without LUNs is nobody's.
func (a *Actuator) mark(dir observe.TargetDir) (mark string, marked bool, err error) {
	if dir.Fabric == observe.FC {
		luns, err := observe.ReadLUNs(a.host, dir)
		mark, marked = observe.FCMark(luns)
		return mark, marked, err
	}
	mark, _, err = observe.ReadMark(a.host, dir)
	return mark, true, err
}

// moveMark takes the mark out of the alias of a target, once it is where it belongs.
// The alias becomes the kernel's own. Nobody's session or password depends on either.
func (a *Actuator) moveMark(c change.MoveMark) error {
	dir, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	mark := ondisk.TargetMark(c.Export)
	if err := a.set(dir.Mark(), mark); err != nil {
		return err
	}
	if alias, err := a.text(dir.Alias()); err != nil || alias != mark {
		return err
	}
	// The newline is for older kernels, see setAttribute.
	return a.host.WriteFile(dir.Alias(), []byte(observe.DefaultAlias+"\n"))
}

// openTarget returns the directory of the export's target. It is an error if that target does
// not exist, or is not ours.
func (a *Actuator) openTarget(t change.Target) (observe.TargetDir, error) {
	dir, exists, err := a.findTarget(t)
	if err == nil && !exists {
		return dir, refuse.Stale("target %s no longer exists", t.Name)
	}
	return dir, err
}

// createTarget makes a target and marks it. Until it is marked it is an empty
// shell, which serves nothing and which the next attempt uses.
func (a *Actuator) createTarget(ctx context.Context, c change.CreateTarget) error {
	dir, err := observe.LIOTarget(a.host, c.ID())
	if err != nil {
		return err
	}
	have, err := observe.ReadTarget(a.host, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case have.Mark == ondisk.TargetMark(c.Export):
		return nil
	case !have.Empty():
		return refuse.Stale("target %s already exists and does not belong to Export %s", c.Name, c.Export)
	}
	if err := a.loadCore(ctx); err != nil {
		return err
	}
	if dir.Fabric == observe.FC {
		return a.createFC(ctx, c)
	}
	if err := a.makeDriverDir(ctx, observe.ISCSIDir, "iscsi_target_mod"); err != nil {
		return err
	}
	if err := a.makeTarget(dir); err != nil {
		return err
	}
	return a.host.WriteFile(dir.Mark(), []byte(ondisk.TargetMark(c.Export)))
}

func (a *Actuator) makeTarget(dir observe.TargetDir) error {
	if err := a.makeDir(dir.Path); err != nil {
		return err
	}
	return a.makeDir(dir.TPG())
}

func (a *Actuator) setAttributes(c change.SetAttributes) error {
	dir, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	have, err := observe.ReadTPGAttrib(a.host, dir)
	if err != nil {
		return err
	}
	for _, w := range attributeWrites(have, c.Attrib) {
		if err := a.host.WriteFile(path.Join(dir.Attrib(), w.name), []byte(flag(w.on))); err != nil {
			return err
		}
	}
	have, err = observe.ReadTPGAttrib(a.host, dir)
	if err == nil && have != c.Attrib {
		// It keeps cache_dynamic_acls while generate_node_acls is set, for one.
		return fmt.Errorf("the kernel did not set the attributes of target %s: expected %+v, found %+v", c.Name, c.Attrib, have)
	}
	return err
}

// attributeWrite sets a boolean attribute of a portal group.
type attributeWrite struct {
	name string
	on   bool
}

// attributeWrites returns the writes that lead from one set of attributes to
// another, in an order in which the group at no instant admits anybody whom
// neither of the two admits: what closes it comes first, and what admits
// everybody comes last.
func attributeWrites(have, want observe.TPGAttrib) []attributeWrite {
	var writes []attributeWrite
	turn := func(name string, have, want, on bool) {
		if have != want && want == on {
			writes = append(writes, attributeWrite{name, on})
		}
	}
	turn("authentication", have.Authentication, want.Authentication, true)
	turn("generate_node_acls", have.GenerateNodeACLs, want.GenerateNodeACLs, false)
	turn("cache_dynamic_acls", have.CacheDynamicACLs, want.CacheDynamicACLs, false)
	turn("demo_mode_write_protect", have.DemoModeWriteProtect, want.DemoModeWriteProtect, true)
	turn("demo_mode_discovery", have.DemoModeDiscovery, want.DemoModeDiscovery, false)

	turn("demo_mode_write_protect", have.DemoModeWriteProtect, want.DemoModeWriteProtect, false)
	turn("demo_mode_discovery", have.DemoModeDiscovery, want.DemoModeDiscovery, true)
	turn("cache_dynamic_acls", have.CacheDynamicACLs, want.CacheDynamicACLs, true)
	turn("prod_mode_write_protect", have.ProdModeWriteProtect, want.ProdModeWriteProtect, want.ProdModeWriteProtect)
	turn("authentication", have.Authentication, want.Authentication, false)
	turn("generate_node_acls", have.GenerateNodeACLs, want.GenerateNodeACLs, true)
	return writes
}

func (a *Actuator) enableTarget(c change.EnableTarget) error {
	dir, err := a.openTarget(c.Target)
	if err != nil {
		return err
	}
	if dir.Fabric == observe.FC {
		if err := a.closeToUnlisted(dir); err != nil {
			return err
		}
	}
	return a.setEnabled(dir, true)
}

// disableTarget ends the sessions of a target, and lets nobody log in. One that is gone
// does so already.
func (a *Actuator) disableTarget(c change.DisableTarget) error {
	dir, exists, err := a.findTarget(c.Target)
	if err != nil || !exists {
		return err
	}
	if err := a.checkIdle(dir, c.Idle); err != nil {
		return err
	}
	return a.setEnabled(dir, false)
}

// setEnabled lets initiators log in, or nobody. Some targets have no such attribute.
func (a *Actuator) setEnabled(dir observe.TargetDir, on bool) error {
	a.portals.Lock()
	defer a.portals.Unlock()
	err := a.set(dir.Enable(), flag(on))
	if dir.Fabric == observe.FC && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// removeTarget takes down a target of the export, or the empty shell of one.
//
// The mark is removed with the portal group, and the target's own directory a moment
// later. If the agent dies in between, such a shell is left.
func (a *Actuator) removeTarget(c change.RemoveTarget) error {
	dir, err := observe.LIOTarget(a.host, c.ID())
	if err != nil {
		return err
	}
	t, err := observe.ReadTarget(a.host, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	}
	if err := checkRemovable(t, c); err != nil {
		return err
	}
	if t.HasTPG {
		// All of it was read since the sessions were.
		if err := a.checkIdle(dir, change.Idle{All: !c.Force}); err != nil {
			return err
		}
		if err := a.removeTPG(dir, t); err != nil {
			return err
		}
	}
	return a.remove(dir.Path)
}

// checkRemovable is an error if a target is not the export's, or in use by
// somebody who is to be waited for.
func checkRemovable(t observe.Target, c change.RemoveTarget) error {
	switch {
	case t.OtherTPGs > 0:
		return refuse.Stale("target %s has portal groups that volreconciler did not create; remove them", c.Name)
	case t.Mark != ondisk.TargetMark(c.Export) && !t.Empty():
		return refuse.Stale("target %s has mark %q and does not belong to Export %s", c.Name, t.Mark, c.Export)
	case c.Force:
		return nil
	}
	return change.Idle{All: true}.Check(t)
}

// removeTPG removes the portal group and all that is in it. Disabling it comes
// first, so that nobody logs in to what is going away.
func (a *Actuator) removeTPG(dir observe.TargetDir, t observe.Target) error {
	if err := a.setEnabled(dir, false); err != nil {
		return err
	}
	for _, initiator := range slices.Sorted(maps.Keys(t.ACLs)) {
		if err := a.dropACL(dir.ACL(initiator)); err != nil {
			return err
		}
	}
	for _, lun := range slices.Sorted(maps.Keys(t.LUNs)) {
		if err := a.dropLUN(dir.LUN(lun), t.LUNs[lun].Link); err != nil {
			return err
		}
	}
	portals, err := a.children(dir.Portals())
	if err != nil {
		return err
	}
	for _, portal := range portals {
		if err := a.dropPortal(dir, portal); err != nil {
			return err
		}
	}
	return a.remove(dir.TPG())
}
