package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// ownership reports whether a target's portal group exists, and is an error if
// it exists and is not that of the export.
func (a *Actuator) ownership(t change.Target) (exists bool, err error) {
	alias, err := a.text(observe.AliasFile(t.Name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	if alias != observe.Alias(t.Export) {
		return true, stale("target %s has the alias %q and is not that of export %s", t.Name, alias, t.Export)
	}
	return true, nil
}

// own is an error unless the target exists and is that of the export.
func (a *Actuator) own(t change.Target) error {
	exists, err := a.ownership(t)
	if err == nil && !exists {
		return stale("target %s is gone", t.Name)
	}
	return err
}

// createTarget makes a target and marks it. Until it is marked it is an empty
// shell, which serves nothing and which the next attempt takes over.
func (a *Actuator) createTarget(ctx context.Context, c change.CreateTarget) error {
	have, err := observe.ReadTarget(a.host, c.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case have.Alias == observe.Alias(c.Export):
		return nil
	case !have.Empty():
		return stale("target %s exists and is not that of export %s", c.Name, c.Export)
	}
	if err := a.loadCore(ctx); err != nil {
		return err
	}
	if err := a.makeDriverDir(ctx, observe.ISCSIDir, "iscsi_target_mod"); err != nil {
		return err
	}
	if err := a.makeDir(observe.TargetDir(c.Name)); err != nil {
		return err
	}
	if err := a.makeDir(observe.TPGDir(c.Name)); err != nil {
		return err
	}
	return a.host.WriteFile(observe.AliasFile(c.Name), []byte(observe.Alias(c.Export)))
}

func (a *Actuator) setAttributes(c change.SetAttributes) error {
	if err := a.own(c.Target); err != nil {
		return err
	}
	have, err := observe.ReadTPGAttrib(a.host, c.Name)
	if err != nil {
		return err
	}
	for _, w := range attributeWrites(have, c.Attrib) {
		if err := a.host.WriteFile(path.Join(observe.TPGDir(c.Name), "attrib", w.name), []byte(flag(w.on))); err != nil {
			return err
		}
	}
	have, err = observe.ReadTPGAttrib(a.host, c.Name)
	if err == nil && have != c.Attrib {
		// It keeps cache_dynamic_acls while generate_node_acls is set, for one.
		return fmt.Errorf("the kernel did not take the attributes of target %s: wanted %+v, it has %+v", c.Name, c.Attrib, have)
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
	if err := a.own(c.Target); err != nil {
		return err
	}
	return a.set(path.Join(observe.TPGDir(c.Name), "enable"), "1")
}

// removeTarget takes down a target of the export, or the empty shell of one.
//
// The mark goes with the portal group, and the target's own directory a moment
// later. If the agent dies in between, what stays is such a shell.
func (a *Actuator) removeTarget(c change.RemoveTarget) error {
	t, err := observe.ReadTarget(a.host, c.Name)
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
		if err := a.removeTPG(t); err != nil {
			return err
		}
	}
	return a.remove(observe.TargetDir(c.Name))
}

// checkRemovable is an error if a target is not the export's, or in use by
// somebody who is to be waited for.
func checkRemovable(t observe.Target, c change.RemoveTarget) error {
	switch {
	case t.OtherTPGs > 0:
		return stale("target %s has portal groups that are not ours", c.Name)
	case t.Alias != observe.Alias(c.Export) && !t.Empty():
		return stale("target %s has the alias %q and is not that of export %s", c.Name, t.Alias, c.Export)
	case c.Force:
		return nil
	}
	return checkIdle(t)
}

// checkIdle is a [change.ErrInUse] while anybody is logged in.
func checkIdle(t observe.Target) error {
	who := slices.Clone(t.DynamicSessions)
	for initiator, acl := range t.ACLs {
		if acl.LoggedIn {
			who = append(who, initiator)
		}
	}
	switch {
	case len(who) > 0:
		slices.Sort(who)
		return fmt.Errorf("%w: %s has sessions of %s", change.ErrInUse, t.Name, strings.Join(slices.Compact(who), ", "))
	case t.Sessions > 0:
		return fmt.Errorf("%w: %s has %d sessions", change.ErrInUse, t.Name, t.Sessions)
	}
	return nil
}

// removeTPG removes the portal group and all that is in it. Disabling it comes
// first, so that nobody logs in to what is going away.
func (a *Actuator) removeTPG(t observe.Target) error {
	if err := a.disable(t.Name); err != nil {
		return err
	}
	for _, initiator := range slices.Sorted(maps.Keys(t.ACLs)) {
		if err := a.dropACL(t.Name, initiator); err != nil {
			return err
		}
	}
	for _, lun := range slices.Sorted(maps.Keys(t.LUNs)) {
		if err := a.dropLUN(t.Name, lun, t.LUNs[lun].Link); err != nil {
			return err
		}
	}
	portals, err := a.children(observe.PortalsDir(t.Name))
	if err != nil {
		return err
	}
	for _, portal := range portals {
		if err := a.dropPortal(t.Name, portal); err != nil {
			return err
		}
	}
	return a.remove(observe.TPGDir(t.Name))
}

func (a *Actuator) disable(iqn string) error {
	a.portals.Lock()
	defer a.portals.Unlock()
	return a.set(path.Join(observe.TPGDir(iqn), "enable"), "0")
}
