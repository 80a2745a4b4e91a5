package capture

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
	"github.com/volreconciler/volreconciler/pkg/host/fakehost"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// unobserved is what a machine that is made of the node must know of a logical
// volume, though the agent never asks.
type unobserved struct {
	metadataSize   uint64
	skipActivation bool
}

// readUnobserved returns it for every logical volume, by vg/lv.
func readUnobserved(ctx context.Context, run host.Runner) (map[string]unobserved, error) {
	out, err := run.Run(ctx, "lvs", "--reportformat", "json", "--units", "b", "--nosuffix",
		"-o", "vg_name,lv_name,lv_metadata_size,lv_skip_activation")
	if err != nil {
		return nil, err
	}
	var report struct {
		Report []struct {
			LV []struct {
				Group          string `json:"vg_name"`
				Name           string `json:"lv_name"`
				MetadataSize   string `json:"lv_metadata_size"`
				SkipActivation string `json:"lv_skip_activation"`
			} `json:"lv"`
		} `json:"report"`
	}
	if err := json.Unmarshal(out.Stdout, &report); err != nil {
		return nil, fmt.Errorf("lvs: %w", err)
	}
	all := map[string]unobserved{}
	for _, part := range report.Report {
		for _, lv := range part.LV {
			u := unobserved{skipActivation: lv.SkipActivation != ""}
			if lv.MetadataSize != "" {
				if u.metadataSize, err = strconv.ParseUint(lv.MetadataSize, 10, 64); err != nil {
					return nil, fmt.Errorf("lvs: %s/%s: lv_metadata_size: %w", lv.Group, lv.Name, err)
				}
			}
			all[lv.Group+"/"+lv.Name] = u
		}
	}
	return all, nil
}

// addVolumeGroups renders what was read of LVM.
func addVolumeGroups(n *fakehost.Node, s observe.State, more map[string]unobserved) {
	for _, name := range slices.Sorted(maps.Keys(s.VolumeGroups)) {
		vg := s.VolumeGroups[name]
		group := fakehost.VolumeGroup{
			Name: vg.Name, UUID: vg.UUID, ExtentSize: vg.ExtentSize, Extents: vg.Size / vg.ExtentSize, MissingPVs: vg.MissingPVs,
		}
		for _, name := range slices.Sorted(maps.Keys(vg.LogicalVolumes)) {
			lv := vg.LogicalVolumes[name]
			mounts, devices := holders(lv, s.LIO)
			n.Mounts = append(n.Mounts, mounts...)
			rendered := logicalVolume(lv, more[lv.FullName()])
			rendered.HeldBy = devices
			group.LogicalVolumes = append(group.LogicalVolumes, rendered)
		}
		// Hidden logical volumes are not in the node, but their space is gone.
		used := (vg.Size - vg.Free) / vg.ExtentSize
		group.ReservedExtents = int64(used) - int64(group.Used())
		n.VolumeGroups = append(n.VolumeGroups, group)
	}
	slices.SortFunc(n.Mounts, func(a, b fakehost.Mount) int {
		return cmp.Or(cmp.Compare(a.LV, b.LV), cmp.Compare(a.Dir, b.Dir))
	})
}

func logicalVolume(lv observe.LogicalVolume, more unobserved) fakehost.LogicalVolume {
	rendered := fakehost.LogicalVolume{
		Name: lv.Name, UUID: lv.UUID, Type: string(lv.Type), Layout: lv.Layout, Stripes: lv.Stripes, Size: lv.Size, COWSize: lv.COWSize,
		Origin: lv.Origin, Pool: lv.Pool, Tags: lv.Tags,
		Active: lv.Active, ReadOnly: lv.ReadOnly, Invalid: lv.SnapshotInvalid, Health: lv.Health,
		DataPercent: lv.DataPercent, MetaPercent: lv.MetadataPercent, SkipActivation: more.skipActivation, Created: lv.Created,
	}
	if lv.Type == observe.ThinPool {
		rendered.MetadataSize = more.metadataSize
	}
	if lv.Active {
		rendered.Minor = lv.Minor
	}
	return rendered
}

// unknownHolder stands for who holds a device without the kernel saying so: a
// process, or an export that is not iSCSI's.
const unknownHolder = "unknown"

// holders renders who holds a logical volume, but for backstores: those are
// among what is read of LIO.
func holders(lv observe.LogicalVolume, lio observe.Targets) (mounts []fakehost.Mount, devices []string) {
	for _, holder := range lv.HeldBy {
		if dir, mounted := strings.CutPrefix(holder, "mounted on "); mounted {
			mounts = append(mounts, fakehost.Mount{LV: lv.FullName(), Dir: dir})
		} else {
			devices = append(devices, deviceName(holder))
		}
	}
	// LVM calls a thin pool open while a volume in it is active.
	explained := len(lv.HeldBy) > 0 || lv.Type == observe.ThinPool || backsUp(lv, lio)
	if lv.Open && !explained {
		devices = []string{unknownHolder}
	}
	return mounts, devices
}

// backsUp reports whether a backstore is bound to a logical volume.
func backsUp(lv observe.LogicalVolume, lio observe.Targets) bool {
	device := fmt.Sprintf("dm-%d", lv.Minor)
	for _, b := range lio.Backstores {
		if b.BlockDevice == device {
			return true
		}
	}
	return false
}

// deviceName returns the name of a device-mapper device, as in dm-7 (vg1-root).
// Other block devices have none but the kernel's.
func deviceName(holder string) string {
	_, name, ok := strings.Cut(strings.TrimSuffix(holder, ")"), " (")
	if !ok {
		return holder
	}
	return name
}
