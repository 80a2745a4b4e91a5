package observe

import (
	"context"
	"fmt"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// LVMWarnings returns what in this node's lvm.conf(5) endangers the volumes that it
// exports. It starts one process.
//
// With devices/scan_lvs LVM looks for physical volumes inside of logical volumes,
// finds those that initiators have made in theirs, and activates what is in them
// on the node as well. Two machines then write to one file system.
func LVMWarnings(ctx context.Context, r host.Runner) ([]string, error) {
	out, err := r.Run(ctx, "lvm", "lvmconfig", "--typeconfig", "full", "devices/scan_lvs")
	if err != nil {
		return nil, fmt.Errorf("cannot check whether LVM scans exported volumes: %w", err)
	}
	if value, ok := strings.CutPrefix(strings.TrimSpace(string(out.Stdout)), "scan_lvs="); ok && value != "0" {
		return []string{"lvm.conf has devices/scan_lvs = " + value + ": LVM activates volume groups that initiators created on exported volumes, which corrupts them. " +
			"Set it to 0; if this node has a volume group on logical volumes, set devices/global_filter instead"}, nil
	}
	return nil, nil
}
