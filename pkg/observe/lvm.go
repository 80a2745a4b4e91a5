package observe

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// ReadLV reads one logical volume, all but HeldBy and ChunkSize. It reports false if the
// volume group holds no visible one of that name; that there is no such volume
// group is an error.
func ReadLV(ctx context.Context, run host.Runner, vg, name string) (LogicalVolume, bool, error) {
	all, err := ReadLVs(ctx, run, vg, name)
	lv, found := all[name]
	return lv, found, err
}

// LVMissing reports whether an LVM command failed because the volume group does
// not hold the logical volume that it was to work on.
func LVMissing(err error) bool {
	var cmd *host.CommandError
	return errors.As(err, &cmd) && cmd.ExitCode == host.LVMFailed &&
		strings.Contains(cmd.Stderr, "Failed to find logical volume")
}

// addHolders says who holds the open devices.
func addHolders(h host.Files, groups map[string]VolumeGroup) {
	holders := sync.OnceValue(func() Holders { return ReadHolders(h) })
	for _, vg := range groups {
		for name, lv := range vg.LogicalVolumes {
			if lv.Open {
				lv.HeldBy = holders().Of(lv.Major, lv.Minor)
				vg.LogicalVolumes[name] = lv
			}
		}
	}
}
