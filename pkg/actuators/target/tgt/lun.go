package tgt

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/device"
	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/ondisk"
	"github.com/volreconciler/volreconciler/pkg/tgtadm"
)

// addLUN makes a logical unit of a logical volume. Its identity is set in the request
// after the one that makes it; a logical unit without one was left half made.
//
// A logical unit is writable when it is made. If it must not be, and somebody may
// be logged in, it is made while the target is offline.
func (a *Actuator) addLUN(ctx context.Context, c change.AddLUN) error {
	t, err := a.findOwned(ctx, c.Target)
	if err != nil {
		return err
	}
	if c.Device == "" {
		return fmt.Errorf("LUN %d of %s: tgtd serves devices, not backstores", c.LUN, c.Name)
	}
	lv, err := device.Find(ctx, a.host, c.Device)
	if err != nil {
		return err
	}
	if err := lv.Check(c.Device, c.LVUUID); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	want := unit{number: observe.TGTLUN(c.LUN), path: a.path(c.Device), serial: ondisk.UnitSerial(cmp.Or(c.Identity, lv.UUID)), readOnly: c.ReadOnly, thin: c.Unmap}
	have, exists := unitOf(t, want.number)
	switch {
	case exists && observe.TGTUnfinished(t.ID, have):
		if err := a.dropUnit(ctx, t, want.number); err != nil {
			return err
		}
	case exists && have.Serial != want.serial:
		return refuse.Stale("LUN %d of %s already serves %s, with serial %s", c.LUN, c.Name, have.Path, have.Serial)
	case exists && have.Path != "" && have.Online:
		return a.protect(ctx, t, have, c.ReadOnly)
	case exists:
		// tgtd could not open its device when it was to be resized.
		if err := a.protect(ctx, t, have, c.ReadOnly); err != nil {
			return err
		}
		return explainOpen(c.Device, a.tgt.Reopen(ctx, t.ID, want.number, want.path))
	}
	if err := device.CheckFree(a.users, c.Device, lv.BlockDevice, "tgtd"); err != nil {
		return err
	}
	if err := a.checkIdleNow(ctx, c.Target, c.Idle); err != nil { // the device may have been waited for
		return err
	}
	add := func() error { return a.makeUnit(ctx, t, want) }
	if c.ReadOnly && len(observe.TGTInitiators(t.Access)) > 0 {
		err = a.whilePaused(ctx, t, add)
	} else {
		err = add()
	}
	if err != nil {
		return explainOpen(c.Device, err)
	}
	// tgtd does not say which device it opened.
	now, err := device.Find(ctx, a.host, c.Device)
	if err == nil && now != lv {
		err = refuse.Stale("%s pointed to another logical volume during the export", c.Device)
	}
	if err != nil {
		return errors.Join(err, a.dropUnit(ctx, t, want.number))
	}
	return nil
}

// unit is a logical unit that is to be made.
type unit struct {
	number         uint64
	path, serial   string
	readOnly, thin bool
}

// makeUnit makes a logical unit, and looks whether it is as it should be: tgtd
// does not tell of every parameter that it did not take. One that is not does not
// stay.
func (a *Actuator) makeUnit(ctx context.Context, t *tgtadm.Target, u unit) error {
	if err := a.tgt.NewLUN(ctx, t.ID, u.number, tgtadm.BackingStore{Path: u.path}); err != nil {
		return err
	}
	err := a.tgt.UpdateLUN(ctx, t.ID, u.number,
		tgtadm.Parameter{Name: "readonly", Value: flag(u.readOnly)},
		tgtadm.Parameter{Name: "thin_provisioning", Value: flag(u.thin)},
		tgtadm.Parameter{Name: "scsi_sn", Value: u.serial},
		// tgtd makes the NAA identifier of the digits of the ID, and what is
		// set here is the same that LIO would make of the serial.
		tgtadm.Parameter{Name: "scsi_id", Value: ondisk.NAA(u.serial)},
	)
	if err != nil {
		return errors.Join(err, a.dropUnit(ctx, t, u.number))
	}
	now, err := a.find(ctx, t.Name)
	switch {
	case err != nil:
		return err
	case now == nil:
		return refuse.Stale("target %s no longer exists", t.Name)
	}
	have, _ := unitOf(now, u.number)
	if have.Serial != u.serial || have.ID != ondisk.NAA(u.serial) || u.readOnly && !have.ReadOnly || have.Path == "" {
		return errors.Join(fmt.Errorf("tgtd did not apply the settings of logical unit %d of %s", u.number, t.Name), a.dropUnit(ctx, t, u.number))
	}
	return nil
}

// explainOpen says what is wrong if tgtd cannot open a device.
func explainOpen(device string, err error) error {
	if errors.Is(err, tgtadm.ErrInvalid) {
		return fmt.Errorf("tgtd cannot open %s (see its log): %w", device, err)
	}
	return err
}

