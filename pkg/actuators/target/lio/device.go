package lio

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/change"
)

const (
	// deviceWait is how long udev gets to make the device node of a logical
	// volume that was activated a moment ago.
	deviceWait     = 5 * time.Second
	deviceInterval = 20 * time.Millisecond
)

// volume is the active logical volume behind a device node.
type volume struct {
	// blockDevice is the kernel's name, as in dm-3.
	blockDevice string
	// uuid is LVM's, without dashes.
	uuid string
}

// findVolume returns the logical volume behind /dev/<vg>/<lv>. It waits for
// udev, and trusts the symlink no further than device-mapper confirms it: a
// symlink that udev has not removed yet may lead to another volume.
func (a *Actuator) findVolume(ctx context.Context, device string) (volume, error) {
	target, err := a.awaitLink(ctx, device)
	if err != nil {
		return volume{}, err
	}
	blockDevice := path.Base(target)
	dm := path.Join("/sys/class/block", blockDevice, "dm")
	name, err := a.text(path.Join(dm, "name"))
	if errors.Is(err, fs.ErrNotExist) {
		return volume{}, stale("%s is %s, not a device of device-mapper", device, target)
	} else if err != nil {
		return volume{}, err
	}
	if want := mapperName(device); name != want {
		return volume{}, stale("%s leads to %s, not to %s", device, name, want)
	}
	text, err := a.text(path.Join(dm, "uuid"))
	if err != nil {
		return volume{}, err
	}
	uuid, err := parseMapperUUID(text)
	if err != nil {
		return volume{}, fmt.Errorf("%s: %w", device, err)
	}
	return volume{blockDevice: blockDevice, uuid: uuid}, nil
}

// awaitLink returns where a symlink leads, once it is there.
func (a *Actuator) awaitLink(ctx context.Context, link string) (string, error) {
	limit := time.NewTimer(deviceWait)
	defer limit.Stop()
	again := time.NewTicker(deviceInterval)
	defer again.Stop()
	for {
		target, err := a.host.Readlink(link)
		if !errors.Is(err, fs.ErrNotExist) {
			return target, err
		}
		select {
		case <-again.C:
		case <-limit.C:
			return "", stale("%s did not appear within %s: is the logical volume active?", link, deviceWait)
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// mapperName is the device-mapper name of /dev/<vg>/<lv>: LVM doubles the
// dashes in both names and joins them with one.
func mapperName(device string) string {
	vg, lv, _ := strings.Cut(strings.TrimPrefix(device, "/dev/"), "/")
	double := strings.NewReplacer("-", "--")
	return double.Replace(vg) + "-" + double.Replace(lv)
}

// parseMapperUUID returns the logical volume's UUID, without dashes, from a
// device-mapper UUID: LVM- and 32 characters each for the volume group and the
// logical volume (build_dm_uuid in LVM's lib/activate/dev_manager.c). A suffix
// marks an inner layer of a logical volume, which is not to be exported.
func parseMapperUUID(text string) (string, error) {
	const length = 32
	uuids, ok := strings.CutPrefix(text, "LVM-")
	if !ok || len(uuids) != 2*length {
		return "", fmt.Errorf("device-mapper UUID %q is not that of a logical volume", text)
	}
	return uuids[length:], nil
}

// checkVolume compares the logical volume that was found with the one that the
// plan is about; want is empty if the plan did not know its UUID yet.
func checkVolume(device string, found volume, want string) error {
	if want == "" || strings.ReplaceAll(want, "-", "") == found.uuid {
		return nil
	}
	return fmt.Errorf("%w: %s is another logical volume, with UUID %s", change.ErrStale, device, found.uuid)
}
