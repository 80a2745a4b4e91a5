package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// createFC makes a Fibre Channel target, which is a port of this machine. It is
// closed from the beginning: qla2xxx admits anybody by default, though only once it
// is enabled.
func (a *Actuator) createFC(ctx context.Context, c change.CreateTarget) error {
	driver, err := a.driverOf(c.Name)
	if err != nil {
		return err
	}
	if err := a.makeDriverDir(ctx, driver.Dir, driver.Module); err != nil {
		return fmt.Errorf("%w: Fibre Channel target %s needs the module %s: %w", change.ErrUnsupported, c.Name, driver.Module, err)
	}
	dir := driver.Target(c.Name)
	if err := a.makeTarget(dir); err != nil {
		return fmt.Errorf("module %s rejects target %s (see the kernel log): %w", driver.Module, c.Name, err)
	}
	return a.closeToUnlisted(dir)
}

// withoutTarget are the low-level drivers that no module of LIO serves targets on.
// tcm_fc would take their ports' names all the same.
var withoutTarget = []string{"lpfc", "mptfc", "zfcp", "bfa"}

// driverOf returns the driver that serves targets on a port of this machine.
func (a *Actuator) driverOf(wwpn string) (observe.FCDriver, error) {
	tcmFC, qla2xxx := observe.FCDrivers[0], observe.FCDrivers[1]
	ports, err := observe.ReadFCPorts(a.host)
	if err != nil {
		return observe.FCDriver{}, err
	}
	i := slices.IndexFunc(ports, func(p observe.FCPort) bool { return p.WWPN == wwpn })
	switch {
	case i < 0:
		return observe.FCDriver{}, fmt.Errorf("%w: %s is not a Fibre Channel port of this node; %s", change.ErrUnsupported, wwpn, portList(ports))
	case slices.Contains(withoutTarget, ports[i].Driver):
		return observe.FCDriver{}, fmt.Errorf("%w: port %s uses driver %s, which LIO does not support; use a port of another adapter", change.ErrUnsupported, wwpn, ports[i].Driver)
	case ports[i].Driver != "qla2xxx":
		return tcmFC, nil
	}
	mode, err := a.text("/sys/module/qla2xxx/parameters/qlini_mode")
	if err == nil && mode == "enabled" {
		return observe.FCDriver{}, fmt.Errorf("%w: qla2xxx is in initiator mode; load it with qlini_mode=disabled or dual "+
			"(options qla2xxx qlini_mode=disabled in /etc/modprobe.d)", change.ErrUnsupported)
	}
	return qla2xxx, nil
}

func portList(ports []observe.FCPort) string {
	if len(ports) == 0 {
		return "the node has no ports (see /sys/class/fc_host)"
	}
	var names []string
	for _, p := range ports {
		names = append(names, p.WWPN)
	}
	slices.Sort(names)
	return "its ports are " + strings.Join(names, ", ")
}

// closeToUnlisted makes a target admit listed initiators only, where it is for us to say.
func (a *Actuator) closeToUnlisted(dir observe.TargetDir) error {
	for _, attribute := range []string{"generate_node_acls", "cache_dynamic_acls"} {
		err := a.set(path.Join(dir.Attrib(), attribute), flag(false))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
