package lvm

import (
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// is returns the condition that a logical volume is the one the plan saw, in the
// form of LVM's --select (lvmreport(7)). A command that names a logical volume
// and selects does nothing, and succeeds, if the one does not match the other;
// LVM compares under the lock of the volume group.
func is(lv change.LV) string { return "lv_uuid=" + lv.UUID }

// notOpen is the condition that nothing holds the device. Of one that is not
// active LVM cannot tell, and nothing can hold it.
const notOpen = "!(lv_device_open=open)"

// removable returns the condition under which a logical volume may be removed:
// it is the one, it carries the tags, and nothing goes with it. For lvremove -y
// also removes the snapshots of a thick origin and the volumes of a thin pool.
func removable(lv change.LV, tags []string) string {
	all := []string{is(lv)}
	for _, t := range tags {
		all = append(all, "lv_tags="+t)
	}
	all = append(all, "!(lv_role=thickorigin)", "!(lv_layout=pool)")
	return strings.Join(all, " && ")
}
