package lio

import (
	"errors"
	"fmt"
	"path"
	"syscall"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// addPortal makes the target listen. An address that the machine does not have
// (yet) is no error: the kernel binds to it all the same.
func (a *Actuator) addPortal(c change.AddPortal) error {
	if err := a.own(c.Target); err != nil {
		return err
	}
	name, err := a.portalName(c.IQN, c.Portal)
	if err != nil || name != "" {
		return err
	}
	a.portals.Lock()
	err = a.makeDir(path.Join(observe.PortalsDir(c.IQN), c.Portal))
	a.portals.Unlock()
	if errors.Is(err, syscall.EINVAL) {
		// target_fabric_make_np in drivers/target/target_core_fabric_configfs.c
		// turns every error into this one.
		return fmt.Errorf("the kernel cannot listen on %s, and its log says why; "+
			"most likely another program does already: %w", c.Portal, err)
	}
	return err
}

func (a *Actuator) removePortal(c change.RemovePortal) error {
	exists, err := a.ownership(c.Target)
	if err != nil || !exists {
		return err
	}
	name, err := a.portalName(c.IQN, c.Portal)
	if err != nil || name == "" {
		return err
	}
	return a.dropPortal(c.IQN, name)
}

func (a *Actuator) dropPortal(iqn, name string) error {
	a.portals.Lock()
	defer a.portals.Unlock()
	return a.remove(path.Join(observe.PortalsDir(iqn), name))
}

// portalName returns the name of the portal's directory, which need not be
// written as we write it: [::0]:3260 is [::]:3260. It is empty if there is none.
func (a *Actuator) portalName(iqn, portal string) (string, error) {
	names, err := a.children(observe.PortalsDir(iqn))
	for _, name := range names {
		if observe.ParsePortal(name) == portal {
			return name, err
		}
	}
	return "", err
}
