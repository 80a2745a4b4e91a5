package spec

import (
	"fmt"
	"slices"
	"strings"
)

const (
	lvmCharacters = alphanumeric + "+_.-"

	maxVGName = 127
	// maxLVName leaves room for the suffixes that LVM adds to the names of
	// hidden logical volumes (127 is its own limit).
	maxLVName = 115

	// maxDeviceName is what device-mapper allows for one name, less the longest
	// suffix that LVM adds to ours (-tpool, _tdata, _tmeta, -real, -cow).
	maxDeviceName = 127 - len("-tpool")
)

// checkVGName accepts the names that LVM accepts for volume groups.
func checkVGName(name string) error { return checkLVMName(name, maxVGName) }

// checkLVName accepts the names that LVM accepts for logical volumes that
// somebody else creates: those of its hidden volumes are reserved.
func checkLVName(name string) error {
	if err := checkLVMName(name, maxLVName); err != nil {
		return err
	}
	for _, prefix := range []string{"pvmove", "snapshot"} {
		if strings.HasPrefix(name, prefix) {
			return fmt.Errorf("%s begins with %q, which is reserved by LVM; choose another name", quote(name), prefix)
		}
	}
	for _, part := range []string{
		"_cdata", "_cmeta", "_corig", "_cvol", "_wcorig", "_imeta", "_iorig", "_mimage", "_mlog", "_pmspare",
		"_rimage", "_rmeta", "_tdata", "_tmeta", "_vdata", "_vorigin",
	} {
		if strings.Contains(name, part) {
			return fmt.Errorf("%s contains %q, which LVM reserves for hidden volumes; choose another name", quote(name), part)
		}
	}
	return nil
}

func checkLVMName(name string, limit int) error {
	switch {
	case len(name) > limit:
		return fmt.Errorf("%s has %d characters; at most %d are allowed", quote(name), len(name), limit)
	case strings.HasPrefix(name, "-"):
		return fmt.Errorf("%s begins with -; LVM does not allow that, choose another name", quote(name))
	case slices.Contains([]string{".", ".."}, name):
		return fmt.Errorf("%s cannot be a name, because LVM creates a directory entry with it; choose another name", quote(name))
	default:
		return checkCharacters(name, lvmCharacters, "letters, digits, +, _, . and -")
	}
}

// checkDeviceName checks that the device-mapper name of a logical volume fits.
// Its hyphens count twice, because LVM doubles them to tell them from the one
// between the volume group and the logical volume.
func checkDeviceName(vg, lv string) error {
	n := len(vg) + strings.Count(vg, "-") + len("-") + len(lv) + strings.Count(lv, "-")
	if n > maxDeviceName {
		return fmt.Errorf("the device name of %s has %d characters (hyphens are doubled); device-mapper allows %d. Choose a shorter name",
			quote(vg+"/"+lv), n, maxDeviceName)
	}
	return nil
}
