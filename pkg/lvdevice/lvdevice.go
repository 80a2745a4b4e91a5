// Package lvdevice checks that an open file is the logical volume with a UUID: links in /dev may lead
// elsewhere, and names may have changed. It never opens or changes anything. Start reading at [Check].
package lvdevice

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrOther is the error when what was opened is not the logical volume that it has to be.
// Nothing has been written then.
var ErrOther = errors.New("not the expected device")

// sysDevBlock is where the kernel says what a block device is, by its numbers.
const sysDevBlock = "/sys/dev/block"

// Check is an error if an open file is not the device of the logical volume with a UUID, as
// LVM writes it. A path says it only until somebody renames a volume, or puts a link elsewhere.
// Without a UUID everything will do.
func Check(fd int, uuid string) error {
	if uuid == "" {
		return nil
	}
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT != unix.S_IFBLK {
		return fmt.Errorf("%w: not a block device", ErrOther)
	}
	return checkMapped(fmt.Sprintf("%s/%d:%d/dm", sysDevBlock, unix.Major(st.Rdev), unix.Minor(st.Rdev)), uuid)
}

// checkMapped looks at what device-mapper says of a device, in a directory of sysfs. The UUID that
// LVM gives it is LVM-, that of the volume group, and that of the logical volume, without dashes.
func checkMapped(dir, uuid string) error {
	mapped, err := os.ReadFile(dir + "/uuid")
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%w: not a device of LVM", ErrOther)
	} else if err != nil {
		return err
	}
	const group = 32
	of, isLVM := strings.CutPrefix(strings.TrimSpace(string(mapped)), "LVM-")
	if isLVM && len(of) > group && of[group:] == strings.ReplaceAll(uuid, "-", "") {
		return nil
	}
	name, _ := os.ReadFile(dir + "/name")
	return fmt.Errorf("%w: it is %s, not the logical volume with UUID %s; check its link with ls -l, and repair it with vgmknodes(8)",
		ErrOther, strings.TrimSpace(string(name)), uuid)
}
