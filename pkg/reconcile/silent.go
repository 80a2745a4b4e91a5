package reconcile

import (
	"maps"
	"slices"

	"github.com/volreconciler/volreconciler/pkg/observe"
	"github.com/volreconciler/volreconciler/pkg/reconcile/plan"
	"github.com/volreconciler/volreconciler/pkg/spec"
)

// VolumeGroups returns the volume groups that matter: those that the spec names, and those in
// which objects are remembered.
func VolumeGroups(declared spec.Set, known map[spec.ID]plan.Identity) []string {
	matter := map[string]bool{}
	for _, p := range declared.Pools {
		matter[p.Spec.VolumeGroup] = true
	}
	for _, identity := range known {
		if identity.VolumeGroup != "" {
			matter[identity.VolumeGroup] = true
		}
	}
	return slices.Sorted(maps.Keys(matter))
}

// silentWarnings warns of devices that do not answer.
func silentWarnings(observed observe.State) []string {
	var warnings []string
	for _, d := range observed.SilentDevices {
		warnings = append(warnings, d+"; LVM is run without it. Repair it, or remove it from this node (dmesg, lsblk)")
	}
	return warnings
}
