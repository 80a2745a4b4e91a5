package fakehost

import (
	"errors"
	"fmt"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/watch"
)

// Reboot restarts the machine, as after a power cut. What is in configfs and
// mounted is gone. LVM has activated what it activates by itself: the logical
// volumes of complete volume groups, but for those with the flag that says
// otherwise. None of them has the minor number that it had.
func (h *Host) Reboot() {
	h.mu.Lock()
	defer h.mu.Unlock()
	var n Node
	h.lvm.store(&n)
	h.tree.store(&n)
	n.Boots++
	n.Modules, n.ConfigFS, n.Sockets, n.Mounts, n.Processes = nil, nil, nil, nil, nil
	n.NVMet, n.NVMeDevices, n.NVMeSessions = nil, nil, nil
	next := 0
	for i := range n.VolumeGroups {
		vg := &n.VolumeGroups[i]
		vg.LogicalVolumes = slices.Clone(vg.LogicalVolumes)
		for j := len(vg.LogicalVolumes) - 1; j >= 0; j-- {
			activate(&vg.LogicalVolumes[j], vg.bootable(vg.LogicalVolumes[j]), &next)
		}
	}
	var (
		l lvm
		c configfs
	)
	if err := errors.Join(l.load(n), c.load(n, &l)); err != nil {
		//nolint:forbidigo // this cannot be, and nobody could handle it
		panic(fmt.Sprintf("fakehost: what a machine held before a reboot cannot be loaded: %v", err))
	}
	h.lvm, h.tree = l, c
	h.tree.lvm, h.tree.files = &h.lvm, h.files
	for _, source := range []watch.Source{watch.Configfs, watch.Metadata, watch.Devices} {
		h.put(source, "", nil) // for whoever watches all the same
	}
}

// bootable reports whether a logical volume is activated at boot.
func (vg VolumeGroup) bootable(lv LogicalVolume) bool {
	damaged := func(other LogicalVolume) bool { return other.Name == lv.Pool && other.Damage != "" }
	return vg.MissingPVs == 0 && vg.Unusable == "" && !vg.Exported && !vg.Shared && vg.SystemID == "" &&
		lv.Damage == "" && !slices.ContainsFunc(vg.LogicalVolumes, damaged)
}

// activate gives a logical volume the state that it has after a boot.
func activate(lv *LogicalVolume, complete bool, next *int) {
	lv.HeldBy = nil
	before, wasActive := lv.Minor, lv.Active
	lv.Active, lv.Minor = complete && !lv.SkipActivation, 0
	if !lv.Active {
		return
	}
	if wasActive && *next == before {
		*next++
	}
	lv.Minor = *next
	*next++
}
