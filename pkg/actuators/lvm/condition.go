package lvm

import (
	"strings"

	"github.com/volreconciler/volreconciler/pkg/change"
)

// hasUUID is the condition that a logical volume is the one that the plan saw, in the
// form of LVM's --select (lvmreport(7)). A command that names a logical volume
// and selects does nothing, and succeeds, if the one does not match the other;
// LVM compares under the lock of the volume group.
func hasUUID(lv change.LV) string { return "lv_uuid=" + lv.UUID }

// notOpen is the condition that nothing holds the device. Of one that is not
// active LVM cannot tell, and nothing can hold it.
const notOpen = "!(lv_device_open=open)"

// alone is the condition that nothing else is removed with a logical volume. For lvremove -y
// also removes the snapshots of a thick origin, the thin volumes that have it as
// external origin, the volumes of a pool, and the cache of a cached one. It removes a
// snapshot that is being merged as well, which LVM hides: the first letter of lv_attr
// shows it.
var alone = []string{
	"!(lv_role=thickorigin)", "!(lv_role=extthinorigin)", "!(lv_layout=pool)",
	"!(lv_layout=cache)", "!(lv_layout=writecache)", "lv_attr!~^O",
}

// removable returns the condition under which a logical volume may be removed:
// it has the UUID and the tags, and nothing else is removed with it.
func removable(lv change.LV, tags []string) string {
	return strings.Join(append([]string{isOurs(lv, tags)}, alone...), " && ")
}

// isOurs is the condition that a logical volume has the UUID and the tags.
func isOurs(lv change.LV, tags []string) string {
	all := []string{hasUUID(lv)}
	for _, t := range tags {
		all = append(all, hasTag(t))
	}
	return strings.Join(all, " && ")
}

// anyRemovable is [removable] of several: a logical volume has the UUID and the tags of one of them.
// LVM selects before it removes the first of them, under the lock that it keeps until the last:
// what is an origin then is left, even if its snapshot is removed by the same command.
func anyRemovable(changes []change.RemoveLV) string {
	conditions := make([]string, len(changes))
	for i, c := range changes {
		conditions[i] = "(" + isOurs(c.LV, c.Tags) + ")"
	}
	return strings.Join(append([]string{"(" + strings.Join(conditions, " || ") + ")"}, alone...), " && ")
}

// hasTag is the condition that a logical volume has a tag. Some of what tags may consist of joins
// conditions otherwise: # is an "or" and && an "and".
func hasTag(tag string) string {
	if strings.ContainsAny(tag, "!#&") {
		tag = `"` + tag + `"`
	}
	return "lv_tags=" + tag
}
