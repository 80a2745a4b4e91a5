// Package device finds the logical volume behind a device node, for the actuators
// of targets: what they export is the logical volume that the plan saw, whatever its
// name leads to now. It changes nothing.
//
// Start reading at [Find].
package device

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"time"

	"github.com/volreconciler/volreconciler/pkg/actuators/target/internal/refuse"
	"github.com/volreconciler/volreconciler/pkg/change"
	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// How long is waited for links: variables for tests.
var (
	// wait is how long udev may take to make the device node of a logical
	// volume that was activated a moment ago.
	wait = 5 * time.Second
	// patience is how much of that nothing but udev makes it. With a queue of events udev
	// may need seconds; making the links in addition does no harm.
	patience = time.Second
)

const interval = 20 * time.Millisecond

// Volume is the active logical volume behind a device node.
type Volume struct {
	// BlockDevice is the kernel's name, as in dm-3.
	BlockDevice string
	// UUID is LVM's, without dashes.
	UUID string
}

// Find returns the logical volume behind /dev/<vg>/<lv>. It waits for
// udev, and trusts the symlink no further than device-mapper confirms it: a
// symlink that udev has not removed yet may lead to another volume.
func Find(ctx context.Context, h host.Host, device string) (Volume, error) {
	target, err := awaitLink(ctx, h, device)
	if err != nil {
		return Volume{}, err
	}
	blockDevice := path.Base(target)
	if path.Base(path.Dir(target)) == "mapper" { // LVM itself makes such links
		blockDevice = kernelNameOf(h, blockDevice)
	}
	dm := path.Join("/sys/class/block", blockDevice, "dm")
	name, err := text(h, path.Join(dm, "name"))
	if errors.Is(err, fs.ErrNotExist) {
		return Volume{}, refuse.Stale("%s is %s, not a device of device-mapper", device, target)
	} else if err != nil {
		return Volume{}, err
	}
	if want := mapperName(device); name != want {
		return Volume{}, refuse.Stale("%s points to %s, not to %s", device, name, want)
	}
	mapped, err := text(h, path.Join(dm, "uuid"))
	if err != nil {
		return Volume{}, err
	}
	uuid, err := parseMapperUUID(mapped)
	if err != nil {
		return Volume{}, fmt.Errorf("%s: %w", device, err)
	}
	return Volume{BlockDevice: blockDevice, UUID: uuid}, nil
}

// awaitLink returns where a symlink leads, once it is there. One that udev does not make
// though the device is there, LVM is asked to make, with those of the whole volume group.
func awaitLink(ctx context.Context, h host.Host, link string) (string, error) {
	began, asked := time.Now(), false
	again := time.NewTicker(interval)
	defer again.Stop()
	for {
		target, err := h.Readlink(link)
		if !errors.Is(err, fs.ErrNotExist) {
			return target, err
		}
		switch waited := time.Since(began); {
		case waited >= wait && !asked:
			return "", refuse.Stale("%s did not appear within %s; check that the logical volume is active", link, wait)
		case waited >= wait:
			return "", fmt.Errorf("%s did not appear within %s although the logical volume is active; check that udev is running", link, wait)
		case waited >= patience && !asked && kernelNameOf(h, mapperName(link)) != "":
			asked = true
			vg, _, _ := strings.Cut(strings.TrimPrefix(link, "/dev/"), "/")
			// It fails if it cannot make any one of them: what matters is whether
			// this link exists.
			_, _ = h.Run(ctx, "lvm", "vgmknodes", vg)
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// kernelNameOf returns the kernel's name of the device that has this name in device-mapper;
// empty if there is none.
func kernelNameOf(h host.Files, name string) string {
	devices, err := h.ReadDir("/sys/class/block")
	if err != nil {
		return ""
	}
	for _, d := range devices {
		if !strings.HasPrefix(d.Name(), "dm-") {
			continue
		}
		if has, err := text(h, path.Join("/sys/class/block", d.Name(), "dm/name")); err == nil && has == name {
			return d.Name()
		}
	}
	return ""
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
		return "", fmt.Errorf("device-mapper UUID %q does not belong to a logical volume", text)
	}
	return uuids[length:], nil
}

// Check compares the logical volume that was found behind a device with the one
// that the plan is about; want is empty if the plan did not know its UUID yet.
func (v Volume) Check(device, want string) error {
	if want == "" || strings.ReplaceAll(want, "-", "") == v.UUID {
		return nil
	}
	return refuse.Stale("%s is another logical volume, with UUID %s", device, v.UUID)
}

// CheckFree looks once more, right before a device is exported, whether anybody else uses
// it: since the plan was made it may have been mounted. Processes of the name except do
// not count.
func CheckFree(users *observe.Users, device, blockDevice, except string) error {
	if who := users.Of(blockDevice, except); len(who) > 0 {
		return fmt.Errorf("%w: %s is %s", change.ErrInUse, device, strings.Join(who, ", "))
	}
	return nil
}

func text(h host.Files, file string) (string, error) {
	text, err := h.ReadFile(file)
	return strings.TrimSpace(string(text)), err
}
