package ondisk

import "github.com/volreconciler/volreconciler/pkg/spec"

// Names of the logical volumes that no spec names. No two of these can be the same.
// They are for people only: the role of a logical volume is in its tags alone.

// SourceName returns the name of the snapshot that a Volume is filled from, or an Image
// is written from.
func SourceName(id spec.ID) string {
	if id.Kind == spec.KindImage {
		return "volreconciler-image-" + id.Name
	}
	if id.Kind == spec.KindBackup {
		return "volreconciler-backup-" + id.Name
	}
	return "volreconciler-source-" + id.Name
}

// MoveNames returns the names that the snapshots may have from which a Volume is copied
// that moves. There are two of them at a time, and one that is being wiped.
func MoveNames(id spec.ID) []string {
	var names []string
	for _, letter := range []string{"a", "b", "c"} {
		names = append(names, "volreconciler-move-"+letter+"-"+id.Name)
	}
	return names
}

// StagedName returns the name of a Volume's staged logical volume, while the current one
// has the Volume's name.
func StagedName(id spec.ID) string { return "volreconciler-moved-" + id.Name }

// SupersededName returns the name of a Volume's superseded logical volume after a cutover.
func SupersededName(id spec.ID) string { return "volreconciler-old-" + id.Name }
