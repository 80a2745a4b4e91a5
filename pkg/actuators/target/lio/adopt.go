package lio

import (
	"context"
	"errors"
	"io/fs"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/device"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
)

// adoptBackstore marks a backstore of somebody else, if it serves the logical volume that the plan
// saw behind it. Its alias is free for that: the kernel does not use it.
func (a *Actuator) adoptBackstore(ctx context.Context, c change.AdoptBackstore) error {
	have, err := observe.ReadBackstore(a.host, c.HBA, c.Name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse.Stale("backstore %s no longer exists", c.Path())
	case err != nil:
		return err
	}
	if _, ours := have.Owner(); ours && have.Mark != c.Mark {
		return refuse.Stale("backstore %s belongs to another object (%s)", c.Path(), have.Mark)
	}
	lv, err := device.Find(ctx, a.host, c.Device)
	if err != nil {
		return err
	}
	if err := lv.Check(c.Device, c.LVUUID); err != nil {
		return err
	}
	want := observe.Backstore{HBA: c.HBA, Name: c.Name, BlockDevice: lv.BlockDevice, Serial: c.Serial, ReadOnly: c.ReadOnly}
	if err := checkBound(have, want); err != nil {
		return err
	}
	return a.set(observe.BackstoreMark(c.HBA, c.Name), c.Mark)
}

// adoptTarget marks a target of somebody else, if its LUNs are those that the plan saw. The mark is
// written last, and nothing else is.
func (a *Actuator) adoptTarget(c change.AdoptTarget) error {
	dir, err := observe.LIOTarget(a.host, c.ID())
	if err != nil {
		return err
	}
	mark := ondisk.TargetMark(c.Export)
	have, err := observe.ReadTarget(a.host, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return refuse.Stale("target %s no longer exists", c.Name)
	case err != nil:
		return err
	case dir.Fabric != observe.ISCSI || !have.HasTPG || have.OtherTPGs > 0:
		return refuse.Stale("target %s does not have tpg1 as its only portal group", c.Name)
	case ondisk.IsTargetMark(have.Mark) && have.Mark != mark:
		return refuse.Stale("target %s has mark %q and does not belong to Export %s", c.Name, have.Mark, c.Export)
	case len(have.LUNs) != len(c.LUNs):
		return refuse.Stale("target %s has %d LUNs, not %d", c.Name, len(have.LUNs), len(c.LUNs))
	}
	for n, backstore := range c.LUNs {
		if shown := have.LUNs[n].Backstore; shown != backstore {
			return refuse.Stale("LUN %d of target %s is %q, not %s", n, c.Name, shown, backstore)
		}
	}
	if have.Mark == mark {
		return nil
	}
	credentials, err := observe.HasGroupAuth(a.host, dir)
	switch {
	case err != nil:
		return err
	case credentials:
		return refuse.Stale("the portal group of target %s has credentials of its own", c.Name)
	}
	return a.host.WriteFile(dir.Mark(), []byte(mark))
}
