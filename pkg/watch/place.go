package watch

import "strings"

// isWatched says whether a directory of configfs has to be watched, and with it those below, to
// see all that is made and removed by others. Attributes is true if it has to be watched to see
// what is written, too. The path is below the mount point.
//
// The fewer are watched, the less of the kernel's memory is needed, and the further is the limit
// of inotify: statistics are never written. Names count only where they are the kernel's: a user may
// call a backstore "statistics".
func isWatched(path string, attributes bool) bool {
	parts := strings.Split(path, "/")
	if parts[0] != "target" {
		return true
	}
	depth, name := len(parts)-1, parts[len(parts)-1]
	// target/core/HBA/BACKSTORE/group, target/FABRIC/WWN/TPG/group/NAME/group
	if depth == 4 || depth >= 6 {
		switch name {
		case "statistics", "fabric_statistics":
			return false
		case "attrib", "auth", "param", "pr", "wwn", "xcopy":
			return attributes
		}
	}
	return depth != 3 || name != "fabric_statistics" || parts[1] == "core"
}

// placeOf returns the path below the mount point of configfs of a file there, whose path may be
// that of another mount, and in another mount namespace. Same says whether there is such a file at
// a path below the mount point, and it is the same. Empty: it is not known.
func placeOf(path, root string, same func(below string) bool) string {
	path = strings.TrimSuffix(path, " (deleted)")
	if below, ok := strings.CutPrefix(path, root+"/"); ok {
		return below
	}
	for rest := path; ; {
		_, after, found := strings.Cut(rest, "/")
		if !found {
			break
		}
		rest = after
		if same(rest) {
			return rest
		}
	}
	// It has been removed since.
	for rest := path; ; {
		_, after, found := strings.Cut(rest, "/")
		if !found {
			return ""
		}
		rest = after
		if isSubsystem(rest) {
			return rest
		}
	}
}

// subsystems are the directories of configfs that are watched.
var subsystems = []string{"target", "nvmet"}

// isSubsystem is true for a path below the mount point of configfs that belongs to what is watched.
func isSubsystem(path string) bool {
	first, _, _ := strings.Cut(path, "/")
	return first == "target" || first == "nvmet"
}