// resizeLUN has tgtd look how large the device is, which it does only when it
// opens it. Under sessions that is not safe, see [tgtadm.Client.Reopen], so they
// are closed for the time that it takes, and initiators log in again.
func (a *Actuator) resizeLUN(ctx context.Context, c change.ResizeLUN) error {
	t, err := a.findOwned(ctx, c.Target)
	if err != nil {
		return err
	}
	number := observe.TGTLUN(c.LUN)
	have, exists := unitOf(t, number)
	switch {
	case !exists:
		return refuse.Stale("%s has no LUN %d", c.Name, c.LUN)
	case have.Path == "" || !have.Online || observe.TGTUnfinished(t.ID, have):
		return nil // it is as large as the device when it is opened
	}
	lv, err := device.Find(ctx, a.host, c.Device)
	if err != nil {
		return err
	}
	if err := lv.Check(c.Device, c.LVUUID); err != nil {
		return err
	}
	if ondisk.UnitSerial(cmp.Or(c.Identity, lv.UUID)) != have.Serial {
		return refuse.Stale("LUN %d of %s is not %s", c.LUN, c.Name, c.Device)
	}
	if size, known := a.size(lv); known && tgtadm.Megabytes(size) == have.Megabytes {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	if err := a.checkIdleNow(ctx, c.Target, c.Idle); err != nil { // the device may have been waited for
		return err
	}
	reopen := func() error { return explainOpen(c.Device, a.tgt.Reopen(ctx, t.ID, number, a.path(c.Device))) }
	if len(t.Sessions) == 0 && !t.Unclear && len(observe.TGTInitiators(t.Access)) == 0 {
		return reopen()
	}
	// Whoever may log in may do so in this moment.
	return a.whilePaused(ctx, t, reopen)
}

// size returns the size of a block device in bytes, if it can be read.
func (a *Actuator) size(v device.Volume) (bytes uint64, known bool) {
	const sector = 512
	text, err := a.host.ReadFile(path.Join("/sys/class/block", v.BlockDevice, "size"))
	if err != nil {
		return 0, false
	}
	sectors, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return sectors * sector, err == nil
}

func (a *Actuator) setWriteProtect(ctx context.Context, c change.SetWriteProtect) error {
	t, err := a.findOwned(ctx, c.Target)
	if err != nil {
		return err
	}
	if c.Initiator != "" {
		return fmt.Errorf("%w: tgtd cannot write-protect a LUN for a single initiator", change.ErrUnsupported)
	}
	have, exists := unitOf(t, observe.TGTLUN(c.LUN))
	if !exists {
		return refuse.Stale("%s has no LUN %d", c.Name, c.LUN)
	}
	if have.ReadOnly != c.ReadOnly {
		if err := checkIdle(t, c.Idle); err != nil {
			return err
		}
	}
	return a.protect(ctx, t, have, c.ReadOnly)
}

func (a *Actuator) protect(ctx context.Context, t *tgtadm.Target, have tgtadm.LUN, readOnly bool) error {
	if have.ReadOnly == readOnly {
		return nil
	}
	return a.tgt.UpdateLUN(ctx, t.ID, have.Number, tgtadm.Parameter{Name: "readonly", Value: flag(readOnly)})
}

func (a *Actuator) removeLUN(ctx context.Context, c change.RemoveLUN) error {
	t, err := a.ownership(ctx, c.Target)
	if err != nil || t == nil {
		return err
	}
	if _, exists := unitOf(t, observe.TGTLUN(c.LUN)); !exists {
		return nil
	}
	if err := checkIdle(t, c.Idle); err != nil {
		return err
	}
	return a.dropUnit(ctx, t, observe.TGTLUN(c.LUN))
}

// dropUnit removes a logical unit. If it is at work, its initiators are cut off
// for that moment.
func (a *Actuator) dropUnit(ctx context.Context, t *tgtadm.Target, number uint64) error {
	drop := func() error {
		err := a.tgt.DeleteLUN(ctx, t.ID, number)
		if errors.Is(err, tgtadm.ErrNoLUN) {
			return nil
		}
		return err
	}
	err := drop()
	if errors.Is(err, tgtadm.ErrLUNBusy) || errors.Is(err, tgtadm.ErrRemovalPrevented) {
		return a.whilePaused(ctx, t, drop)
	}
	return err
}

func unitOf(t *tgtadm.Target, number uint64) (tgtadm.LUN, bool) {
	i := slices.IndexFunc(t.LUNs, func(l tgtadm.LUN) bool { return l.Number == number })
	if i < 0 {
		return tgtadm.LUN{}, false
	}
	return t.LUNs[i], true
}

func flag(on bool) string {
	if on {
		return "1"
	}
	return "0"
}
