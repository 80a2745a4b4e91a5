package lvm

import (
	"context"
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// activate also activates what is flagged to be skipped, as thin snapshots are
// (-K). A logical volume without a UUID in the change was created by the same
// plan, and is known by its tags.
//
// It looks first because LVM does not say whether it activated anything. If another
// logical volume is given the name in the moment between, nothing is activated. It
// looks afterwards because LVM also succeeds where its settings forbid it.
func (a *Actuator) activate(ctx context.Context, c change.Activate) error {
	now, err := a.readCurrent(ctx, c.LV)
	if err != nil || now.Active {
		return err
	}
	c.UUID = now.UUID
	if _, err = a.lvm(ctx, "lvchange", "-ay", "-K", "-S", hasUUID(c.LV), c.LV.String()); err != nil {
		return err
	}
	if now, err = a.readCurrent(ctx, c.LV); err != nil || now.Active {
		return err
	}
	return a.explainInactive(ctx, c.LV)
}

// explainInactive names the setting of lvm.conf(5) that keeps a logical volume inactive. There are
// two: the list of what may be activated, and where there is none, the tags of the host.
func (a *Actuator) explainInactive(ctx context.Context, lv change.LV) error {
	out, err := a.machine.Run(ctx, "lvm", "lvmconfig", "--typeconfig", "full", "activation/volume_list")
	if list, set := strings.CutPrefix(strings.TrimSpace(string(out.Stdout)), "volume_list="); err == nil && set {
		return fmt.Errorf("%w: lvm.conf prevents activation of %s: activation/volume_list = %s does not include it. Add %q to the list "+
			"(lvmconfig activation/volume_list)", change.ErrUnsupported, lv, list, lv.String())
	}
	return fmt.Errorf("%w: lvm.conf prevents activation of %s: the host has tags, but neither the logical volume "+
		"nor its volume group has one. Add %q to activation/volume_list, or tag the volume group with the host's tag "+
		"(lvmconfig tags; lvmconfig activation/volume_list)", change.ErrUnsupported, lv, lv.String())
}
