package observe

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/volreconciler/volreconciler/pkg/host"
)

// Holders tells who holds block devices, as far as the kernel says: mounts in
// the agent's mount namespace and block devices on top. Holders that are
// processes or kernel threads, LIO's backstores above all, are not among them.
//
// It is there to be told to people. Nothing is decided by it, and so what cannot
// be read is left out.
type Holders struct {
	files  host.Files
	mounts map[string][]string // mount points by major:minor
}

// ReadHolders reads the mounts, once for many devices.
func ReadHolders(h host.Files) Holders {
	mountinfo, err := h.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return Holders{files: h}
	}
	return Holders{files: h, mounts: parseMounts(string(mountinfo))}
}

// Of returns the holders of a device, as in "mounted on /mnt" and
// "dm-7 (vg1-root)".
func (hs Holders) Of(major, minor int) []string {
	var held []string
	dev := fmt.Sprintf("%d:%d", major, minor)
	for _, dir := range hs.mounts[dev] {
		held = append(held, "mounted on "+dir)
	}
	upper, err := hs.files.ReadDir("/sys/dev/block/" + dev + "/holders")
	if err != nil {
		return held
	}
	for _, e := range upper {
		name := e.Name()
		if dm, err := hs.files.ReadFile("/sys/block/" + name + "/dm/name"); err == nil {
			name += " (" + strings.TrimSpace(string(dm)) + ")"
		}
		held = append(held, name)
	}
	return held
}

// parseMounts returns the mount points of each device, by major:minor, from
// mountinfo (proc_pid_mountinfo(5)).
func parseMounts(mountinfo string) map[string][]string {
	const device, mountPoint = 2, 4
	mounts := map[string][]string{}
	for line := range strings.Lines(mountinfo) {
		if f := strings.Fields(line); len(f) > mountPoint {
			mounts[f[device]] = append(mounts[f[device]], unescape(f[mountPoint]))
		}
	}
	return mounts
}

// unescape undoes the kernel's \ooo for white space and backslashes.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
