package catalog

import (
	"strconv"

	"github.com/volreconciler/volreconciler/pkg/backup"
	"github.com/volreconciler/volreconciler/pkg/backup/format"
	"github.com/volreconciler/volreconciler/pkg/observe"
)

// The tags of a backup besides those of package backup. They are what the fields of [observe.Backup] are made of.
const (
	tagSchedule = "schedule"
	tagObject   = "backup"
	tagLV       = "lv"
	tagIdentity = "identity"
	tagSize     = "size"
	tagDelete   = "delete"
	tagReread   = "reread"
	yes         = "true"
)

// Tags returns the tags of a backup; those that are empty are left out. ID, time and volume are none of them.
func Tags(b observe.Backup) map[string]string {
	tags := map[string]string{tagSize: strconv.FormatUint(b.Size, 10)}
	for name, value := range map[string]string{tagSchedule: b.Schedule, tagObject: b.Object, tagLV: b.LV, tagIdentity: b.Identity} {
		if value != "" {
			tags[name] = value
		}
	}
	for name, is := range map[string]bool{tagDelete: b.Delete, tagReread: b.Reread} {
		if is {
			tags[name] = yes
		}
	}
	return tags
}

// Parse returns what the tags of a snapshot say. Whose node made it does not matter: a repository is for one node,
// which may have been rebuilt under another name.
func Parse(s backup.Snapshot) observe.Backup {
	size, err := strconv.ParseUint(s.Tags[tagSize], 10, 63)
	return observe.Backup{
		ID: s.ID, Time: s.Time, Host: s.Host, Volume: s.Volume, Schedule: s.Tags[tagSchedule], Object: s.Tags[tagObject], LV: s.Tags[tagLV], Identity: s.Tags[tagIdentity],
		Size: size, Delete: s.Tags[tagDelete] == yes, Reread: s.Tags[tagReread] == yes,
		Unreadable: s.Format != format.Version || err != nil,
	}
}
